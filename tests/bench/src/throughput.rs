//! Frames a second when every pixel is written once by one process and read once by another. Two
//! copies of memory are all that has to be done; the copies alone, in one process, are the limit.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::results::Table;
use crate::transport::{DEPTH, Kind, Receiver};

/// Sizes of rgb24 frames, and how many of each are sent.
const SIZES: [(&str, usize, usize); 3] = [
    ("720p", 1280 * 720 * 3, 4000),
    ("1080p", 1920 * 1080 * 3, 2000),
    ("4K", 3840 * 2160 * 3, 500),
];

/// What frames are made of.
const PIXEL: u8 = 7;

/// Frames at the start that are not counted: first touches of memory.
const WARM_UP: usize = 2 * DEPTH as usize;

/// How long a writer takes at most to fill all slots, once its first frame has been taken. Both sides
/// have then touched all memory: a ring gives the writer the first slot that is free, and the last
/// one is used only when the writer is far ahead.
const FILLING: Duration = Duration::from_millis(300);

/// Measures all alternatives in turn, and prints frames a second.
pub(crate) fn measure(rounds: usize) -> Result<()> {
    let mut table = Table::new("throughput");
    for round in 0..rounds {
        for (size, bytes, frames) in SIZES {
            table.add("two memcpy in one process", size, copies_alone(bytes, frames));
            for kind in [Kind::Framelane, Kind::Iceoryx2, Kind::Pipe] {
                let rate = once(kind, bytes, frames, round).with_context(|| kind.name())?;
                table.add(kind.name(), size, rate);
            }
        }
    }
    table.print()
}

fn once(kind: Kind, bytes: usize, frames: usize, round: usize) -> Result<f64> {
    let name = format!("bench-frames-{}-{round}-{bytes}", std::process::id());
    let mut sender = kind.sender(&name, bytes)?;
    let count = frames.to_string();
    let receiver = kind.spawn_receiver(&name, bytes, &["--messages", &count, "--read"])?;
    sender.connect()?;
    let frame = vec![PIXEL; bytes];
    for _ in 0..frames {
        sender.send(Some(&frame))?;
    }
    Ok(receiver.finish()?.parse()?)
}

/// The receiving process: prints frames a second.
pub(crate) fn receive(mut receiver: Box<dyn Receiver>, bytes: usize, frames: usize) -> Result<()> {
    let mut out = vec![1; bytes];
    println!("ready");
    let mut started = Instant::now();
    let mut received = 0;
    while received < frames {
        if receiver.try_receive(Some(&mut out))?.is_none() {
            receiver.wait()?;
            continue;
        }
        std::hint::black_box(&mut out);
        received += 1;
        if received == 1 {
            thread::sleep(FILLING);
        }
        if received == WARM_UP {
            started = Instant::now();
        }
    }
    ensure!(out.iter().all(|&byte| byte == PIXEL), "the pixels have changed on the way");
    println!("{}", (frames - WARM_UP) as f64 / started.elapsed().as_secs_f64());
    Ok(())
}

/// The copies alone, through as many buffers as a ring has slots.
fn copies_alone(bytes: usize, frames: usize) -> f64 {
    let (frame, mut out) = (vec![PIXEL; bytes], vec![1; bytes]);
    let mut slots = vec![vec![1; bytes]; DEPTH as usize];
    let mut started = Instant::now();
    for number in 0..frames {
        if number == WARM_UP {
            started = Instant::now();
        }
        std::hint::black_box(&mut slots);
        let slot = &mut slots[number % DEPTH as usize];
        slot.copy_from_slice(std::hint::black_box(&frame));
        out.copy_from_slice(std::hint::black_box(slot));
        std::hint::black_box(&mut out);
    }
    (frames - WARM_UP) as f64 / started.elapsed().as_secs_f64()
}
