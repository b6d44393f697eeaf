//! Everything that can go wrong before the first frame.

#[cfg(feature = "kserve")]
use super::KserveError;
#[cfg(feature = "ort")]
use super::OnnxRuntimeError;
use super::RuntimeFailure;
use crate::{DecodeError, InputError, ModelFamily, ModelFileError, SpecError};

/// Why a detector could not be loaded. The operator or integrator has to act, and a retry with the same arguments
/// does not help, unless a variant documents otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The description is inconsistent.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The file is not a usable model.
    #[error(transparent)]
    File(#[from] ModelFileError),
    /// The runtime could not load the model: operators that it does not know, or values that make no sense.
    #[error(
        "{runtime} cannot load the model '{model}': check that it has operators that {runtime} supports ({cause})"
    )]
    Model {
        /// Name of the model.
        model: String,
        /// The runtime.
        runtime: &'static str,
        /// The error of the runtime.
        cause: RuntimeFailure,
    },
    /// No picture can be given to the model.
    #[error("the model '{model}' cannot be used: {cause}")]
    Input {
        /// Name of the model.
        model: String,
        /// What its inputs are.
        cause: InputError,
    },
    /// The model's input has another size than the description.
    #[error(
        "the input of the model '{model}' is {found}, but its description expects pictures of {}x{} pixels: \
         configure the size that it was exported with",
        expected[0], expected[1]
    )]
    InputShape {
        /// Name of the model.
        model: String,
        /// Width and height as described.
        expected: [u32; 2],
        /// Name, type and shape as the file declares them; `?` is a size left open.
        found: String,
    },
    /// The model takes bytes, which cannot be scaled, but its description asks for it.
    #[error(
        "the model '{model}' takes uint8 ({found}), so it scales pixels by itself: describe its input with scale 1, mean 0 \
         and deviation 1"
    )]
    ByteInput {
        /// Name of the model.
        model: String,
        /// Name, type and shape as the file declares them.
        found: String,
    },
    /// The model lacks the outputs of its family.
    #[error(
        "the model '{model}' has the outputs {found}, but the family {family} has {}: check the model family",
        family.signature()
    )]
    Outputs {
        /// Name of the model.
        model: String,
        /// The family.
        family: ModelFamily,
        /// Its outputs.
        found: String,
    },
    /// The file fixes a batch that the runtime runs wrongly.
    #[error(
        "{runtime} mixes the frames of a batch in the model '{model}', which suppresses boxes by itself and takes {rows} at \
         once: use ONNX Runtime (ort), or export it for one frame"
    )]
    BatchNotRunRightly {
        /// Name of the model.
        model: String,
        /// The runtime.
        runtime: String,
        /// Frames of a batch.
        rows: usize,
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
    /// There is no thread to load it on: too many run, or their stacks' address space is limited.
    #[error(
        "cannot start a thread to load the model: {cause}: raise the limit on threads (ulimit -u) or on address space (ulimit -v)"
    )]
    Thread {
        /// The error of the operating system.
        cause: std::io::Error,
    },
    /// ONNX Runtime's shared library or an execution provider of it cannot be used.
    #[cfg(feature = "ort")]
    #[error(transparent)]
    OnnxRuntime(#[from] OnnxRuntimeError),
    /// The server does not serve the model.
    #[cfg(feature = "kserve")]
    #[error(transparent)]
    Kserve(#[from] KserveError),
}
