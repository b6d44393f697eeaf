//! ONNX models in ONNX Runtime: CPU, CUDA, TensorRT.

mod library;
mod providers;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use half::f16;
use ort::ep::ExecutionProviderDispatch;
use ort::session::builder::SessionBuilder;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType, TensorRef};

use super::{
    Backend, Engine, LoadError, Loaded, MAX_THREADS, OnnxRuntimeError, OutputTensor, OutputTypeError, Pixels,
    RuntimeFailure, Wiring,
};
use crate::detector::{DetectError, Detector, DetectorInfo, Frame};
use crate::device::Device;
use crate::model::ModelSpec;
use crate::model::image_input::{ExtraInput, ImageElement};
use crate::model_file::ModelFile;
use crate::onnx::ElementType;
use lva_media_types::Detection;
use providers::Model;

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
    /// ONNX Runtime's shared library (`libonnxruntime.so…`). Default: see [`find_library`](Self::find_library).
    ///
    /// A process has one ONNX Runtime: the first detector loads it, and later detectors must name the same
    /// file. It runs code of that file in this process, so the file has to be trusted.
    #[must_use]
    pub fn with_library(mut self, path: impl Into<PathBuf>) -> Self {
        self.library = Some(path.into());
        self
    }

    /// The library that would be loaded: [`with_library`](Self::with_library), else the file that the environment
    /// variable `ORT_DYLIB_PATH` names, else one in a directory `onnxruntime` beside the program or in the three
    /// directories above it (so that `target/onnxruntime`, which `make onnxruntime` fills, serves every program of a
    /// build), else one in `/usr/local/lib`, `/usr/lib` or Debian's directory for the processor. Only the last two
    /// may be missing: a named file is not looked for.
    pub fn find_library(&self) -> Option<PathBuf> {
        library::named(self.library.as_deref()).or_else(library::installed)
    }

    /// Loads the library, and returns the runtime's name and version: `ONNX Runtime 1.32.0`. A detector does this by
    /// itself; a program that falls back to another backend asks first.
    ///
    /// # Errors
    ///
    /// [`OnnxRuntimeError`]: none found, too old, or not ONNX Runtime.
    pub fn load_library(&self) -> Result<String, OnnxRuntimeError> {
        library::environment(self.library.as_deref()).map(|(_, name)| name)
    }

    /// Where the model runs. Default: [`Device::Cpu`]. Another device needs the cargo feature of that name (`cuda`,
    /// `tensorrt`, `openvino`) and a library built with it; if it cannot be used, loading fails, without a silent fallback to
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

    /// Lets TensorRT and OpenVINO compute in half precision. Default: no. Usually faster; scores shift a little, so
    /// check the thresholds again. A model whose file has half precision needs no option, on any device.
    #[must_use]
    pub fn with_half_precision(mut self, enable: bool) -> Self {
        self.fp16 = enable;
        self
    }

    /// Directory in which TensorRT and OpenVINO cache what they build of a model. Default: none, and they build at each
    /// start, which takes TensorRT seconds to minutes. An engine suits one GPU, driver and TensorRT only: do not share
    /// the directory between machines.
    #[must_use]
    pub fn with_engine_cache(mut self, directory: impl Into<PathBuf>) -> Self {
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
    /// # Errors
    ///
    /// [`LoadError`], naming what was expected and found where the file does not fit its description;
    /// [`LoadError::OnnxRuntime`] when the library or the device cannot be used.
    pub fn load(path: impl AsRef<Path>, spec: ModelSpec, options: OrtOptions) -> Result<Self, LoadError> {
        Self::from_file(ModelFile::open(path)?, spec, options)
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
        Self::from_file(ModelFile::from_bytes(model)?, spec, options)
    }

    /// As [`OrtDetector::load`], from a file that was read before.
    ///
    /// # Errors
    ///
    /// As for [`OrtDetector::load`].
    pub fn from_file(file: ModelFile, spec: ModelSpec, options: OrtOptions) -> Result<Self, LoadError> {
        let (graph, bytes) = file.into_parts();
        let engine = Engine::load(spec, &graph, options.device, |spec, _| {
            load(&bytes, spec, &options)
        })?;
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
    /// Values of the picture for networks of 16-bit floats, reused from run to run.
    halves: Vec<f16>,
}

fn load(bytes: &[u8], spec: &ModelSpec, options: &OrtOptions) -> Result<Loaded<OrtBackend>, LoadError> {
    let (environment, runtime) = library::environment(options.library.as_deref())?;
    let providers = providers::of(options, Model { spec, bytes })?;
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
    Ok(Loaded {
        backend: OrtBackend {
            session,
            halves: Vec::new(),
        },
        runtime,
        largest_batch: None,
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

/// The values of an input beside the picture.
fn extra_value(extra: &ExtraInput, rows: usize) -> ort::Result<DynValue> {
    let rows = extra.rows.unwrap_or(rows);
    let shape: Vec<_> = std::iter::once(rows).chain(extra.sides.iter().copied()).collect();
    let values = extra.values.repeat(rows);
    Ok(match extra.element {
        ElementType::Int64 => {
            let whole: Vec<i64> = values.iter().map(|&value| value as i64).collect();
            Tensor::from_array((shape, whole))?.into_dyn()
        }
        ElementType::Int32 => {
            let whole: Vec<i32> = values.iter().map(|&value| value as i32).collect();
            Tensor::from_array((shape, whole))?.into_dyn()
        }
        _ => Tensor::from_array((shape, values))?.into_dyn(),
    })
}

impl Backend for OrtBackend {
    fn run(
        &mut self,
        wiring: &Wiring,
        pixels: Pixels<'_>,
        rows: usize,
        outputs: &mut Vec<OutputTensor>,
    ) -> Result<(), RuntimeFailure> {
        let shape = wiring.image_shape(rows);
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::new();
        let name = wiring.image.name.as_str();
        match pixels {
            Pixels::Bytes(values) => {
                inputs.push((name.into(), TensorRef::from_array_view((shape, values))?.into()));
            }
            Pixels::Floats(values) if wiring.image.element == ImageElement::Float16 => {
                self.halves.clear();
                self.halves
                    .extend(values.iter().map(|&value| f16::from_f32(value)));
                let values = self.halves.as_slice();
                inputs.push((name.into(), TensorRef::from_array_view((shape, values))?.into()));
            }
            Pixels::Floats(values) => {
                inputs.push((name.into(), TensorRef::from_array_view((shape, values))?.into()));
            }
        }
        for extra in &wiring.extras {
            inputs.push((extra.name.as_str().into(), extra_value(extra, rows)?.into()));
        }
        let values = self.session.run(inputs)?;
        outputs.resize_with(wiring.outputs.len(), OutputTensor::default);
        for (name, output) in wiring.outputs.iter().zip(outputs) {
            let wrong = |found: String| OutputTypeError {
                name: name.clone(),
                found,
            };
            let value = values.get(name).ok_or_else(|| wrong("nothing".to_owned()))?;
            let found = || wrong(value.dtype().to_string());
            // An actual tensor has no open sizes.
            let sides = |shape: &ort::value::Shape| {
                shape
                    .iter()
                    .map(|&size| usize::try_from(size).unwrap_or(0))
                    .collect::<Vec<_>>()
            };
            match value.dtype().tensor_type() {
                Some(TensorElementType::Float32) => {
                    let (shape, data) = value.try_extract_tensor::<f32>()?;
                    output.fill(sides(shape), data.iter().copied());
                }
                Some(TensorElementType::Float16) => {
                    let (shape, data) = value.try_extract_tensor::<f16>()?;
                    output.fill(sides(shape), data.iter().map(|value| value.to_f32()));
                }
                Some(TensorElementType::Int64) => {
                    let (shape, data) = value.try_extract_tensor::<i64>()?;
                    output.fill(sides(shape), data.iter().map(|&value| value as f32));
                }
                Some(TensorElementType::Int32) => {
                    let (shape, data) = value.try_extract_tensor::<i32>()?;
                    output.fill(sides(shape), data.iter().map(|&value| value as f32));
                }
                _ => return Err(found().into()),
            }
        }
        Ok(())
    }
}
