//! What can go wrong with a clip.

use std::io;
use std::path::{Path, PathBuf};

/// A clip that cannot be created, written or finished. What was written so far remains in the unfinished file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClipError {
    /// The file or its directory cannot be created.
    #[error("cannot create the clip {}: {cause}; check that the directory is writable", path.display())]
    Create {
        /// The unfinished file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// The disk rejected data.
    #[error("cannot write the clip {}: {cause}; check free space and quota", path.display())]
    Write {
        /// The unfinished file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// The media were written, but the sidecar or the rename failed.
    #[error("cannot rename the finished clip {} or write its sidecar: {cause}; check free space and permissions of its directory", path.display())]
    Finish {
        /// The unfinished file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// The file, or its directory, was removed during the recording.
    #[error("the clip {} was removed during the recording", path.display())]
    Removed {
        /// The unfinished file.
        path: PathBuf,
    },
    /// A file next to the clips cannot be written, read or removed: annotations, a playlist, an old clip. The clip itself
    /// is not affected.
    #[error("cannot read, write or remove {}, which belongs to the recordings: {cause}; check free space and permissions", path.display())]
    SidecarIo {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// An unfinished file that FFmpeg cannot read.
    #[error("cannot read the unfinished clip {}: {cause}; it is left as it is", path.display())]
    Unreadable {
        /// The unfinished file.
        path: PathBuf,
        /// FFmpeg's reason.
        cause: ffmpeg_next::Error,
    },
    /// FFmpeg's MP4 writer rejected the tracks or a packet.
    #[error("the MP4 writer rejected the media of {}: {cause}; H.264, H.265 and AAC are supported", path.display())]
    Mux {
        /// The unfinished file.
        path: PathBuf,
        /// FFmpeg's reason.
        cause: ffmpeg_next::Error,
    },
    /// The first unit of a clip is not a keyframe of the video.
    #[error("a clip must begin with a keyframe")]
    NoKeyframe,
    /// A unit without bytes.
    #[error("an empty unit cannot be recorded")]
    EmptyUnit,
    /// A unit of audio for a clip without audio.
    #[error("the clip has no audio track; pass one when creating the clip")]
    NoAudioTrack,
    /// The parameter sets of the video are missing.
    #[error("the video track has no avcC or hvcC record; without it, the clip is not playable")]
    NoExtraData,
    /// A name pattern that leads out of the directory.
    #[error(
        "the file name {name:?} is not a plain path below the directory of the recordings; use a relative path without .."
    )]
    Name {
        /// The name that results from the pattern.
        name: String,
    },
    /// Another recording, of this process or another, writes to the segment directory. It is retried later.
    #[error("another recording writes to {}; use a separate directory for each, for example with ${{System.InstanceName}} in its name", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file that this crate has not written has the playlist's name in a segment directory. It stays, and segments are
    /// recorded without a playlist. Once the name is free, the next segment creates the playlist.
    #[error("{} is not a playlist of these recordings and is not replaced: move it away, or record to another directory; until then segments are recorded without a playlist", path.display())]
    ForeignPlaylist {
        /// The file with the playlist's name.
        path: PathBuf,
    },
    /// A thousand clips of this name exist.
    #[error("too many clips are named {}; use ${{System.DateTime}} in the pattern", path.display())]
    NameTaken {
        /// The name.
        path: PathBuf,
    },
}

impl ClipError {
    pub(crate) fn create(path: &Path) -> impl Fn(io::Error) -> Self + Copy + '_ {
        move |cause| Self::Create {
            path: path.to_owned(),
            cause,
        }
    }

    pub(crate) fn write(path: &Path) -> impl Fn(io::Error) -> Self + Copy + '_ {
        move |cause| Self::Write {
            path: path.to_owned(),
            cause,
        }
    }

    pub(crate) fn sidecar_io(path: &Path) -> impl Fn(io::Error) -> Self + Copy + '_ {
        move |cause| Self::SidecarIo {
            path: path.to_owned(),
            cause,
        }
    }

    /// The disk, the quota or the largest file size is exhausted. Recording continues once there is space.
    pub fn is_disk_full(&self) -> bool {
        self.io().is_some_and(|cause| {
            matches!(
                cause.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
            )
        })
    }

    /// The process lacks write permission. An operator has to act.
    pub fn is_permission_denied(&self) -> bool {
        self.io().is_some_and(|cause| {
            matches!(
                cause.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            )
        })
    }

    /// The file, or its directory, no longer exists. Recording creates it again.
    pub fn is_removed(&self) -> bool {
        matches!(self, Self::Removed { .. })
            || self
                .io()
                .is_some_and(|cause| cause.kind() == io::ErrorKind::NotFound)
    }

    /// The unfinished file that the error left behind.
    pub(crate) fn unfinished(&self) -> Option<&Path> {
        match self {
            Self::Write { path, .. } | Self::Finish { path, .. } | Self::Mux { path, .. } => Some(path),
            _ => None,
        }
    }

    fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Create { cause, .. }
            | Self::Write { cause, .. }
            | Self::Finish { cause, .. }
            | Self::SidecarIo { cause, .. } => Some(cause),
            _ => None,
        }
    }
}
