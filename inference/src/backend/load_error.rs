//! Everything that can go wrong before the first frame.

use std::io;
use std::path::PathBuf;

#[cfg(feature = "ort")]
use super::OnnxRuntimeError;
use super::RuntimeFailure;
use crate::{DecodeError, SpecError};

/// Why a detector could not be loaded. The operator or integrator has to act, and a retry with the same arguments
/// does not help, unless a variant documents otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The description is inconsistent.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The model file could not be read.
    #[error("cannot read the model file '{}': {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// The runtime could not load the model: not an ONNX file, or unknown operators.
    #[error(
        "{runtime} cannot load the model '{model}': check that it is a complete ONNX file with operators that {runtime} supports ({cause})"
    )]
    Model {
        /// Name of the model.
        model: String,
        /// The runtime.
        runtime: &'static str,
        /// The error of the runtime.
        cause: RuntimeFailure,
    },
    /// The model does not have exactly one input.
    #[error(
        "the model '{model}' has {found} inputs, but its family has one image input: check the model family"
    )]
    InputCount {
        /// Name of the model.
        model: String,
        /// Inputs of the model.
        found: usize,
    },
    /// The model's input does not match the description in shape or type.
    #[error(
        "the model '{model}' takes an input of {found}, but its description expects float32 [frames, 3, {}, {}]: \
         configure the size that it was exported with",
        expected[0], expected[1]
    )]
    InputShape {
        /// Name of the model.
        model: String,
        /// Height and width as described.
        expected: [u32; 2],
        /// Type and shape as the file declares them; `?` is a size left open.
        found: String,
    },
    /// The model did not run on a grey frame.
    #[error("the model '{model}' does not run on a grey frame of the described size: {cause}")]
    Trial {
        /// Name of the model.
        model: String,
        /// The error of the runtime.
        cause: RuntimeFailure,
    },
    /// The model ran on a grey frame, but its output does not match its family.
    #[error("the output of the model '{model}' does not match its description: {cause}")]
    Output {
        /// Name of the model.
        model: String,
        /// Expected and actual output.
        cause: DecodeError,
    },
    /// The model leaves its batch size open, but a frame's result depends on the other frames.
    #[error(
        "the model '{model}' gives different results for a frame alone and in a batch of {rows}: \
         it was exported for single frames, so set its largest batch to 1"
    )]
    BatchMixes {
        /// Name of the model.
        model: String,
        /// Frames in the batch that was tried.
        rows: usize,
    },
    /// The runtime panicked while it loaded or tried the model: a bug there, or a damaged file.
    #[error("the runtime panicked on the model: check whether its file is damaged")]
    Panicked,
    /// ONNX Runtime's shared library or an execution provider of it cannot be used.
    #[cfg(feature = "ort")]
    #[error(transparent)]
    OnnxRuntime(#[from] OnnxRuntimeError),
}
