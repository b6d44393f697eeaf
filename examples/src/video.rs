//! Reading and writing of video files.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use ffmpeg::codec::{self, encoder};
use ffmpeg::format::{self, Pixel};
use ffmpeg::software::scaling;
use ffmpeg::util::color;
use ffmpeg::util::frame::Video;
use ffmpeg::{Dictionary, Packet, Rational};
use ffmpeg_next as ffmpeg;
use lva_framing::{DecoderOptions, ImageSettings, PixelFormat, Renderer};

use crate::source::FilePictures;

/// How a clip is encoded.
#[derive(Debug, Clone, Copy)]
pub struct EncoderOptions {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
    /// Frames between keyframes.
    pub keyframe_interval: u32,
    /// x264's constant rate factor, 0 (lossless) to 51; 18 is visually lossless.
    pub quality: u8,
}

/// Writes RGB frames as an H.264 MP4 file without B-frames, as cameras send it.
pub struct VideoWriter {
    output: format::context::Output,
    encoder: encoder::Video,
    convert: scaling::Context,
    rgb: Video,
    yuv: Video,
    rate: Rational,
    stream_rate: Rational,
    frames: i64,
}

impl std::fmt::Debug for VideoWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoWriter")
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl VideoWriter {
    /// Creates or replaces the file.
    ///
    /// # Errors
    ///
    /// The size is odd, the file cannot be written, or FFmpeg has no libx264.
    pub fn create(path: &Path, options: EncoderOptions) -> anyhow::Result<Self> {
        let EncoderOptions {
            width,
            height,
            fps,
            keyframe_interval,
            quality,
        } = options;
        ensure!(
            width % 2 == 0 && height % 2 == 0,
            "H.264 in 4:2:0 needs an even width and height, not {width}x{height}"
        );
        ffmpeg::init()?;
        ffmpeg::log::set_level(ffmpeg::log::Level::Error);
        let codec = encoder::find_by_name("libx264").context(
            "this FFmpeg has no libx264 encoder: install one with libx264, such as Debian's libavcodec",
        )?;
        let mut output = format::output(path).with_context(|| format!("cannot write {}", path.display()))?;
        let rate = Rational::new(1, i32::try_from(fps).context("too many frames per second")?);
        let mut video = codec::context::Context::new_with_codec(codec).encoder().video()?;
        video.set_width(width);
        video.set_height(height);
        video.set_format(Pixel::YUV420P);
        video.set_time_base(rate);
        video.set_frame_rate(Some(rate.invert()));
        video.set_gop(keyframe_interval);
        video.set_max_b_frames(0);
        video.set_colorspace(color::Space::SMPTE170M);
        video.set_color_range(color::Range::MPEG);
        if output.format().flags().contains(format::Flags::GLOBAL_HEADER) {
            video.set_flags(codec::Flags::GLOBAL_HEADER);
        }
        let mut settings = Dictionary::new();
        settings.set("preset", "slow");
        settings.set("crf", &quality.to_string());
        settings.set("keyint_min", &keyframe_interval.to_string());
        settings.set("sc_threshold", "0");
        let encoder = video.open_with(settings).context("x264 rejected the settings")?;
        let mut stream = output.add_stream(codec)?;
        stream.set_parameters(&encoder);
        stream.set_time_base(rate);
        let mut settings = Dictionary::new();
        settings.set("movflags", "+faststart");
        output
            .write_header_with(settings)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let stream_rate = output.stream(0).context("the file has no stream")?.time_base();
        let convert = scaling::Context::get(
            Pixel::RGB24,
            width,
            height,
            Pixel::YUV420P,
            width,
            height,
            scaling::Flags::AREA,
        )?;
        Ok(Self {
            output,
            encoder,
            convert,
            rgb: Video::new(Pixel::RGB24, width, height),
            yuv: Video::new(Pixel::YUV420P, width, height),
            rate,
            stream_rate,
            frames: 0,
        })
    }

    /// Appends one frame: RGB, three bytes per pixel, rows without padding.
    ///
    /// # Errors
    ///
    /// The buffer has another size, or the disk is full.
    pub fn write(&mut self, rgb: &[u8]) -> anyhow::Result<()> {
        let row = self.rgb.width() as usize * 3;
        ensure!(
            rgb.len() == row * self.rgb.height() as usize,
            "a frame of {} bytes has the wrong size",
            rgb.len()
        );
        let stride = self.rgb.stride(0);
        for (target, source) in self.rgb.data_mut(0).chunks_mut(stride).zip(rgb.chunks_exact(row)) {
            target[..row].copy_from_slice(source);
        }
        self.convert.run(&self.rgb, &mut self.yuv)?;
        self.yuv.set_pts(Some(self.frames));
        self.frames += 1;
        self.encoder.send_frame(&self.yuv)?;
        self.drain()
    }

    /// Writes the frames left in the encoder and the file's index. An unfinished file cannot be read.
    ///
    /// # Errors
    ///
    /// The disk is full.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.encoder.send_eof()?;
        self.drain()?;
        self.output.write_trailer().context("cannot finish the file")
    }

    fn drain(&mut self) -> anyhow::Result<()> {
        let mut packet = Packet::empty();
        loop {
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {
                    packet.set_stream(0);
                    packet.set_duration(1);
                    packet.rescale_ts(self.rate, self.stream_rate);
                    packet
                        .write_interleaved(&mut self.output)
                        .context("cannot write to the file")?;
                }
                Err(ffmpeg::Error::Other { errno }) if errno == ffmpeg::error::EAGAIN => return Ok(()),
                Err(ffmpeg::Error::Eof) => return Ok(()),
                Err(error) => bail!("the encoder failed: {error}"),
            }
        }
    }
}

