//! Video files in and out, for programs that make or judge clips.

use anyhow::{Context, bail, ensure};
use ffmpeg::codec::{self, encoder};
use ffmpeg::format::{self, Pixel};
use ffmpeg::software::scaling;
use ffmpeg::util::color;
use ffmpeg::util::frame::Video;
use ffmpeg::{Dictionary, Packet, Rational};
use ffmpeg_next as ffmpeg;
use std::path::Path;

/// How a clip is encoded.
#[derive(Debug, Clone, Copy)]
pub struct EncoderOptions {
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Frames a second.
    pub fps: u32,
    /// Frames from one keyframe to the next.
    pub keyframe_interval: u32,
    /// x264's constant rate factor, 0 (lossless) to 51; 18 looks like the original.
    pub quality: u8,
}

/// Writes RGB frames as an H.264 MP4 without B-frames, as cameras send it.
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
    /// Creates the file, replacing one that is there.
    ///
    /// # Errors
    ///
    /// An odd size, a file that cannot be written, or an FFmpeg without libx264.
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
        let codec = encoder::find_by_name("libx264")
            .context("this FFmpeg has no libx264 encoder: install one that has (Debian's libavcodec does)")?;
        let mut output = format::output(path).with_context(|| format!("cannot write {}", path.display()))?;
        let rate = Rational::new(1, i32::try_from(fps).context("too many frames a second")?);
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
        let encoder = video.open_with(settings).context("x264 refused the settings")?;
        let mut stream = output.add_stream(codec)?;
        stream.set_parameters(&encoder);
        stream.set_time_base(rate);
        let mut settings = Dictionary::new();
        settings.set("movflags", "+faststart");
        output
            .write_header_with(settings)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let stream_rate = output.stream(0).context("the file lost its stream")?.time_base();
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

    /// Appends one frame: RGB, three bytes a pixel, rows without padding.
    ///
    /// # Errors
    ///
    /// A buffer of another size, or a disk that is full.
    pub fn write(&mut self, rgb: &[u8]) -> anyhow::Result<()> {
        let row = self.rgb.width() as usize * 3;
        ensure!(
            rgb.len() == row * self.rgb.height() as usize,
            "a frame of {} bytes does not fit",
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

    /// Writes what is still in the encoder, and the file's index. A file that is not finished cannot be read.
    ///
    /// # Errors
    ///
    /// A disk that is full.
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
pub struct VideoReader {
    input: format::context::Input,
    stream: usize,
    decoder: ffmpeg::decoder::Video,
    convert: Option<scaling::Context>,
    decoded: Video,
    bgr: Video,
    drained: bool,
    first: Option<i64>,
}

impl std::fmt::Debug for VideoReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoReader")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl VideoReader {
    /// Opens the best video stream of a file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, has no video, or is in a codec that FFmpeg does not know.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        ffmpeg::init()?;
        ffmpeg::log::set_level(ffmpeg::log::Level::Error);
        let input = format::input(path).with_context(|| format!("cannot read {}", path.display()))?;
        let best = input
            .streams()
            .best(ffmpeg::media::Type::Video)
            .with_context(|| format!("{} has no video stream", path.display()))?;
        let stream = best.index();
        let decoder = codec::context::Context::from_parameters(best.parameters())?
            .decoder()
            .video()?;
        Ok(Self {
            input,
            stream,
            decoder,
            convert: None,
            decoded: Video::empty(),
            bgr: Video::empty(),
            drained: false,
            first: None,
        })
    }

    /// Number of frames by the file's index, 0 where it does not say.
    pub fn frame_count(&self) -> u64 {
        self.input
            .stream(self.stream)
            .map_or(0, |stream| u64::try_from(stream.frames()).unwrap_or(0))
    }

    /// The next frame as packed BGR with its width and height, or `None` at the end of the file.
    ///
    /// # Errors
    ///
    /// A stream that FFmpeg cannot decode.
    pub fn read(&mut self, bgr: &mut Vec<u8>) -> anyhow::Result<Option<(u32, u32)>> {
        loop {
            match self.decoder.receive_frame(&mut self.decoded) {
                Ok(()) => {
                    self.first = self.first.or_else(|| self.decoded.timestamp());
                    return self.convert(bgr).map(Some);
                }
                Err(ffmpeg::Error::Eof) => return Ok(None),
                Err(ffmpeg::Error::Other { errno }) if errno == ffmpeg::error::EAGAIN && !self.drained => {
                    self.feed()?;
                }
                Err(error) => bail!("cannot decode: {error}"),
            }
        }
    }

    /// How long after the file's first frame the one last read is shown, in seconds; 0 where the file does not say.
    pub fn seconds(&self) -> f64 {
        let base = self.input.stream(self.stream).map(|stream| stream.time_base());
        match (self.decoded.timestamp(), self.first, base) {
            (Some(now), Some(first), Some(base)) => (now - first) as f64 * f64::from(base),
            _ => 0.0,
        }
    }

    fn feed(&mut self) -> anyhow::Result<()> {
        for (stream, packet) in self.input.packets() {
            if stream.index() == self.stream {
                return self.decoder.send_packet(&packet).context("cannot decode");
            }
        }
        self.drained = true;
        self.decoder.send_eof().context("cannot decode")
    }

    fn convert(&mut self, bgr: &mut Vec<u8>) -> anyhow::Result<(u32, u32)> {
        let (format, width, height) = (self.decoded.format(), self.decoded.width(), self.decoded.height());
        let stale = self.convert.as_ref().is_none_or(|convert| {
            let input = convert.input();
            (input.format, input.width, input.height) != (format, width, height)
        });
        if stale {
            let flags = scaling::Flags::BILINEAR | scaling::Flags::ACCURATE_RND;
            self.convert = Some(scaling::Context::get(
                format,
                width,
                height,
                Pixel::BGR24,
                width,
                height,
                flags,
            )?);
            self.bgr = Video::new(Pixel::BGR24, width, height);
        }
        if let Some(convert) = &mut self.convert {
            convert.run(&self.decoded, &mut self.bgr)?;
        }
        let (row, stride) = (width as usize * 3, self.bgr.stride(0));
        bgr.clear();
        for line in self.bgr.data(0).chunks(stride).take(height as usize) {
            bgr.extend_from_slice(&line[..row]);
        }
        Ok((width, height))
    }
}
