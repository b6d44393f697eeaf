//! The trait that every detector implements, whatever runs behind it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::{DecodeError, Detection, Device, ImageView, PreprocessError};

/// Finds objects in frames. Calls block while the model runs, so async code calls it from a thread that may block.
///
/// ```
/// # use lva_inference::*;
/// /// Finds one object in the middle of every frame: enough to test the code behind a detector.
/// struct Middle(DetectorInfo);
///
/// impl Detector for Middle {
///     fn info(&self) -> &DetectorInfo {
///         &self.0
///     }
///
///     fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
///         let bbox = BoundingBox::from_edges(0.25, 0.25, 0.75, 0.75);
///         Ok(frames.iter().map(|_| vec![Detection { bbox, class: 0, score: 1.0 }]).collect())
///     }
/// }
/// ```
pub trait Detector: Send {
    /// What it is and what it runs on. Fixed for the life of the detector.
    fn info(&self) -> &DetectorInfo;

    /// Finds the objects of each frame: `result[i]` belongs to `frames[i]`, best score first.
    ///
    /// Any number of frames is accepted, of any sizes and formats; more than [`DetectorInfo::largest_batch`]
    /// are run in several batches. No frames give no results.
    ///
    /// # Errors
    ///
    /// [`DetectError`]: then no frame of the call has a result.
    fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError>;
}

impl<D: Detector + ?Sized> Detector for Box<D> {
    fn info(&self) -> &DetectorInfo {
        (**self).info()
    }

    fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
        (**self).detect(frames)
    }
}

/// A frame in some kind of memory. More kinds will follow, so matches need a `_` arm.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Frame<'a> {
    /// Pixels in ordinary memory.
    Host(ImageView<'a>),
}

impl<'a> From<ImageView<'a>> for Frame<'a> {
    fn from(view: ImageView<'a>) -> Self {
        Self::Host(view)
    }
}

/// What a detector is and what it runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DetectorInfo {
    /// Name of the model, for logs and messages.
    pub model: String,
    /// Width of the model's input in pixels.
    pub input_width: u32,
    /// Height of the model's input in pixels.
    pub input_height: u32,
    /// Most frames that run at once, at least 1. Collecting more for one call gains nothing.
    pub largest_batch: usize,
    /// The runtime of the model, with its version if known: `rten`, `ONNX Runtime 1.32.0`.
    pub runtime: String,
    /// Where the model runs.
    pub device: Device,
    /// Names of the classes, indexed by [`Detection::class`]. Cheap to clone.
    pub class_names: Arc<[String]>,
    /// Indices of the classes whose detections are reported; `None` for all. Cheap to clone.
    pub classes_kept: Option<Arc<[u16]>>,
}

impl DetectorInfo {
    /// A detector on the CPU with a batch of one frame and without class names; for implementations of
    /// [`Detector`].
    pub fn new(model: impl Into<String>, input_width: u32, input_height: u32) -> Self {
        Self {
            model: model.into(),
            input_width,
            input_height,
            largest_batch: 1,
            runtime: String::new(),
            device: Device::Cpu,
            class_names: Arc::default(),
            classes_kept: None,
        }
    }

    /// Most frames at once; 0 counts as 1.
    #[must_use]
    pub fn with_largest_batch(mut self, frames: usize) -> Self {
        self.largest_batch = frames.max(1);
        self
    }

    /// The runtime and the device.
    #[must_use]
    pub fn with_runtime(mut self, runtime: impl Into<String>, device: Device) -> Self {
        self.runtime = runtime.into();
        self.device = device;
        self
    }

    /// Names of the classes by index.
    #[must_use]
    pub fn with_class_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.class_names = names.into_iter().map(Into::into).collect();
        self
    }

    /// The classes whose detections are reported, by index.
    #[must_use]
    pub fn with_classes_kept(mut self, classes: impl IntoIterator<Item = u16>) -> Self {
        self.classes_kept = Some(classes.into_iter().collect());
        self
    }

    /// Whether detections of a class are reported.
    pub fn keeps(&self, class: u16) -> bool {
        self.classes_kept
            .as_ref()
            .is_none_or(|kept| kept.contains(&class))
    }

    /// Name of a class, or `None` for an index beyond the names.
    pub fn class_name(&self, class: u16) -> Option<&str> {
        self.class_names.get(usize::from(class)).map(String::as_str)
    }
}

/// One line for logs: `FastestDet, 352x352, by ONNX Runtime 1.32.0 on CPU`.
impl fmt::Display for DetectorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}x{}", self.model, self.input_width, self.input_height)?;
        if self.runtime.is_empty() {
            return write!(f, ", on {}", self.device);
        }
        write!(f, ", by {} on {}", self.runtime, self.device)
    }
}

/// Why detection failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectError {
    /// The runtime failed on this input: out of memory, a lost GPU. [`is_transient`](Self::is_transient): the
    /// next frames may work.
    #[error("the model '{model}' failed to run: {cause}")]
    Run {
        /// Name of the model.
        model: String,
        /// The error of the runtime.
        cause: Box<dyn Error + Send + Sync>,
    },
    /// The output of the model does not match its description. Loading checks this, so the model's output depends on
    /// its input in an unexpected way; a retry does not help.
    #[error("the output of the model '{model}' does not match its description: {cause}")]
    Output {
        /// Name of the model.
        model: String,
        /// The mismatch.
        cause: DecodeError,
    },
    /// The detector panicked. It cannot be used any more: load it again, and report the model to the authors of
    /// its runtime.
    #[error("the detector for the model '{model}' panicked and cannot be used any more: load it again")]
    Panicked {
        /// Name of the model.
        model: String,
    },
    /// The frame could not be written into the model's input: a bug of this crate.
    #[error("frame {index} cannot be written into the model's input: {cause}")]
    Input {
        /// Position of the frame in the call.
        index: usize,
        /// What is missing.
        cause: PreprocessError,
    },
    /// The detector does not support the memory of the frame. Copy it to the host first.
    #[error("this detector does not support the memory of frame {index}: copy the frame to host memory")]
    UnsupportedFrame {
        /// Position of the frame in the call.
        index: usize,
    },
}

impl DetectError {
    /// Whether the same detector may succeed with the next frames.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Run { .. })
    }
}
