//! Decode, pace, scale, pad and convert video frames straight into the memory that a model reads.
//!
//! Between a camera's encoded pictures and a model's input is a chain of cheap steps that become expensive when each
//! makes its own copy. This crate owns the chain: a [`Decoder`] turns access units into [`Picture`]s that are shared and
//! never copied, a [`Pacer`] limits the frame rate, a [`FramePlan`] fixes the layout of a frame to the byte, and a
//! [`Renderer`] writes a picture into the caller's memory (a slot of shared memory, for example). Boxes in the padded
//! frame are mapped to the camera's picture by [`FramePlan::unpad`]. A [`FrameSampler`] is all of them for one stream. Module [`motion`] detects motion.
//!
//! **After the first picture, rendering allocates nothing, and each byte of the finished frame is written into its
//! place without a copy of the whole.** A destination of another length is [`RenderError::DestinationLength`], a picture
//! of another size [`RenderError::InputChanged`]; neither is adjusted silently.
//!
//! What this crate is not: a network client, a recorder, a model. It encodes no video, and draws only through the
//! feature `overlay`.
//!
//! # Example
//!
//! ```
//! use lva_framing::{
//!     ColorMatrix, ColorRange, FractionBox, ImageSettings, Picture, PictureFormat, PixelFormat, Renderer, ScaleMode,
//! };
//!
//! // Usually from a decoder: `decoder.push(&unit, timestamp)?; decoder.next_picture()`.
//! let (luma, chroma) = (vec![180; 1920 * 1080], vec![128; 960 * 540]);
//! let planes = [&luma[..], &chroma[..], &chroma[..]];
//! let picture = Picture::from_planes(
//!     PictureFormat::Yuv420p, (1920, 1080), planes, ColorMatrix::Bt709, ColorRange::Limited, 0,
//! )?;
//!
//! let settings = ImageSettings::new(PixelFormat::Bgr24).with_scale(ScaleMode::Pad, Some(1408), Some(786));
//! let plan = settings.plan(picture.width(), picture.height())?;
//! let mut slot = vec![0; plan.bytes()];
//! Renderer::new(plan).render(&picture, &mut slot)?;
//!
//! assert_eq!(slot[..15], [0; 15], "five columns of black");
//! assert_eq!(slot[15..18], [191, 191, 191], "then the picture");
//! let whole_picture = plan.unpad(FractionBox::new(5.0 / 1408.0, 0.0, 1397.0 / 1408.0, 1.0));
//! assert!(whole_picture.left.abs() < 1e-9 && (whole_picture.width - 1.0).abs() < 1e-9);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `encode` | yes | [`FrameEncoder`]: JPEG, PNG and BMP files from rendered frames, in pure Rust |
//! | `overlay` | no | `overlay::Canvas`: lines, polygons, boxes and labels drawn onto a rendered frame |
//! | `serde` | no | `Serialize` for [`DecoderStats`] |
//!
//! # Limits
//!
//! Sides up to [`MAX_PICTURE_SIDE`](lva_media_types::limits::MAX_PICTURE_SIDE), pictures up to [`MAX_DECODED_PIXELS`]
//! ([`DecoderOptions::with_max_pixels`]), access units up to
//! [`MAX_ACCESS_UNIT_BYTES`](lva_media_types::limits::MAX_ACCESS_UNIT_BYTES), planar 4:2:0, 4:2:2, 4:4:4 in 8 bits and
//! 4:2:0 in 10. FFmpeg comes from the system (5.1 or newer), linked dynamically through `ffmpeg-next`; its log level is
//! set once, to fatal. Decoding and rendering block: run them on dedicated threads.
#![cfg_attr(not(feature = "encode"), allow(rustdoc::broken_intra_doc_links))]
#![deny(unsafe_code)] // not `forbid`: `hardware` hands devices to FFmpeg, and `render` moves its scaler between threads

mod decoder;
mod demand;
#[cfg(feature = "encode")]
mod encode;
mod geometry;
mod hardware;
pub mod motion;
#[cfg(feature = "overlay")]
pub mod overlay;
mod pacer;
mod picture;
mod plan;
mod render;
mod sampler;
mod unit;

pub use decoder::{
    DecodeQuality, Decoder, DecoderOpenError, DecoderOptions, DecoderStats, MAX_DECODED_PIXELS, MAX_THREADS,
    PushError, UnitOutcome, UnknownDecodeQuality,
};
pub use demand::Demand;
#[cfg(feature = "encode")]
pub use encode::{EncodeError, FrameEncoder, ImageFile};
pub use geometry::{FractionBox, PixelRect};
pub use hardware::{Hardware, UnknownHardware};
pub use lva_bitstream as nal;
pub use lva_media_types::{PixelFormat, ScaleMode, VideoCodec};
pub use pacer::{FrameRate, FrameRateError, Pacer};
pub use picture::{ColorMatrix, ColorRange, Picture, PictureError, PictureFormat, Plane};
pub use plan::{FramePlan, FramePlanError, ImageSettings, Scale};
pub use render::{RenderError, Renderer};
pub use sampler::{FrameSampler, SampleError, SampledFrame};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
