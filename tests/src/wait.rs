//! Waiting for a condition, under a watchdog that only catches what hangs.
//!
//! The watchdog is no promise about speed: it is far longer than anything takes, and
//! `FRAMELANE_TEST_PATIENCE=N` multiplies it on a slow machine.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const WATCHDOG: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// How long anything may take before it counts as hung.
pub fn watchdog() -> Duration {
    let factor = env::var("FRAMELANE_TEST_PATIENCE").ok().and_then(|text| text.parse().ok());
    WATCHDOG * factor.unwrap_or(1)
}

/// Waits until `condition` holds.
///
/// # Errors
/// When the watchdog runs out; the message says that `what` was waited for.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
    wait_for(what, || condition().then_some(()))
}

/// Waits until `look` finds something, and returns it.
///
/// # Errors
/// When the watchdog runs out; the message says that `what` was waited for.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if started.elapsed() > watchdog() {
            bail!("waited {} s in vain for: {what}", watchdog().as_secs());
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}
