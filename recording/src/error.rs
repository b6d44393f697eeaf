//! What can go wrong with a clip.

use std::io;
use std::path::{Path, PathBuf};

/// A clip that cannot be made, written or finished. What was written so far stays in the unfinished file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClipError {
    /// The file or its folder cannot be created.
    #[error("cannot create the clip {}; check that the folder exists and may be written to", path.display())]
    Create {
        /// The unfinished file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The disk refused data.
    #[error("cannot write the clip {}; check free space and quota", path.display())]
    Write {
        /// The unfinished file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The media were written, but the file could not be given its sidecar and its name.
    #[error("cannot give the finished clip {} its name", path.display())]
    Finish {
        /// The unfinished file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody removed the file, or its folder, while it was written.
    #[error("the clip {} was removed while it was written", path.display())]
    Removed {
        /// The unfinished file.
        path: PathBuf,
    },
    /// A file beside the clips cannot be written, read or removed: annotations, a playlist, an old clip. The media are not
    /// touched by it.
    #[error("cannot keep {} beside the recordings; check free space and permissions", path.display())]
    Beside {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// An unfinished file that FFmpeg cannot read.
    #[error("the unfinished clip {} cannot be read", path.display())]
    Unreadable {
        /// The unfinished file.
        path: PathBuf,
        /// FFmpeg's reason.
        source: ffmpeg_next::Error,
    },
    /// FFmpeg's MP4 writer refused the tracks or a packet.
    #[error("the MP4 writer refused the media of {}", path.display())]
    Mux {
        /// The unfinished file.
        path: PathBuf,
        /// FFmpeg's reason.
        source: ffmpeg_next::Error,
    },
    /// The first unit of a clip was not a key frame of the video.
    #[error("a clip has to begin with a key frame")]
    NoKeyframe,
    /// A unit without bytes.
    #[error("an empty unit cannot be recorded")]
    EmptyUnit,
    /// A unit of audio for a clip without audio.
    #[error("the clip has no audio track; announce it when the clip is created")]
    NoAudioTrack,
    /// The parameter sets of the video are missing.
    #[error("the video track has no avcC or hvcC record, without which no player can decode the clip")]
    NoExtraData,
    /// A name pattern that leads out of the folder.
    #[error("the file name {name:?} is not a plain path below the recordings' folder")]
    Name {
        /// The name that the pattern gave.
        name: String,
    },
    /// Another recording, of this process or another, writes into the folder of pieces. It is tried again later.
    #[error("another recording writes into {}; give each a folder of its own, for example with ${{System.InstanceName}} in its name", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The playlist's name in a folder of pieces belongs to a file that this crate has not written. It stays as it is, pieces
    /// are recorded without being listed, and as soon as the name is free the playlist is there with the next piece.
    #[error("{} is not a playlist of these recordings and is left as it is: move it away, or record into another folder; until then what is recorded is not listed", path.display())]
    ForeignPlaylist {
        /// The file in the playlist's place.
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
    /// The disk, the quota or the largest file size is exhausted. Recording works again once there is room.
    pub fn is_disk_full(&self) -> bool {
        self.io().is_some_and(|source| {
            matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
            )
        })
    }

    /// The process may not write there. An operator has to act.
    pub fn is_permission_denied(&self) -> bool {
        self.io().is_some_and(|source| {
            matches!(
                source.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            )
        })
    }

    /// The file, or its folder, is not there any more. Recording makes it anew.
    pub fn is_removed(&self) -> bool {
        matches!(self, Self::Removed { .. })
            || self
                .io()
                .is_some_and(|source| source.kind() == io::ErrorKind::NotFound)
    }

    /// The unfinished file that the error left.
    pub(crate) fn unfinished(&self) -> Option<&Path> {
        match self {
            Self::Write { path, .. } | Self::Finish { path, .. } | Self::Mux { path, .. } => Some(path),
            _ => None,
        }
    }

    fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Create { source, .. }
            | Self::Write { source, .. }
            | Self::Finish { source, .. }
            | Self::Beside { source, .. } => Some(source),
            _ => None,
        }
    }
}
