//! Tests of `lva-recording` with real H.264 and AAC, and of the recorder's rules on any stream.
#![allow(clippy::unwrap_used)] // helpers of tests, where a panic is the message
#![allow(unsafe_code)] // a look at FFmpeg's stream parameters

mod annex_b;
mod annotations;
mod clips;
mod faults;
mod kill;
mod limits;
mod links;
mod planted;
mod previews;
mod recorder;
mod segments;
mod support;
