//! The one ONNX Runtime of the process.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;

use crate::backend::RuntimeFailure;
use crate::detector::Device;

/// Environment variable that names the library when no option does; the same that `ort` itself reads.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// What was loaded first. It stays for the life of the process: ONNX Runtime can be set up only once in it.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// The process's environment and the runtime's name, from the library at `path` or the one that the
/// environment variable names.
///
/// Every use of `ort` in this crate comes after this function: its other functions load a library on their
/// own when none is there, and panic when that fails.
pub(super) fn environment(path: Option<&Path>) -> Result<(Environment, String), OnnxRuntimeError> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => env::var_os(LIBRARY_VARIABLE)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
            .ok_or(OnnxRuntimeError::NoLibrary)?,
    };
    let path = resolve(path)?;
    // Nothing in here leaves a half-made state behind, so a poisoned lock is as good as any.
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((first, environment)) = &*loaded {
        return if *first == path {
            Ok((environment.clone(), runtime_name(first)))
        } else {
            Err(OnnxRuntimeError::OtherLibrary {
                asked: path,
                loaded: first.clone(),
            })
        };
    }
    let builder = ort::init_from(&path).map_err(|error| refused(error, &path))?;
    let made = builder.with_name("lva-inference").with_telemetry(false).build();
    let environment = made.map_err(|error| OnnxRuntimeError::Environment {
        path: path.clone(),
        source: error.into(),
    })?;
    let name = runtime_name(&path);
    *loaded = Some((path, environment.clone()));
    Ok((environment, name))
}

/// The file behind a path, links followed, so that two names of one library are one. A bare file name that
/// lies not in the working directory is left to the system's own search.
fn resolve(path: PathBuf) -> Result<PathBuf, OnnxRuntimeError> {
    match path.canonicalize() {
        Ok(file) if file.is_file() => Ok(file),
        Err(_) if path.file_name() == Some(path.as_os_str()) && path.as_os_str() != OsStr::new("") => {
            Ok(path)
        }
        Ok(_) | Err(_) => Err(OnnxRuntimeError::LibraryMissing { path }),
    }
}

fn refused(error: LoadDynamicError, path: &Path) -> OnnxRuntimeError {
    let path = path.to_owned();
    match error {
        LoadDynamicError::BadVersion { version_str, .. } => OnnxRuntimeError::TooOld {
            path,
            found: version_str,
            needed: format!("1.{}", ort::MINOR_VERSION),
        },
        other => OnnxRuntimeError::Library {
            path,
            source: other.into(),
        },
    }
}

/// `ONNX Runtime 1.32.0` where the library's file name tells the version, as released ones do, else `ONNX
/// Runtime`.
fn runtime_name(library: &Path) -> String {
    let name = library.file_name().unwrap_or_default().to_string_lossy();
    let version = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = version
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(version.len());
    match version.split_at(end).0.trim_matches('.') {
        "" => "ONNX Runtime".to_owned(),
        version => format!("ONNX Runtime {version}"),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_file_names() {
        for (file, name) in [
            ("lib/libonnxruntime.so.1.32.0", "ONNX Runtime 1.32.0"),
            ("libonnxruntime.1.24.1.dylib", "ONNX Runtime 1.24.1"),
            ("v2/libonnxruntime.so", "ONNX Runtime"),
            ("onnxruntime.dll", "ONNX Runtime"),
        ] {
            assert_eq!(runtime_name(Path::new(file)), name);
        }
    }
}
