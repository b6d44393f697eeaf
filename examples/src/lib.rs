//! Code that the example programs share: progress, video files, drawing.
//!
//! The programs next to this crate are the examples; this library keeps them short and is not for use elsewhere.
#![deny(unsafe_code)] // except to read FFmpeg's codec parameters, in `units`

mod audio;
pub mod child_process;
pub mod cpu_time;
pub mod demo;
mod detect_one;
pub mod draw;
pub mod engines;
pub mod evaluation;
pub mod frames;
mod load_detector;
pub mod mot;
mod motion_score;
mod output;
pub mod picture;
pub mod play;
mod progress;
pub mod replay;
pub mod round_trips;
pub mod simulate;
pub mod source;
pub mod taps;
pub mod topology_run;
pub mod tutorial;
mod units;
mod video;

pub use detect_one::detect_one;
pub use load_detector::load_detector;
pub use lva_edge_module::analysis::ModelArgs;
pub use lva_edge_module::flags::{parse_credentials, parse_size, read_credentials};
pub use motion_score::MotionScore;
pub use output::{log, printable};
pub use progress::progress;
pub use units::UnitReader;
pub use video::{EncoderOptions, VideoReader, VideoWriter};
