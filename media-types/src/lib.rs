//! The types that several crates share: media time, boxes, pixel formats, codecs, limits, credentials.
//!
//! **Values only.** Nothing here reads a clock, a socket or a file, and nothing knows a wire or JSON form: a crate whose
//! contract has one converts at its own border.
//!
//! ```
//! use lva_media_types::{BoundingBox, Detection, MediaTime, PixelFormat};
//!
//! let time = MediaTime::from_unix_milliseconds(1_589_738_026_062).unwrap_or(MediaTime::MAX);
//! assert_eq!(time.ticks_90k(), 1_589_738_026_062 * 90);
//!
//! let person = Detection { bbox: BoundingBox::new(0.2, 0.1, 0.2, 0.8), class: 0, score: 0.87 };
//! assert!(person.bbox.contains(0.3, 0.5));
//! assert_eq!("bgr24".parse(), Ok(PixelFormat::Bgr24));
//! ```
//!
//! # Units
//!
//! Times are ticks of 1/90000 s since 1970-01-01 UTC. Boxes are fractions of the frame, with the origin at its top left.
//! Sizes are pixels.
#![forbid(unsafe_code)]

mod bounding_box;
mod codec;
mod credentials;
pub mod limits;
mod pixel_format;
mod scale_mode;
mod text;
mod time;

pub use bounding_box::{BoundingBox, Detection};
pub use codec::VideoCodec;
pub use credentials::{BasicAuthentication, Credentials, SecretString, UnknownBasicAuthentication};
pub use pixel_format::{Alpha, PixelFormat, PixelLayout, PixelPlane, UnknownPixelFormat};
pub use scale_mode::ScaleMode;
pub use text::{clean_text, masked_address};
pub use time::MediaTime;
