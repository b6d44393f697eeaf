//! The shared part of all backends: a backend itself only runs a tensor and returns tensors.

mod engine;
#[cfg(feature = "kserve")]
pub(crate) mod kserve;
#[cfg(feature = "kserve")]
mod kserve_error;
mod load_error;
#[cfg(feature = "ort")]
mod onnx_runtime_error;
#[cfg(feature = "ort")]
pub(crate) mod ort;
mod pack;
#[cfg(feature = "rten")]
pub(crate) mod rten;
#[cfg(test)]
mod tests;
mod wiring;

use std::error::Error;

use crate::decode::OutputView;
pub(crate) use engine::Engine;
#[cfg(feature = "kserve")]
pub use kserve_error::KserveError;
pub use load_error::LoadError;
#[cfg(feature = "ort")]
pub use onnx_runtime_error::OnnxRuntimeError;
pub(crate) use pack::Pixels;
pub(crate) use wiring::Wiring;

/// Most threads that can be asked for.
const MAX_THREADS: usize = 256;

/// An error of a runtime, kept as the source of this crate's error.
pub(crate) type RuntimeFailure = Box<dyn Error + Send + Sync>;

/// A loaded network.
pub(crate) trait Backend: Send {
    /// Runs `rows` frames: `pixels` holds them one after another. The wired outputs replace the contents of `outputs`, in
    /// the wiring's order.
    fn run(
        &mut self,
        wiring: &Wiring,
        pixels: Pixels<'_>,
        rows: usize,
        outputs: &mut Vec<OutputTensor>,
    ) -> Result<(), RuntimeFailure>;
}

/// A loaded backend.
pub(crate) struct Loaded<B> {
    pub(crate) backend: B,
    /// Name and version of the runtime.
    pub(crate) runtime: String,
    /// Most frames at once that it runs rightly, if it knows a limit.
    pub(crate) largest_batch: Option<usize>,
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

/// An output that a runtime gave in a type that is not read.
#[derive(Debug, thiserror::Error)]
#[error("output '{name}' holds {found}: export the model with float outputs")]
pub(crate) struct OutputTypeError {
    pub(crate) name: String,
    pub(crate) found: String,
}