/// Reads a video file frame by frame as BGR.
#[derive(Debug)]
pub struct VideoReader {
    pictures: FilePictures,
    renderer: Option<Renderer>,
    first_90k: Option<u64>,
    last_90k: u64,
}

impl VideoReader {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// As [`UnitReader::open`](crate::UnitReader::open).
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Self::with_options(path, DecoderOptions::default())
    }

    /// Opens a file, and decodes it with these options.
    ///
    /// # Errors
    ///
    /// As [`UnitReader::open`](crate::UnitReader::open).
    pub fn with_options(path: &Path, options: DecoderOptions) -> anyhow::Result<Self> {
        Ok(Self {
            pictures: FilePictures::open(path, options, None, false)?,
            renderer: None,
            first_90k: None,
            last_90k: 0,
        })
    }

    /// Number of frames according to the file; 0 if unknown.
    pub fn frame_count(&self) -> u64 {
        self.pictures.count()
    }

    /// Reads the next frame into `bgr`, three bytes per pixel, rows without padding, and returns its width and height;
    /// `None` at the end.
    ///
    /// # Errors
    ///
    /// The file cannot be decoded.
    pub fn read(&mut self, bgr: &mut Vec<u8>) -> anyhow::Result<Option<(u32, u32)>> {
        let Some(picture) = self.pictures.next_picture()? else {
            return Ok(None);
        };
        self.last_90k = picture.timestamp_90k();
        self.first_90k.get_or_insert(self.last_90k);
        let size @ (width, height) = (picture.width(), picture.height());
        let plan = ImageSettings::new(PixelFormat::Bgr24).plan(width, height)?;
        let same_size = self.renderer.take().filter(|renderer| *renderer.plan() == plan);
        let renderer = self
            .renderer
            .insert(same_size.unwrap_or_else(|| Renderer::new(plan)));
        bgr.resize(plan.bytes(), 0);
        renderer.render(&picture, bgr)?;
        Ok(Some(size))
    }

    /// Time from the first frame to the last one read, in ticks of 1/90000 s.
    pub fn elapsed_90k(&self) -> u64 {
        self.last_90k
            .saturating_sub(self.first_90k.unwrap_or(self.last_90k))
    }
}
