//! The data directory: one process at a time, files that only its user can read, replaced as a whole.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Largest file that is read.
const MAX_FILE: u64 = 256 << 20;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Another process uses it.
    #[error(
        "another process uses the data directory {}: stop it, or name another directory by --data", path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It cannot be created, read or written.
    #[error("cannot {action} {}: {cause}; check that the directory exists and belongs to this user", path.display())]
    Io {
        /// `create`, `read`, `write` and the like.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
}

/// A JSON document with the number of its format.
#[derive(Serialize, Deserialize)]
struct Numbered<T> {
    schema: u64,
    #[serde(flatten)]
    content: T,
}

/// The data directory of a module, locked for this process until it is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Creates the directory (mode 0700) if it is missing, and locks it. That others may enter an existing one is logged.
    ///
    /// # Errors
    ///
    /// [`DataError::InUse`] when another process has locked it; [`DataError::Io`] otherwise.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        if let Some(mode) = open_to_others(path) {
            tracing::warn!(
                "other users may enter the data directory {} (mode {mode:o}): chmod 700 keeps them out",
                path.display()
            );
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(path).map_err(io("create", path))?;
        let lock = path.join("lock");
        let file = private()
            .truncate(false)
            .open(&lock)
            .map_err(io("create", &lock))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: file,
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(DataError::InUse {
                path: path.to_owned(),
            }),
            Err(error) => Err(io("lock", &lock)(error.into())),
        }
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The error of an action on one of its files.
    pub(crate) fn failed(
        &self,
        action: &'static str,
        name: &str,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> DataError {
        io(action, &self.file(name))(std::io::Error::other(error))
    }

    /// The content of a file; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`], also for a file of more than 256 MiB, and for what is not a file.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DataError> {
        let path = self.file(name);
        let found = match std::fs::metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("read", &path)(error)),
        };
        let wrong = match found.len() {
            _ if !found.is_file() => Some("it is not a file"),
            0..=MAX_FILE => None,
            _ => Some("it has more than 256 MiB"),
        };
        if let Some(wrong) = wrong {
            return Err(io("read", &path)(std::io::Error::other(wrong)));
        }
        let mut content = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_FILE).read_to_end(&mut content))
            .map_err(io("read", &path))?;
        Ok(Some(content))
    }

    /// Replaces a file (mode 0600) as a whole: after a crash or a loss of power it has the old content or the new one.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`]; the file has its old content then.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<(), DataError> {
        let path = self.file(name);
        let unfinished = self.file(&format!("{name}.part"));
        let written = private()
            .truncate(true)
            .open(&unfinished)
            .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&unfinished, &path))
            .and_then(|()| File::open(&self.path)?.sync_all());
        written.map_err(io("write", &path))
    }

    /// The JSON document `what` of a file, where it has this format. One that cannot be read is set aside and logged: it never
    /// stops a start. Blocks.
    pub(crate) fn load<T: DeserializeOwned>(&self, name: &str, schema: u64, what: &str) -> Option<T> {
        let read = match self.read(name) {
            Ok(None) => return None,
            Ok(Some(bytes)) => {
                serde_json::from_slice::<Numbered<T>>(&bytes).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let why = match read {
            Ok(found) if found.schema == schema => return Some(found.content),
            Ok(found) => format!("it has schema {}, and this version reads {schema}", found.schema),
            Err(why) => why,
        };
        match self.set_aside(name) {
            Ok(aside) => tracing::error!(
                "{what} cannot be read ({why}); it is kept as {}, and the next one is awaited",
                aside.display()
            ),
            Err(error) => tracing::error!("{what} cannot be read ({why}), nor set aside: {error}"),
        }
        None
    }

    /// Replaces the file of a JSON document in this format.
    ///
    /// # Errors
    ///
    /// As [`replace`](Self::replace).
    pub(crate) async fn store<T: Serialize + Send + 'static>(
        self: &Arc<Self>,
        name: &'static str,
        schema: u64,
        content: T,
    ) -> Result<(), DataError> {
        let data = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || {
            let bytes = serde_json::to_vec(&Numbered { schema, content });
            let bytes = bytes.map_err(|error| data.failed("write", name, error))?;
            data.replace(name, &bytes)
        });
        match written.await {
            Ok(written) => written,
            Err(panicked) => Err(self.failed("write", name, panicked)),
        }
    }

    /// Renames a file that cannot be read, so that it is not lost. Returns its new name.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`].
    pub fn set_aside(&self, name: &str) -> Result<PathBuf, DataError> {
        let path = self.file(name);
        let mut number = 1;
        let aside = loop {
            let aside = self.file(&format!("{name}.unreadable-{number}"));
            if !aside.exists() {
                break aside;
            }
            number += 1;
        };
        std::fs::rename(&path, &aside).map_err(io("rename", &path))?;
        Ok(aside)
    }
}

/// The mode of an existing directory that other users may enter or read.
fn open_to_others(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DataError {
    let path = path.to_owned();
    move |cause| DataError::Io { action, path, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_directory_are_private_and_replaced_as_a_whole() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let data = DataDirectory::open(&path).unwrap();
        assert_eq!(data.read("state").unwrap(), None);
        data.replace("state", b"one").unwrap();
        data.replace("state", b"2").unwrap();
        assert_eq!(data.read("state").unwrap().unwrap(), b"2");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&data.file("state"))), (0o700, 0o600));
        assert!(!data.file("state.part").exists());
    }

    #[test]
    fn a_directory_that_others_may_enter_is_noticed() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        assert_eq!(open_to_others(&path), None);
        DataDirectory::open(&path).unwrap();
        assert_eq!(open_to_others(&path), None);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o750)).unwrap();
        assert_eq!(open_to_others(&path), Some(0o750));
    }

    #[test]
    fn a_second_process_is_told_that_the_directory_is_in_use() {
        let parent = tempfile::tempdir().unwrap();
        let first = DataDirectory::open(parent.path()).unwrap();
        let error = DataDirectory::open(parent.path()).unwrap_err();
        assert!(matches!(error, DataError::InUse { .. }), "{error}");
        drop(first);
        DataDirectory::open(parent.path()).unwrap();
    }

    #[test]
    fn an_unreadable_file_is_kept_under_a_free_name() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(parent.path()).unwrap();
        for number in 1..=2 {
            data.replace("state", b"?").unwrap();
            let aside = data.set_aside("state").unwrap();
            assert!(aside.ends_with(format!("state.unreadable-{number}")));
        }
        assert_eq!(data.read("state").unwrap(), None);
    }
}
