//! Failpoints: named places where a test can kill or stop the process it runs in.
//!
//! They exist only with the feature `failpoints`, which nothing but the crash tests turns on;
//! otherwise [`failpoint`] is an empty function. The variable `FRAMELANE_FAILPOINT` names one
//! place, what is to happen there, and at which pass: `publish.edge=kill@37`. What can happen is
//! `kill` (SIGKILL) and `stop` (SIGSTOP). Names are `operation.step`, where the step has just been
//! done.

/// Every failpoint. The crash tests walk through all of them, and fail for one that nobody passes.
pub const FAILPOINTS: &[&str] = &[
    "create.linked",
    "join.locked",
    "join.cleaned",
    "join.entered",
    "group.prepared",
    "group.entered",
    "group.used",
    "group.active",
    "group.inactive",
    "group.swept",
    "clean.entry",
    "leave.unlocked",
    "source.numbered",
    "feed.odd",
    "feed.written",
    "acquire.edge",
    "overwrite.edge",
    "record.written",
    "publish.journal",
    "publish.edge",
    "publish.settled",
    "publish.next",
    "publish.rung",
    "discard.wiped",
    "discard.edge",
    "claim.edge",
    "claim.counted",
    "release.journal",
    "release.edge",
    "release.settled",
    "give_back.edge",
    "requeue.edge",
    "cursor.stored",
    "end.noted",
    "end.stored",
    "end.settled",
    "end.unlinked",
];

/// Passes a failpoint.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub(crate) fn failpoint(_name: &'static str) {}

/// Passes a failpoint, and dies or stops there if that was asked for.
#[cfg(feature = "failpoints")]
pub(crate) fn failpoint(name: &'static str) {
    assert!(FAILPOINTS.contains(&name), "'{name}' is not in the list of failpoints");
    armed::pass(name);
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::env;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    /// What was asked for.
    struct Order {
        name: String,
        signal: Signal,
        pass: u64,
    }

    static ORDER: LazyLock<Option<Order>> = LazyLock::new(|| {
        let text = env::var("FRAMELANE_FAILPOINT").ok()?;
        let order = parse(&text);
        assert!(order.is_some(), "FRAMELANE_FAILPOINT is NAME=kill@N or NAME=stop@N, not '{text}'");
        order
    });
    static PASSES: AtomicU64 = AtomicU64::new(0);

    fn parse(text: &str) -> Option<Order> {
        let (name, act) = text.split_once('=')?;
        let (act, pass) = act.split_once('@')?;
        let signal = match act {
            "kill" => Signal::KILL,
            "stop" => Signal::STOP,
            _ => return None,
        };
        Some(Order { name: name.to_owned(), signal, pass: pass.parse().ok()? })
    }

    pub(super) fn pass(name: &str) {
        let Some(order) = ORDER.as_ref().filter(|order| order.name == name) else { return };
        if PASSES.fetch_add(1, Ordering::Relaxed) + 1 == order.pass {
            // The signal is delivered before the call returns: it is this process's own.
            let _ = kill_process(getpid(), order.signal);
        }
    }
}
