//! Decode, pace, scale, pad and convert video frames straight into the memory that a model reads.
#![forbid(unsafe_code)]
