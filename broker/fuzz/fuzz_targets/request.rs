//! Any bytes as one request: header, layout and codec.
#![no_main]

libfuzzer_sys::fuzz_target!(|frame: &[u8]| broker::fuzzing::request(frame));
