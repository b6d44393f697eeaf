//! One stream: its packets to units, whatever its encoding.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use bytes::Bytes;
use lva_bitstream::VideoCodec;
use retina::codec::{CodecItem, Depacketizer, FrameFormat, ParametersRef};
use retina::rtp::PacketMeta;
use retina::testutil::DepacketizeBuf;
use retina::{PacketContext, Timestamp};

use super::aac::AacAssembler;
use super::documents::DocumentAssembler;
use super::h26x::PictureAssembler;
use super::jpeg::{Fragment, JpegFragments};
use super::latm::LatmAssembler;
use super::receiver::{Came, Delivery, Ordered, Receiver};
use super::rtp::sender_report;
use super::unit::{Arrival, Unit};
use crate::wire::description::Track as Described;
use crate::wire::repairs::{Repair, Repairs};
use crate::{Codec, StreamInfo};

/// The content of a sender report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) ntp: u64,
    pub(crate) ticks: i64,
}

/// A stream that was set up.
pub(crate) struct Track {
    receiver: Receiver,
    format: Format,
    /// Lost packets that no unit has reported yet.
    lost: u32,
    pub(crate) packets: u64,
    /// Units that came out.
    pub(crate) units: u64,
}

enum Format {
    Pictures(Box<PictureAssembler>),
    Aac(Box<AacAssembler>),
    Latm(Box<LatmAssembler>),
    Documents(Box<DocumentAssembler>),
    /// Formats that `retina` reads: JPEG, G.711.
    Frames(Box<Frames>),
    /// A packet is a frame: Opus (RFC 7587).
    Packets,
}

struct Frames {
    depacketizer: Depacketizer,
    buffer: DepacketizeBuf,
    clock_rate: NonZeroU32,
    jpeg: Option<JpegFragments>,
    /// Packets lost before and in the JPEG that is being put together.
    lost_before: u32,
}

impl Track {
    /// What is known of a described stream, and a track if it can be received.
    pub(crate) fn new(index: usize, described: &Described, delivery: Delivery) -> (Option<Self>, StreamInfo) {
        let mut info = StreamInfo::new(index, described.media, described.codec, described.clock_rate_hz);
        info.encoding_name = described.encoding.clone();
        let fmtp = described.fmtp.as_deref().unwrap_or_default();
        let format = match described.codec {
            Codec::H264 => Format::pictures(VideoCodec::H264, fmtp),
            Codec::H265 => Format::pictures(VideoCodec::H265, fmtp),
            Codec::Opus => {
                info.sample_rate_hz = Some(48_000);
                info.channels = described.channels.or(Some(2));
                Format::Packets
            }
            Codec::OnvifMetadata => Format::Documents(Box::default()),
            Codec::Aac | Codec::Jpeg | Codec::PcmMulaw | Codec::PcmAlaw => match Format::frames(described) {
                Some(format) => format,
                None => {
                    info.codec = Codec::Unsupported;
                    return (None, info);
                }
            },
            Codec::Unsupported => return (None, info),
        };
        let track = Self {
            receiver: Receiver::new(described.payload_type, delivery),
            format,
            lost: 0,
            packets: 0,
            units: 0,
        };
        track.describe(&mut info);
        (Some(track), info)
    }

    /// Writes what is known of the stream now.
    pub(crate) fn describe(&self, info: &mut StreamInfo) {
        match &self.format {
            Format::Pictures(pictures) => {
                let sets = &pictures.parameters;
                info.extra_data = sets.record();
                info.codec_name = sets.codec_name();
                info.size = sets.size();
            }
            Format::Aac(frames) => frames.describe(info),
            Format::Latm(frames) => frames.describe(info),
            Format::Frames(frames) => frames.describe(info),
            Format::Documents(_) | Format::Packets => {}
        }
    }

