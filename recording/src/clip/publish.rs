//! From a complete file to a finished clip.

use crate::error::ClipError;
use crate::fragments::layout;
use crate::sidecar::Sidecar;
use std::fs::{self, File};
use std::path::Path;

/// Brings the file to the disk, writes the sidecar, and gives the file its name: whoever sees the clip sees both.
pub(crate) fn publish(
    part: &Path,
    path: &Path,
    file: &mut File,
    sidecar: &mut Sidecar,
) -> Result<(), ClipError> {
    let unwritten = |source| ClipError::Write {
        path: part.to_owned(),
        source,
    };
    file.sync_all().map_err(unwritten)?;
    let layout = layout(file).map_err(unwritten)?;
    sidecar.bytes = layout.bytes;
    sidecar.init_bytes = layout.init_bytes;
    let beside = sidecar.write(path);
    let renamed = fs::rename(part, path).and_then(|()| match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    });
    renamed.map_err(|source| ClipError::Finish {
        path: part.to_owned(),
        source,
    })?;
    beside
}
