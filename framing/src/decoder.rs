//! Encoded pictures in, decoded pictures out.

mod options;
mod outcome;

use crate::demand::{ArrivingUnit, Decision, Deferred, Demand, Schedule};
use crate::hardware::{self, Hardware};
use crate::picture::{Picture, PictureError};
use crate::unit::UnitReader;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::Dictionary;
use ffmpeg_next::codec::{self, threading};
use ffmpeg_next::util::frame::Video;
use lva_bitstream::{
    NalError, NalHeader, NalKind, NalUnits, ParameterSetKind, ParameterSets, START_CODE, Sps,
};
use lva_media_types::VideoCodec;
use lva_media_types::limits::MAX_ACCESS_UNIT_BYTES;
pub use options::{DecodeQuality, DecoderOptions, MAX_DECODED_PIXELS, MAX_THREADS, UnknownDecodeQuality};
pub use outcome::{DecoderOpenError, DecoderStats, PushError, UnitOutcome};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::sync::Once;

/// Most decoded pictures that are kept; reached only if the caller never takes any.
const MAX_WAITING: usize = 64;

/// Most bytes of deferred units (8 MiB).
const MAX_DEFERRED_BYTES: usize = 8 << 20;

/// Decodes one video stream.
///
/// Push access units in the order in which they came, and take the pictures after each push. Damaged units are counted,
/// and decoding goes on. Blocks while decoding (milliseconds for a 1080p picture): keep it off async workers.
///
/// A change of size in mid-stream needs only the new parameter sets, in the units themselves or through
/// [`set_extra_data`](Self::set_extra_data); pictures then have the new size.
pub struct Decoder {
    codec: VideoCodec,
    decoder: ffmpeg::decoder::Video,
    parameter_sets: ParameterSets,
    parameter_sets_due: bool,
    units: UnitReader,
    schedule: Schedule,
    hardware: Option<Hardware>,
    max_pixels: u64,
    /// Why the parameter sets cannot be used.
    refusal: Option<PushError>,
    /// Units that may or may not be decoded, depending on later ones.
    deferred: Vec<Prepared>,
    deferred_bytes: usize,
    waiting: VecDeque<Picture>,
    unsupported: Option<PictureError>,
    stats: DecoderStats,
}

