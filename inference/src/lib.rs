//! Object detectors on ONNX models, pure Rust by default, for any raw or encoded picture.
#![forbid(unsafe_code)]
mod detection;
mod fit;
mod image_view;
mod preprocess;
pub use detection::{BoundingBox, Detection};
pub use fit::{Fit, Placement};
pub use image_view::{ColorSpace, ImageError, ImageView, MAX_SIDE, PixelFormat};
pub use preprocess::{ChannelOrder, InputSpec, Preprocessor, TensorLengthError};
