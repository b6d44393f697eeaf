//! What the runnable programs share: flags, progress, video files, detectors, pictures drawn on.
//!
//! Not for use elsewhere: the programs beside this crate are the examples; this keeps them short.
#![forbid(unsafe_code)]

mod args;
pub mod demo;
pub mod draw;
pub mod evaluation;
pub mod frames;
mod model_args;
pub mod picture;
pub mod round_trips;
pub mod source;
pub mod tutorial;
mod video;

pub use args::{parse_credentials, parse_size, progress};
pub use model_args::{AnyDetector, ModelArgs};
pub use video::{EncoderOptions, VideoReader, VideoWriter};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