/// An access unit in the form that FFmpeg takes.
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
    /// messages only: everything else is counted in [`stats`](Self::stats).
    ///
    /// # Errors
    ///
    /// A record that cannot be read, or an FFmpeg without the decoder. Trying again does not help.
    pub fn open(
        codec: VideoCodec,
        extra_data: &[u8],
        options: DecoderOptions,
    ) -> Result<Self, DecoderOpenError> {
        silence_ffmpeg();
        let parameter_sets = ParameterSets::from_extra_data(codec, extra_data)
            .map_err(|cause| DecoderOpenError::ExtraData { codec, cause })?;
        let id = match codec {
            VideoCodec::H264 => codec::Id::H264,
            VideoCodec::H265 => codec::Id::HEVC,
            VideoCodec::Mjpeg => codec::Id::MJPEG,
        };
        let found = ffmpeg::decoder::find(id).ok_or(DecoderOpenError::NoDecoder { codec })?;
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
        let mut decoder = context.decoder();
        if options.quality == DecodeQuality::Fast {
            decoder.skip_loop_filter(ffmpeg::Discard::All);
        }
        // For what has no parameter sets: JPEG.
        let mut limits = Dictionary::new();
        limits.set("max_pixels", &options.max_pixels.min(i32::MAX as u64).to_string());
        let decoder = decoder
            .open_with(limits)
            .and_then(|opened| opened.video())
            .map_err(|cause| DecoderOpenError::Open { codec, cause })?;
        let mut units = UnitReader::new(codec);
        units.parameter_sets(&parameter_sets);
        let mut opened = Self {
            codec,
            decoder,
            parameter_sets,
            parameter_sets_due: true,
            units,
            schedule: Schedule::default(),
            hardware,
            max_pixels: options.max_pixels,
            refusal: None,
            deferred: Vec::new(),
            deferred_bytes: 0,
            waiting: VecDeque::new(),
            unsupported: None,
            stats: DecoderStats::default(),
        };
        opened.refusal = opened.refusal_of(opened.parameter_sets.iter());
        Ok(opened)
    }

    /// Why a stream with these units is not decoded: a decoder takes memory for the size before cropping, which FFmpeg does
    /// not limit.
    fn refusal_of<'a>(&self, mut units: impl Iterator<Item = &'a [u8]>) -> Option<PushError> {
        let sps = NalKind::ParameterSet(ParameterSetKind::Sps);
        units.find_map(|unit| {
            NalHeader::parse(self.codec, unit).filter(|header| header.kind == sps)?;
            let Some(Sps {
                coded_size: (width, height),
                ..
            }) = Sps::parse(self.codec, unit)
            else {
                return Some(PushError::UnknownSize);
            };
            let max_pixels = self.max_pixels;
            (u64::from(width) * u64::from(height) > max_pixels).then_some(PushError::TooManyPixels {
                width,
                height,
                max_pixels,
            })
        })
    }

    /// The codec.
    pub fn codec(&self) -> VideoCodec {
        self.codec
    }

    /// The requested device, if it is available; `None` for software. A device that rejects the stream's profile only
    /// when pictures arrive is still returned here, although the pictures are decoded in software.
    pub fn hardware(&self) -> Option<Hardware> {
        self.hardware
    }

    /// Decodes one access unit. `timestamp_90k` comes back with it as [`Picture::timestamp_90k`].
    ///
    /// # Errors
    ///
    /// A unit that cannot be accepted, or pictures that cannot be used. The decoder stays usable: push the next unit.
    pub fn push(&mut self, unit: &[u8], timestamp_90k: u64) -> Result<UnitOutcome, PushError> {
        self.feed(unit, timestamp_90k, &mut Everything)
    }

    /// Like [`push`](Self::push), but decodes only what the pictures that `demand` wants need, and returns only those
    /// pictures. They are bit-identical to those of full decoding.
    ///
    /// * Unwanted pictures that no other picture refers to are not decoded: nearly every second one of a stream with
    ///   B-frames, some of a stream with temporal layers, all of MJPEG, none of most cameras.
    /// * Only keyframes are decoded while they come at least as often as the demand needs ([`Demand::interval_90k`]). The
    ///   keyframe interval is learnt from two successive ones; if the camera then lengthens it, pictures are missing up to
    ///   the next keyframe, after which everything is decoded again. While the interval is learnt, units of streams
    ///   without B-frames are deferred (at most 8 MiB and ten seconds) until a picture before the next keyframe is wanted
    ///   or the keyframe arrives; such a picture comes out with the unit after it.
    /// * If keyframes are too rare, units of streams without B-frames are deferred until shortly before the next wanted
    ///   picture ([`Demand::not_before_90k`]), and are never decoded if a keyframe comes first.
    ///
    /// The first picture of a stream is always decoded, and interlaced streams are decoded in full. Use it for every
    /// unit of a stream or for none: the demand is not asked about units passed to [`push`](Self::push).
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
        let kind = self.units.kind(unit, self.parameter_sets.length_size());
        let intra = self.codec == VideoCodec::Mjpeg;
        let arriving = ArrivingUnit {
            time: timestamp_90k,
            kind,
            intra,
            open_group: self.units.is_open_group(),
            has_memory: self.deferred_bytes.saturating_add(unit.len()) <= MAX_DEFERRED_BYTES,
        };
        let (deferred, decision) = self.schedule.unit(arriving, demand);
        let lost = self.release(deferred, demand);
        let outcome = match decision {
            Decision::Decode => self.feed(unit, timestamp_90k, demand)?,
            Decision::DecodeAlone => {
                // A decoder that reorders would keep the picture until more come, and none do.
                let before = self.drain_to_end(demand);
                let outcome = self.feed(unit, timestamp_90k, demand)?;
                let after = self.drain_to_end(demand);
                if before || after {
                    UnitOutcome::Damaged
                } else {
                    outcome
                }
            }
            Decision::Skip => {
                self.stats.units += 1;
                self.stats.skipped_units += 1;
                UnitOutcome::Skipped
            }
            Decision::Defer => {
                let prepared = self.prepare(unit, timestamp_90k)?;
                self.deferred_bytes += unit.len();
                self.deferred.push(prepared);
                UnitOutcome::Accepted
            }
        };
        Ok(if lost { UnitOutcome::Damaged } else { outcome })
    }

    /// Decodes or drops the deferred units; true if some of them were damaged.
    fn release(&mut self, deferred: Deferred, demand: &mut dyn Demand) -> bool {
        if deferred == Deferred::Wait {
            return false;
        }
        self.deferred_bytes = 0;
        let units = std::mem::take(&mut self.deferred);
        if deferred == Deferred::Skip {
            self.stats.skipped_units += units.len() as u64;
            // One of them may have carried parameter sets.
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
        if unit.len() > MAX_ACCESS_UNIT_BYTES {
            self.stats.damaged_units += 1;
            return Err(PushError::TooLarge(unit.len()));
        }
        if self.codec != VideoCodec::Mjpeg {
            let nals = NalUnits::length_prefixed(unit, self.parameter_sets.length_size());
            if let Some(refusal) = self.refusal_of(nals).or_else(|| self.refusal.clone()) {
                self.stats.damaged_units += 1;
                return Err(refusal);
            }
        }
        let pts = i64::try_from(timestamp_90k).map_err(|_| PushError::Timestamp(timestamp_90k))?;
        let (mut packet, cut) = self.packet(unit)?;
        if let Some(packet) = &mut packet {
            packet.set_pts(Some(pts));
            packet.set_dts(Some(pts));
        }
        Ok(Prepared { packet, cut })
    }

    /// Decodes a unit; true if it was damaged.
    fn decode(&mut self, unit: Prepared, demand: &mut dyn Demand) -> bool {
        let mut damaged = unit.cut;
        if let Some(packet) = &unit.packet {
            damaged |= self.send(packet, demand).is_err();
        }
        damaged |= self.drain(demand);
        self.stats.damaged_units += u64::from(damaged);
        damaged
    }

    /// The next decoded picture, in presentation order.
    pub fn next_picture(&mut self) -> Option<Picture> {
        self.waiting.pop_front()
    }

    /// Makes every picture that the decoder still holds available, and prepares it for a new stream. Call it at the end
    /// of a stream or before a discontinuity; decoding goes on at the next keyframe.
    pub fn flush(&mut self) {
        self.flush_for(&mut Everything);
    }

    /// Like [`flush`](Self::flush), for a stream passed to [`push_for`](Self::push_for).
    pub fn flush_for(&mut self, demand: &mut dyn Demand) {
        let deferred = self.schedule.end(demand);
        self.release(deferred, demand);
        self.drain_to_end(demand);
        self.schedule.restart();
    }

    /// Drains the decoder to its end; true if some pictures were lost.
    fn drain_to_end(&mut self, demand: &mut dyn Demand) -> bool {
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
    /// A record that cannot be read; the old one stays in effect.
    pub fn set_extra_data(&mut self, extra_data: &[u8]) -> Result<(), NalError> {
        let sets = ParameterSets::from_extra_data(self.codec, extra_data)?;
        if self.parameter_sets != sets {
            self.units.parameter_sets(&sets);
            self.refusal = self.refusal_of(sets.iter());
            self.parameter_sets = sets;
            self.parameter_sets_due = true;
        }
        Ok(())
    }

    /// Counters since the decoder was opened.
    pub fn stats(&self) -> DecoderStats {
        self.stats
    }

    /// Copies the unit once, into FFmpeg's padded packet, and replaces lengths by start codes on the way.
    fn packet(&mut self, unit: &[u8]) -> Result<(Option<ffmpeg::Packet>, bool), PushError> {
        if self.codec == VideoCodec::Mjpeg {
            let packet = filled_packet(unit.len(), |mut into| into.write_all(unit))?;
            return Ok((packet, unit.is_empty()));
        }
        let nals = NalUnits::length_prefixed(unit, self.parameter_sets.length_size());
        let (len, cut) = annex_b_len(nals.clone());
        if len == 0 {
            return Ok((None, true));
        }
        let sets = self.parameter_sets_due.then(|| self.parameter_sets.iter());
        let sets_len = sets.clone().map_or(0, |sets| annex_b_len(sets).0);
        let packet = filled_packet(sets_len + len, |mut into| {
            sets.into_iter().flatten().chain(nals).try_for_each(|nal| {
                into.write_all(&START_CODE)?;
                into.write_all(nal)
            })
        })?;
        self.parameter_sets_due = false;
        Ok((packet, cut))
    }

    fn send(&mut self, packet: &ffmpeg::Packet, demand: &mut dyn Demand) -> Result<(), ffmpeg::Error> {
        match self.decoder.send_packet(packet) {
            // Its output queue is full: drain it, then send again.
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

    /// Takes all decoded pictures; true if one could not be decoded.
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
        // A field is a unit of its own: two fields cannot be distinguished from two pictures.
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

/// A demand that wants every picture.
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

/// Bytes of the byte stream, and whether a length did not fit.
fn annex_b_len(mut nals: NalUnits<'_>) -> (usize, bool) {
    let len = nals.by_ref().map(|nal| START_CODE.len() + nal.len()).sum();
    (len, nals.is_damaged())
}

fn filled_packet(
    len: usize,
    fill: impl FnOnce(&mut [u8]) -> io::Result<()>,
) -> Result<Option<ffmpeg::Packet>, PushError> {
    if len == 0 {
        return Ok(None);
    }
    let mut packet = ffmpeg::Packet::new(len);
    let data = packet.data_mut().ok_or(PushError::OutOfMemory)?;
    fill(data).map_err(|_| PushError::OutOfMemory)?;
    Ok(Some(packet))
}

pub(crate) fn silence_ffmpeg() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| ffmpeg::log::set_level(ffmpeg::log::Level::Fatal));
}
