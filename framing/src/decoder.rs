//! Encoded pictures in, decoded pictures out.

mod options;
mod outcome;

use crate::bitstream::{ExtraDataError, NalConfig, annex_b_len, parse_avcc, parse_hvcc, write_annex_b};
use crate::demand::{Arrival, Demand, Held, Schedule, Verdict};
use crate::hardware::{self, Hardware};
use crate::picture::{Picture, PictureError};
use crate::unit::UnitReader;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::{self, threading};
use ffmpeg_next::util::frame::Video;
pub use options::{DecoderOptions, MAX_THREADS};
pub use outcome::{DecoderStats, OpenError, PushError, UnitOutcome};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Once;

/// Largest encoded picture that is taken, in bytes (32 MiB).
///
/// It bounds what a lying camera can make us copy; the largest key frames of 8K cameras stay below.
pub const MAX_UNIT_BYTES: usize = 32 << 20;

/// Most pictures that wait to be taken; reached only by a caller who never takes any.
const MAX_WAITING: usize = 64;

/// Most bytes of units that wait until it is known whether they are to be decoded (8 MiB).
const MAX_HELD_BYTES: usize = 8 << 20;

/// How a video stream is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VideoCodec {
    /// ITU-T H.264; units in the length-prefixed form of ISO/IEC 14496-15.
    H264,
    /// ITU-T H.265; units likewise.
    H265,
    /// Motion JPEG; each unit is a JPEG file.
    Mjpeg,
}

impl fmt::Display for VideoCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Mjpeg => "MJPEG",
        })
    }
}

/// Decodes one video stream.
///
/// Push units in the order in which they came, and take the pictures after each push. A damaged unit is counted and
/// survived. Blocks for the time of decoding (milliseconds for a picture of 1080p): keep it off async workers.
///
/// A change of size in mid-stream needs nothing but the new parameter sets, in the units themselves or through
/// [`set_extra_data`](Self::set_extra_data); pictures then simply have the new size.
pub struct Decoder {
    codec: VideoCodec,
    decoder: ffmpeg::decoder::Video,
    nal: Option<NalConfig>,
    parameter_sets_due: bool,
    units: UnitReader,
    schedule: Schedule,
    hardware: Option<Hardware>,
    /// Units of which it is not known yet whether they are to be decoded.
    held: Vec<Prepared>,
    held_bytes: usize,
    waiting: VecDeque<Picture>,
    unsupported: Option<PictureError>,
    stats: DecoderStats,
}

/// A unit in the form that FFmpeg takes.
struct Prepared {
    packet: Option<ffmpeg::Packet>,
    cut: bool,
}

impl Decoder {
    /// Opens a decoder for a stream.
    ///
    /// `extra_data` is the `avcC` record for H.264 and the `hvcC` record for H.265 (ISO/IEC 14496-15). It may be empty
    /// when the units carry their own parameter sets; lengths are then taken as 4 bytes. MJPEG has none.
    ///
    /// The first decoder sets FFmpeg's log, which is one for the whole process and goes to standard error, to fatal
    /// messages only: everything less is counted in [`stats`](Self::stats).
    ///
    /// # Errors
    ///
    /// A record that cannot be read, or an FFmpeg without the decoder. Trying again does not help.
    pub fn open(codec: VideoCodec, extra_data: &[u8], options: &DecoderOptions) -> Result<Self, OpenError> {
        quiet_ffmpeg();
        let nal = nal_config(codec, extra_data).map_err(|source| OpenError::ExtraData { codec, source })?;
        let id = match codec {
            VideoCodec::H264 => codec::Id::H264,
            VideoCodec::H265 => codec::Id::HEVC,
            VideoCodec::Mjpeg => codec::Id::MJPEG,
        };
        let found = ffmpeg::decoder::find(id).ok_or(OpenError::NoDecoder { codec })?;
        let mut context = codec::context::Context::new_with_codec(found);
        let hardware = options.hardware.filter(|device| {
            let attached = hardware::attach(*device, &mut context, found);
            if let Err(error) = &attached {
                tracing::warn!(%codec, %device, %error, "no hardware decoder; decoding in software");
            }
            attached.is_ok()
        });
        if options.low_delay {
            context.set_flags(codec::Flags::LOW_DELAY);
        }
        let kind = match (options.threads, options.low_delay) {
            (1, _) => threading::Type::None,
            (_, true) => threading::Type::Slice,
            (_, false) => threading::Type::Frame,
        };
        context.set_threading(threading::Config {
            count: options.threads,
            ..threading::Config::kind(kind)
        });
        let decoder = context
            .decoder()
            .video()
            .map_err(|source| OpenError::Refused { codec, source })?;
        let mut units = UnitReader::new(codec);
        units.parameter_sets(nal.as_ref().map_or(&[][..], |nal| &nal.parameter_sets));
        Ok(Self {
            codec,
            decoder,
            nal,
            parameter_sets_due: true,
            units,
            schedule: Schedule::default(),
            hardware,
            held: Vec::new(),
            held_bytes: 0,
            waiting: VecDeque::new(),
            unsupported: None,
            stats: DecoderStats::default(),
        })
    }

