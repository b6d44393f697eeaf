//! AAC from RTP payloads (RFC 3640): sans-I/O.
//!
//! The marker is not looked at: cameras forget it, and the lengths in front of the data give the same.

use lva_bitstream::BitReader;

use super::audio_config::{AudioConfig, hexadecimal};
use super::receiver::Ordered;
use super::unit::{Arrival, Unit};
use crate::StreamInfo;
use crate::wire::description::{Track as Described, parameter};
use crate::wire::repairs::{Repair, Repairs};

/// Largest access unit that is put together of fragments. AAC has at most 768 bytes a channel.
const MAX_UNIT: usize = 64 * 1024;
/// Access units of one packet.
const MAX_UNITS: usize = 256;
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

impl AacAssembler {
    /// `None` if the description does not state how the stream is encoded.
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
        is_usable.then(|| Self {
            config,
            record,
            headers,
            unit_ticks: config.unit_ticks(described.clock_rate_hz),
            fragment: None,
        })
    }

    pub(crate) fn describe(&self, info: &mut StreamInfo) {
        self.config.describe(info, &self.record);
    }

    /// Takes a packet. `lost` are packets that no unit has reported yet.
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
                    let data = without_adts(data, repairs);
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
        let mut bits = BitReader::new(bytes);
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
            let size = bits.bits(self.size)? as usize;
            let index = bits.bits(index_bits)?;
            if !headers.is_empty() {
                distance += 1 + i64::from(index);
            }
            headers.push(Header { size, distance });
        }
        (!headers.is_empty()).then_some((headers, data))
    }
}

/// Some cameras keep the header of ADTS (ISO/IEC 14496-3 section 1.A.2), which decoders of bare frames do not know.
fn without_adts<'a>(data: &'a [u8], repairs: &mut Repairs) -> &'a [u8] {
    let Some((&[0xff, sync, _, high, middle, low, _], frame)) = data.split_first_chunk::<7>() else {
        return data;
    };
    let length = usize::from(high & 3) << 11 | usize::from(middle) << 3 | usize::from(low >> 5);
    // The sync word, layer 0, and the length of all of it.
    if sync & 0xf6 != 0xf0 || length != data.len() {
        return data;
    }
    repairs.add(Repair::Payload);
    let crc = if sync & 1 == 0 { 2 } else { 0 };
    frame.get(crc..).unwrap_or_default()
}

pub(super) fn unit(data: Vec<u8>, ticks: i64, arrival: Arrival, lost: u32) -> Unit {
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
    fn headers_of_adts_in_front_of_frames_are_left_out() {
        let with_crc = [0xff, 0xf0, 0x60, 0x40, 0x01, 0x7f, 0xfc, 9, 9, 1, 2];
        let without = [0xff, 0xf1, 0x60, 0x40, 0x01, 0x3f, 0xfc, 1, 2];
        // A frame that begins like one: its length is another.
        let frame = [0xff, 0xf1, 0x60, 0x40, 0x01, 0x5f, 0xfc, 1, 2];
        for (data, expected, repaired) in [
            (&with_crc[..], &[1, 2][..], 1),
            (&without, &[1, 2], 1),
            (&frame, &frame, 0),
        ] {
            let (out, count) = units(&[(payload(&[(data.len() as u16, 0)], data), 0, 0)]);
            assert_eq!((out, count), (vec![(expected.to_vec(), 0, 0)], repaired));
        }
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
