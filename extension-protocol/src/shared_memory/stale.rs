//! Regions of crashed processes.
//!
//! The owner of a region locks its file, and the kernel releases the lock when the owner ends in any way. Unlike process
//! numbers, this works between containers that share `/dev/shm` but not a process namespace.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::SharedMemoryError;

/// Prefix of the regions' names, followed by the process number and 64 random bits.
pub(super) const PREFIX: &str = "lva-frames-";

/// Removes the regions of crashed processes from a directory, and returns their number.
///
/// A client does this for its directory at each connection. Other files, regions of live processes, and files that
/// cannot be opened, such as another user's, are kept.
pub(crate) fn remove_stale_regions(directory: impl AsRef<Path>) -> Result<usize, SharedMemoryError> {
    let directory = directory.as_ref();
    let failed = |cause| SharedMemoryError::Io {
        directory: directory.into(),
        doing: "looking for stale regions",
        cause,
    };
    let mut removed = 0;
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let Ok(entry) = entry else { continue };
        if !entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX))
        {
            continue;
        }
        match remove_if_stale(&entry.path()) {
            Ok(true) => removed += 1,
            Ok(false) => {}
            Err(error) => tracing::debug!(path = %entry.path().display(), %error, "region kept"),
        }
    }
    if removed > 0 {
        tracing::warn!(removed, directory = %directory.display(), "removed shared memory of crashed processes");
    }
    Ok(removed)
}

fn remove_if_stale(path: &Path) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Ok(false);
    }
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    // The lock is held until the end of this function, so that a process that is creating this file notices.
    std::fs::remove_file(path)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::region::{Region, SharedMemoryOptions};
    use super::*;

    #[test]
    fn regions_of_ended_processes_are_removed_and_other_files_are_kept() {
        let directory = tempfile::tempdir_in(super::super::DEFAULT_DIRECTORY).unwrap();
        let options = SharedMemoryOptions::default().with_directory(directory.path());
        let alive = Region::create(&options, 100, 2).unwrap();
        std::fs::write(directory.path().join("lva-frames-1-0000000000000000"), [0; 8]).unwrap();
        std::fs::write(directory.path().join("inference_client_share_memory_1"), [0; 8]).unwrap();

        assert_eq!(remove_stale_regions(directory.path()).unwrap(), 1);
        assert!(directory.path().join(alive.name()).exists());
        assert!(directory.path().join("inference_client_share_memory_1").exists());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_it() {
        let error = remove_stale_regions("/dev/shm/surely/not").unwrap_err();
        assert!(error.to_string().contains("/dev/shm/surely/not"), "{error}");
    }
}
