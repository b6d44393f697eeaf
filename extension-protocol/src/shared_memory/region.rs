//! The client's region: created exclusively, fully allocated, divided into slots, removed at the end.

use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags};

use super::mapping::{MappedSlot, WritableMapping};
use super::{DEFAULT_DIRECTORY, SharedMemoryError, stale};
use crate::slots::{ALIGNMENT, TakeError};

/// Location, size and permissions of the shared memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedMemoryOptions {
    pub(crate) bytes: Option<u64>,
    pub(crate) mode: u32,
    pub(crate) directory: PathBuf,
}

impl Default for SharedMemoryOptions {
    fn default() -> Self {
        Self {
            bytes: None,
            mode: 0o600,
            directory: DEFAULT_DIRECTORY.into(),
        }
    }
}

impl SharedMemoryOptions {
    /// Size of the region; `sharedMemorySizeMiB` of a topology times 1048576.
    ///
    /// Default: one slot more than the window. The memory is allocated when a session starts. Smaller sizes reduce the window; less than two frames is an error. Some servers store offsets in signed
    /// 32 bits, so stay below 2 GiB.
    #[must_use]
    pub fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// Permission bits of the file, regardless of the umask. Default: `0o600`, the same user only.
    ///
    /// An extension in a container under another user needs a group (`0o660`) or all users (`0o666`): known servers open
    /// the file for writing even if they only read. Any process with write permission can truncate the file and so kill
    /// this process: permit no more than needed.
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777;
        self
    }

    /// Directory of the file. Default: `/dev/shm`, which known servers use. Any directory with the same path on both sides
    /// works; one on a disk is slow.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }
}

/// Size of a region for `window` frames in flight of up to `frame_bytes`, and one more slot.
///
/// The additional slot is for servers that read an acknowledged frame again when the next one arrives. `None` if the size
/// exceeds 64 bits.
fn required_shared_memory_bytes(frame_bytes: u64, window: usize) -> Option<u64> {
    let slot = frame_bytes.max(1).checked_next_multiple_of(ALIGNMENT as u64)?;
    u64::try_from(window.max(1))
        .ok()?
        .checked_add(1)?
        .checked_mul(slot)
}

/// The smallest region for two frames.
fn smallest_bytes(frame_bytes: u64) -> Option<u64> {
    required_shared_memory_bytes(frame_bytes, 1)
}

/// A shared memory file and its mapping. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct Region {
    name: String,
    path: PathBuf,
    length: usize,
    mapping: Arc<WritableMapping>,
    /// Locked while this process lives, so that others do not remove the region as stale.
    _lock: File,
}

impl Region {
    /// Creates a region for `window` frames of up to `frame_bytes`. Blocking: touches every page.
    pub(crate) fn create(
        options: &SharedMemoryOptions,
        frame_bytes: usize,
        window: usize,
    ) -> Result<Self, SharedMemoryError> {
        let directory = options.directory.as_path();
        let needed = |bytes: Option<u64>| bytes.unwrap_or(u64::MAX);
        let frame = frame_bytes as u64;
        let bytes = options
            .bytes
            .unwrap_or_else(|| needed(required_shared_memory_bytes(frame, window)));
        let required_bytes = needed(smallest_bytes(frame));
        if bytes < required_bytes {
            return Err(SharedMemoryError::TooSmall {
                given_bytes: bytes,
                frame_bytes: frame,
                required_bytes,
            });
        }
        let no_space = |source| SharedMemoryError::NoSpace {
            directory: directory.into(),
            needed_bytes: bytes,
            source,
        };
        let length = isize::try_from(bytes)
            .map_err(|_| no_space(io::Error::from(rustix::io::Errno::NOSPC)))?
            .unsigned_abs();
        let failed = |doing, cause| SharedMemoryError::Io {
            directory: directory.into(),
            doing,
            cause,
        };

        let (name, path, file) =
            create_locked(directory).map_err(|error| failed("creating a file", error))?;
        let unlink = Unlink(Some(path.clone()));
        rustix::fs::fchmod(&file, Mode::from_raw_mode(options.mode))
            .map_err(|error| failed("setting its mode", error.into()))?;
        // Allocate all pages now: a page that is missing later is a bus error.
        loop {
            match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
                Ok(()) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error @ (rustix::io::Errno::NOSPC | rustix::io::Errno::NOMEM)) => {
                    return Err(no_space(error.into()));
                }
                Err(error) => return Err(failed("allocating its memory", error.into())),
            }
        }
        let mapping =
            WritableMapping::new(&file, length).map_err(|error| failed("mapping its memory", error))?;
        unlink.keep();
        Ok(Self {
            name,
            path,
            length,
            mapping: Arc::new(mapping),
            _lock: file,
        })
    }

    /// The bare file name: the handle name of a descriptor.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// How many frames of this size fit in the region.
    pub(crate) fn frames(&self, frame_bytes: usize) -> usize {
        // The last slot needs no padding.
        (self.length + ALIGNMENT - 1) / frame_bytes.max(1).next_multiple_of(ALIGNMENT)
    }

    pub(crate) fn take(&self, length: usize) -> Result<RegionSlot, TakeError> {
        Ok(RegionSlot(self.mapping.take(length)?))
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Exclusive bytes in a region, released on drop. Keeps the memory mapped, but not the file.
#[derive(Debug)]
pub(crate) struct RegionSlot(MappedSlot);

impl RegionSlot {
    pub(crate) fn offset(&self) -> usize {
        self.0.offset()
    }

    pub(crate) fn shrink(&mut self, length: usize) {
        self.0.shrink(length);
    }

    pub(crate) fn length(&self) -> usize {
        self.0.length()
    }
}

impl Deref for RegionSlot {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl DerefMut for RegionSlot {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }
}

/// Removes an incomplete region on the error path.
struct Unlink(Option<PathBuf>);

impl Unlink {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Unlink {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            remove(path);
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "shared memory could not be removed");
    }
}

