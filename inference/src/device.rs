//! Where a model runs, and how a command line names it.

use std::fmt;
use std::str::FromStr;

/// Where a model runs.
///
/// As text: `cpu`, `cuda`, `cuda:1`, `tensorrt`, `tensorrt:1`, `openvino`, `openvino:gpu`. Upper case is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Device {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU through CUDA.
    Cuda {
        /// Number of the GPU, from 0.
        id: u32,
    },
    /// An NVIDIA GPU through TensorRT; operators that TensorRT does not support run in CUDA on the same GPU.
    TensorRt {
        /// Number of the GPU, from 0.
        id: u32,
    },
    /// A device of Intel through OpenVINO.
    OpenVino {
        /// Which one.
        target: OpenVinoTarget,
    },
    /// A server that runs the model; on what is its affair.
    Server,
}

/// Devices of OpenVINO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OpenVinoTarget {
    /// OpenVINO chooses among those of the machine.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The integrated or separate GPU of Intel.
    Gpu,
    /// The neural processor of recent Core Ultra.
    Npu,
}

impl OpenVinoTarget {
    /// The name that OpenVINO gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "AUTO",
            Self::Cpu => "CPU",
            Self::Gpu => "GPU",
            Self::Npu => "NPU",
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("CPU"),
            Self::Cuda { id } => write!(f, "CUDA GPU {id}"),
            Self::TensorRt { id } => write!(f, "TensorRT GPU {id}"),
            Self::OpenVino { target } => write!(f, "OpenVINO {}", target.name()),
            Self::Server => f.write_str("a server"),
        }
    }
}

/// A device that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no device: write cpu, cuda, cuda:N, tensorrt, tensorrt:N with the number of the GPU, openvino, \
     openvino:cpu, openvino:gpu or openvino:npu"
)]
pub struct UnknownDevice(pub String);

impl FromStr for Device {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        let lower = text.trim().to_ascii_lowercase();
        let (name, detail) = match lower.split_once(':') {
            Some((name, detail)) => (name, Some(detail)),
            None => (lower.as_str(), None),
        };
        let unknown = || UnknownDevice(text.to_owned());
        let id = || detail.unwrap_or("0").parse().map_err(|_| unknown());
        match (name, detail) {
            ("cpu", None) => Ok(Self::Cpu),
            ("cuda", _) => Ok(Self::Cuda { id: id()? }),
            ("tensorrt", _) => Ok(Self::TensorRt { id: id()? }),
            ("openvino", detail) => Ok(Self::OpenVino {
                target: match detail {
                    None | Some("auto") => OpenVinoTarget::Auto,
                    Some("cpu") => OpenVinoTarget::Cpu,
                    Some("gpu") => OpenVinoTarget::Gpu,
                    Some("npu") => OpenVinoTarget::Npu,
                    Some(_) => return Err(unknown()),
                },
            }),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_from_text() {
        let openvino = |target| Device::OpenVino { target };
        for (text, device) in [
            ("cpu", Device::Cpu),
            ("CUDA", Device::Cuda { id: 0 }),
            ("cuda:1", Device::Cuda { id: 1 }),
            ("tensorrt:2", Device::TensorRt { id: 2 }),
            ("openvino", openvino(OpenVinoTarget::Auto)),
            ("openvino:GPU", openvino(OpenVinoTarget::Gpu)),
        ] {
            assert_eq!(text.parse(), Ok(device));
        }
        for text in ["", "gpu", "cuda:", "cuda:-1", "cpu:1", "openvino:tpu"] {
            assert_eq!(text.parse::<Device>(), Err(UnknownDevice(text.to_owned())));
        }
    }
}
