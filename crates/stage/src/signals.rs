//! TERM and INT ask a stage to stop: it finishes the frame in hand, releases everything, and ends
//! with status 0. A second one ends it at once, with 128 + the signal's number.
//!
//! Every stage makes one [`Shutdown`] before it starts threads or children, and hands out clones.
//! HUP, which a closing terminal sends, is ignored: a stage that was started from a terminal goes
//! on without it.
//!
//! Every loop and every wait of a stage asks whether to stop, so being asked is a sign of life. It
//! feeds the watchdog of systemd: frames move, or there are none to move.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::watchdog;

/// How soon a sleeper sees that it should stop.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Whether the stage was asked to stop. Clones share one answer, and it never goes back to no.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    requested: Arc<AtomicBool>,
    /// How often somebody asked.
    asked: Arc<AtomicU64>,
}

impl Shutdown {
    /// Takes over TERM, INT and HUP for this process, and tells systemd that it is ready and, whenever
    /// it has asked whether to stop, that it lives.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::default();
        for signal in [SIGTERM, SIGINT] {
            // The order matters: the first signal finds the flag down and raises it, the second
            // finds it up.
            let flag = &shutdown.requested;
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(flag))?;
            flag::register(signal, Arc::clone(flag))?;
        }
        // A handler, not SIG_IGN, which children would inherit.
        flag::register(SIGHUP, Arc::new(AtomicBool::new(false)))?;
        watchdog::start(Arc::clone(&shutdown.asked));
        Ok(shutdown)
    }

    /// Whether to stop. Asking is a sign of life.
    pub fn requested(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed);
        // Relaxed: the flag carries no data with it.
        self.requested.load(Ordering::Relaxed)
    }

    /// The flag itself, for waits that look at a flag, and for those that are no sign of life.
    pub fn flag(&self) -> &AtomicBool {
        &self.requested
    }

    /// Asks to stop, as a signal would.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Sleeps for `duration`, or until asked to stop. Returns whether it slept to the end.
    pub fn sleep(&self, duration: Duration) -> bool {
        let start = Instant::now();
        while !self.requested() {
            let left = duration.saturating_sub(start.elapsed());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(LOOK_INTERVAL));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_raises_the_flag_and_wakes_sleepers() {
        let shutdown = Shutdown::on_signals().expect("handlers");
        assert!(shutdown.sleep(Duration::from_millis(1)));
        signal_hook::low_level::raise(SIGHUP).expect("a valid signal");
        assert!(!shutdown.requested());
        signal_hook::low_level::raise(SIGTERM).expect("a valid signal");
        assert!(shutdown.requested());
        assert!(!shutdown.clone().sleep(Duration::from_secs(3600)));
    }
}
