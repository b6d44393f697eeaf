//! Pre-roll, signal gate and lossless clips of encoded video around events.
#![forbid(unsafe_code)]