    /// The codec.
    pub fn codec(&self) -> VideoCodec {
        self.codec
    }

    /// The device that was asked for and is there; `None` for software. A device that refuses the stream's profile only
    /// when pictures come is still named here, while its pictures come from software.
    pub fn hardware(&self) -> Option<Hardware> {
        self.hardware
    }

    /// Gives the decoder one encoded picture. `timestamp_90k` comes back with it as [`Picture::timestamp_90k`].
    ///
    /// # Errors
    ///
    /// A unit that cannot be taken, or pictures that cannot be used. Push the next one: the decoder stays usable.
    pub fn push(&mut self, unit: &[u8], timestamp_90k: u64) -> Result<UnitOutcome, PushError> {
        self.feed(unit, timestamp_90k, &mut Everything)
    }

    /// Like [`push`](Self::push), but decodes no more than is needed for the pictures that `demand` wants, and gives out
    /// no others. Those that it gives out are the same, to the last bit, as with full decoding.
    ///
    /// * Pictures that no other refers to are not decoded when they are not wanted: nearly every second one of a stream
    ///   with B-frames, some of a stream with temporal layers, all of MJPEG, none of most cameras.
    /// * Nothing but key frames is decoded while they come as often as the demand asks ([`Demand::interval_90k`]). The
    ///   distance of key frames is learnt from two successive ones; when the camera makes it longer, pictures are missing
    ///   up to the next key frame, and then everything is decoded again. While it is learnt, units without B-frames wait
    ///   (8 MiB, ten seconds at most) until a picture is wanted before the next key frame or that has come, and such a
    ///   picture comes out with the unit after it.
    /// * Where they are too rare, units without B-frames wait until shortly before the next picture is wanted
    ///   ([`Demand::not_before_90k`]), and are never decoded if a key frame comes first.
    ///
    /// The first picture of a stream is always decoded, and interlaced streams are decoded in full. Call it for every unit
    /// of the stream, or for none: what was pushed by [`push`](Self::push) is not asked about.
    ///
    /// # Errors
    ///
    /// As with [`push`](Self::push).
    pub fn push_for(
        &mut self,
        unit: &[u8],
        timestamp_90k: u64,
        demand: &mut dyn Demand,
    ) -> Result<UnitOutcome, PushError> {
        let length_size = self.nal.as_ref().map_or(4, |nal| nal.length_size);
        let kind = self.units.kind(unit, length_size);
        let intra = self.codec == VideoCodec::Mjpeg;
        let arrival = Arrival {
            time: timestamp_90k,
            kind,
            intra,
            open_group: self.units.is_open_group(),
            room: self.held_bytes.saturating_add(unit.len()) <= MAX_HELD_BYTES,
        };
        let (held, verdict) = self.schedule.unit(arrival, demand);
        let lost = self.release(held, demand);
        let outcome = match verdict {
            Verdict::Decode => self.feed(unit, timestamp_90k, demand)?,
            Verdict::DecodeAlone => {
                // A decoder that reorders would keep the picture until more come, and none do.
                let before = self.empty(demand);
                let outcome = self.feed(unit, timestamp_90k, demand)?;
                let after = self.empty(demand);
                if before || after {
                    UnitOutcome::Damaged
                } else {
                    outcome
                }
            }
            Verdict::Skip => {
                self.stats.units += 1;
                self.stats.skipped_units += 1;
                UnitOutcome::Skipped
            }
            Verdict::Hold => {
                let prepared = self.prepare(unit, timestamp_90k)?;
                self.held_bytes += unit.len();
                self.held.push(prepared);
                UnitOutcome::Accepted
            }
        };
        Ok(if lost { UnitOutcome::Damaged } else { outcome })
    }

