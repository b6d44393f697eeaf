//! AAC from RTP payloads (RFC 3640): sans-I/O.
//!
//! The marker is not looked at: cameras forget it, and the lengths in front of the data tell the same.

use super::bits::Bits;
use super::receiver::Ordered;
use super::unit::{Arrival, Unit};
use crate::StreamInfo;
use crate::wire::description::{Track as Described, parameter};
use crate::wire::repairs::{Repair, Repairs};

/// Largest access unit that is put together of fragments. AAC has at most 768 bytes a channel.
const MAX_UNIT: usize = 64 * 1024;
/// Access units of one packet.
const MAX_UNITS: usize = 256;
/// Sampling frequencies by their index (ISO/IEC 14496-3 section 1.6.3.4).
const FREQUENCIES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];

/// Assembles the access units of one stream.
#[derive(Debug)]
pub(crate) struct AacAssembler {
    config: AudioConfig,
    /// `AudioSpecificConfig` as the description has it.
    record: Vec<u8>,
    headers: HeaderSyntax,
    /// RTP ticks of an access unit.
    unit_ticks: i64,
    fragment: Option<Fragment>,
}

/// Bits of the fields of an AU header.
#[derive(Debug, Clone, Copy)]
struct HeaderSyntax {
    size: u32,
    index: u32,
    index_delta: u32,
}

/// The beginning of an access unit that has come.
#[derive(Debug)]
struct Fragment {
    data: Vec<u8>,
    size: usize,
    ticks: i64,
    arrival: Arrival,
    lost: u32,
}

/// What matters of an `AudioSpecificConfig` (ISO/IEC 14496-3 section 1.6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AudioConfig {
    object_type: u32,
    sample_rate_hz: u32,
    channels: u16,
    /// Samples of an access unit, by the sample rate.
    samples: u32,
}

impl AudioConfig {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut bits = Bits::raw(bytes);
        let object_type = object_type(&mut bits)?;
        let sample_rate_hz = frequency(&mut bits)?;
        let channels = match bits.u(4)? {
            7 => 8,
            // 0: told elsewhere; what cameras mean by it is one.
            channels => channels.max(1) as u16,
        };
        // With SBR (5) or PS (29) the rate of the output follows, and the object type of the core.
        let core = if matches!(object_type, 5 | 29) {
            frequency(&mut bits)?;
            self::object_type(&mut bits)?
        } else {
            object_type
        };
        // `frameLengthFlag` of the general audio coder (section 4.4.1).
        let short = matches!(core, 1..=4 | 6 | 7 | 17 | 19..=23) && bits.flag().unwrap_or(false);
        Some(Self {
            object_type,
            sample_rate_hz,
            channels,
            samples: match (core, short) {
                (23 | 39, true) => 480,
                (23 | 39, false) => 512,
                (_, true) => 960,
                (_, false) => 1024,
            },
        })
    }
}

fn object_type(bits: &mut Bits<'_>) -> Option<u32> {
    Some(match bits.u(5)? {
        31 => 32 + bits.u(6)?,
        other => other,
    })
}

fn frequency(bits: &mut Bits<'_>) -> Option<u32> {
    let rate = match bits.u(4)? {
        15 => bits.u(24)?,
        index => *FREQUENCIES.get(index as usize)?,
    };
    (rate > 0).then_some(rate)
}

impl AacAssembler {
    /// `None` if the description does not tell how the stream is encoded.
    pub(crate) fn new(described: &Described) -> Option<Self> {
        let fmtp = described.fmtp.as_deref().unwrap_or_default();
        let record = hexadecimal(parameter(fmtp, "config")?)?;
        let config = AudioConfig::parse(&record)?;
        let length = |name| parameter(fmtp, name).and_then(|bits| bits.parse().ok());
        let low_rate = parameter(fmtp, "mode").is_some_and(|mode| mode.eq_ignore_ascii_case("aac-lbr"));
        let (size, index) = if low_rate { (6, 2) } else { (13, 3) };
        let headers = HeaderSyntax {
            size: length("sizelength").unwrap_or(size),
            index: length("indexlength").unwrap_or(index),
            index_delta: length("indexdeltalength").unwrap_or(index),
        };
        let is_usable = (1..=32).contains(&headers.size) && headers.index <= 32 && headers.index_delta <= 32;
        let ticks = u64::from(config.samples) * u64::from(described.clock_rate_hz);
        is_usable.then(|| Self {
            config,
            record,
            headers,
            unit_ticks: (ticks / u64::from(config.sample_rate_hz)) as i64,
            fragment: None,
        })
    }

    pub(crate) fn describe(&self, info: &mut StreamInfo) {
        info.codec_name = Some(format!("mp4a.40.{}", self.config.object_type));
        info.extra_data = self.record.clone().into();
        info.sample_rate_hz = Some(self.config.sample_rate_hz);
        info.channels = Some(self.config.channels);
    }

