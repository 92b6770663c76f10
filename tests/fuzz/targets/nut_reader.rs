//! Protects: what comes down a pipe can't make the NUT reader panic, loop for ever, or announce a
//! payload above its limit.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::nut_reader(data));