/// Creates a file under an unpredictable name and locks it before another process can remove it as stale.
fn create_locked(directory: &Path) -> io::Result<(String, PathBuf, File)> {
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..16 {
        let random = getrandom::u64()?;
        let name = format!("{}{}-{random:016x}", stale::PREFIX, std::process::id());
        let path = directory.join(&name);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = match rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::EXIST) => continue,
            Err(error) => return Err(error.into()),
        };
        // Between creation and lock, another process may have removed or locked the file as stale.
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if rustix::fs::fstat(&file)?.st_nlink > 0 => return Ok((name, path, file)),
            Ok(()) => {}
            Err(error) => {
                last = error.into();
                remove(&path);
            }
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn options(directory: &Path) -> SharedMemoryOptions {
        SharedMemoryOptions::default().with_directory(directory)
    }

    #[test]
    fn a_region_has_size_mode_and_a_bare_name_and_is_removed() {
        let directory = tempfile::tempdir_in(DEFAULT_DIRECTORY).unwrap();
        let region = Region::create(&options(directory.path()).with_mode(0o640), 1000, 3).unwrap();
        assert_eq!(region.length(), 4 * 1024);
        assert!(!region.name().contains('/'));
        let path = directory.path().join(region.name());
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(metadata.len(), 4096);
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o640);
        let slot = region.take(1000).unwrap();
        drop(region);
        assert!(!path.exists());
        assert_eq!(slot.len(), 1000, "memory outlives the name");
    }

    #[test]
    fn what_is_written_into_a_slot_is_in_the_file_at_its_offset() {
        let directory = tempfile::tempdir_in(DEFAULT_DIRECTORY).unwrap();
        let region = Region::create(&options(directory.path()), 100, 2).unwrap();
        let _first = region.take(100).unwrap();
        let mut second = region.take(100).unwrap();
        second.fill(7);
        let file = std::fs::read(directory.path().join(region.name())).unwrap();
        assert_eq!(second.offset(), 128);
        assert!(file[128..228].iter().all(|byte| *byte == 7));
        assert!(file[..128].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_region_for_less_than_two_frames_is_refused_with_the_required_size() {
        let error = Region::create(&SharedMemoryOptions::default().with_bytes(1999), 1000, 4).unwrap_err();
        assert!(matches!(
            error,
            SharedMemoryError::TooSmall {
                given_bytes: 1999,
                frame_bytes: 1000,
                required_bytes: 2048
            }
        ));
        assert!(error.to_string().contains("sharedMemorySizeMiB 1"), "{error}");
    }

    #[test]
    fn too_large_a_region_is_an_error_with_the_size_and_leaves_no_file() {
        let directory = tempfile::tempdir_in(DEFAULT_DIRECTORY).unwrap();
        let error = Region::create(&options(directory.path()).with_bytes(1 << 60), 1000, 4).unwrap_err();
        assert!(error.to_string().contains("1152921504606846976"), "{error}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn required_sizes() {
        assert_eq!(required_shared_memory_bytes(1000, 4), Some(5 * 1024));
        assert_eq!(required_shared_memory_bytes(0, 0), Some(128));
        assert_eq!(required_shared_memory_bytes(u64::MAX, 4), None);
        assert_eq!(required_shared_memory_bytes(1 << 62, 4), None);
    }
}
