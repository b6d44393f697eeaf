//! The one ONNX Runtime of the process.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;

use crate::backend::onnx_runtime_error::{LIBRARY_VARIABLE, OnnxRuntimeError};

/// The loaded library. It stays for the life of the process: ONNX Runtime can be set up only once.
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
    // A panic leaves no partial state behind, so a poisoned lock is usable.
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
        cause: error.into(),
    })?;
    let name = runtime_name(&path);
    *loaded = Some((path, environment.clone()));
    Ok((environment, name))
}

/// The file behind a path, with links resolved, so that two names of one library are equal. A bare file name that is
/// not in the working directory is left to the system's search.
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
            cause: other.into(),
        },
    }
}

/// `ONNX Runtime 1.32.0` if the library's file name contains the version, as in releases, else `ONNX Runtime`.
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