    /// Takes a packet. `lost` are packets that no unit has told yet.
    pub(crate) fn push(
        &mut self,
        ordered: &Ordered<'_>,
        lost: &mut u32,
        arrival: Arrival,
        repairs: &mut Repairs,
        out: &mut Vec<Unit>,
    ) {
        *lost = lost.saturating_add(ordered.lost);
        let Some((headers, data)) = self.headers.read(ordered.packet.payload) else {
            repairs.add(Repair::Payload);
            *lost = lost.saturating_add(1);
            return;
        };
        let fragment = self.fragment.take();
        if let Some(mut fragment) = fragment {
            let continues = ordered.lost == 0
                && fragment.ticks == ordered.ticks
                && headers.len() == 1
                && headers.first().is_some_and(|header| header.size == fragment.size);
            if continues {
                fragment.data.extend_from_slice(data);
                if fragment.data.len() < fragment.size {
                    self.fragment = Some(fragment);
                } else {
                    fragment.data.truncate(fragment.size);
                    out.push(unit(
                        fragment.data,
                        fragment.ticks,
                        fragment.arrival,
                        fragment.lost,
                    ));
                }
                return;
            }
            // Its end never came.
            if ordered.lost == 0 {
                repairs.add(Repair::Payload);
            }
            *lost = lost.saturating_add(fragment.lost).saturating_add(1);
        }
        let alone = headers.len() == 1;
        let mut rest = data;
        for header in headers {
            let ticks = ordered
                .ticks
                .saturating_add(self.unit_ticks.saturating_mul(header.distance));
            match rest.split_at_checked(header.size) {
                Some(([], _)) => repairs.add(Repair::Payload),
                Some((data, behind)) => {
                    rest = behind;
                    out.push(unit(data.to_vec(), ticks, arrival, std::mem::take(lost)));
                }
                None if alone && header.size <= MAX_UNIT && !rest.is_empty() => {
                    self.fragment = Some(Fragment {
                        data: rest.to_vec(),
                        size: header.size,
                        ticks,
                        arrival,
                        lost: std::mem::take(lost),
                    });
                }
                // Cut off, and so are those behind it.
                None => {
                    repairs.add(Repair::Payload);
                    *lost = lost.saturating_add(1);
                    return;
                }
            }
        }
    }
}

/// One AU header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    size: usize,
    /// Access units between the packet's RTP time and this one's.
    distance: i64,
}

impl HeaderSyntax {
    /// The headers of a payload, and the data behind them (section 3.2.1).
    fn read(self, payload: &[u8]) -> Option<(Vec<Header>, &[u8])> {
        let (&[high, low], rest) = payload.split_first_chunk::<2>()?;
        let mut left = u32::from(u16::from_be_bytes([high, low]));
        let (bytes, data) = rest.split_at_checked(left.div_ceil(8) as usize)?;
        let mut bits = Bits::raw(bytes);
        let mut headers = Vec::new();
        let mut distance = 0_i64;
        while headers.len() < MAX_UNITS {
            let index_bits = if headers.is_empty() {
                self.index
            } else {
                self.index_delta
            };
            let Some(behind) = left.checked_sub(self.size + index_bits) else {
                break;
            };
            left = behind;
            let size = bits.u(self.size)? as usize;
            let index = bits.u(index_bits)?;
            if !headers.is_empty() {
                distance += 1 + i64::from(index);
            }
            headers.push(Header { size, distance });
        }
        (!headers.is_empty()).then_some((headers, data))
    }
}

