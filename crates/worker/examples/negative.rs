//! A worker of your own in Rust: copy this file, and replace `model`.
//!
//! ```sh
//! cargo new my-worker && cd my-worker
//! cargo add --path .../framelane/crates/worker && cargo add signal-hook
//! cp .../framelane/crates/worker/examples/negative.rs src/main.rs
//! cargo run --release -- --from cam1.in --to cam1.out
//! ```

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use framelane_worker::{Options, run};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Reads a frame and writes what becomes of it. Both are packed rows of the ring's pixel format,
/// straight in shared memory.
fn model(frame: &[u8], out: &mut [u8]) {
    for (to, from) in out.iter_mut().zip(frame) {
        *to = 255 - from;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, _from, from, _to, to] = arguments.as_slice() else {
        return Err("usage: negative --from RING --to RING".into());
    };
    // TERM and Ctrl-C let it finish the frame in hand.
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let options = Options::new(from, to)?;
    run(&options, || stop.load(Ordering::Relaxed), |frame, out| model(frame.bytes(), out))?;
    Ok(())
}
