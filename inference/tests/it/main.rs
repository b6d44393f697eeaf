//! Whole detectors on real files. One binary, so that there is one link.
//!
//! What needs more than this project brings (models and clips that are shared beside it, ffmpeg, ONNX
//! Runtime) is skipped with a note if it is missing.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

#[cfg(all(feature = "rten", feature = "ort"))]
mod agreement;
mod corpus;
#[cfg(feature = "rten")]
mod deep;
#[cfg(feature = "rten")]
mod families;
#[cfg(feature = "rten")]
mod fastest_det;
#[cfg(feature = "kserve")]
mod kserve;
#[cfg(feature = "ort")]
mod onnx_runtime;
#[cfg(feature = "rten")]
mod person_grid;
#[cfg(any(feature = "rten", feature = "ort"))]
mod support;
#[cfg(feature = "rten")]
mod table;
