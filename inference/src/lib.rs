//! Object detectors on ONNX models, pure Rust by default, for any raw or encoded picture.
//!
//! A [`Detector`] takes borrowed [`Frame`]s and returns [`Detection`]s. The steps between the two often go wrong
//! silently, so each of them is a value that can be read, changed and tested: how pixels become a tensor
//! ([`InputSpec`], [`Preprocessor`]), how a frame is fitted into the input and boxes are mapped back ([`Fit`],
//! [`LetterboxTransform`]), how an output is decoded ([`ModelSpec`], [`OutputDecoder`]).
//!
//! **A loaded detector matches its description and runs on the requested device: everything else is an error at
//! load.** Shapes are compared, a grey frame is run, scores are checked for their range, a batch is compared
//! with single frames, and a device is never replaced by another ([`LoadError`]).
//!
//! What this crate is not: it does not track, and knows neither zones nor cameras; it does not decode video; it
//! neither trains nor downloads models.
//!
//! # Example
//!
//! ```
//! # #[cfg(all(feature = "rten", feature = "embedded-model"))]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use lva_inference::{Detector, ImageView, PixelFormat, RtenDetector};
//!
//! // The embedded model detects drawn people. For real people load a model trained on them: see `ModelFile`.
//! let mut detector = RtenDetector::plaza_person()?;
//!
//! let pixels = vec![0; 1408 * 786 * 3];
//! let frame = ImageView::packed(&pixels, 1408, 786, PixelFormat::Bgr24)?;
//! for found in &detector.detect(&[frame.into()])?[0] {
//!     let name = detector.info().class_name(found.class).unwrap_or("?");
//!     println!("{name} {:.2} at {:?}", found.score, found.bbox);
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "rten", feature = "embedded-model")))]
//! # fn main() {}
//! ```
//!
//! Calls block while the model runs. In async code, [`AsyncDetector`] runs them on its own thread; it needs no
//! particular runtime.
//!
//! # Items by purpose
//!
//! | for | items |
//! |---|---|
//! | detecting | [`Detector`], [`DetectorInfo`], [`Device`], [`OpenVinoTarget`], [`UnknownDevice`], [`Frame`], [`Detection`], [`BoundingBox`], [`DetectError`] |
//! | backends | [`RtenDetector`], [`RtenOptions`], [`OrtDetector`], [`OrtOptions`], [`AsyncDetector`], [`LoadError`], [`OnnxRuntimeError`] |
//! | a model on a server | [`KserveDetector`], [`ServedModel`], [`KserveAddress`], [`KserveAddressError`], [`KserveOptions`], [`KserveError`] |
//! | pictures | [`ImageView`], [`PixelFormat`], [`ColorSpace`], [`ImageError`], [`RgbPicture`], [`CodecLimits`], [`CodecError`] |
//! | a model's file | [`ModelFile`], [`ModelGraph`], [`TensorInfo`], [`ElementType`], [`ModelFileError`], [`ModelLimit`], [`ForeignFile`], [`InputError`] |
//! | recognising it | [`Recognition`], [`ModelOverrides`], [`RecognitionError`] |
//! | describing a model | [`ModelSpec`], [`ModelFamily`], [`UnknownFamily`], [`ClassSelector`], [`InputSpec`], [`ChannelOrder`], [`Fit`], [`SpecError`], [`COCO_CLASS_NAMES`], [`PLAZA_PERSON_ONNX`] |
//! | a custom backend | [`Preprocessor`], [`LetterboxTransform`], [`OutputDecoder`], [`OutputView`], [`DecodeError`], [`PreprocessError`] |
//! | limits | [`MAX_INPUT_SIDE`], [`MAX_BATCH`], [`MAX_CANDIDATES`], [`MAX_MODEL_BYTES`] |
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `rten` | yes | [`RtenDetector`]: pure Rust, CPU; no download, no native library |
//! | `embedded-model` | yes | [`PLAZA_PERSON_ONNX`]: the bytes of a small model that detects drawn people |
//! | `ort` | no | [`OrtDetector`]: ONNX Runtime, loaded at run time from a library that is there |
//! | `cuda` | no | its CUDA execution provider; implies `ort` |
//! | `tensorrt` | no | its TensorRT execution provider; implies `cuda` |
//! | `openvino` | no | its OpenVINO execution provider; implies `ort` |
//! | `kserve` | no | [`KserveDetector`]: a model that Triton, OpenVINO Model Server or another server of KServe's protocol runs |
//! | `async` | no | [`AsyncDetector`]: any detector on its own thread, for async code |
//! | `image-codecs` | no | [`RgbPicture`]: JPEG, PNG and BMP frames |
//!
//! Without features the trait, the types, preprocessing and output decoding remain, with two small
//! dependencies: enough for a custom backend.
//!
//! # Limits
//!
//! Pictures up to [`MAX_PICTURE_SIDE`](lva_media_types::limits::MAX_PICTURE_SIDE) a side, model inputs up to
//! [`MAX_INPUT_SIDE`], batches up to [`MAX_BATCH`], [`MAX_CANDIDATES`] boxes a frame before non-maximum suppression.
//! Models up to [`MAX_MODEL_BYTES`] with their weights, which are in the file or next to it, and within [`ModelLimit`]: what a
//! file could end the program with by its depth is refused before a runtime reads it, and runtimes load on a thread with a
//! large stack.
#![cfg_attr(
    not(all(
        feature = "async",
        feature = "rten",
        feature = "ort",
        feature = "kserve",
        feature = "embedded-model",
        feature = "image-codecs"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]
#![forbid(unsafe_code)]

#[cfg(feature = "async")]
mod async_detector;
#[cfg(any(feature = "rten", feature = "ort", feature = "kserve"))]
mod backend;
#[cfg(feature = "image-codecs")]
mod codecs;
mod decode;
mod detector;
mod device;
#[cfg(feature = "embedded-model")]
mod embedded;
mod image_view;
mod letterbox;
mod model;
mod model_file;
mod onnx;
mod preprocess;
mod recognise;

#[cfg(feature = "async")]
pub use async_detector::AsyncDetector;
#[cfg(feature = "kserve")]
pub use backend::KserveError;
#[cfg(any(feature = "rten", feature = "ort", feature = "kserve"))]
pub use backend::LoadError;
#[cfg(feature = "ort")]
pub use backend::OnnxRuntimeError;
#[cfg(feature = "kserve")]
pub use backend::kserve::{KserveAddress, KserveAddressError, KserveDetector, KserveOptions, ServedModel};
#[cfg(feature = "ort")]
pub use backend::ort::{OrtDetector, OrtOptions};
#[cfg(feature = "rten")]
pub use backend::rten::{RtenDetector, RtenOptions};
#[cfg(feature = "image-codecs")]
pub use codecs::{CodecError, CodecLimits, RgbPicture};
pub use decode::{DecodeError, MAX_CANDIDATES, OutputDecoder, OutputView};
pub use detector::{DetectError, Detector, DetectorInfo, Frame};
pub use device::{Device, OpenVinoTarget, UnknownDevice};
#[cfg(feature = "embedded-model")]
pub use embedded::PLAZA_PERSON_ONNX;
pub use image_view::{ColorSpace, ImageError, ImageView};
pub use letterbox::{Fit, LetterboxTransform};
pub use lva_media_types::{BoundingBox, Detection, PixelFormat};
pub use model::{
    COCO_CLASS_NAMES, ClassSelector, InputError, MAX_BATCH, MAX_INPUT_SIDE, ModelFamily, ModelSpec,
    SpecError, UnknownFamily,
};
pub use model_file::{ForeignFile, MAX_MODEL_BYTES, ModelFile, ModelFileError};
pub use onnx::{ElementType, ModelGraph, ModelLimit, TensorInfo};
pub use preprocess::{ChannelOrder, InputSpec, PreprocessError, Preprocessor};
pub use recognise::{ModelOverrides, Recognition, RecognitionError};

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "rten"))]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