    /// Takes a packet of the RTP channel.
    pub(crate) fn rtp(
        &mut self,
        bytes: &[u8],
        now: Duration,
        arrival: Arrival,
        repairs: &mut Repairs,
        out: &mut Vec<Unit>,
    ) {
        let Self {
            receiver,
            format,
            lost,
            packets,
            units,
        } = self;
        *packets += 1;
        let before = out.len();
        let came = Came {
            at: now,
            number: arrival.number,
        };
        receiver.push(bytes, came, repairs, &mut |ordered, repairs| {
            format.push(ordered, lost, arrival, repairs, out)
        });
        *units += (out.len() - before) as u64;
    }

    /// Takes a packet of the RTCP channel.
    pub(crate) fn rtcp(&mut self, bytes: &[u8], repairs: &mut Repairs) -> Option<Report> {
        let (report, whole) = sender_report(bytes);
        if !whole || bytes.is_empty() {
            repairs.add(Repair::BrokenRtcp);
        }
        let report = report?;
        Some(Report {
            ntp: report.ntp,
            ticks: self.receiver.report_ticks(report.rtp),
        })
    }

    /// Hands out what waits for later packets: nothing has come for a while.
    pub(crate) fn flush(&mut self, now: Duration, repairs: &mut Repairs, out: &mut Vec<Unit>) {
        let Self {
            receiver,
            format,
            lost,
            ..
        } = self;
        let arrival = Arrival::now();
        receiver.flush(now, repairs, &mut |ordered, repairs| {
            format.push(ordered, lost, arrival, repairs, out)
        });
        if let Format::Pictures(pictures) = format {
            pictures.flush(repairs, out);
        }
    }

    /// Whether something waits for later packets.
    pub(crate) fn is_holding(&self) -> bool {
        let pictures = match &self.format {
            Format::Pictures(pictures) => pictures.is_holding(),
            _ => false,
        };
        pictures || self.receiver.is_waiting()
    }

    /// Pictures dropped because a part of them was missing.
    pub(crate) fn damaged(&self) -> u64 {
        match &self.format {
            Format::Pictures(pictures) => pictures.damaged(),
            Format::Frames(frames) => frames.jpeg.as_ref().map_or(0, JpegFragments::damaged),
            _ => 0,
        }
    }
}

impl Format {
    fn pictures(codec: VideoCodec, fmtp: &str) -> Self {
        Self::Pictures(Box::new(PictureAssembler::new(codec, fmtp)))
    }

    /// `None` if the description does not state how the stream is encoded.
    fn frames(described: &Described) -> Option<Self> {
        match described.codec {
            Codec::Aac if described.encoding == "mp4a-latm" => {
                LatmAssembler::new(described).map(|frames| Self::Latm(Box::new(frames)))
            }
            Codec::Aac => AacAssembler::new(described).map(|frames| Self::Aac(Box::new(frames))),
            _ => Frames::new(described).map(|frames| Self::Frames(Box::new(frames))),
        }
    }

    fn push(
        &mut self,
        mut ordered: Ordered<'_>,
        lost: &mut u32,
        arrival: Arrival,
        repairs: &mut Repairs,
        out: &mut Vec<Unit>,
    ) {
        ordered.lost = ordered.lost.saturating_add(std::mem::take(lost));
        if ordered.packet.payload.is_empty() {
            repairs.add(Repair::BrokenRtp);
            *lost = ordered.lost;
            return;
        }
        match self {
            Self::Pictures(pictures) => pictures.push(&ordered, arrival, repairs, out),
            Self::Aac(frames) => frames.push(&ordered, lost, arrival, repairs, out),
            Self::Latm(frames) => frames.push(&ordered, lost, arrival, repairs, out),
            Self::Documents(documents) => documents.push(&ordered, lost, arrival, repairs, out),
            Self::Frames(frames) => frames.push(&ordered, lost, arrival, repairs, out),
            Self::Packets => out.push(Unit {
                data: ordered.packet.payload.to_vec(),
                ticks: ordered.ticks,
                arrival,
                lost: ordered.lost,
                keyframe: true,
                disposable: false,
                parameters_changed: false,
            }),
        }
    }
}

