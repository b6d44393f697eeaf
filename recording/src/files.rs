//! Names of the files next to a clip, and writing them as a whole.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::beneath::new_file;

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

/// Replaces a file's content as a whole. Not synced to disk: the content can be made again.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let part = unfinished(path);
    let written = new_file()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&part)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

/// Removes a file; a missing one is fine.
pub(crate) fn remove_if_exists(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
