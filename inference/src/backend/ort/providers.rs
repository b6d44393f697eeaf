//! Execution providers: the parts of ONNX Runtime that run a model on a device.

use ort::ep::ExecutionProviderDispatch;
#[cfg(feature = "cuda")]
use ort::ep::{self, ExecutionProvider};

use super::OrtOptions;
use crate::backend::OnnxRuntimeError;
use crate::detector::Device;
use crate::model::ModelSpec;

/// The providers of the requested device, each of which has to work. None for the CPU.
#[cfg_attr(
    not(feature = "tensorrt"),
    expect(unused_variables, reason = "TensorRT alone looks at the model")
)]
pub(super) fn of(
    options: &OrtOptions,
    spec: &ModelSpec,
) -> Result<Vec<ExecutionProviderDispatch>, OnnxRuntimeError> {
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
            let tensorrt = tensorrt(options, spec).with_device_id(gpu(id));
            // Operators that TensorRT does not support stay on the GPU.
            let cuda = ep::CUDA::default().with_device_id(gpu(id));
            Ok(vec![
                tensorrt.build().error_on_failure(),
                cuda.build().error_on_failure(),
            ])
        }
        #[cfg(not(feature = "tensorrt"))]
        device => Err(OnnxRuntimeError::DeviceNotCompiled { device }),
    }
}

#[cfg(feature = "tensorrt")]
fn tensorrt(options: &OrtOptions, spec: &ModelSpec) -> ep::TensorRT {
    let provider = ep::TensorRT::default().with_fp16(options.fp16);
    let Some(directory) = &options.engine_cache else {
        return provider;
    };
    let directory = directory.display();
    // Engines of two models, or of two sizes of one, must not be confused.
    let name: String = spec
        .name()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let prefix = format!("{name}-{}x{}", spec.input().width(), spec.input().height());
    provider
        .with_engine_cache(true)
        .with_engine_cache_path(&directory)
        .with_engine_cache_prefix(prefix)
        .with_timing_cache(true)
        .with_timing_cache_path(&directory)
}

/// Fails unless the library was built with the provider.
#[cfg(feature = "cuda")]
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
