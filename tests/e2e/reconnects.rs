//! Rule: nothing piles up, however often a source breaks off.

use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use e2e::tools::run_ffmpeg;
use e2e::{Chain, Namespace, wait_until};

use crate::flaky_camera::FlakyCamera;

/// What a process has open and running.
#[derive(Debug, PartialEq, Eq, PartialOrd)]
struct Holdings {
    descriptors: usize,
    threads: usize,
    segments: usize,
}

impl Holdings {
    fn of(pid: u32, namespace: &Namespace) -> Result<Self> {
        let count = |folder: &str| {
            let path = format!("/proc/{pid}/{folder}");
            fs::read_dir(&path).map(Iterator::count).with_context(|| path)
        };
        let segments = namespace.leftovers().len();
        Ok(Self { descriptors: count("fd")?, threads: count("task")?, segments })
    }
}

/// A camera that breaks off after a few frames, 200 times: the puller comes back each time, and
/// holds no more descriptors, threads, processes and segments than at first.
#[test]
fn reconnects_leave_nothing_behind() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.ts");
    run_ffmpeg(&["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=0.4", "-g", "5", &clip])?;
    let camera = FlakyCamera::start(&fs::read(&clip)?, Duration::ZERO)?;
    let chain = Chain::new(&namespace, &camera.url(), &namespace.path("out.ts"));
    let mut running = chain.start(1)?;
    let pid = running.puller.pid();
    let reconnects = if env::var_os("FRAMELANE_TEST_LONG").is_some() { 200 } else { 12 };
    wait_until("the first reconnects", || camera.connections() >= 4)?;
    let before = Holdings::of(pid, &namespace)?;
    for wanted in 4..reconnects {
        wait_until(&format!("reconnect {wanted}"), || camera.connections() > wanted)?;
    }
    // It is between two connections now and then: what counts is that it is as before at all.
    wait_until("the puller to hold no more than at first", || {
        Holdings::of(pid, &namespace).is_ok_and(|now| now <= before)
    })
    .with_context(|| format!("{before:?} became {:?}", Holdings::of(pid, &namespace)))?;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    ensure!(children.split_whitespace().count() <= 1, "children: {children}");
    ensure!(running.puller.is_running(), "the puller is gone");
    running.stop()
}