    /// Does with units that were held back as was decided. Whether some of them were damaged.
    fn release(&mut self, held: Held, demand: &mut dyn Demand) -> bool {
        if held == Held::Wait {
            return false;
        }
        self.held_bytes = 0;
        let units = std::mem::take(&mut self.held);
        if held == Held::Skip {
            self.stats.skipped_units += units.len() as u64;
            // They may have been in one of them.
            self.parameter_sets_due = true;
            return false;
        }
        let mut lost = false;
        for unit in units {
            lost |= self.decode(unit, demand);
        }
        lost
    }

    fn feed(
        &mut self,
        unit: &[u8],
        timestamp_90k: u64,
        demand: &mut dyn Demand,
    ) -> Result<UnitOutcome, PushError> {
        let prepared = self.prepare(unit, timestamp_90k)?;
        let damaged = self.decode(prepared, demand);
        match self.unsupported.take() {
            Some(error) => Err(error.into()),
            None if damaged => Ok(UnitOutcome::Damaged),
            None => Ok(UnitOutcome::Accepted),
        }
    }

    fn prepare(&mut self, unit: &[u8], timestamp_90k: u64) -> Result<Prepared, PushError> {
        self.stats.units += 1;
        if unit.len() > MAX_UNIT_BYTES {
            self.stats.damaged_units += 1;
            return Err(PushError::TooLarge(unit.len()));
        }
        let pts = i64::try_from(timestamp_90k).map_err(|_| PushError::Timestamp(timestamp_90k))?;
        let (mut packet, cut) = self.packet(unit)?;
        if let Some(packet) = &mut packet {
            packet.set_pts(Some(pts));
            packet.set_dts(Some(pts));
        }
        Ok(Prepared { packet, cut })
    }

    /// Whether it was damaged.
    fn decode(&mut self, unit: Prepared, demand: &mut dyn Demand) -> bool {
        let mut damaged = unit.cut;
        if let Some(packet) = &unit.packet {
            damaged |= self.send(packet, demand).is_err();
        }
        damaged |= self.drain(demand);
        self.stats.damaged_units += u64::from(damaged);
        damaged
    }

    /// The next finished picture, in the order of presentation.
    pub fn next_picture(&mut self) -> Option<Picture> {
        self.waiting.pop_front()
    }

    /// Gives out everything that the decoder still holds, and readies it for a new stream. Takes effect after the end
    /// of a stream, or before a jump in it; decoding goes on at the next key frame.
    pub fn flush(&mut self) {
        self.flush_for(&mut Everything);
    }

    /// Like [`flush`](Self::flush), for a stream that was pushed by [`push_for`](Self::push_for).
    pub fn flush_for(&mut self, demand: &mut dyn Demand) {
        let held = self.schedule.end(demand);
        self.release(held, demand);
        self.empty(demand);
        self.schedule.restart();
    }

    /// Takes out what the decoder holds, and says whether some of it was lost.
    fn empty(&mut self, demand: &mut dyn Demand) -> bool {
        let lost = self.decoder.send_eof().is_ok() && self.drain(demand);
        self.stats.damaged_units += u64::from(lost);
        self.decoder.flush();
        self.schedule.emptied();
        self.parameter_sets_due = true;
        lost
    }

    /// Replaces the stream's parameter sets, as when a camera was set to another size. The codec stays.
    ///
    /// # Errors
    ///
    /// A record that cannot be read; the old one stays in force.
    pub fn set_extra_data(&mut self, extra_data: &[u8]) -> Result<(), ExtraDataError> {
        let nal = nal_config(self.codec, extra_data)?;
        if self.nal != nal {
            let sets = nal.as_ref().map_or(&[][..], |nal| &nal.parameter_sets);
            self.units.parameter_sets(sets);
            self.nal = nal;
            self.parameter_sets_due = true;
        }
        Ok(())
    }

    /// What it has done so far.
    pub fn stats(&self) -> DecoderStats {
        self.stats
    }

