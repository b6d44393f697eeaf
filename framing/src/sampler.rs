//! Decoder, pacer and renderer in one.

use lva_media_types::VideoCodec;

use crate::decoder::{Decoder, DecoderOpenError, DecoderOptions, DecoderStats, PushError, UnitOutcome};
use crate::pacer::{FrameRate, Pacer};
use crate::plan::{FramePlan, FramePlanError, ImageSettings};
use crate::render::{RenderError, Renderer};

/// Access units in, frames for a model at a rate out: a [`Decoder`] that decodes no more than a [`Pacer`] wants, and a
/// [`Renderer`] into one buffer, with a new plan whenever the camera changes its size.
///
/// Use the parts where frames go into memory of another owner, or where several consumers share a decoder.
///
/// ```no_run
/// # use lva_framing::{DecoderOptions, FrameRate, FrameSampler, ImageSettings, PixelFormat, VideoCodec};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let settings = ImageSettings::new(PixelFormat::Bgr24);
/// let mut frames =
///     FrameSampler::open(VideoCodec::Mjpeg, &[], DecoderOptions::default(), FrameRate::new(5, 1)?, settings)?;
/// let _damaged_units_are_counted = frames.push(&std::fs::read("picture.jpg")?, 0)?;
/// while let Some(frame) = frames.next_frame()? {
///     println!("{}x{} at {}", frame.plan.width(), frame.plan.height(), frame.timestamp_90k);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FrameSampler {
    decoder: Decoder,
    pacer: Pacer,
    settings: ImageSettings,
    renderer: Option<Renderer>,
    pixels: Vec<u8>,
}

/// A rendered frame.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SampledFrame<'a> {
    /// Its layout; [`FramePlan::unpad`] maps boxes back to the picture.
    pub plan: FramePlan,
    /// Its pixels: [`FramePlan::bytes`] of them.
    pub pixels: &'a [u8],
    /// Time of the picture in ticks of 1/90000 s.
    pub timestamp_90k: u64,
}

/// Why a picture has no frame. The next one is tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// The settings do not suit the picture's size.
    #[error(transparent)]
    Plan(#[from] FramePlanError),
    /// The picture cannot be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
}

impl FrameSampler {
    /// Opens the decoder; `extra_data` as for [`Decoder::open`].
    ///
    /// # Errors
    ///
    /// As for [`Decoder::open`].
    pub fn open(
        codec: VideoCodec,
        extra_data: &[u8],
        options: DecoderOptions,
        rate: FrameRate,
        settings: ImageSettings,
    ) -> Result<Self, DecoderOpenError> {
        Ok(Self {
            decoder: Decoder::open(codec, extra_data, options)?,
            pacer: Pacer::new(rate),
            settings,
            renderer: None,
            pixels: Vec::new(),
        })
    }

    /// Takes every unit of the stream, in decoding order. See [`Decoder::push_for`].
    ///
    /// # Errors
    ///
    /// As for [`Decoder::push_for`].
    pub fn push(&mut self, unit: &[u8], timestamp_90k: u64) -> Result<UnitOutcome, PushError> {
        self.decoder.push_for(unit, timestamp_90k, &mut self.pacer)
    }

    /// At the end of a stream: the frames that the decoder holds back come out.
    pub fn flush(&mut self) {
        self.decoder.flush_for(&mut self.pacer);
    }

    /// The next frame, in order of presentation; `None` until more units are pushed.
    ///
    /// # Errors
    ///
    /// The picture has no frame, and is skipped.
    pub fn next_frame(&mut self) -> Result<Option<SampledFrame<'_>>, SampleError> {
        let Some(picture) = self.decoder.next_picture() else {
            return Ok(None);
        };
        let plan = self.settings.plan(picture.width(), picture.height())?;
        let renderer = match self.renderer.take() {
            Some(renderer) if *renderer.plan() == plan => renderer,
            _ => Renderer::new(plan),
        };
        self.pixels.resize(plan.bytes(), 0);
        self.renderer
            .insert(renderer)
            .render(&picture, &mut self.pixels)?;
        Ok(Some(SampledFrame {
            plan,
            pixels: &self.pixels,
            timestamp_90k: picture.timestamp_90k(),
        }))
    }

    /// Counters of the decoder.
    pub fn stats(&self) -> DecoderStats {
        self.decoder.stats()
    }
}
