//! Protects: a peer that writes anything anywhere into a segment brings others an error or an
//! outcome, never a panic, an access out of bounds, or an endless loop.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::ring_scribble(data));
