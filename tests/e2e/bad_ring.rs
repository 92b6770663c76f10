//! Rule: a ring that can't be used is refused with one clear line and its documented exit status,
//! and left as it is. What a spoiled header does is tested beside the ring itself.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};

use anyhow::{Result, ensure};
use e2e::chain::RING_IN;
use e2e::{Chain, Namespace, RingStat, clips, wait_until};

use crate::bad_input::{USAGE, fails};

const RING: i32 = 6;
const SHARED_MEMORY: i32 = 7;

/// Where the layout's version is in a segment.
const VERSION_OFFSET: u64 = 8;

#[test]
fn names_that_no_ring_can_have() -> Result<()> {
    let namespace = Namespace::new()?;
    for name in ["a/b", "../cam.in", "", ".cam", &"x".repeat(300)] {
        let chain = [
            namespace.command("puller").args(["--input", "x.mp4", "--ring", name]),
            namespace.command("worker").args(["--from", name, "--to", "cam.out"]),
            namespace.command("worker").args(["--from", "cam.in", "--to", name]),
            namespace.command("pusher").args(["--ring", name, "--output", "x.flv"]),
        ];
        for command in &chain {
            fails(command, USAGE, &["name"])?;
        }
    }
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}

#[test]
fn a_segment_that_is_no_ring() -> Result<()> {
    for contents in [vec![], vec![0; 64], vec![0; 65536], vec![0xff; 65536]] {
        let namespace = Namespace::new()?;
        let (clip, segment) = (namespace.path("clip.mkv"), namespace.segment(RING_IN));
        clips::odd_size(&clip, 2)?;
        fs::write(&segment, &contents)?;
        let chain = Chain::new(&namespace, &clip, &namespace.path("out.flv"));
        fails(&chain.puller, RING, &["cam.in"])?;
        fails(&chain.worker, RING, &["cam.in"])?;
        ensure!(fs::read(&segment)? == contents, "the segment was changed");
    }
    Ok(())
}

#[test]
fn a_ring_of_another_layout_version() -> Result<()> {
    let namespace = Namespace::new()?;
    let (clip, segment) = (namespace.path("clip.mkv"), namespace.segment(RING_IN));
    clips::odd_size(&clip, 20)?;
    let chain = Chain::new(&namespace, &clip, &namespace.path("out.flv"));
    let mut puller = chain.puller.start()?;
    wait_until("the puller's ring", || RingStat::read(&namespace, RING_IN).is_ok())?;
    puller.kill()?;

    let mut file = File::options().write(true).open(&segment)?;
    file.seek(SeekFrom::Start(VERSION_OFFSET))?;
    file.write_all(&4711_u32.to_le_bytes())?;
    drop(file);
    fails(&chain.worker, RING, &["4711", "version"])?;
    fails(&chain.puller, RING, &["4711", "version"])?;
    let tool = namespace.command("framelane").args(["stat", RING_IN]);
    fails(&tool, RING, &["4711", "version"])
}

#[test]
fn shared_memory_that_is_too_small() -> Result<()> {
    let namespace = Namespace::new()?;
    let clip = namespace.path("clip.mkv");
    clips::odd_size(&clip, 2)?;
    // 192 GiB: more than any machine that runs this gives to shared memory.
    let huge = ["--size", "8192x8192", "--slots", "1024"];
    let puller = Chain::new(&namespace, &clip, "x.flv").puller.args(huge);
    fails(&puller, SHARED_MEMORY, &["--slots", "shm-size"])?;
    ensure!(namespace.leftovers().is_empty(), "left behind: {:?}", namespace.leftovers());
    Ok(())
}
