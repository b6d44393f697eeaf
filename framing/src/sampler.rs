//! Decoder, pacer and renderer in one.

use lva_media_types::{PixelFormat, VideoCodec};

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
/// # use lva_framing::{FrameRate, FrameSampler, ImageSettings, PixelFormat, VideoCodec};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut frames = FrameSampler::new(FrameRate::new(5, 1)?, ImageSettings::new(PixelFormat::Bgr24));
/// frames.set_stream(VideoCodec::Mjpeg, &[])?;
/// frames.push(&std::fs::read("picture.jpg")?, 0)?;
/// while let Some(frame) = frames.next_frame()? {
///     println!("{}x{} at {}", frame.width(), frame.height(), frame.timestamp_90k);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FrameSampler {
    options: DecoderOptions,
    /// `None` until the stream is known.
    decoder: Option<Decoder>,
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

impl SampledFrame<'_> {
    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.plan.width()
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.plan.height()
    }

    /// The layout of its pixels, which have no padding between rows.
    pub fn format(&self) -> PixelFormat {
        self.plan.format()
    }
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
    /// Frames at this rate, of this size and format, from the stream that [`set_stream`](Self::set_stream) names.
    pub fn new(rate: FrameRate, settings: ImageSettings) -> Self {
        Self {
            options: DecoderOptions::default(),
            decoder: None,
            pacer: Pacer::new(rate),
            settings,
            renderer: None,
            pixels: Vec::new(),
        }
    }

    /// How decoders are opened. Default: [`DecoderOptions::default`].
    #[must_use]
    pub fn with_decoder(mut self, options: DecoderOptions) -> Self {
        self.options = options;
        self
    }

    /// Names the stream whose units follow: when it is known, and again when its parameters or codec have changed.
    /// `extra_data` as for [`Decoder::open`]. The pace goes on.
    ///
    /// # Errors
    ///
    /// As for [`Decoder::open`]; what was before stays in effect.
    pub fn set_stream(&mut self, codec: VideoCodec, extra_data: &[u8]) -> Result<(), DecoderOpenError> {
        match &mut self.decoder {
            Some(decoder) if decoder.codec() == codec => decoder
                .set_extra_data(extra_data)
                .map_err(|cause| DecoderOpenError::ExtraData { codec, cause }),
            decoder => {
                *decoder = Some(Decoder::open(codec, extra_data, self.options.clone())?);
                Ok(())
            }
        }
    }

    /// Takes every unit of the stream, in decoding order. See [`Decoder::push_for`]. Before the stream is known, units are
    /// skipped.
    ///
    /// # Errors
    ///
    /// As for [`Decoder::push_for`].
    pub fn push(&mut self, unit: &[u8], timestamp_90k: u64) -> Result<UnitOutcome, PushError> {
        match &mut self.decoder {
            Some(decoder) => decoder.push_for(unit, timestamp_90k, &mut self.pacer),
            None => Ok(UnitOutcome::Skipped),
        }
    }

    /// At the end of a stream: the frames that the decoder holds back come out.
    pub fn flush(&mut self) {
        if let Some(decoder) = &mut self.decoder {
            decoder.flush_for(&mut self.pacer);
        }
    }

    /// The next frame, in order of presentation; `None` until more units are pushed.
    ///
    /// # Errors
    ///
    /// The picture has no frame, and is skipped.
    pub fn next_frame(&mut self) -> Result<Option<SampledFrame<'_>>, SampleError> {
        let Some(picture) = self.decoder.as_mut().and_then(Decoder::next_picture) else {
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

    /// Counters of the decoder; another codec begins with new ones.
    pub fn stats(&self) -> DecoderStats {
        self.decoder.as_ref().map(Decoder::stats).unwrap_or_default()
    }
}
