//! Pre-roll, signal gate and lossless clips of encoded video around events.
//!
//! An event is known only after it has happened, so a recording of it needs the seconds before. This crate keeps those
//! in memory ([`PreRoll`]), opens a gate when an event arrives ([`SignalGate`]), and writes what passes to MP4 files
//! ([`ClipWriter`]) by copying the camera's own encoded pictures. [`Recorder`] is the three together; it records
//! continuously, too, in pieces that a playlist lists ([`SegmentFolder`]). What a killed process leaves, [`recover`]
//! finishes.
//!
//! **A clip starts on a key frame no later than was asked, holds the camera's own bytes, and has its name only when it is
//! complete.** Where that cannot be kept, it is said: a pre-roll that was too short in [`NewClip`], a disk that was full
//! in [`RecorderEvent::Failed`], media that were never there in [`RecorderEvent::Missed`].
//!
//! What this crate is not: an RTSP client, an encoder, a decoder, a video management system.
//!
//! # Example
//!
//! ```
//! use lva_recording::{
//!     ClipFolder, GateOptions, MediaUnit, PreRollLimits, Recorder, RecorderEvent, Signal, TICKS_PER_SECOND, Tracks,
//!     VideoCodec, VideoTrack,
//! };
//! use std::time::Duration;
//!
//! # let folder = tempfile::tempdir()?;
//! # let avcc = [1, 66, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 66, 0, 30, 1, 0, 3, 0x68, 4, 5];
//! let video = VideoTrack { codec: VideoCodec::H264, extra_data: avcc.to_vec().into(), width: 64, height: 48 };
//! let seconds = Duration::from_secs;
//! let mut recorder = Recorder::new(
//!     GateOptions::new(seconds(5), seconds(5)).starting_before(seconds(2)),
//!     PreRollLimits::new(seconds(10), 32 << 20),
//!     Tracks { video, audio: None },
//!     ClipFolder::new(folder.path(), "door-${System.DateTime}"),
//! )?;
//! let start = 1_589_738_020 * TICKS_PER_SECOND;
//! for number in 0..600 {
//!     let time = start + number * 3000; // 30 pictures a second, a key frame each second
//!     let mut events = recorder.push(MediaUnit::video(time, number % 30 == 0, vec![0; 100].into()));
//!     if number == 200 {
//!         events.extend(recorder.signal(Signal::at(time)).1);
//!     }
//!     for event in events {
//!         if let RecorderEvent::Available { report, .. } = event {
//!             assert!(report.path.ends_with("door-20200517T175344Z.mp4"));
//!             assert_eq!(report.first_timestamp_90k, start + 120 * 3000, "2 s before, on a key frame");
//!             assert_eq!(report.last_timestamp_90k, start + 350 * 3000);
//!         }
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limits
//!
//! One video track (H.264, H.265) and one of AAC. The gate takes the contract's times: a window up to 10 s, an offset up
//! to a minute, an hour of recording. FFmpeg comes from the system (5.1 or newer) and only writes MP4; its log level is set
//! once, to fatal. Calls of [`Recorder`] and [`ClipWriter`] block on the disk. Unsafe code is in one small module,
//! which hands FFmpeg the parameter sets.
#![deny(unsafe_code)] // not `forbid`: the module `parameters` allows it

mod clip;
mod error;
mod fragments;
mod gate;
mod leftovers;
mod naming;
mod notes;
mod parameters;
mod playlist;
mod pre_roll;
mod preview;
mod recorder;
mod recover;
mod segments;
mod shelf;
mod sidecar;
mod store;
mod unit;

pub use clip::{ClipReport, ClipWriter};
pub use error::ClipError;
pub use gate::{
    CloseReason, GateDecision, GateOptions, GateOptionsError, GateStats, Signal, SignalGate, SignalOutcome,
};
pub use leftovers::{Leftover, find_leftovers};
pub use naming::{clip_path, date_time, precise_date_time};
pub use playlist::playlist_of;
pub use pre_roll::{PreRoll, PreRollLimits, PreRollStats};
pub use preview::{Keyframe, PreviewSize, preview_path, write_preview};
pub use recorder::{Recorder, RecorderEvent, RecorderStats, StopReason};
pub use recover::{Recovery, recover, recover_written_by};
pub use segments::{SegmentFolder, SegmentOptions, SegmentedClip};
pub use shelf::StoreStats;
pub use sidecar::Sidecar;
pub use store::{Clip, ClipFolder, ClipStore, NewClip};
pub use unit::{AudioTrack, MediaUnit, TICKS_PER_SECOND, Track, Tracks, VideoCodec, VideoTrack};

/// Compiles the example of the crate's front page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
