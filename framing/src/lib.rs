//! Decode, pace, scale, pad and convert video frames straight into the memory that a model reads.
//!
//! Between a camera's encoded pictures and a model's input lies a chain of cheap steps that become expensive when
//! each makes its own copy. This crate will own the whole chain: it decodes only what somebody will look at, lets
//! the asked number of frames a second through, and renders each of them once, into a buffer of the caller's.
//!
//! # What it is not
//!
//! It knows no network: encoded pictures are handed in, finished frames are handed out. It runs no model and draws
//! no conclusions; a feature `overlay` will draw lines and labels that others computed.
//!
//! # Planned shape
//!
//! A `Picture` is a decoded frame, reference-counted and never copied. A `FramePlan` settles once, from input size and
//! image settings, what the output is: format, exact number of bytes, where the content lies. It renders a `Picture`
//! into a byte slice and maps boxes back to the camera's own frame. FFmpeg comes from the system, through
//! `ffmpeg-next`; every unsafe line will live in one module, with the reason beside it.
//!
//! **Invariant: after warm-up, a frame costs no allocation and its finished pixels are written once.**
//!
//! # Missing
//!
//! Everything so far. There is no code here yet; the crate holds its place in the workspace.
#![deny(unsafe_code)] // not `forbid`: the module that will speak to FFmpeg allows it line by line
