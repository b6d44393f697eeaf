//! The encoded pictures of a video file, as a camera sends them.

use anyhow::{Context, bail};
use ffmpeg::codec::Id;
use ffmpeg::format;
use ffmpeg_next as ffmpeg;
use lva_framing::VideoCodec;
use lva_media_types::MediaTime;
use std::path::Path;

const TICKS_PER_SECOND: i64 = MediaTime::TICKS_PER_SECOND as i64;

/// Reads the access units of a video file without decoding them.
pub struct UnitReader {
    input: format::context::Input,
    stream: usize,
    codec: VideoCodec,
    extra_data: Vec<u8>,
    base: ffmpeg::Rational,
}

impl std::fmt::Debug for UnitReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnitReader")
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

impl UnitReader {
    /// Opens the best video stream of a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, has no video, or contains neither length-prefixed H.264 or H.265 (MP4, MOV, MKV) nor
    /// MJPEG.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        ffmpeg::init()?;
        ffmpeg::log::set_level(ffmpeg::log::Level::Error);
        let input = format::input(path).with_context(|| format!("cannot read {}", path.display()))?;
        let best = input.streams().best(ffmpeg::media::Type::Video);
        let best = best.with_context(|| format!("{} has no video stream", path.display()))?;
        let parameters = best.parameters();
        let codec = match parameters.id() {
            Id::H264 => VideoCodec::H264,
            Id::HEVC => VideoCodec::H265,
            Id::MJPEG => VideoCodec::Mjpeg,
            other => bail!(
                "{} contains {other:?}: only H.264, H.265 and MJPEG are supported",
                path.display()
            ),
        };
        let extra_data = extra_data(&parameters);
        if codec != VideoCodec::Mjpeg && extra_data.first() != Some(&1) {
            bail!(
                "{} contains a byte stream: copy it into an MP4 file first",
                path.display()
            );
        }
        let (stream, base) = (best.index(), best.time_base());
        Ok(Self {
            stream,
            base,
            codec,
            extra_data,
            input,
        })
    }

    /// How the stream is encoded.
    pub fn codec(&self) -> VideoCodec {
        self.codec
    }

    /// The stream's configuration record for [`lva_framing::Decoder::open`].
    pub fn extra_data(&self) -> &[u8] {
        &self.extra_data
    }

    /// Number of units according to the file; 0 if unknown.
    pub fn count(&self) -> u64 {
        let stream = self.input.stream(self.stream);
        stream.map_or(0, |stream| u64::try_from(stream.frames()).unwrap_or(0))
    }

    /// The next unit and its time in ticks of 1/90000 s, plus one hour so that no time is negative; `None` at the end.
    pub fn next_unit(&mut self) -> Option<(ffmpeg::Packet, u64)> {
        let packets = self.input.packets();
        for (stream, packet) in packets {
            if stream.index() == self.stream {
                let time = packet.pts().or(packet.dts()).unwrap_or(0);
                let ticks = time.saturating_mul(TICKS_PER_SECOND) * i64::from(self.base.numerator())
                    / i64::from(self.base.denominator()).max(1);
                return Some((
                    packet,
                    u64::try_from(ticks + 3600 * TICKS_PER_SECOND).unwrap_or(0),
                ));
            }
        }
        None
    }
}

/// The configuration record, which the safe wrapper does not expose.
#[allow(unsafe_code)]
fn extra_data(parameters: &ffmpeg::codec::Parameters) -> Vec<u8> {
    // SAFETY: the pointer is valid as long as `parameters` lives; FFmpeg keeps `extradata_size` bytes at `extradata`, or
    // null there.
    unsafe {
        let parameters = &*parameters.as_ptr();
        let length = usize::try_from(parameters.extradata_size).unwrap_or(0);
        if parameters.extradata.is_null() {
            Vec::new()
        } else {
            std::slice::from_raw_parts(parameters.extradata, length).to_vec()
        }
    }
}