impl Frames {
    fn new(described: &Described) -> Option<Self> {
        let video = described.codec == Codec::Jpeg;
        let (media, encoding) = if video {
            ("video", "jpeg")
        } else {
            ("audio", described.encoding.as_str())
        };
        let channels = described.channels.and_then(NonZeroU16::new);
        let clock_rate = NonZeroU32::new(described.clock_rate_hz)?;
        let fmtp = described.fmtp.as_deref();
        // The library asserts some things of what a camera may send as it likes.
        let mut depacketizer = std::panic::catch_unwind(|| {
            Depacketizer::new(media, encoding, clock_rate.get(), channels, fmtp).ok()
        })
        .ok()??;
        depacketizer.set_frame_format(FrameFormat::MP4);
        Some(Self {
            depacketizer,
            buffer: DepacketizeBuf::new(16 * 1024),
            clock_rate,
            jpeg: video.then(JpegFragments::default),
            lost_before: 0,
        })
    }

    fn describe(&self, info: &mut StreamInfo) {
        match self.depacketizer.parameters() {
            Some(ParametersRef::Video(video)) => {
                info.codec_name = Some(video.rfc6381_codec().to_owned());
                info.size = Some(video.pixel_dimensions());
            }
            Some(ParametersRef::Audio(audio)) => {
                info.codec_name = audio.rfc6381_codec().map(str::to_owned);
                info.extra_data = Bytes::copy_from_slice(audio.extra_data());
                info.sample_rate_hz = Some(audio.clock_rate());
                info.channels = Some(audio.channels().get());
            }
            _ => {}
        }
    }

    fn push(
        &mut self,
        ordered: &Ordered<'_>,
        lost: &mut u32,
        arrival: Arrival,
        repairs: &mut Repairs,
        out: &mut Vec<Unit>,
    ) {
        let packet = ordered.packet;
        if let Some(jpeg) = &mut self.jpeg {
            let fragment = jpeg.take(packet.payload, packet.marker);
            if fragment != Fragment::Good {
                if fragment == Fragment::TooLarge {
                    repairs.add(Repair::TooLarge);
                } else if ordered.lost == 0 {
                    repairs.add(Repair::Payload);
                }
                let before = std::mem::take(&mut self.lost_before);
                *lost = before.saturating_add(ordered.lost).max(1);
                return;
            }
            self.lost_before = self.lost_before.saturating_add(ordered.lost);
        }
        let Some(timestamp) = Timestamp::new(ordered.ticks, self.clock_rate, 0) else {
            *lost = ordered.lost.saturating_add(1);
            return;
        };
        let meta = PacketMeta {
            ctx: PacketContext::dummy(),
            stream_id: 0,
            timestamp,
            sequence_number: packet.sequence,
            ssrc: packet.ssrc,
            mark: packet.marker,
            loss: u16::try_from(ordered.lost).unwrap_or(u16::MAX),
        };
        let mut broken = self
            .buffer
            .push(&mut self.depacketizer, meta, packet.payload)
            .is_err();
        while let Some(item) = self.depacketizer.pull() {
            let unit = |data, ticks, loss: u32, changed| Unit {
                data,
                ticks,
                arrival,
                lost: loss,
                keyframe: true,
                disposable: false,
                parameters_changed: changed,
            };
            match item {
                Ok(CodecItem::VideoFrame(frame)) => {
                    let (ticks, changed) = (frame.timestamp().timestamp(), frame.has_new_parameters());
                    let loss = std::mem::take(&mut self.lost_before);
                    out.push(unit(frame.into_data(), ticks, loss, changed));
                }
                Ok(CodecItem::AudioFrame(frame)) => {
                    out.push(unit(
                        frame.data().to_vec(),
                        frame.timestamp().timestamp(),
                        u32::from(frame.loss()),
                        false,
                    ));
                }
                Ok(_) => {}
                Err(_) => broken = true,
            }
        }
        if broken {
            repairs.add(Repair::Payload);
            // The depacketizer drops what it has begun only after a loss.
            *lost = lost.saturating_add(1);
        }
    }
}
