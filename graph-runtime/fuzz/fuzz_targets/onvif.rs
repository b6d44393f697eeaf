//! What a device says to a question on the network, and to those that describe it, with the promises checked after each
//! answer. The same is run on seeded noise as an ordinary test.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lva_graph_runtime::fuzzing::onvif(data));
