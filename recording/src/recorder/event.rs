//! Events and counters of a recorder.

use crate::error::ClipError;
use crate::gate::CloseReason;
use crate::report::ClipReport;
use crate::store::NewClip;
use std::fmt;
use std::path::PathBuf;

/// Why a clip ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordingStopReason {
    /// The gate closed.
    Gate(CloseReason),
    /// [`Recorder::end`](crate::Recorder::end) was called.
    End,
    /// Media time went back by more than 2 s. Events of the old timeline are dropped.
    TimeWentBack,
    /// The stream's parameters changed; while the gate is open, another clip begins at the next keyframe.
    TracksChanged,
}

/// An event of a recorder.
///
/// A recording begins with `Started` and ends with `Stopped` or `Failed`. Each of its finished files is reported once:
/// the first, which makes it playable, by `Available`, the others by `Extended`. A recording in one file is `Available`
/// after `Stopped`; one that is longer than a segment, before.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecorderEvent {
    /// A clip is being written (`RecordingStarted`).
    Started {
        /// Number of the recording, from 1 on; the same in all its events.
        recording: u64,
        /// Path of the clip; for a recording in segments, their directory.
        path: PathBuf,
        /// Its first picture, its requested start, its event. It began late if the first exceeds the second.
        clip: NewClip,
    },
    /// Writing ended (`RecordingStopped`).
    Stopped {
        /// Number of the recording.
        recording: u64,
        /// Path of the clip; for a recording in segments, their directory.
        path: PathBuf,
        /// Why.
        reason: RecordingStopReason,
        /// Correlation ids of its events, in order.
        correlation_ids: Vec<String>,
    },
    /// The first file of it is complete (`RecordingAvailable`).
    Available {
        /// Number of the recording.
        recording: u64,
        /// Content of the file.
        report: ClipReport,
        /// Correlation ids of its events so far, in order.
        correlation_ids: Vec<String>,
    },
    /// Another file of it is complete.
    Extended {
        /// Number of the recording.
        recording: u64,
        /// Content of the file.
        report: ClipReport,
    },
    /// It could not be created, continued or completed (`StorageError`). As long as there is something to record, it is
    /// retried as another recording, with a keyframe at least a second later; then after two seconds, up to half a
    /// minute.
    Failed {
        /// Number of the recording.
        recording: u64,
        /// Why.
        error: ClipError,
    },
    /// A file of an earlier recording, of a killed process or on a disk that failed, is complete now.
    Recovered {
        /// Content of the file.
        report: ClipReport,
    },
    /// A playlist, an annotation or an old file could not be written or removed. Recording continues.
    CleanupFailed {
        /// Why.
        error: ClipError,
    },
    /// The gate opened for media that are missing: the event was too old, or no picture arrived.
    NoMedia {
        /// Number of the recording.
        recording: u64,
        /// Time of the event.
        event_90k: u64,
    },
}

impl fmt::Display for RecorderEvent {
    /// One line for a log or a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { recording, path, .. } => {
                write!(f, "recording {recording} began: {}", path.display())
            }
            Self::Stopped { recording, path, .. } => {
                write!(f, "recording {recording} ended: {}", path.display())
            }
            Self::Available {
                recording, report, ..
            } => {
                write!(f, "recording {recording} is available: {}", report.path.display())
            }
            Self::Extended { recording, report } => {
                write!(
                    f,
                    "recording {recording} has another file: {}",
                    report.path.display()
                )
            }
            Self::Failed { recording, error } => write!(f, "recording {recording} failed: {error}"),
            Self::Recovered { report } => write!(f, "a clip was recovered: {}", report.path.display()),
            Self::CleanupFailed { error } => error.fmt(f),
            Self::NoMedia { recording, .. } => {
                write!(
                    f,
                    "recording {recording} has no media: its event was too old, or no picture arrived"
                )
            }
        }
    }
}

/// Counters of a recorder. They only increase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RecorderStats {
    /// Recordings that began.
    pub started: u64,
    /// Completed files.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// Recordings that failed.
    pub failed: u64,
    /// Units while the gate was open that the disk rejected, or that the clip cannot hold: pictures of another size, within
    /// 2 s after the last such change.
    pub not_written: u64,
    /// Recordings without media.
    pub no_media: u64,
}
