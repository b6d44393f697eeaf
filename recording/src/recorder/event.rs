//! What a recorder tells.

use crate::clip::ClipReport;
use crate::error::ClipError;
use crate::gate::CloseReason;
use crate::store::NewClip;
use std::path::PathBuf;

/// Why a clip ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// The gate closed.
    Gate(CloseReason),
    /// [`Recorder::end`](crate::Recorder::end) was called.
    End,
    /// Media time went back by more than 2 s. Events of the old time line are forgotten.
    TimeWentBack,
    /// The stream's parameters changed; while the gate is open, another clip begins at the next key frame.
    TracksChanged,
}

/// What a recorder did.
///
/// A recording begins with `Started` and ends with `Stopped` or `Failed`. Each of its finished files is told once: the
/// first, after which there is something to look at, by `Available`, the others by `Extended`. A recording in one file is
/// `Available` after `Stopped`; one in pieces longer than a piece, before.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecorderEvent {
    /// A clip is being written (`RecordingStarted`).
    Started {
        /// Number of the recording, from 1 on; its events carry it too.
        recording: u64,
        /// Where the clip will be; for a recording in pieces, their folder.
        path: PathBuf,
        /// Its first picture, its wanted start, its event. It began late where the first exceeds the second.
        clip: NewClip,
    },
    /// No more is written to it (`RecordingStopped`).
    Stopped {
        /// Number of the recording.
        recording: u64,
        /// Where the clip will be; for a recording in pieces, their folder.
        path: PathBuf,
        /// Why.
        reason: StopReason,
        /// Correlation ids of its events, in their order.
        correlation_ids: Vec<String>,
    },
    /// The first file of it is complete (`RecordingAvailable`).
    Available {
        /// Number of the recording.
        recording: u64,
        /// What is in the file.
        report: ClipReport,
        /// Correlation ids of its events so far, in their order.
        correlation_ids: Vec<String>,
    },
    /// Another file of it is complete.
    Extended {
        /// Number of the recording.
        recording: u64,
        /// What is in the file.
        report: ClipReport,
    },
    /// It could not be made, gone on with, or completed (`StorageError`). While there is something to record it is tried
    /// again, as another recording, with a key frame at least a second later; then after two seconds, up to half a minute.
    Failed {
        /// Number of the recording.
        recording: u64,
        /// Why.
        error: ClipError,
    },
    /// A file of an earlier recording, of a process that was killed or on a disk that failed, was completed now.
    Recovered {
        /// What is in the file.
        report: ClipReport,
    },
    /// A playlist, an annotation or an old file could not be written or removed. Recording goes on.
    Untidy {
        /// Why.
        error: ClipError,
    },
    /// The gate opened for media that were not there: the event was too old, or no picture came.
    Missed {
        /// Number of the recording.
        recording: u64,
        /// Time of the event.
        event_90k: u64,
    },
}

/// Counts of a recorder. Numbers only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RecorderStats {
    /// Recordings that began to be written.
    pub started: u64,
    /// Files that were completed.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// Recordings that failed.
    pub failed: u64,
    /// Units that passed while the disk refused them, the gate being open.
    pub not_written: u64,
    /// Recordings whose media were not there.
    pub missed: u64,
}
