//! Protects: no answer of ffprobe makes the puller panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::ffprobe_json(data));
