//! Any bytes as the records of a Produce request.
#![no_main]

libfuzzer_sys::fuzz_target!(|records: &[u8]| broker::fuzzing::records(records));
