//! What the fuzz targets do with one input. The targets in `tests/fuzz` call these functions under
//! libFuzzer, and the test `corpora` calls them with every input that is kept. A promise that is
//! broken is a panic, or whatever else the sanitizers see.

mod ffprobe_json;
mod nut_reader;
mod ring_header;
mod ring_scribble;
mod script;
mod spoiled;

pub use ffprobe_json::ffprobe_json;
pub use nut_reader::nut_reader;
pub use ring_header::ring_header;
pub use ring_scribble::ring_scribble;

/// A fuzz target: its name, and what it does with one input.
pub type Target = (&'static str, fn(&[u8]));

/// All fuzz targets.
pub const TARGETS: [Target; 4] = [
    ("nut_reader", nut_reader),
    ("ffprobe_json", ffprobe_json),
    ("ring_header", ring_header),
    ("ring_scribble", ring_scribble),
];
