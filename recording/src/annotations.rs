//! The file of inference metadata next to a clip: a line of JSON for each annotation.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::beneath::{Access, Boundaries};
use crate::error::ClipError;
use crate::files::annotations_path;

/// Bytes of annotations next to a clip, and of one of them.
const MAX_FILE_BYTES: u64 = 16 << 20;
const MAX_ANNOTATION_BYTES: usize = 1 << 20;

/// The annotations of one clip. The file is opened with the first of them.
#[derive(Debug)]
pub(crate) struct AnnotationFile {
    path: PathBuf,
    boundaries: Boundaries,
    file: Option<File>,
    bytes: u64,
}

impl AnnotationFile {
    pub(crate) fn of(clip: &Path, boundaries: &Boundaries) -> Self {
        Self {
            path: annotations_path(clip),
            boundaries: boundaries.clone(),
            file: None,
            bytes: 0,
        }
    }

    /// Appends one; `false` if it is too large or the file is full. Each is a single write, so a killed process leaves at
    /// most one incomplete line.
    pub(crate) fn append(&mut self, json: &str) -> Result<bool, ClipError> {
        if json.len() > MAX_ANNOTATION_BYTES {
            return Ok(false);
        }
        self.write(json).map_err(ClipError::sidecar_io(&self.path))
    }

    fn write(&mut self, json: &str) -> io::Result<bool> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let opened = self.boundaries.open(&self.path, Access::Append)?;
                self.bytes = opened.metadata()?.len();
                self.file.insert(opened)
            }
        };
        if self.bytes.saturating_add(json.len() as u64) >= MAX_FILE_BYTES {
            return Ok(false);
        }
        // In JSON, line feeds stand between tokens only.
        let mut line = json.replace(['\n', '\r'], " ");
        line.push('\n');
        file.write_all(line.as_bytes())?;
        self.bytes += line.len() as u64;
        Ok(true)
    }
}

/// Cuts an incomplete last line.
pub(crate) fn cut_incomplete_line(path: &Path, boundaries: &Boundaries) -> io::Result<()> {
    let file = match boundaries.open(path, Access::ReadAndWrite) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    // One that is larger is not of this crate.
    if file.metadata()?.len() > MAX_FILE_BYTES {
        return Ok(());
    }
    let mut bytes = Vec::new();
    (&file).take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    let complete = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |last| last + 1);
    if complete < bytes.len() {
        file.set_len(complete as u64)?;
    }
    Ok(())
}
