//! Tests of `lva-framing` against real streams, slow references and a counting allocator.
#![allow(clippy::unwrap_used)] // helpers of tests, where a panic is the message
#![allow(unsafe_code)] // a counting allocator, and a look at FFmpeg's stream parameters: both only here

mod allocations;
mod bombs;
mod decoding;
mod demand;
#[cfg(feature = "encode")]
mod encoding;
mod geometry;
mod motion;
mod motion_world;
mod quality;
mod rendering;
#[cfg(feature = "encode")]
mod sampler;
mod support;
