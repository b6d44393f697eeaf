//! The encoded pictures of a video file, as a camera would give them.

use anyhow::{Context, bail};
use ffmpeg::codec::Id;
use ffmpeg::format;
use ffmpeg_next as ffmpeg;
use lva_framing::VideoCodec;
use std::path::Path;

/// Ticks of media time in a second.
const SECOND: i64 = 90_000;

/// Reads the video of a file unit by unit, undecoded.
pub struct UnitReader {
    input: format::context::Input,
    stream: usize,
    codec: VideoCodec,
    extra_data: Vec<u8>,
    base: ffmpeg::Rational,
    size: (u32, u32),
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
    /// A file that cannot be read, has no video, or holds it in another way than H.264 and H.265 with lengths (MP4,
    /// MOV, MKV) or MJPEG.
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
                "{} holds {other:?}; H.264, H.265 and MJPEG are read",
                path.display()
            ),
        };
        let (extra_data, size) = parameters_of(&parameters);
        if codec != VideoCodec::Mjpeg && extra_data.first() != Some(&1) {
            bail!(
                "{} holds a byte stream; copy it into an MP4 file first",
                path.display()
            );
        }
        let (stream, base) = (best.index(), best.time_base());
        Ok(Self {
            stream,
            base,
            codec,
            extra_data,
            size,
            input,
        })
    }

    /// How the stream is encoded.
    pub fn codec(&self) -> VideoCodec {
        self.codec
    }

    /// The stream's configuration record, as [`lva_framing::Decoder::open`] takes it.
    pub fn extra_data(&self) -> &[u8] {
        &self.extra_data
    }

    /// Width and height by the file's header.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// The next unit and its time in ticks of 1/90000 s, from an hour on so that no time is negative; `None` at the end.
    pub fn next_unit(&mut self) -> Option<(ffmpeg::Packet, u64)> {
        let packets = self.input.packets();
        for (stream, packet) in packets {
            if stream.index() == self.stream {
                let time = packet.pts().or(packet.dts()).unwrap_or(0);
                let ticks = time.saturating_mul(SECOND) * i64::from(self.base.numerator())
                    / i64::from(self.base.denominator()).max(1);
                return Some((packet, u64::try_from(ticks + 3600 * SECOND).unwrap_or(0)));
            }
        }
        None
    }
}

/// Configuration record and size, which the safe wrapper does not show.
#[allow(unsafe_code)]
fn parameters_of(parameters: &ffmpeg::codec::Parameters) -> (Vec<u8>, (u32, u32)) {
    // SAFETY: the pointer is valid as long as `parameters` lives; FFmpeg keeps `extradata_size` bytes at `extradata`, or
    // null there.
    unsafe {
        let parameters = &*parameters.as_ptr();
        let length = usize::try_from(parameters.extradata_size).unwrap_or(0);
        let extra_data = if parameters.extradata.is_null() {
            Vec::new()
        } else {
            std::slice::from_raw_parts(parameters.extradata, length).to_vec()
        };
        let side = |value| u32::try_from(value).unwrap_or(0);
        (extra_data, (side(parameters.width), side(parameters.height)))
    }
}
