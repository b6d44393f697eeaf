//! The server's side: a peer's region, whose name, size and offsets are untrusted.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::fs::{Mode, OFlags};

use super::mapping::ReadableMapping;

/// Whether a server trusts the clients that share memory with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Trust {
    /// A system call copies each frame into private memory before it is used. A client that truncates its file, or writes
    /// during the read, affects only its own stream.
    #[default]
    Untrusted,
    /// Frames are read in place, without a copy. **A client that truncates its file kills this process (SIGBUS), and one
    /// that writes early changes a frame while the extension reads it.** For clients under the same control only.
    Peer,
}

/// A fault of a peer's region or of a reference into it. Each has a status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerRegionError {
    #[error(
        "the handle name {name:?} is not a bare file name: it must not be empty, '.' or '..', nor contain '/' \
         or NUL"
    )]
    Name { name: String },
    #[error(
        "shared memory '{path}' not found: do both containers share an IPC namespace (IpcMode host on both, or \
         shareable and container:…)? ({cause})"
    )]
    NotFound { path: String, cause: io::Error },
    #[error(
        "shared memory '{path}' cannot be opened for reading: does its mode permit the users of both \
         sides? ({cause})"
    )]
    Open { path: String, cause: io::Error },
    #[error("'{path}' is not a regular file")]
    NotAFile { path: String },
    #[error("shared memory '{path}' has {actual} bytes, {announced} were announced")]
    Short {
        path: String,
        actual: u64,
        announced: u64,
    },
    #[error("{needed} bytes at offset {offset} exceed the shared memory of {length} bytes")]
    OutOfBounds { offset: u64, needed: u64, length: u64 },
    #[error("the shared memory was truncated while the stream was open")]
    Truncated,
    #[error("the shared memory could not be read ({0})")]
    Read(io::Error),
}

/// An open region of a peer.
#[derive(Debug)]
pub(crate) struct PeerRegion {
    file: File,
    length: u64,
    /// Only for trusted peers.
    mapping: Option<Arc<ReadableMapping>>,
}