fn unit(data: Vec<u8>, ticks: i64, arrival: Arrival, lost: u32) -> Unit {
    Unit {
        data,
        ticks,
        arrival,
        lost,
        keyframe: true,
        disposable: false,
        parameters_changed: false,
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.trim().trim_matches('"').as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::rtp::Packet;
    use super::*;
    use crate::wire::description::Description;

    const HBR: &str = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408";

    fn assembler(fmtp: &str) -> Option<AacAssembler> {
        let text =
            format!("m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/2\r\na=fmtp:97 {fmtp}\r\n");
        AacAssembler::new(&Description::parse(text.as_bytes(), &mut Repairs::default()).tracks[0])
    }

    /// Payload, ticks, and packets lost before it, to data, ticks and loss.
    fn units(packets: &[(Vec<u8>, i64, u32)]) -> (Vec<(Vec<u8>, i64, u32)>, u64) {
        let mut assembler = assembler(HBR).unwrap();
        let (mut repairs, mut lost, mut out) = (Repairs::default(), 0, Vec::new());
        for (payload, ticks, before) in packets {
            let packet = Packet {
                payload_type: 97,
                // Never set, as some cameras do.
                marker: false,
                sequence: 0,
                timestamp: *ticks as u32,
                ssrc: 1,
                payload,
            };
            let ordered = Ordered {
                packet,
                ticks: *ticks,
                lost: *before,
            };
            assembler.push(&ordered, &mut lost, Arrival::now(), &mut repairs, &mut out);
        }
        let units = out.into_iter().map(|unit| (unit.data, unit.ticks, unit.lost));
        (units.collect(), repairs.count(Repair::Payload))
    }

    /// A payload with these sizes, an index delta for each, and this data.
    fn payload(headers: &[(u16, u16)], data: &[u8]) -> Vec<u8> {
        let mut payload = (headers.len() as u16 * 16).to_be_bytes().to_vec();
        for (size, index) in headers {
            payload.extend((size << 3 | index).to_be_bytes());
        }
        payload.extend(data);
        payload
    }

    #[test]
    fn several_units_in_a_packet_have_their_own_times() {
        let (out, odd) = units(&[(payload(&[(2, 0), (1, 0), (3, 1)], b"aabccc"), 5000, 0)]);
        assert_eq!(
            out,
            [
                (b"aa".to_vec(), 5000, 0),
                (b"b".to_vec(), 6024, 0),
                (b"ccc".to_vec(), 8072, 0)
            ]
        );
        assert_eq!(odd, 0);
    }

    #[test]
    fn fragments_make_one_unit_and_one_without_its_end_costs_no_other() {
        let first = (payload(&[(5, 0)], b"ab"), 0, 0);
        let (out, odd) = units(&[first.clone(), (payload(&[(5, 0)], b"cde"), 0, 0)]);
        assert_eq!((out, odd), (vec![(b"abcde".to_vec(), 0, 0)], 0));
        let next = (payload(&[(2, 0)], b"xy"), 1024, 0);
        let (out, odd) = units(&[first.clone(), next.clone()]);
        assert_eq!((out, odd), (vec![(b"xy".to_vec(), 1024, 1)], 1));
        let (out, odd) = units(&[first, (next.0, 1024, 1)]);
        assert_eq!((out, odd), (vec![(b"xy".to_vec(), 1024, 2)], 0));
    }

    #[test]
    fn units_that_are_cut_off_or_empty_are_dropped_and_the_others_play() {
        let good = |ticks| (payload(&[(2, 0)], b"ok"), ticks, 0);
        for (odd, before) in [
            (payload(&[(2, 0), (9, 0)], b"abc"), 1),
            (vec![0], 1),
            (payload(&[(2, 0)], b"")[..3].to_vec(), 1),
            (vec![0, 0], 1),
            (payload(&[(0, 0)], b""), 0),
        ] {
            let (out, count) = units(&[good(0), (odd.clone(), 1024, 0), good(2048)]);
            assert_eq!(count, 1, "{odd:?}");
            assert_eq!(out.first(), Some(&(b"ok".to_vec(), 0, 0)));
            assert_eq!(out.last(), Some(&(b"ok".to_vec(), 2048, before)), "{odd:?}");
        }
    }

    #[test]
    fn configurations_are_read_with_extensions_and_odd_rates() {
        let config = |hex: &str| {
            let config = AudioConfig::parse(&hexadecimal(hex).unwrap())?;
            Some((
                config.object_type,
                config.sample_rate_hz,
                config.channels,
                config.samples,
            ))
        };
        assert_eq!(config("1408"), Some((2, 16_000, 1, 1024)));
        assert_eq!(config("1190"), Some((2, 48_000, 2, 1024)));
        assert_eq!(config("140C"), Some((2, 16_000, 1, 960)));
        // SBR: 24 kHz that become 48 kHz.
        assert_eq!(config("2B118800"), Some((5, 24_000, 2, 1024)));
        // A rate in 24 bits: 16,000.
        assert_eq!(config("17801F4008"), Some((2, 16_000, 1, 1024)));
        assert_eq!((config("17"), config("")), (None, None));
        assert_eq!((hexadecimal("1x"), hexadecimal("140")), (None, None));
    }

    #[test]
    fn what_the_description_leaves_out_is_that_of_the_usual_modes() {
        for fmtp in [
            "config=1408",
            "streamtype=5; CONFIG=1408 ;mode=aac-hbr;",
            "mode=generic;config=\"1408\"",
        ] {
            let headers = assembler(fmtp).unwrap().headers;
            assert_eq!((headers.size, headers.index, headers.index_delta), (13, 3, 3));
        }
        let headers = assembler("mode=AAC-lbr;config=1408").unwrap().headers;
        assert_eq!((headers.size, headers.index, headers.index_delta), (6, 2, 2));
        for fmtp in [
            "mode=AAC-hbr",
            "config=zz",
            "config=1408;sizelength=0",
            "config=1408;sizelength=99",
        ] {
            assert!(assembler(fmtp).is_none(), "{fmtp}");
        }
    }
}
