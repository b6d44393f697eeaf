//! Any sequence of notices, answers and losses through the twin, with what must always hold checked after each.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lva_hub::fuzzing::twin(bytes));
