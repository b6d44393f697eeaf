//! From a complete file to a finished clip.

use crate::error::ClipError;
use crate::fragments::layout;
use crate::sidecar::{Sidecar, sidecar_path};
use std::fs::{self, File};
use std::path::Path;

/// Brings the file to the disk, writes the sidecar, and gives the file its name: **a clip with its name has its
/// sidecar**, or caps and playlists would not know of it. Where there is no room even for that, the clip stays unfinished.
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
    let named = sidecar.write(path).and_then(|()| fs::rename(part, path));
    let named = named.and_then(|()| match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    });
    named.map_err(|source| {
        if part.exists() {
            let _ = fs::remove_file(sidecar_path(path));
        }
        ClipError::Finish {
            path: part.to_owned(),
            source,
        }
    })
}
