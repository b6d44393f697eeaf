//! Names of the files next to a clip.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Suffix of an unfinished file.
pub(crate) const UNFINISHED_SUFFIX: &str = ".part";

/// `NAME.mp4.part` of `NAME.mp4`.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut part: OsString = path.to_owned().into_os_string();
    part.push(UNFINISHED_SUFFIX);
    part.into()
}

/// `NAME.mp4` of `NAME.mp4.part`.
pub(crate) fn finished(part: &Path) -> PathBuf {
    part.with_extension("")
}

/// `NAME.json` of `NAME.mp4`.
pub(crate) fn sidecar_path(clip: &Path) -> PathBuf {
    clip.with_extension("json")
}

/// `NAME.inferences.jsonl` of `NAME.mp4`.
pub(crate) fn annotations_path(clip: &Path) -> PathBuf {
    clip.with_extension("inferences.jsonl")
}
