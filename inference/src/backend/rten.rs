//! ONNX models in pure Rust on the CPU.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use rten::{Model, NodeId, RunOptions, ThreadPool, ValueOrView, ValueView};
use rten_tensor::prelude::*;

use super::{
    Backend, Engine, LoadError, Loaded, MAX_THREADS, OutputTensor, OutputTypeError, Pixels, RuntimeFailure,
    Wiring,
};
use crate::detector::{DetectError, Detector, DetectorInfo, Frame};
use crate::device::Device;
use crate::model::ModelSpec;
use crate::model::image_input::ExtraInput;
use crate::model_file::ModelFile;
use crate::onnx::ElementType;
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
    /// # Errors
    ///
    /// [`LoadError`], naming what was expected and found where the file does not fit its description.
    pub fn load(path: impl AsRef<Path>, spec: ModelSpec, options: RtenOptions) -> Result<Self, LoadError> {
        Self::from_file(ModelFile::open(path)?, spec, options)
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
        Self::from_file(ModelFile::from_bytes(model)?, spec, options)
    }

    /// As [`RtenDetector::load`], from a file that was read before.
    ///
    /// # Errors
    ///
    /// As for [`RtenDetector::load`].
    pub fn from_file(file: ModelFile, spec: ModelSpec, options: RtenOptions) -> Result<Self, LoadError> {
        let (graph, bytes) = file.into_parts();
        // Its own suppression compares boxes of all frames of a batch.
        let largest_batch = graph.has_operator("NonMaxSuppression").then_some(1);
        let engine = Engine::load(spec, &graph, Device::Cpu, |spec, wiring| {
            load(bytes, spec, wiring, &options, largest_batch)
        })?;
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
    image: NodeId,
    extras: Vec<NodeId>,
    outputs: Vec<NodeId>,
    options: RunOptions,
}

fn load(
    bytes: Cow<'static, [u8]>,
    spec: &ModelSpec,
    wiring: &Wiring,
    options: &RtenOptions,
    largest_batch: Option<usize>,
) -> Result<Loaded<RtenBackend>, LoadError> {
    let failed = |cause: RuntimeFailure| LoadError::Model {
        model: spec.name().to_owned(),
        runtime: "rten",
        cause,
    };
    let loaded = match bytes {
        Cow::Borrowed(bytes) => Model::load_static_slice(bytes),
        Cow::Owned(bytes) => Model::load(bytes),
    };
    let model = loaded.map_err(|error| failed(error.into()))?;
    let node = |name: &String| model.node_id(name).map_err(|error| failed(error.into()));
    // A separate pool: the default pool of the library uses every core.
    let pool = Arc::new(ThreadPool::with_num_threads(options.threads));
    let backend = RtenBackend {
        image: node(&wiring.image.name)?,
        extras: wiring
            .extras
            .iter()
            .map(|extra| node(&extra.name))
            .collect::<Result<_, _>>()?,
        outputs: wiring.outputs.iter().map(node).collect::<Result<_, _>>()?,
        options: RunOptions::default().with_thread_pool(Some(pool)),
        model,
    };
    Ok(Loaded {
        backend,
        runtime: "rten".to_owned(),
        largest_batch,
    })
}

/// The values of an input beside the picture. rten has 32-bit integers where files have 64.
fn extra_value(extra: &ExtraInput, rows: usize) -> Result<rten::Value, RuntimeFailure> {
    let rows = extra.rows.unwrap_or(rows);
    let shape: Vec<_> = std::iter::once(rows).chain(extra.sides.iter().copied()).collect();
    let values = extra.values.repeat(rows);
    Ok(match extra.element {
        ElementType::Float32 => rten::Value::from_shape(&shape, values)?,
        _ => {
            let whole: Vec<i32> = values.iter().map(|&value| value as i32).collect();
            rten::Value::from_shape(&shape, whole)?
        }
    })
}

impl Backend for RtenBackend {
    fn run(
        &mut self,
        wiring: &Wiring,
        pixels: Pixels<'_>,
        rows: usize,
        outputs: &mut Vec<OutputTensor>,
    ) -> Result<(), RuntimeFailure> {
        let shape = wiring.image_shape(rows);
        let image: ValueOrView<'_> = match pixels {
            Pixels::Floats(values) => ValueView::from_shape(shape, values)?.into(),
            Pixels::Bytes(values) => ValueView::from_shape(shape, values)?.into(),
        };
        let mut inputs = vec![(self.image, image)];
        for (&id, extra) in self.extras.iter().zip(&wiring.extras) {
            inputs.push((id, extra_value(extra, rows)?.into()));
        }
        let values = self
            .model
            .run(inputs, &self.outputs, Some(self.options.clone()))?;
        outputs.resize_with(values.len(), OutputTensor::default);
        for ((value, output), name) in values.iter().zip(outputs).zip(&wiring.outputs) {
            if let Some(tensor) = value.as_tensor_view::<f32>() {
                output.fill(tensor.shape().iter().copied(), tensor.iter().copied());
            } else if let Some(tensor) = value.as_tensor_view::<i32>() {
                let values = tensor.iter().map(|&value| value as f32);
                output.fill(tensor.shape().iter().copied(), values);
            } else {
                return Err(OutputTypeError {
                    name: name.clone(),
                    found: value.dtype().to_string(),
                }
                .into());
            }
        }
        Ok(())
    }
}
