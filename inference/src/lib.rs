//! Object detectors on ONNX models, pure Rust by default, for any raw or encoded picture.
#![forbid(unsafe_code)]
