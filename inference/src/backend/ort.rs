//! ONNX models in ONNX Runtime: CPU, CUDA, TensorRT.

mod library;
mod providers;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use ort::ep::ExecutionProviderDispatch;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use super::{
    Backend, Engine, InputInfo, LoadError, Loaded, MAX_THREADS, OnnxRuntimeError, OutputTensor,
    OutputTypeError, RuntimeFailure, read_model,
};
use crate::detector::{DetectError, Detector, DetectorInfo, Device, Frame};
use crate::model::ModelSpec;
use lva_media_types::Detection;

/// How [`OrtDetector`] runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrtOptions {
    library: Option<PathBuf>,
    device: Device,
    threads: usize,
    cpu_nodes: bool,
    fp16: bool,
    engine_cache: Option<PathBuf>,
}

impl Default for OrtOptions {
    fn default() -> Self {
        Self {
            library: None,
            device: Device::Cpu,
            threads: 1,
            cpu_nodes: false,
            fp16: false,
            engine_cache: None,
        }
    }
}

impl OrtOptions {
    /// ONNX Runtime's shared library (`libonnxruntime.so…`). Default: the file that the environment variable
    /// `ORT_DYLIB_PATH` names.
    ///
    /// A process has one ONNX Runtime: the first detector loads it, and later detectors must name the same
    /// file. It runs code of that file in this process, so the file has to be trusted.
    #[must_use]
    pub fn with_library(mut self, path: impl Into<PathBuf>) -> Self {
        self.library = Some(path.into());
        self
    }

    /// Where the model runs. Default: [`Device::Cpu`]. Another device needs the cargo feature of that name (`cuda`,
    /// `tensorrt`) and a library built with it; if it cannot be used, loading fails, without a silent fallback to
    /// the CPU.
    #[must_use]
    pub fn with_device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Threads that one run on the CPU is spread over, 1..=256, values outside count as the nearest. Default:
    /// 1, for the most frames a second from several cameras.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.clamp(1, MAX_THREADS);
        self
    }

    /// Lets operators that the device does not support run on the CPU. Default: no, and loading fails then.
    ///
    /// Each such operator moves its data off the GPU and back; a model with several may be slower than on the
    /// CPU alone.
    #[must_use]
    pub fn with_cpu_nodes_allowed(mut self, allowed: bool) -> Self {
        self.cpu_nodes = allowed;
        self
    }

    /// Lets TensorRT compute in half precision. Default: no. Usually faster; scores shift a little, so check
    /// the thresholds again.
    #[must_use]
    pub fn with_tensorrt_fp16(mut self, enable: bool) -> Self {
        self.fp16 = enable;
        self
    }

    /// Directory in which TensorRT caches its engines. Default: none, and it builds at each start, which takes
    /// seconds to minutes. An engine suits one GPU, driver and TensorRT only: do not share the
    /// directory between machines.
    #[must_use]
    pub fn with_tensorrt_engine_cache(mut self, directory: impl Into<PathBuf>) -> Self {
        self.engine_cache = Some(directory.into());
        self
    }
}

/// A detector that runs an ONNX model in ONNX Runtime, which is loaded at run time from a shared library.
#[derive(Debug)]
pub struct OrtDetector {
    engine: Engine,
}

impl OrtDetector {
    /// Loads a model file and tries it on a grey frame. Blocks: tens of milliseconds on a CPU, seconds on a
    /// GPU, minutes where TensorRT builds an engine.
    ///
    /// Weights in files beside the model are not read: export it as one file.
    ///
    /// # Errors
    ///
    /// [`LoadError`], naming what was expected and found where the file does not fit its description;
    /// [`LoadError::OnnxRuntime`] when the library or the device cannot be used.
    pub fn load(path: impl AsRef<Path>, spec: ModelSpec, options: OrtOptions) -> Result<Self, LoadError> {
        Self::from_bytes(read_model(path.as_ref())?, spec, options)
    }

