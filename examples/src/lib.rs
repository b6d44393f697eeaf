//! Code that the example programs share: flags, progress, video files, detectors, drawing.
//!
//! The programs next to this crate are the examples; this library keeps them short and is not for use elsewhere.
#![deny(unsafe_code)] // except to read FFmpeg's codec parameters, in `units`

mod args;
mod audio;
pub mod demo;
pub mod draw;
pub mod evaluation;
pub mod frames;
mod model_args;
mod motion_score;
pub mod picture;
pub mod play;
pub mod round_trips;
pub mod simulate;
pub mod source;
pub mod topology_run;
pub mod tutorial;
mod units;
mod video;

pub use args::{parse_credentials, parse_size, progress};
pub use model_args::{ModelArgs, detect_one};
pub use motion_score::MotionScore;
pub use units::UnitReader;
pub use video::{EncoderOptions, VideoReader, VideoWriter};
