//! Weights in files beside the model: read from the model's own directory, and from nowhere else.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::{MAX_MODEL_BYTES, ModelFileError};
use crate::onnx::{Location, Weights, WireError};

/// The files of one model.
pub(super) struct Beside<'a> {
    model: &'a Path,
    /// The directory of the model, without links.
    directory: PathBuf,
    /// The file that was read last: weights usually share one.
    open: Option<Open>,
}

/// A file with weights.
struct Open {
    /// As the model names it.
    name: String,
    file: File,
    len: u64,
}

impl<'a> Beside<'a> {
    pub(super) fn new(model: &'a Path) -> Result<Self, ModelFileError> {
        let parent = match model.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let directory = parent.canonicalize().map_err(|cause| ModelFileError::Read {
            path: parent.to_owned(),
            cause,
        })?;
        Ok(Self {
            model,
            directory,
            open: None,
        })
    }

    /// The file behind a name in the model, if it is in the model's directory, links followed.
    fn resolve(&self, name: &str) -> Result<PathBuf, ModelFileError> {
        let outside = || ModelFileError::WeightsOutside {
            path: self.model.to_owned(),
            weights: name.to_owned(),
        };
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if name.is_empty() || !Path::new(name).components().all(inside) {
            return Err(outside());
        }
        let file = self.directory.join(name);
        let real = file
            .canonicalize()
            .map_err(|cause| self.unreadable(name, cause))?;
        if real.starts_with(&self.directory) {
            Ok(real)
        } else {
            Err(outside())
        }
    }

    fn unreadable(&self, name: &str, cause: io::Error) -> ModelFileError {
        ModelFileError::Weights {
            path: self.model.to_owned(),
            weights: name.to_owned(),
            cause,
        }
    }

    /// The file and its length.
    fn open(&mut self, name: &str) -> Result<(&mut File, u64), ModelFileError> {
        let open = match self.open.take() {
            Some(open) if open.name == name => open,
            _ => {
                let path = self.resolve(name)?;
                let about = path.metadata().map_err(|cause| self.unreadable(name, cause))?;
                if !about.is_file() {
                    let cause = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
                    return Err(self.unreadable(name, cause));
                }
                Open {
                    name: name.to_owned(),
                    file: File::open(&path).map_err(|cause| self.unreadable(name, cause))?,
                    len: about.len(),
                }
            }
        };
        let open = self.open.insert(open);
        Ok((&mut open.file, open.len))
    }
}

impl Weights for Beside<'_> {
    type Error = ModelFileError;

    fn check(&mut self, location: &Location) -> Result<(), ModelFileError> {
        let (_, found) = self.open(&location.file)?;
        let needed = location.offset.saturating_add(location.len);
        if needed > found {
            return Err(ModelFileError::WeightsShort {
                path: self.model.to_owned(),
                weights: location.file.clone(),
                needed,
                found,
            });
        }
        Ok(())
    }

    fn append(&mut self, location: &Location, out: &mut Vec<u8>) -> Result<(), ModelFileError> {
        let (file, _) = self.open(&location.file)?;
        let read = file
            .seek(SeekFrom::Start(location.offset))
            .and_then(|_| file.take(location.len).read_to_end(out));
        match read {
            Ok(read) if read as u64 == location.len => Ok(()),
            // The file has become shorter since it was checked.
            Ok(_) => Err(self.unreadable(&location.file, io::ErrorKind::UnexpectedEof.into())),
            Err(cause) => Err(self.unreadable(&location.file, cause)),
        }
    }

    fn check_total(&mut self, bytes: u64) -> Result<(), ModelFileError> {
        if bytes > MAX_MODEL_BYTES {
            return Err(ModelFileError::TooLarge {
                path: self.model.to_owned(),
                bytes,
            });
        }
        Ok(())
    }
}

impl From<WireError> for ModelFileError {
    fn from(error: WireError) -> Self {
        let at = match error {
            WireError::Malformed { at } => at,
            WireError::Ends { .. } => 0,
        };
        Self::Damaged { path: None, at }
    }
}
