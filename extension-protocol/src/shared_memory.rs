//! Frames in a file under `/dev/shm`: the client's region and its slots, the server's look at a peer's region.
//!
//! | file | what |
//! |---|---|
//! | `mapping` | mapping memory: the only unsafe code of the crate |
//! | `region` | the client's region: created, filled with real pages, handed out in slots, removed |
//! | `stale` | regions of crashed predecessors |
//! | `peer` | the server's side: names, sizes and offsets of a peer that may be hostile |

mod mapping;
mod peer;
mod region;
mod stale;

use std::io;
use std::path::PathBuf;

pub use peer::Trust;
pub(crate) use peer::{PeerRegion, PeerRegionError};
pub(crate) use region::{Region, RegionSlot};
pub use region::{SharedMemoryOptions, required_shared_memory_bytes};
pub use stale::remove_stale_regions;

/// Where POSIX shared memory lies on Linux.
pub(crate) const DEFAULT_DIRECTORY: &str = "/dev/shm";

/// Why a region could not be made or swept. The machine's set-up is at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SharedMemoryError {
    /// Not enough memory behind the file system. Retry helps only when somebody else frees some.
    #[error(
        "no room for {needed_bytes} bytes of shared memory in {directory}: give the container more (ShmSize, \
         or docker run --shm-size; its default is 64 MiB), or use fewer or smaller frames"
    )]
    NoSpace {
        /// Where it was tried.
        directory: PathBuf,
        /// What the region needs.
        needed_bytes: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The region would not hold two frames. A server may read a frame until the next one is there, so one
    /// place is never enough.
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
        /// Smallest size that works.
        required_bytes: u64,
    },
    /// Anything else that the file system refused.
    #[error("shared memory in {directory} could not be prepared ({doing})")]
    Io {
        /// Where it was tried.
        directory: PathBuf,
        /// The step that failed.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
