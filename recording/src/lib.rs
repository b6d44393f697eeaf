//! Pre-roll, signal gate and lossless clips of encoded video around events.
//!
//! An event is known only after it has happened, so its recording needs the seconds before. This crate buffers them in
//! memory ([`PreRoll`]), opens a gate when an event arrives ([`SignalGate`]), and copies the camera's encoded pictures
//! unchanged to MP4 files ([`ClipWriter`]). [`Recorder`] combines the three; it also records continuously, in segments
//! listed by a playlist ([`SegmentDirectory`]). [`recover`] finishes the clips of a killed process.
//!
//! **A clip starts on a keyframe at or before the requested time, contains the camera's own bytes, and gets its final
//! name only when it is complete.** Exceptions are reported: a pre-roll that was too short in [`NewClip`], a full disk in
//! [`RecorderEvent::Failed`], missing media in [`RecorderEvent::NoMedia`].
//!
//! This crate is not an RTSP client, an encoder, a decoder or a video management system.
//!
//! # Example
//!
//! ```
//! use lva_recording::{
//!     ClipDirectory, GateOptions, MediaTime, MediaUnit, PreRollLimits, Recorder, RecorderEvent, Signal, VideoCodec,
//!     VideoTrack,
//! };
//! use std::time::Duration;
//!
//! # let directory = tempfile::tempdir()?;
//! # let avcc = [1, 66, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 66, 0, 30, 1, 0, 3, 0x68, 4, 5];
//! let video = VideoTrack::new(VideoCodec::H264, avcc.to_vec(), (64, 48));
//! let seconds = Duration::from_secs;
//! let mut recorder = Recorder::new(
//!     GateOptions::new(seconds(5), seconds(5)).starting_before(seconds(2)),
//!     PreRollLimits::new(seconds(10), 32 << 20),
//!     video,
//!     ClipDirectory::new(directory.path(), "door-${System.DateTime}"),
//! )?;
//! let start = 1_589_738_020 * MediaTime::TICKS_PER_SECOND;
//! for number in 0..600 {
//!     let time = start + number * 3000; // 30 pictures a second, a keyframe each second
//!     let events = recorder.push(MediaUnit::video(time, number % 30 == 0, vec![0; 100].into()));
//!     if number == 200 {
//!         recorder.signal(Signal::at(time));
//!     }
//!     for event in events {
//!         if let RecorderEvent::Available { report, .. } = event {
//!             assert!(report.path.ends_with("door-20200517T175344Z.mp4"));
//!             assert_eq!(report.first_timestamp_90k, start + 120 * 3000, "2 s before, on a keyframe");
//!             assert_eq!(report.last_timestamp_90k, start + 350 * 3000);
//!         }
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Items by purpose
//!
//! | for | items |
//! |---|---|
//! | recording | [`Recorder`], [`RecorderEvent`], [`RecordingStopReason`], [`ClipReport`], [`RecorderStats`] |
//! | media that comes in | [`MediaUnit`], [`Tracks`], [`VideoTrack`], [`AudioTrack`], [`AudioCodec`], [`Track`], [`Keyframe`], [`VideoCodec`], [`MediaTime`], [`nal`], [`AnnexBError`] |
//! | opening the gate | [`GateOptions`], [`Signal`], [`SignalOutcome`], [`SignalGate`], [`GateDecision`], [`CloseReason`], [`GateStats`], [`GateOptionsError`] |
//! | the seconds before an event | [`PreRollLimits`], [`PreRoll`], [`PreRollStats`] |
//! | where clips go | [`ClipStore`], [`ClipDirectory`], [`SegmentDirectory`], [`SegmentOptions`], [`Clip`], [`SegmentedClip`], [`NewClip`], [`StoreStats`] |
//! | finished files | [`ClipWriter`], [`find_finished`], [`Sidecar`], [`ClipError`] |
//! | names and playlists | [`clip_path`], [`date_time`], [`precise_date_time`], [`playlist_for_range`] |
//! | preview pictures | [`write_preview`], [`preview_path`], [`PreviewSize`] |
//! | after a crash | [`recover`], [`recover_owned_by`], [`Recovery`], [`find_unfinished`], [`UnfinishedClip`] |
//!
//! # Limits
//!
//! One video track (H.264, H.265 or MJPEG) and one audio track (AAC or Opus). The gate accepts the contract's ranges: a window up to 10 s, an
//! offset up to a minute, a recording up to an hour. FFmpeg comes from the system (5.1 or newer) and only writes MP4; its
//! log level is set once, to fatal. Calls of [`Recorder`] and [`ClipWriter`] block on the disk. Unsafe code is limited to
//! one small module, which passes the parameter sets to FFmpeg.
#![deny(unsafe_code)] // not `forbid`: the module `parameters` allows it

mod annex_b;
mod annotations;
mod beneath;
mod clip;
mod error;
mod files;
mod finish;
mod fragments;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod index;
mod naming;
mod parameters;
mod playlist;
mod pre_roll;
mod preview;
mod recorder;
mod recover;
mod report;
mod scan;
mod segments;
mod sidecar;
mod store;
mod unit;

pub use lva_bitstream as nal;
pub use lva_media_types::{MediaTime, VideoCodec};

pub use annex_b::AnnexBError;
pub use clip::ClipWriter;
pub use error::ClipError;
pub use gate::{
    CloseReason, GateDecision, GateOptions, GateOptionsError, GateStats, Signal, SignalGate, SignalOutcome,
};
pub use index::StoreStats;
pub use naming::{clip_path, date_time, precise_date_time};
pub use playlist::playlist_for_range;
pub use pre_roll::{PreRoll, PreRollLimits, PreRollStats};
pub use preview::{PreviewSize, preview_path, write_preview};
pub use recorder::{Recorder, RecorderEvent, RecorderStats, RecordingStopReason};
pub use recover::{Recovery, recover, recover_owned_by};
pub use report::ClipReport;
pub use scan::{UnfinishedClip, find_finished, find_unfinished};
pub use segments::{SegmentDirectory, SegmentOptions, SegmentedClip};
pub use sidecar::Sidecar;
pub use store::{Clip, ClipDirectory, ClipStore, NewClip};
pub use unit::{AudioCodec, AudioTrack, Keyframe, MediaUnit, Track, Tracks, VideoTrack};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
