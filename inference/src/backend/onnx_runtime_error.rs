//! Everything that can go wrong with ONNX Runtime's library and its devices.

use std::path::PathBuf;

use super::RuntimeFailure;
use crate::Device;

/// Environment variable that names ONNX Runtime's library when no option does; the same that `ort` itself reads.
pub(super) const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// Why ONNX Runtime, or the device asked of it, cannot be used. The operator's to mend; a retry does not
/// help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxRuntimeError {
    /// Nobody said where the library is.
    #[error("no ONNX Runtime library was named: give its path as an option or in {LIBRARY_VARIABLE}")]
    NoLibrary,
    /// There is no such file.
    #[error("the ONNX Runtime library '{}' is not there: check the path, or what the container mounts", path.display())]
    LibraryMissing {
        /// The path as given.
        path: PathBuf,
    },
    /// The file is no shared library for this machine, lacks libraries of its own, or is not ONNX Runtime.
    #[error("'{}' cannot be loaded as ONNX Runtime: is it a library for this machine, with all that it needs?", path.display())]
    Library {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        source: RuntimeFailure,
    },
    /// The library is older than this crate can use.
    #[error("the ONNX Runtime at '{}' is version {found}, but at least {needed} is needed: install a newer one", path.display())]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// Oldest version that works.
        needed: String,
    },
    /// Another library was loaded before; a process has one.
    #[error(
        "'{}' cannot be loaded beside '{}': a process has one ONNX Runtime, so name the same file for all detectors",
        asked.display(), loaded.display()
    )]
    OtherLibrary {
        /// The file asked for.
        asked: PathBuf,
        /// The file in use.
        loaded: PathBuf,
    },
    /// The library was loaded but could not be set up, for instance because another part of the program did
    /// so before.
    #[error("the ONNX Runtime at '{}' could not be set up", path.display())]
    Environment {
        /// The file.
        path: PathBuf,
        /// What the runtime said.
        source: RuntimeFailure,
    },
    /// This crate was built without support for the device.
    #[error(
        "{device} was asked for, but the program was built without it: enable the cargo feature `cuda` or `tensorrt`"
    )]
    DeviceNotCompiled {
        /// The device asked for.
        device: Device,
    },
    /// The library was built without support for the device.
    #[error("{device} was asked for, but the ONNX Runtime library was built without it: use its GPU build")]
    DeviceNotInLibrary {
        /// The device asked for.
        device: Device,
    },
    /// The device cannot be used: no such GPU, a driver too old, missing CUDA or TensorRT libraries.
    #[error(
        "{device} cannot be used: check the driver, the CUDA or TensorRT libraries and the number of the GPU"
    )]
    Device {
        /// The device asked for.
        device: Device,
        /// What the runtime said.
        source: RuntimeFailure,
    },
}
