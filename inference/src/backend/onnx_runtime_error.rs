//! Everything that can go wrong with ONNX Runtime's library and its devices.

use std::path::PathBuf;

use super::RuntimeFailure;
use crate::Device;

/// Environment variable that names ONNX Runtime's library when no option does; the same that `ort` itself reads.
pub(super) const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// Why ONNX Runtime or the requested device cannot be used. The operator has to act; a retry does not help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxRuntimeError {
    /// No library is named, and none is where libraries are looked for.
    #[error(
        "no ONNX Runtime library was found: run `make onnxruntime` in the source tree, put libonnxruntime.so into a directory \
         'onnxruntime' beside the program, or name the file as an option or in {LIBRARY_VARIABLE}"
    )]
    NoLibrary,
    /// The file does not exist.
    #[error("the ONNX Runtime library '{}' does not exist: check the path and the volumes of the container", path.display())]
    LibraryMissing {
        /// The path as given.
        path: PathBuf,
    },
    /// The file is not a shared library for this machine, lacks dependencies, or is not ONNX Runtime.
    #[error("'{}' cannot be loaded as ONNX Runtime: check that it is built for this machine and that its dependencies are installed ({cause})", path.display())]
    Library {
        /// The file.
        path: PathBuf,
        /// The error of the loader.
        cause: RuntimeFailure,
    },
    /// The library is too old for this crate.
    #[error("the ONNX Runtime at '{}' is version {found}, but at least {needed} is needed: install a newer one", path.display())]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// Oldest supported version.
        needed: String,
    },
    /// Another library was loaded before; a process has one.
    #[error(
        "'{}' cannot be loaded next to '{}': a process has one ONNX Runtime, so configure the same file for all detectors",
        asked.display(), loaded.display()
    )]
    OtherLibrary {
        /// The requested file.
        asked: PathBuf,
        /// The file in use.
        loaded: PathBuf,
    },
    /// The library was loaded but could not be set up, for instance because another part of the program did
    /// so before.
    #[error("the ONNX Runtime at '{}' could not be set up: {cause}", path.display())]
    Environment {
        /// The file.
        path: PathBuf,
        /// The error of the runtime.
        cause: RuntimeFailure,
    },
    /// This crate was built without support for the device.
    #[error(
        "{device} was requested, but the program was built without it: enable the cargo feature `cuda`, `tensorrt` or \
         `openvino`"
    )]
    DeviceNotCompiled {
        /// The requested device.
        device: Device,
    },
    /// The library was built without support for the device.
    #[error(
        "{device} was requested, but the ONNX Runtime library was built without it: use the library of a build that has it, such \
         as {} of PyPI",
        package(*device)
    )]
    DeviceNotInLibrary {
        /// The requested device.
        device: Device,
    },
    /// The device cannot be used: no such GPU, a driver too old, missing CUDA or TensorRT libraries.
    #[error(
        "{device} cannot be used: check the driver, the libraries of CUDA, TensorRT or OpenVINO and the number of the GPU ({cause})"
    )]
    Device {
        /// The requested device.
        device: Device,
        /// The error of the runtime.
        cause: RuntimeFailure,
    },
}

/// Where a library with a device's provider is published.
fn package(device: Device) -> &'static str {
    match device {
        Device::OpenVino { .. } => "onnxruntime-openvino",
        _ => "onnxruntime-gpu",
    }
}
