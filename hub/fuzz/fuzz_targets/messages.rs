//! Packets, topics, property bags, connection strings and records of the outbox: any bytes are read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lva_hub::fuzzing::messages(bytes));
