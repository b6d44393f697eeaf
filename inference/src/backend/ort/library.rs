//! The one ONNX Runtime of the process.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;

use crate::backend::onnx_runtime_error::{LIBRARY_VARIABLE, OnnxRuntimeError};

/// Directories from that of the program upwards whose `onnxruntime` is looked into: `target/release/examples/x` has its own
/// in `target`, with a directory for the processor in between.
const BESIDE: usize = 4;

/// The loaded library. It stays for the life of the process: ONNX Runtime can be set up only once.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// The file that an option or the environment variable names.
pub(super) fn named(path: Option<&Path>) -> Option<PathBuf> {
    let variable = || env::var_os(LIBRARY_VARIABLE).filter(|value| !value.is_empty());
    path.map(Path::to_owned).or_else(|| variable().map(PathBuf::from))
}

/// A library where people and packages put it.
pub(super) fn installed() -> Option<PathBuf> {
    let program = env::current_exe().ok();
    let above = program.iter().flat_map(|program| program.ancestors().skip(1));
    let beside = above.take(BESIDE).map(|directory| directory.join("onnxruntime"));
    let debian = format!("/usr/lib/{}-linux-gnu", env::consts::ARCH);
    let system = ["/usr/local/lib", "/usr/lib", &debian].map(PathBuf::from);
    beside.chain(system).find_map(|directory| newest_in(&directory))
}

/// The library with the highest version in a directory.
fn newest_in(directory: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(directory).ok()?.filter_map(Result::ok);
    let named = files.filter_map(|file| {
        let name = file.file_name().into_string().ok()?;
        let version = name
            .strip_prefix("libonnxruntime.so")
            .or_else(|| name.strip_prefix("libonnxruntime")?.strip_suffix(".dylib"))
            .or_else(|| (name == "onnxruntime.dll").then_some(""))?;
        let numbers: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
        Some((numbers, file.path()))
    });
    named.max().map(|(_, path)| path)
}

/// The process's environment and the runtime's name, from the library at `path`, the one that the environment variable
/// names, or an installed one.
///
/// Every use of `ort` in this crate comes after this function: its other functions load a library on their
/// own when none is there, and panic when that fails.
pub(super) fn environment(path: Option<&Path>) -> Result<(Environment, String), OnnxRuntimeError> {
    let path = named(path)
        .or_else(installed)
        .ok_or(OnnxRuntimeError::NoLibrary)?;
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
    fn the_newest_library_of_a_directory_is_taken_and_its_helpers_are_not() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(newest_in(directory.path()), None);
        assert_eq!(newest_in(&directory.path().join("absent")), None);
        for name in [
            "LICENSE",
            "libonnxruntime_providers_shared.so",
            "libonnxruntime.so",
            "libonnxruntime.so.1.9.0",
            "libonnxruntime.so.1.32.0",
        ] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let newest = directory.path().join("libonnxruntime.so.1.32.0");
        assert_eq!(newest_in(directory.path()), Some(newest));
    }

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
