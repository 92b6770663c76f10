//! The watchdog of systemd: a service of `Type=notify` with `WatchdogSec=` is started again when it
//! gives no sign of life. Without systemd nothing happens here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sd_notify::NotifyState;

/// Says that the stage is ready, and from then on that it lives, for as long as `signs` grows.
pub(crate) fn start(signs: Arc<AtomicU64>) {
    tell(NotifyState::Ready);
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let watch = move || {
        let mut seen = u64::MAX;
        loop {
            let now = signs.load(Ordering::Relaxed);
            if now != seen {
                tell(NotifyState::Watchdog);
            }
            seen = now;
            // Often enough for one sign to be late.
            thread::sleep(limit / 4);
        }
    };
    if let Err(error) = thread::Builder::new().name("watchdog".to_owned()).spawn(watch) {
        tracing::error!(%error, "no thread for the watchdog: systemd will think this stage hangs");
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd can't be told");
    }
}