    /// One copy, from the caller's bytes into FFmpeg's padded packet, that also turns lengths into start codes.
    fn packet(&mut self, unit: &[u8]) -> Result<(Option<ffmpeg::Packet>, bool), PushError> {
        let Some(nal) = &self.nal else {
            return Ok((
                filled_packet(unit.len(), |into| into.copy_from_slice(unit))?,
                unit.is_empty(),
            ));
        };
        let (len, cut) = annex_b_len(unit, nal.length_size);
        if len == 0 {
            return Ok((None, true));
        }
        let sets: &[u8] = if self.parameter_sets_due {
            &nal.parameter_sets
        } else {
            &[]
        };
        let packet = filled_packet(sets.len() + len, |into| {
            let (head, body) = into.split_at_mut(sets.len());
            head.copy_from_slice(sets);
            write_annex_b(unit, nal.length_size, body);
        })?;
        self.parameter_sets_due = false;
        Ok((packet, cut))
    }

    fn send(&mut self, packet: &ffmpeg::Packet, demand: &mut dyn Demand) -> Result<(), ffmpeg::Error> {
        match self.decoder.send_packet(packet) {
            // Its output is full: take it, then there is room.
            Err(ffmpeg::Error::Other { errno }) if errno == ffmpeg::error::EAGAIN => {
                let lost_one = self.drain(demand);
                self.decoder.send_packet(packet).and(if lost_one {
                    Err(ffmpeg::Error::InvalidData)
                } else {
                    Ok(())
                })
            }
            result => result,
        }
    }

    /// Takes all finished pictures, and says whether one could not be decoded.
    fn drain(&mut self, demand: &mut dyn Demand) -> bool {
        loop {
            let mut frame = Video::empty();
            match self.decoder.receive_frame(&mut frame) {
                Ok(()) => self.keep(frame, demand),
                Err(ffmpeg::Error::Other { errno }) if errno == ffmpeg::error::EAGAIN => return false,
                Err(ffmpeg::Error::Eof) => return false,
                Err(_) => return true,
            }
        }
    }

    fn keep(&mut self, frame: Video, demand: &mut dyn Demand) {
        let time = frame.pts().or_else(|| frame.timestamp()).unwrap_or(0);
        let time = u64::try_from(time).unwrap_or(0);
        let damaged = frame.is_corrupt() || frame.has_decode_errors();
        // A field is a unit and no picture: two of them cannot be told apart from two pictures.
        self.schedule.allow_skipping(!frame.is_interlaced());
        if !self.schedule.picture(time, demand) {
            self.stats.unwanted_pictures += 1;
            return;
        }
        let picture = hardware::to_host(frame).and_then(|frame| Picture::from_frame(frame, time, damaged));
        match picture {
            Ok(picture) => {
                self.stats.pictures += 1;
                self.stats.damaged_pictures += u64::from(damaged);
                if self.waiting.len() >= MAX_WAITING {
                    self.waiting.pop_front();
                    self.stats.overflowed_pictures += 1;
                }
                self.waiting.push_back(picture);
            }
            Err(error) => {
                self.stats.unsupported_pictures += 1;
                self.unsupported = Some(error);
            }
        }
    }
}

/// Wants every picture.
struct Everything;

impl Demand for Everything {
    fn wants(&mut self, _timestamp_90k: u64) -> bool {
        true
    }

    fn interval_90k(&self) -> Option<u64> {
        None
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("codec", &self.codec)
            .field("hardware", &self.hardware)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

fn nal_config(codec: VideoCodec, extra_data: &[u8]) -> Result<Option<NalConfig>, ExtraDataError> {
    let in_band = || NalConfig {
        length_size: 4,
        parameter_sets: Vec::new(),
    };
    match codec {
        VideoCodec::Mjpeg => Ok(None),
        _ if extra_data.is_empty() => Ok(Some(in_band())),
        VideoCodec::H264 => parse_avcc(extra_data).map(Some),
        VideoCodec::H265 => parse_hvcc(extra_data).map(Some),
    }
}

fn filled_packet(len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Option<ffmpeg::Packet>, PushError> {
    if len == 0 {
        return Ok(None);
    }
    let mut packet = ffmpeg::Packet::new(len);
    match packet.data_mut() {
        Some(data) if data.len() == len => fill(data),
        _ => return Err(PushError::OutOfMemory),
    }
    Ok(Some(packet))
}

pub(crate) fn quiet_ffmpeg() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| ffmpeg::log::set_level(ffmpeg::log::Level::Fatal));
}
