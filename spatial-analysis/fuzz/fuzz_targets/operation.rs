//! Any string as an operation, and as the configuration of every kind of operation: an operation or an error, no panic.
#![no_main]

#[path = "../../tests/it/any_text.rs"]
mod any_text;

libfuzzer_sys::fuzz_target!(|text: &str| any_text::judge(text));
