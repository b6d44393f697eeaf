//! Flags that select what runs a model.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lva_inference::{
    Detector, Device, LoadError, ModelFile, ModelSpec, OnnxRuntimeError, OrtDetector, OrtOptions,
    RtenDetector, RtenOptions,
};

/// What runs a model, and on what.
#[derive(Debug, Clone, Args)]
pub struct RuntimeArgs {
    /// What runs the model: rten is built in; ort is ONNX Runtime, a library that is loaded and about four times as fast; auto
    /// takes ONNX Runtime where its library is found.
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    pub backend: Backend,
    /// ONNX Runtime's shared library. Default: the file in the environment variable ORT_DYLIB_PATH, else one in a directory
    /// onnxruntime beside the program or above it (`make onnxruntime` fills target/onnxruntime), else the system's.
    #[arg(long, value_name = "FILE")]
    pub library: Option<PathBuf>,
    /// Where ONNX Runtime runs it: cpu, cuda, cuda:N, tensorrt, tensorrt:N with the number of an NVIDIA GPU, openvino,
    /// openvino:gpu or openvino:npu. The library has to be a build with that device; if it cannot be used, that is an error.
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: Device,
    /// Let TensorRT and OpenVINO compute in half precision: faster, with scores that shift a little.
    #[arg(long)]
    pub half_precision: bool,
    /// Directory in which TensorRT and OpenVINO keep what they build of a model, which takes minutes at the first start.
    #[arg(long, value_name = "DIR")]
    pub engine_cache: Option<PathBuf>,
    /// Threads of the model on a processor.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Most frames of several streams that the model runs at once, where its file does not fix it. It pays on a GPU and on a
    /// server; on a processor a batch takes about as long as its frames one by one.
    #[arg(long, default_value_t = 1, value_name = "FRAMES")]
    pub batch: usize,
}

impl Default for RuntimeArgs {
    /// The runtime that is there, on one thread of the processor.
    fn default() -> Self {
        Self {
            backend: Backend::Auto,
            library: None,
            device: Device::Cpu,
            half_precision: false,
            engine_cache: None,
            threads: 1,
            batch: 1,
        }
    }
}

/// Backends that run a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// ONNX Runtime where its library is found, rten otherwise.
    Auto,
    /// Pure Rust.
    Rten,
    /// ONNX Runtime.
    Ort,
}

/// Why a model cannot be run as the flags request; for the operator to fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeArgsError {
    /// The runtime cannot run on the device.
    #[error("--device {device} needs ONNX Runtime, which --backend rten excludes: leave --backend out")]
    RtenDevice {
        /// The device.
        device: Device,
    },
    /// The model or ONNX Runtime cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl RuntimeArgs {
    /// Whether neither a backend nor a device was asked for.
    pub(super) fn is_default(&self) -> bool {
        self.backend == Backend::Auto && self.device == Device::Cpu && self.library.is_none()
    }

    pub(super) fn load(
        &self,
        file: ModelFile,
        spec: ModelSpec,
    ) -> Result<Box<dyn Detector>, RuntimeArgsError> {
        if self.runs_in_ort()? {
            return Ok(Box::new(OrtDetector::from_file(file, spec, self.ort())?));
        }
        let options = RtenOptions::default().with_threads(self.threads);
        Ok(Box::new(RtenDetector::from_file(file, spec, options)?))
    }

    /// Whether ONNX Runtime runs the model. A library that was named, or a device that only it has, is not given up silently.
    fn runs_in_ort(&self) -> Result<bool, RuntimeArgsError> {
        let device = self.device;
        match self.backend {
            Backend::Rten if device != Device::Cpu => return Err(RuntimeArgsError::RtenDevice { device }),
            Backend::Rten => return Ok(false),
            Backend::Ort => return Ok(true),
            Backend::Auto => {}
        }
        let named =
            self.library.is_some() || std::env::var_os("ORT_DYLIB_PATH").is_some_and(|v| !v.is_empty());
        if named || device != Device::Cpu {
            return Ok(true);
        }
        match self.ort().load_library() {
            Ok(_) => Ok(true),
            Err(OnnxRuntimeError::NoLibrary) => {
                tracing::info!(
                    "rten runs the model; ONNX Runtime, about four times as fast, is used where its library is found \
                     (`make onnxruntime`, or --library FILE)"
                );
                Ok(false)
            }
            Err(error @ OnnxRuntimeError::OtherLibrary { .. }) => Err(LoadError::from(error).into()),
            Err(error) => {
                tracing::warn!(
                    "rten runs the model, since the ONNX Runtime that was found cannot be used: {error}"
                );
                Ok(false)
            }
        }
    }

    fn ort(&self) -> OrtOptions {
        let mut options = OrtOptions::default()
            .with_threads(self.threads)
            .with_device(self.device)
            .with_half_precision(self.half_precision);
        if let Some(library) = &self.library {
            options = options.with_library(library);
        }
        if let Some(directory) = &self.engine_cache {
            options = options.with_engine_cache(directory);
        }
        options
    }
}
