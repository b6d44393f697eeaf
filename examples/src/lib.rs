//! What the runnable programs share: flags, progress, video files, detectors, pictures drawn on.
//!
//! Not for use elsewhere: the programs beside this crate are the examples; this keeps them short.
#![deny(unsafe_code)] // but for one look at FFmpeg's parameters, in `units`

mod args;
pub mod covered;
pub mod demo;
pub mod draw;
pub mod evaluation;
pub mod frames;
mod model_args;
mod motion_score;
pub mod picture;
pub mod play;
pub mod replay;
pub mod round_trips;
pub mod simulate;
mod sound;
pub mod source;
pub mod topology_run;
pub mod tutorial;
mod units;
mod video;

pub use args::{parse_credentials, parse_size, progress};
pub use model_args::{AnyDetector, ModelArgs};
pub use motion_score::MotionScore;
pub use units::UnitReader;
pub use video::{EncoderOptions, VideoReader, VideoWriter};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