impl PeerRegion {
    /// Opens `name` in `directory`, which must be a regular file of at least `length` bytes. It is opened read-only, since
    /// clients under another user may permit no more, and without following links.
    pub(crate) fn open(
        directory: &Path,
        name: &str,
        length: u64,
        trust: Trust,
    ) -> Result<Self, PeerRegionError> {
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
            return Err(PeerRegionError::Name {
                name: name.chars().take(80).collect(),
            });
        }
        let path = directory.join(name);
        let shown = || path.display().to_string();
        // Without NONBLOCK, opening a named pipe would block forever.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(error @ rustix::io::Errno::NOENT) => {
                return Err(PeerRegionError::NotFound {
                    path: shown(),
                    cause: error.into(),
                });
            }
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => {
                return Err(PeerRegionError::NotAFile { path: shown() });
            }
            Err(error) => {
                return Err(PeerRegionError::Open {
                    path: shown(),
                    cause: error.into(),
                });
            }
        };
        let metadata = file.metadata().map_err(PeerRegionError::Read)?;
        if !metadata.is_file() {
            return Err(PeerRegionError::NotAFile { path: shown() });
        }
        if metadata.len() < length {
            let actual = metadata.len();
            return Err(PeerRegionError::Short {
                path: shown(),
                actual,
                announced: length,
            });
        }
        let mapping = match trust {
            Trust::Untrusted => None,
            Trust::Peer => {
                let mapped = usize::try_from(length)
                    .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))
                    .and_then(|length| ReadableMapping::new(&file, length))
                    .map_err(|cause| PeerRegionError::Open { path: shown(), cause })?;
                Some(Arc::new(mapped))
            }
        };
        Ok(Self {
            file,
            length,
            mapping,
        })
    }

    /// The end of a range, which must not be beyond that of the region.
    pub(crate) fn end(&self, offset: u64, length: u64) -> Result<u64, PeerRegionError> {
        let end = offset.checked_add(length).filter(|end| *end <= self.length);
        end.ok_or(PeerRegionError::OutOfBounds {
            offset,
            needed: length,
            length: self.length,
        })
    }

    /// The bytes of a frame: borrowed from a trusted peer, else copied into `buffer`, whose memory becomes part of the
    /// result. The flag is `true` for a copy.
    pub(crate) fn frame(
        &self,
        offset: u64,
        needed: usize,
        buffer: BytesMut,
    ) -> Result<(Bytes, bool), PeerRegionError> {
        let end = self.end(offset, needed as u64)?;
        match &self.mapping {
            Some(mapping) => {
                // Catches mistakes, not races.
                if self.file.metadata().map_err(PeerRegionError::Read)?.len() < end {
                    return Err(PeerRegionError::Truncated);
                }
                // What was mapped fits into memory.
                let start = usize::try_from(offset).map_err(|_| PeerRegionError::Truncated)?;
                let bytes = mapping.bytes(start..start + needed);
                let bytes = bytes.ok_or(PeerRegionError::Truncated)?;
                Ok((bytes, false))
            }
            None => {
                let mut buffer = buffer;
                buffer.resize(needed, 0);
                match self.file.read_exact_at(&mut buffer, offset) {
                    Ok(()) => Ok((buffer.freeze(), true)),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        Err(PeerRegionError::Truncated)
                    }
                    Err(error) => Err(PeerRegionError::Read(error)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("frames");
        std::fs::write(&path, bytes).unwrap();
        (directory, path)
    }

    fn open(directory: &Path, name: &str, length: u64) -> Result<PeerRegion, PeerRegionError> {
        PeerRegion::open(directory, name, length, Trust::Untrusted)
    }

    #[test]
    fn names_that_leave_the_directory_are_refused_before_any_file_is_touched() {
        let (directory, _path) = region(b"x");
        for name in ["", ".", "..", "/frames", "../frames", "a/b", "frames\0", "/"] {
            let error = open(directory.path(), name, 1).unwrap_err();
            assert!(matches!(error, PeerRegionError::Name { .. }), "{name:?}: {error}");
        }
    }

    #[test]
    fn links_pipes_and_directories_are_not_frames() {
        let (directory, path) = region(b"x");
        std::os::unix::fs::symlink(&path, directory.path().join("link")).unwrap();
        std::fs::create_dir(directory.path().join("directory")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            directory.path().join("pipe"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        for name in ["link", "directory", "pipe"] {
            let error = open(directory.path(), name, 0).unwrap_err();
            assert!(
                matches!(error, PeerRegionError::NotAFile { .. }),
                "{name}: {error}"
            );
        }
    }

    #[test]
    fn missing_and_short_files_are_distinguished() {
        let (directory, _path) = region(b"four");
        let error = open(directory.path(), "absent", 4).unwrap_err();
        assert!(error.to_string().contains("IpcMode"), "{error}");
        assert!(matches!(
            open(directory.path(), "frames", 5),
            Err(PeerRegionError::Short {
                actual: 4,
                announced: 5,
                ..
            })
        ));
    }

    #[test]
    fn references_out_of_the_region_are_refused_without_overflow() {
        let (directory, _path) = region(&[1; 100]);
        for trust in [Trust::Untrusted, Trust::Peer] {
            let region = PeerRegion::open(directory.path(), "frames", 90, trust).unwrap();
            assert_eq!(region.frame(40, 50, BytesMut::new()).unwrap().0.len(), 50);
            for (offset, needed) in [(41, 50), (90, 1), (u64::MAX, 1), (0, 91), (u64::MAX - 4, 50)] {
                let error = region.frame(offset, needed, BytesMut::new()).unwrap_err();
                assert!(
                    matches!(error, PeerRegionError::OutOfBounds { .. }),
                    "{offset}: {error}"
                );
            }
        }
    }

    #[test]
    fn an_untrusted_peer_is_copied_once_and_a_trusted_one_never() {
        let (directory, path) = region(&[1; 100]);
        let untrusted = open(directory.path(), "frames", 100).unwrap();
        let trusted = PeerRegion::open(directory.path(), "frames", 100, Trust::Peer).unwrap();
        let (copy, copied) = untrusted.frame(10, 20, BytesMut::new()).unwrap();
        assert!(copied);
        let (view, copied) = trusted.frame(10, 20, BytesMut::new()).unwrap();
        assert!(!copied);
        let (again, _) = trusted.frame(10, 20, BytesMut::new()).unwrap();
        assert_eq!(view.as_ptr(), again.as_ptr());

        use std::os::unix::fs::FileExt;
        std::fs::OpenOptions::new()
            .write(true)
            .open(path)
            .unwrap()
            .write_all_at(&[2; 100], 0)
            .unwrap();
        assert!(copy.iter().all(|byte| *byte == 1));
        assert!(view.iter().all(|byte| *byte == 2));
    }

    #[test]
    fn truncation_while_open_is_an_error_not_a_signal() {
        let (directory, path) = region(&[1; 100_000]);
        for trust in [Trust::Untrusted, Trust::Peer] {
            std::fs::write(&path, vec![1; 100_000]).unwrap();
            let region = PeerRegion::open(directory.path(), "frames", 100_000, trust).unwrap();
            std::fs::OpenOptions::new()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(10)
                .unwrap();
            let error = region.frame(0, 50_000, BytesMut::new()).unwrap_err();
            assert!(matches!(error, PeerRegionError::Truncated), "{error}");
        }
    }

    #[test]
    fn the_private_buffer_is_reused() {
        let (directory, _path) = region(&[1; 100]);
        let region = open(directory.path(), "frames", 100).unwrap();
        let (first, _) = region.frame(0, 80, BytesMut::new()).unwrap();
        let address = first.as_ptr();
        let buffer = first.try_into_mut().unwrap();
        let (second, _) = region.frame(10, 80, buffer).unwrap();
        assert_eq!(second.as_ptr(), address);
    }
}
