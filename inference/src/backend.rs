//! The shared part of all backends: a backend itself only runs a tensor and returns tensors.

mod engine;
mod load_error;
#[cfg(feature = "ort")]
mod onnx_runtime_error;
#[cfg(feature = "ort")]
pub(crate) mod ort;
#[cfg(feature = "rten")]
pub(crate) mod rten;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::path::Path;

use crate::decode::OutputView;
pub(crate) use engine::Engine;
pub use load_error::LoadError;
#[cfg(feature = "ort")]
pub use onnx_runtime_error::OnnxRuntimeError;

/// Most threads that can be asked for.
const MAX_THREADS: usize = 256;

/// An error of a runtime, kept as the source of this crate's error.
pub(crate) type RuntimeFailure = Box<dyn Error + Send + Sync>;

/// A loaded network.
pub(crate) trait Backend: Send {
    /// Runs `rows` frames: `input` holds them one after another. The outputs replace the contents of `outputs`, in
    /// the order of the network.
    fn run(
        &mut self,
        input: &[f32],
        rows: usize,
        outputs: &mut Vec<OutputTensor>,
    ) -> Result<(), RuntimeFailure>;
}

/// One input of a network, as its file declares it.
#[derive(Debug, Clone)]
pub(crate) struct InputInfo {
    /// Size of each dimension; `None` where the file leaves it open. Empty if the file has no shape.
    pub(crate) shape: Vec<Option<usize>>,
    /// Whether it takes 32-bit floats.
    pub(crate) is_f32: bool,
}

/// A loaded backend, with its declared inputs.
pub(crate) struct Loaded<B> {
    pub(crate) backend: B,
    /// Every input of the network.
    pub(crate) inputs: Vec<InputInfo>,
    /// Name and version of the runtime.
    pub(crate) runtime: String,
}

/// One output, owned and reused from run to run.
#[derive(Debug, Default)]
pub(crate) struct OutputTensor {
    shape: Vec<usize>,
    data: Vec<f32>,
}

impl OutputTensor {
    /// Copies a shape and values into the memory that is there.
    pub(crate) fn fill(
        &mut self,
        shape: impl IntoIterator<Item = usize>,
        data: impl IntoIterator<Item = f32>,
    ) {
        self.shape.clear();
        self.shape.extend(shape);
        self.data.clear();
        self.data.extend(data);
    }

    fn view(&self) -> OutputView<'_> {
        OutputView {
            shape: &self.shape,
            data: &self.data,
        }
    }
}

/// An output that a runtime gave in another type than 32-bit floats.
#[derive(Debug, thiserror::Error)]
#[error("output {index} holds {found}, not 32-bit floats: export the model with float outputs")]
pub(crate) struct OutputTypeError {
    pub(crate) index: usize,
    pub(crate) found: String,
}

/// Reads a model file whole.
pub(crate) fn read_model(path: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(path).map_err(|cause| LoadError::Read {
        path: path.to_owned(),
        cause,
    })
}