    /// As [`OrtDetector::load`], from a model in memory: owned, or part of the program (`include_bytes!`).
    ///
    /// # Errors
    ///
    /// As for [`OrtDetector::load`].
    pub fn from_bytes(
        model: impl Into<Cow<'static, [u8]>>,
        spec: ModelSpec,
        options: OrtOptions,
    ) -> Result<Self, LoadError> {
        let bytes = model.into();
        let engine = Engine::load(spec, options.device, |spec| load(&bytes, spec, &options))?;
        Ok(Self { engine })
    }
}

impl Detector for OrtDetector {
    fn info(&self) -> &DetectorInfo {
        self.engine.info()
    }

    fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
        self.engine.detect(frames)
    }
}

struct OrtBackend {
    session: Session,
    /// Channels, rows and columns of one frame.
    image: [usize; 3],
}

fn load(bytes: &[u8], spec: &ModelSpec, options: &OrtOptions) -> Result<Loaded<OrtBackend>, LoadError> {
    let (environment, runtime) = library::environment(options.library.as_deref())?;
    let providers = providers::of(options, spec)?;
    let refused = |error: ort::Error| {
        LoadError::OnnxRuntime(OnnxRuntimeError::Device {
            device: options.device,
            cause: error.into(),
        })
    };
    let builder = Session::builder(&environment).map_err(refused)?;
    let mut builder = configure(builder, options, providers).map_err(refused)?;
    let session = builder.commit_from_memory(bytes).map_err(|error| {
        // On a GPU, both an invalid file and an unsupported operator end here; the source distinguishes them.
        LoadError::Model {
            model: spec.name().to_owned(),
            runtime: "ONNX Runtime",
            cause: error.into(),
        }
    })?;
    let inputs = session.inputs().iter().map(input_info).collect();
    let image = [3, spec.input().height() as usize, spec.input().width() as usize];
    Ok(Loaded {
        backend: OrtBackend { session, image },
        inputs,
        runtime,
    })
}

fn configure(
    builder: SessionBuilder,
    options: &OrtOptions,
    providers: Vec<ExecutionProviderDispatch>,
) -> ort::Result<SessionBuilder> {
    // Threads that spin while they wait would take the cores from decoders and from other cameras' detectors.
    let builder = builder
        .with_intra_threads(options.threads)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?;
    if providers.is_empty() {
        return Ok(builder);
    }
    let builder = builder.with_execution_providers(providers)?;
    if options.cpu_nodes {
        Ok(builder)
    } else {
        Ok(builder.with_disable_cpu_fallback()?)
    }
}

fn input_info(input: &Outlet) -> InputInfo {
    match input.dtype() {
        ValueType::Tensor { ty, shape, .. } => InputInfo {
            // A negative size is one left open.
            shape: shape.iter().map(|&size| usize::try_from(size).ok()).collect(),
            is_f32: *ty == TensorElementType::Float32,
        },
        _ => InputInfo {
            shape: Vec::new(),
            is_f32: false,
        },
    }
}

impl Backend for OrtBackend {
    fn run(
        &mut self,
        input: &[f32],
        rows: usize,
        outputs: &mut Vec<OutputTensor>,
    ) -> Result<(), RuntimeFailure> {
        let [channels, height, width] = self.image;
        let tensor = TensorRef::from_array_view(([rows, channels, height, width], input))?;
        let values = self.session.run(ort::inputs![tensor])?;
        outputs.resize_with(values.len(), OutputTensor::default);
        for (index, (value, output)) in values.values().zip(outputs).enumerate() {
            let (shape, data) = value.try_extract_tensor::<f32>().map_err(|_| OutputTypeError {
                index,
                found: value.dtype().to_string(),
            })?;
            // An actual tensor has no open sizes.
            output.fill(
                shape.iter().map(|&size| usize::try_from(size).unwrap_or(0)),
                data.iter().copied(),
            );
        }
        Ok(())
    }
}
