//! Object detectors on ONNX models, pure Rust by default, for any raw or encoded picture.
#![forbid(unsafe_code)]
#[cfg(any(feature = "rten", feature = "ort"))]
mod backend;
mod decode;
mod detection;
mod detector;
mod fit;
mod image_view;
mod model;
mod preprocess;
#[cfg(feature = "rten")]
pub use backend::rten::{RtenDetector, RtenOptions};
#[cfg(any(feature = "rten", feature = "ort"))]
pub use backend::LoadError;
pub use decode::{DecodeError, Decoder, MAX_CANDIDATES, OutputView};
pub use detection::{BoundingBox, Detection};
pub use detector::{DetectError, Detector, DetectorInfo, Device, Frame};
pub use fit::{Fit, Placement};
pub use image_view::{ColorSpace, ImageError, ImageView, MAX_SIDE, PixelFormat};
pub use model::{COCO_CLASS_NAMES, ClassSelector, MAX_BATCH, MAX_INPUT_SIDE, ModelFamily, ModelSpec, SpecError};
pub use preprocess::{ChannelOrder, InputSpec, Preprocessor, TensorLengthError};
