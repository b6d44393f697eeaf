//! ONNX models in pure Rust on the CPU.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use rten::{DataType, Dimension, Model, NodeId, RunOptions, ThreadPool, ValueType, ValueView};
use rten_tensor::prelude::*;

use super::{
    Backend, Engine, InputInfo, LoadError, Loaded, MAX_THREADS, OutputTensor, OutputTypeError,
    RuntimeFailure, read_model,
};
use crate::detector::{DetectError, Detector, DetectorInfo, Device, Frame};
use crate::model::ModelSpec;
use lva_media_types::Detection;

/// How [`RtenDetector`] runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtenOptions {
    threads: usize,
}

impl Default for RtenOptions {
    fn default() -> Self {
        Self { threads: 1 }
    }
}

impl RtenOptions {
    /// Threads that one run is spread over, 1..=256, values outside count as the nearest. Default: 1.
    ///
    /// One thread a detector gives the most frames a second from several cameras; more shorten the wait for
    /// one frame, with falling gain (two threads: 1.4 to 1.7 times as fast). More threads than cores slow
    /// everything down.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.clamp(1, MAX_THREADS);
        self
    }
}

/// A detector that runs an ONNX model in pure Rust (crate `rten`) on the CPU.
#[derive(Debug)]
pub struct RtenDetector {
    engine: Engine,
}

impl RtenDetector {
    /// Loads a model file and tries it on a grey frame. Blocks for some tens of milliseconds, longer for
    /// large models.
    ///
    /// Weights in files beside the model are not read: export it as one file.
    ///
    /// # Errors
    ///
    /// [`LoadError`], naming what was expected and found where the file does not fit its description.
    pub fn load(path: impl AsRef<Path>, spec: ModelSpec, options: RtenOptions) -> Result<Self, LoadError> {
        Self::from_bytes(read_model(path.as_ref())?, spec, options)
    }

    /// As [`RtenDetector::load`], from a model in memory: owned, or part of the program (`include_bytes!`).
    ///
    /// # Errors
    ///
    /// As for [`RtenDetector::load`].
    pub fn from_bytes(
        model: impl Into<Cow<'static, [u8]>>,
        spec: ModelSpec,
        options: RtenOptions,
    ) -> Result<Self, LoadError> {
        let bytes = model.into();
        let engine = Engine::load(spec, Device::Cpu, |spec| load(bytes, spec, &options))?;
        Ok(Self { engine })
    }

    /// The embedded model with default options: [`PLAZA_PERSON_ONNX`](crate::PLAZA_PERSON_ONNX), which detects drawn
    /// people.
    ///
    /// # Errors
    ///
    /// As for [`RtenDetector::load`].
    #[cfg(feature = "embedded-model")]
    pub fn plaza_person() -> Result<Self, LoadError> {
        Self::from_bytes(
            crate::PLAZA_PERSON_ONNX,
            ModelSpec::plaza_person(),
            RtenOptions::default(),
        )
    }
}

impl Detector for RtenDetector {
    fn info(&self) -> &DetectorInfo {
        self.engine.info()
    }

    fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
        self.engine.detect(frames)
    }
}

struct RtenBackend {
    model: Model,
    input: NodeId,
    outputs: Vec<NodeId>,
    /// Channels, rows and columns of one frame.
    image: [usize; 3],
    options: RunOptions,
}

fn load(
    bytes: Cow<'static, [u8]>,
    spec: &ModelSpec,
    options: &RtenOptions,
) -> Result<Loaded<RtenBackend>, LoadError> {
    let loaded = match bytes {
        Cow::Borrowed(bytes) => Model::load_static_slice(bytes),
        Cow::Owned(bytes) => Model::load(bytes),
    };
    let model = loaded.map_err(|error| LoadError::Model {
        model: spec.name().to_owned(),
        runtime: "rten",
        cause: error.into(),
    })?;
    let inputs: Vec<_> = model
        .input_ids()
        .iter()
        .map(|&id| input_info(&model, id))
        .collect();
    let no_input = || LoadError::InputCount {
        model: spec.name().to_owned(),
        found: inputs.len(),
    };
    let &input = model.input_ids().first().ok_or_else(no_input)?;
    // A separate pool: the default pool of the library uses every core.
    let pool = Arc::new(ThreadPool::with_num_threads(options.threads));
    let backend = RtenBackend {
        input,
        outputs: model.output_ids().to_vec(),
        image: [3, spec.input().height() as usize, spec.input().width() as usize],
        options: RunOptions::default().with_thread_pool(Some(pool)),
        model,
    };
    Ok(Loaded {
        backend,
        inputs,
        runtime: "rten".to_owned(),
    })
}

fn input_info(model: &Model, id: NodeId) -> InputInfo {
    let info = model.node_info(id);
    let shape = info.as_ref().and_then(|info| info.shape()).unwrap_or_default();
    let dtype = info.and_then(|info| info.dtype());
    InputInfo {
        shape: shape
            .into_iter()
            .map(|dimension| match dimension {
                Dimension::Fixed(size) => Some(size),
                Dimension::Symbolic(_) => None,
            })
            .collect(),
        is_f32: dtype.is_none_or(|dtype| dtype == ValueType::Tensor(DataType::Float)),
    }
}

impl Backend for RtenBackend {
    fn run(
        &mut self,
        input: &[f32],
        rows: usize,
        outputs: &mut Vec<OutputTensor>,
    ) -> Result<(), RuntimeFailure> {
        let [channels, height, width] = self.image;
        let tensor = ValueView::from_shape([rows, channels, height, width], input)?;
        let values = self.model.run(
            vec![(self.input, tensor.into())],
            &self.outputs,
            Some(self.options.clone()),
        )?;
        outputs.resize_with(values.len(), OutputTensor::default);
        for (index, (value, output)) in values.iter().zip(outputs).enumerate() {
            let tensor = value.as_tensor_view::<f32>().ok_or_else(|| OutputTypeError {
                index,
                found: value.dtype().to_string(),
            })?;
            output.fill(tensor.shape().iter().copied(), tensor.iter().copied());
        }
        Ok(())
    }
}
