//! `puller`: decodes a live stream or a file with ffmpeg, and publishes every frame to a ring in
//! shared memory. Audio packets go to a ring of their own, as they are.

#![forbid(unsafe_code)]

mod args;
mod audio;
mod audio_queue;
mod backend;
mod decoder;
mod known;
#[cfg(feature = "libav")]
mod libraries;
mod process;
mod puller;
mod slots;
mod trouble;
mod wish;

use std::process::ExitCode;

use framelane_stage::{arguments, main_with};

fn main() -> ExitCode {
    let arguments = arguments::<args::Arguments>();
    arguments.log.init();
    main_with("puller", || puller::run(arguments))
}
