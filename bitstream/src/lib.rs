//! H.264 and H.265 as streams of bits: NAL units in both of their forms, parameter sets, decoder configuration records.
//!
//! NAL units come after lengths (ISO/IEC 14496-15), as in MP4 files and in every access unit of this workspace, or after
//! start codes (Annex B of ITU-T H.264 and H.265), as in `.h264` files and from encoders.
//!
//! **What is read comes from cameras: everything is bounded, nothing panics, and what cannot be read is `None` or an
//! error.** Nothing here decodes a picture.
//!
//! ```
//! use lva_bitstream::{NalUnits, Sps, VideoCodec, write_length_prefixed};
//!
//! let annex_b = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x65, 3];
//! let mut unit = Vec::new();
//! for nal in NalUnits::annex_b(&annex_b) {
//!     write_length_prefixed(nal, &mut unit)?;
//! }
//! assert_eq!(unit, [0, 0, 0, 3, 0x67, 1, 2, 0, 0, 0, 2, 0x65, 3]);
//! assert!(NalUnits::length_prefixed(&unit, 4).eq([&[0x67, 1, 2][..], &[0x65, 3]]));
//! assert_eq!(Sps::parse(VideoCodec::H264, &[0x67, 1, 2]), None, "cut off");
//! # Ok::<(), lva_bitstream::NalError>(())
//! ```
#![forbid(unsafe_code)]

mod bits;
mod error;
mod header;
mod parameter_sets;
mod sps;
mod units;

pub use lva_media_types::VideoCodec;

pub use bits::BitReader;
pub use error::NalError;
pub use header::{NalHeader, NalKind, ParameterSetKind};
pub use parameter_sets::{ParameterSets, decoder_configuration};
pub use sps::Sps;
pub use units::{NalUnits, START_CODE, access_units, without_trailing_zeros, write_length_prefixed};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
