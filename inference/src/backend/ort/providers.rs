//! Execution providers: the parts of ONNX Runtime that run a model on a device.

#[cfg(feature = "tensorrt")]
use std::hash::{Hash, Hasher};

use ort::ep::ExecutionProviderDispatch;
#[cfg(any(feature = "cuda", feature = "openvino"))]
use ort::ep::{self, ExecutionProvider};

use super::OrtOptions;
use crate::backend::OnnxRuntimeError;
use crate::device::Device;
use crate::model::ModelSpec;

/// The providers of the requested device, each of which has to work. None for the CPU.
pub(super) fn of(
    options: &OrtOptions,
    model: Model<'_>,
) -> Result<Vec<ExecutionProviderDispatch>, OnnxRuntimeError> {
    // TensorRT alone names files after the model.
    let _ = model;
    match options.device {
        Device::Cpu => Ok(Vec::new()),
        #[cfg(feature = "cuda")]
        Device::Cuda { id } => {
            available::<ep::CUDA>(options.device)?;
            Ok(vec![
                ep::CUDA::default()
                    .with_device_id(gpu(id))
                    .build()
                    .error_on_failure(),
            ])
        }
        #[cfg(feature = "tensorrt")]
        Device::TensorRt { id } => {
            available::<ep::TensorRT>(options.device)?;
            let tensorrt = tensorrt(options, model).with_device_id(gpu(id));
            // Operators that TensorRT does not support stay on the GPU.
            let cuda = ep::CUDA::default().with_device_id(gpu(id));
            Ok(vec![
                tensorrt.build().error_on_failure(),
                cuda.build().error_on_failure(),
            ])
        }
        #[cfg(feature = "openvino")]
        Device::OpenVino { target } => {
            available::<ep::OpenVINO>(options.device)?;
            let mut openvino = ep::OpenVINO::default()
                .with_device_type(target.name())
                .with_num_threads(options.threads);
            if options.fp16 {
                openvino = openvino.with_precision("FP16");
            }
            if let Some(directory) = &options.engine_cache {
                openvino = openvino.with_cache_dir(directory.display());
            }
            Ok(vec![openvino.build().error_on_failure()])
        }
        device => Err(OnnxRuntimeError::DeviceNotCompiled { device }),
    }
}

/// What files of a model are named after.
#[derive(Clone, Copy)]
pub(super) struct Model<'a> {
    pub(super) spec: &'a ModelSpec,
    pub(super) bytes: &'a [u8],
}

#[cfg(feature = "tensorrt")]
fn tensorrt(options: &OrtOptions, Model { spec, bytes }: Model<'_>) -> ep::TensorRT {
    let provider = ep::TensorRT::default().with_fp16(options.fp16);
    let Some(directory) = &options.engine_cache else {
        return provider;
    };
    let directory = directory.display();
    // Engines of two models, of two sizes of one, or of one before and after training, must not be confused.
    let mut content = std::hash::DefaultHasher::new();
    bytes.hash(&mut content);
    let name: String = spec
        .name()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let (width, height) = (spec.input().width(), spec.input().height());
    let prefix = format!("{name}-{width}x{height}-{:016x}", content.finish());
    provider
        .with_engine_cache(true)
        .with_engine_cache_path(&directory)
        .with_engine_cache_prefix(prefix)
        .with_timing_cache(true)
        .with_timing_cache_path(&directory)
}

/// Fails unless the library was built with the provider.
#[cfg(any(feature = "cuda", feature = "openvino"))]
fn available<P: ExecutionProvider>(device: Device) -> Result<(), OnnxRuntimeError> {
    match P::is_available() {
        Ok(true) => Ok(()),
        Ok(false) => Err(OnnxRuntimeError::DeviceNotInLibrary { device }),
        Err(error) => Err(OnnxRuntimeError::Device {
            device,
            cause: error.into(),
        }),
    }
}

/// The runtime reports numbers that are out of its range as missing GPUs.
#[cfg(feature = "cuda")]
fn gpu(id: u32) -> i32 {
    i32::try_from(id).unwrap_or(i32::MAX)
}
