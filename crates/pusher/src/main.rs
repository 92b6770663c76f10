//! `pusher`: takes frames from a ring strictly in order, has ffmpeg encode them, and pushes the
//! stream to a server or into a file. Audio is muxed beside the frames, as it came.

#![forbid(unsafe_code)]

mod args;
mod audio;
mod encoder;
mod join;
mod output;
mod pusher;
mod silence;
mod sound;
mod starve;

use std::process::ExitCode;

use framelane_stage::{arguments, main_with};

fn main() -> ExitCode {
    let arguments = arguments::<args::Arguments>();
    arguments.log.init();
    main_with("pusher", || pusher::run(arguments))
}
