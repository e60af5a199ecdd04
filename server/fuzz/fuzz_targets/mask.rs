//! See [`lockstep_fuzz::mask`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lockstep_fuzz::mask(data));
