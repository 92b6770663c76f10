//! Protects: a segment whose header and tables are nonsense is refused, or used without a panic and
//! without an access out of bounds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::ring_header(data));
