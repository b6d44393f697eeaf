//! Everything that can go wrong before the first frame.

use std::io;
use std::path::PathBuf;

#[cfg(feature = "ort")]
use super::OnnxRuntimeError;
use super::RuntimeFailure;
use crate::{DecodeError, SpecError};

/// Why a detector could not be loaded. An operator's or integrator's fault unless said otherwise; a retry
/// with the same arguments does not help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The description does not hold together.
    #[error("the model's description cannot work")]
    Spec(#[from] SpecError),
    /// The model file could not be read.
    #[error("cannot read the model file '{}'", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The runtime could not make sense of the model: no ONNX file, or operators that it does not know.
    #[error(
        "{runtime} cannot load the model '{model}': is it a complete ONNX file with operators that {runtime} knows?"
    )]
    Model {
        /// Name of the model.
        model: String,
        /// The runtime that was asked.
        runtime: &'static str,
        /// What the runtime said.
        source: RuntimeFailure,
    },
    /// The model takes another number of inputs than one.
    #[error(
        "the model '{model}' has {found} inputs, but its family has one image input: is it of another family?"
    )]
    InputCount {
        /// Name of the model.
        model: String,
        /// Inputs of the model.
        found: usize,
    },
    /// The model's input has another shape or type than the description says.
    #[error(
        "the model '{model}' takes an input of {found}, but its description says float32 [frames, 3, {}, {}]: \
         give the size that it was exported with",
        expected[0], expected[1]
    )]
    InputShape {
        /// Name of the model.
        model: String,
        /// Height and width as described.
        expected: [u32; 2],
        /// Type and shape as the file says; `?` is a size left open.
        found: String,
    },
    /// The model did not run on a grey frame.
    #[error("the model '{model}' does not run on a grey frame of the described size")]
    Trial {
        /// Name of the model.
        model: String,
        /// What the runtime said.
        source: RuntimeFailure,
    },
    /// The model ran on a grey frame, but its output is not what its family gives.
    #[error("the model '{model}' gives another output than its description says")]
    Output {
        /// Name of the model.
        model: String,
        /// What was expected and found.
        source: DecodeError,
    },
    /// The model leaves its batch open, but a frame's result depends on the frames beside it.
    #[error(
        "the model '{model}' gives other results for a frame in a batch of {rows} than for the frame alone: \
         it was exported for single frames, so set its largest batch to 1"
    )]
    BatchMixes {
        /// Name of the model.
        model: String,
        /// Frames in the batch that was tried.
        rows: usize,
    },
    /// The runtime panicked while it loaded or tried the model: a bug there, or a damaged file.
    #[error("the runtime panicked on the model: is its file damaged?")]
    Panicked,
    /// ONNX Runtime's shared library or an execution provider of it cannot be used.
    #[cfg(feature = "ort")]
    #[error(transparent)]
    OnnxRuntime(#[from] OnnxRuntimeError),
}
