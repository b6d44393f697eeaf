//! Frames in a file under `/dev/shm`: the client's region and its slots, and the server's view of a peer's region.
//!
//! | file | what |
//! |---|---|
//! | `mapping` | memory mapping: the only unsafe code of the crate |
//! | `region` | the client's region: created, allocated, divided into slots, removed |
//! | `stale` | regions of crashed processes |
//! | `peer` | the server's side: names, sizes and offsets of an untrusted peer |

mod mapping;
mod peer;
mod region;
mod stale;

use std::io;
use std::path::PathBuf;

pub use peer::Trust;
pub(crate) use peer::{PeerRegion, PeerRegionError};
pub use region::SharedMemoryOptions;
pub(crate) use region::{Region, RegionSlot};
pub(crate) use stale::remove_stale_regions;

/// The directory of POSIX shared memory on Linux.
pub(crate) const DEFAULT_DIRECTORY: &str = "/dev/shm";

/// Why a region could not be created or removed. The configuration of the machine is at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SharedMemoryError {
    /// Not enough memory in the file system. A retry helps only after another process frees some.
    #[error(
        "not enough space for {needed_bytes} bytes of shared memory in {directory}: give the container more (ShmSize, \
         or docker run --shm-size; its default is 64 MiB), or use fewer or smaller frames"
    )]
    NoSpace {
        /// The directory.
        directory: PathBuf,
        /// Size of the region.
        needed_bytes: u64,
        /// The error of the system.
        source: io::Error,
    },
    /// The region does not fit two frames. A server may read a frame until the next one arrives, so one slot is never
    /// enough.
    #[error(
        "shared memory of {given_bytes} bytes is too small for frames of {frame_bytes} bytes: at least \
         {required_bytes} bytes are needed (sharedMemorySizeMiB {})",
        mebibytes(*required_bytes)
    )]
    TooSmall {
        /// Configured size.
        given_bytes: u64,
        /// Size of one frame.
        frame_bytes: u64,
        /// Smallest possible size.
        required_bytes: u64,
    },
    /// Any other error of the file system.
    #[error("shared memory in {directory} could not be created (while {doing}): {cause}")]
    Io {
        /// The directory.
        directory: PathBuf,
        /// The failed step.
        doing: &'static str,
        /// The error of the system.
        cause: io::Error,
    },
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
