//! Pre-roll, signal gate and lossless clips of encoded video around events.
//!
//! An event is known only after it has happened, so a recording of it needs the seconds before. This crate will
//! keep those seconds in memory, open a gate when a signal arrives, and write what passes to files by copying the
//! camera's own encoded pictures.
//!
//! # What it is not
//!
//! It fetches no video (it does not know RTSP) and re-encodes none. It is kept narrow on purpose: a program that only
//! wants clips around events can use this crate without gRPC and without a media graph.
//!
//! # Planned shape
//!
//! `PreRoll` is a buffer bounded in bytes and in time, which begins at a key frame. `SignalGate` is state without a
//! clock: units and signals go in, decisions come out. Writers for clips and segments follow both, keep absolute
//! time in the file, and make a finished file appear by rename.
//!
//! **Invariant: a clip starts on a key frame no later than was asked, and holds the camera's own bytes.**
//!
//! # Missing
//!
//! Everything so far. There is no code here yet; the crate holds its place in the workspace.
#![forbid(unsafe_code)]
