//! AAC in LATM from RTP payloads (RFC 6416, ISO/IEC 14496-3 section 1.7): sans-I/O.
//!
//! The marker is not looked at: the lengths in an `AudioMuxElement` give its end.

use lva_bitstream::BitReader;

use super::aac::unit;
use super::audio_config::{AudioConfig, hexadecimal};
use super::receiver::Ordered;
use super::unit::{Arrival, Unit};
use crate::StreamInfo;
use crate::wire::description::{Track as Described, parameter};
use crate::wire::repairs::{Repair, Repairs};

/// Largest element that is put together of fragments.
const MAX_ELEMENT: usize = 64 * 1024;

/// Assembles the access units of one stream.
#[derive(Debug)]
pub(crate) struct LatmAssembler {
    clock_rate_hz: u32,
    /// Elements begin with a bit that states whether the configuration follows.
    in_band: bool,
    mux: Option<StreamMux>,
    /// The configuration is not the one of which the last unit came out.
    changed: bool,
    element: Vec<u8>,
    ticks: i64,
    arrival: Option<Arrival>,
    /// Fragments of the current element are missing.
    broken: bool,
}

/// What matters of a `StreamMuxConfig` (table 1.42), of one program with one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StreamMux {
    config: AudioConfig,
    /// The `AudioSpecificConfig`.
    record: Vec<u8>,
    /// Access units of an element.
    units: u32,
    length: FrameLength,
    /// Bits behind the last unit that are none of it.
    other_bits: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FrameLength {
    /// In front of each access unit.
    Explicit,
    /// So many bytes.
    Fixed(usize),
}

/// Why an element gives no units.
enum Incomplete {
    /// More of it may come.
    Cut,
    /// It cannot be read, or no configuration has come.
    Unreadable,
}

impl LatmAssembler {
    /// `None` if the description has a configuration that is not supported.
    pub(crate) fn new(described: &Described) -> Option<Self> {
        let fmtp = described.fmtp.as_deref().unwrap_or_default();
        let config = parameter(fmtp, "config").and_then(hexadecimal);
        // In band unless stated otherwise; a camera that has a configuration here forgot to state it.
        let in_band = match parameter(fmtp, "cpresent") {
            Some(present) => present != "0",
            None => config.is_none(),
        };
        let mux = config.and_then(|config| StreamMux::read(&mut BitReader::new(&config)));
        (in_band || mux.is_some()).then(|| Self {
            clock_rate_hz: described.clock_rate_hz,
            in_band,
            mux,
            changed: false,
            element: Vec::new(),
            ticks: 0,
            arrival: None,
            broken: false,
        })
    }

    pub(crate) fn describe(&self, info: &mut StreamInfo) {
        if let Some(mux) = &self.mux {
            mux.config.describe(info, &mux.record);
        }
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
        if ordered.lost > 0 || self.ticks != ordered.ticks {
            if !self.element.is_empty() {
                // Its end never came.
                repairs.add(Repair::Payload);
                *lost = lost.saturating_add(1);
            }
            // What follows a loss at the same time is the rest of something.
            self.broken = ordered.lost > 0 && self.ticks == ordered.ticks;
            self.element.clear();
        }
        if self.element.is_empty() {
            (self.ticks, self.arrival) = (ordered.ticks, Some(arrival));
        }
        if self.broken {
            self.broken = !ordered.packet.marker;
            return;
        }
        let payload = ordered.packet.payload;
        if self.element.len() + payload.len() > MAX_ELEMENT {
            repairs.add(Repair::TooLarge);
            self.element = Vec::new();
            self.broken = true;
            *lost = lost.saturating_add(1);
            return;
        }
        self.element.extend_from_slice(payload);
        match self.read() {
            Ok(units) => {
                self.element.clear();
                let ticks = self
                    .mux
                    .as_ref()
                    .map_or(0, |mux| mux.config.unit_ticks(self.clock_rate_hz));
                for (number, data) in (0..).zip(units) {
                    let time = self.ticks.saturating_add(ticks.saturating_mul(number));
                    let arrival = self.arrival.unwrap_or(arrival);
                    let mut unit = unit(data, time, arrival, std::mem::take(lost));
                    unit.parameters_changed = std::mem::take(&mut self.changed);
                    out.push(unit);
                }
            }
            Err(Incomplete::Cut) => {}
            Err(Incomplete::Unreadable) => {
                repairs.add(Repair::Payload);
                self.element.clear();
                *lost = lost.saturating_add(1);
            }
        }
    }

    /// The access units of the element (table 1.41).
    fn read(&mut self) -> Result<Vec<Vec<u8>>, Incomplete> {
        let mut bits = BitReader::new(&self.element);
        // useSameStreamMux
        if self.in_band && !bits.flag().ok_or(Incomplete::Cut)? {
            let mux = StreamMux::read(&mut bits).ok_or(Incomplete::Unreadable)?;
            if self.mux.as_ref() != Some(&mux) {
                self.mux = Some(mux);
                self.changed = true;
            }
        }
        let mux = self.mux.as_ref().ok_or(Incomplete::Unreadable)?;
        let mut units = Vec::new();
        for _ in 0..mux.units {
            let length = match mux.length {
                FrameLength::Fixed(length) => length,
                FrameLength::Explicit => slot_length(&mut bits).ok_or(Incomplete::Cut)?,
            };
            let data = bits.take_bytes(length).ok_or(Incomplete::Cut)?;
            if !data.is_empty() {
                units.push(data);
            }
        }
        bits.skip(mux.other_bits).ok_or(Incomplete::Cut)?;
        Ok(units)
    }
}

/// `MuxSlotLengthBytes` (table 1.44).
fn slot_length(bits: &mut BitReader<'_>) -> Option<usize> {
    let mut length = 0;
    loop {
        let byte = bits.bits(8)?;
        length += byte as usize;
        if byte != 255 {
            return Some(length);
        }
    }
}

impl StreamMux {
    fn read(bits: &mut BitReader<'_>) -> Option<Self> {
        let version = bits.flag()?;
        // audioMuxVersionA is reserved.
        if version && bits.flag()? {
            return None;
        }
        if version {
            latm_value(bits)?; // taraBufferFullness
        }
        let same_framing = bits.flag()?;
        let units = bits.bits(6)? + 1;
        let (programs, layers) = (bits.bits(4)?, bits.bits(3)?);
        if !same_framing || programs > 0 || layers > 0 {
            return None;
        }
        let (record, config) = if version {
            let length = latm_value(bits)?;
            let record = copied(bits, length)?;
            let config = AudioConfig::parse(&record)?;
            (record, config)
        } else {
            let (mut start, before) = (bits.clone(), bits.position());
            let config = AudioConfig::read_whole(bits)?;
            let length = u32::try_from(bits.position() - before).ok()?;
            (copied(&mut start, length)?, config)
        };
        let length = match bits.bits(3)? {
            0 => {
                bits.skip(8)?; // latmBufferFullness
                FrameLength::Explicit
            }
            1 => FrameLength::Fixed(bits.bits(9)? as usize + 20),
            _ => return None,
        };
        let other_bits = match bits.flag()? {
            false => 0,
            true if version => latm_value(bits)?,
            true => other_length(bits)?,
        };
        // crcCheckPresent
        if bits.flag()? {
            bits.skip(8)?;
        }
        Some(Self {
            config,
            record,
            units,
            length,
            other_bits,
        })
    }
}

/// `LatmGetValue()` (table 1.43).
fn latm_value(bits: &mut BitReader<'_>) -> Option<u32> {
    let bytes = bits.bits(2)? + 1;
    bits.bits(8 * bytes)
}

/// `otherDataLenBits` of the first version.
fn other_length(bits: &mut BitReader<'_>) -> Option<u32> {
    let mut length = 0_u32;
    loop {
        let goes_on = bits.flag()?;
        length = length.checked_mul(256)?.checked_add(bits.bits(8)?)?;
        if !goes_on {
            return Some(length);
        }
    }
}

/// So many bits, filled up to whole bytes with zeros.
fn copied(bits: &mut BitReader<'_>, length: u32) -> Option<Vec<u8>> {
    let mut record = bits.take_bytes(length as usize / 8)?;
    let rest = length % 8;
    if rest > 0 {
        record.push(u8::try_from(bits.bits(rest)? << (8 - rest)).ok()?);
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::rtp::Packet;
    use super::*;
    use crate::wire::description::Description;

    /// 16 kHz, one channel, AAC-LC: version 0, one unit, explicit lengths, no other data, no checksum.
    const CONFIG: &str = "400028103FC0";

    fn assembler(fmtp: &str) -> Option<LatmAssembler> {
        let text = format!("m=audio 0 RTP/AVP 98\r\na=rtpmap:98 MP4A-LATM/16000/1\r\na=fmtp:98 {fmtp}\r\n");
        LatmAssembler::new(&Description::parse(text.as_bytes(), &mut Repairs::default()).tracks[0])
    }

    struct Seen {
        /// Data, time, loss before it, whether the parameters changed.
        units: Vec<(Vec<u8>, i64, u32, bool)>,
        odd: u64,
        info: StreamInfo,
    }

    /// Payload, ticks, packets lost before it.
    fn play(fmtp: &str, packets: &[(Vec<u8>, i64, u32)]) -> Seen {
        let mut assembler = assembler(fmtp).unwrap();
        let (mut repairs, mut lost, mut out) = (Repairs::default(), 0, Vec::new());
        for (payload, ticks, before) in packets {
            let packet = Packet {
                payload_type: 98,
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
        let mut info = StreamInfo::new(0, crate::MediaKind::Audio, crate::Codec::Aac, 16_000);
        assembler.describe(&mut info);
        let units = out
            .into_iter()
            .map(|unit| (unit.data, unit.ticks, unit.lost, unit.parameters_changed));
        Seen {
            units: units.collect(),
            odd: repairs.count(Repair::Payload),
            info,
        }
    }

    /// Ones and zeros, spaces ignored, filled up with zeros.
    fn bits(text: &str) -> Vec<u8> {
        let bits: Vec<u8> = text
            .bytes()
            .filter(|bit| *bit != b' ')
            .map(|bit| bit - b'0')
            .collect();
        let byte = |bits: &[u8]| bits.iter().fold(0, |sum, bit| sum << 1 | bit) << (8 - bits.len());
        bits.chunks(8).map(byte).collect()
    }

    #[test]
    fn a_configuration_in_the_description_and_bare_elements() {
        let fmtp = format!("profile-level-id=1;object=2;cpresent=0;config={CONFIG}");
        let long = [&[255, 45][..], &[7; 300]].concat();
        let seen = play(&fmtp, &[(vec![2, 1, 2], 0, 0), (long, 1024, 0)]);
        assert_eq!(
            seen.units,
            [(vec![1, 2], 0, 0, false), (vec![7; 300], 1024, 0, false)]
        );
        assert_eq!(seen.info.codec_name.as_deref(), Some("mp4a.40.2"));
        assert_eq!(
            (seen.info.sample_rate_hz, seen.info.channels),
            (Some(16_000), Some(1))
        );
        assert_eq!((&seen.info.extra_data[..], seen.odd), (&[0x14, 0x08][..], 0));
        // Not stated where it is: it is here.
        assert_eq!(
            play(&format!("config={CONFIG}"), &[(vec![1, 9], 0, 0)])
                .units
                .len(),
            1
        );
    }

    #[test]
    fn a_configuration_in_band_comes_with_the_first_unit() {
        // Follows; version 0, same framing, 1 unit, 1 program, 1 layer; LC, 16 kHz, 1 channel, three flags; explicit length, fullness,
        // nothing else; then 2 bytes.
        let first = "0 0 1 000000 0000 000 00010 1000 0001 000 000 11111111 0 0 00000010 00000001 00000010";
        let same = "1 00000001 00001001";
        let packets = [
            (bits(same), 0, 0),
            (bits(first), 1024, 0),
            (bits(same), 2048, 0),
            (bits(first), 3072, 0),
        ];
        let seen = play("object=2", &packets);
        let units: Vec<_> = seen
            .units
            .iter()
            .map(|(data, ticks, _, changed)| (data.as_slice(), *ticks, *changed))
            .collect();
        assert_eq!(
            units,
            [
                (&[1, 2][..], 1024, true),
                (&[9], 2048, false),
                (&[1, 2], 3072, false)
            ]
        );
        assert_eq!(
            (&seen.info.extra_data[..], seen.odd),
            (&[0x14, 0x08][..], 1),
            "one came too early"
        );
    }

    #[test]
    fn several_units_of_a_fixed_length_have_their_own_times() {
        // 2 units of 20 bytes, behind them 8 bits of other data.
        let config = bits("0 1 000001 0000 000 00010 1000 0001 000 001 000000000 1 0 00001000 0");
        let hex: String = config.iter().map(|byte| format!("{byte:02x}")).collect();
        let element = [&[1; 20][..], &[2; 20], &[0xee]].concat();
        let seen = play(&format!("cpresent=0;config={hex}"), &[(element, 0, 0)]);
        assert_eq!(
            seen.units,
            [(vec![1; 20], 0, 0, false), (vec![2; 20], 1024, 0, false)]
        );
    }

    #[test]
    fn the_second_version_tells_how_long_the_configuration_is() {
        // Fullness 255 in one byte; a configuration of 20 bits, of which the last 4 mean nothing here.
        let config =
            bits("1 0 00 11111111 1 000000 0000 000 00 00010100 00010 1000 0001 000 1010 000 11111111 0 0");
        let hex: String = config.iter().map(|byte| format!("{byte:02x}")).collect();
        let seen = play(&format!("cpresent=0;config={hex}"), &[(vec![1, 5], 0, 0)]);
        assert_eq!(seen.units, [(vec![5], 0, 0, false)]);
        assert_eq!(&seen.info.extra_data[..], [0x14, 0x08, 0xa0]);
    }

    #[test]
    fn fragments_make_one_element_and_one_without_its_end_costs_no_other() {
        let fmtp = format!("cpresent=0;config={CONFIG}");
        let (first, second) = ((vec![4, 1, 2], 0, 0), (vec![3, 4], 0, 0));
        let whole = play(&fmtp, &[first.clone(), second.clone()]);
        assert_eq!(
            (whole.units, whole.odd),
            (vec![(vec![1, 2, 3, 4], 0, 0, false)], 0)
        );
        let next = (vec![1, 7], 1024, 0);
        let cut = play(&fmtp, &[first.clone(), next.clone()]);
        assert_eq!((cut.units, cut.odd), (vec![(vec![7], 1024, 1, false)], 1));
        // The middle is missing; what follows at the same time is not an element.
        let lost = play(&fmtp, &[first, (second.0, 0, 1), next]);
        assert_eq!(lost.units, [(vec![7], 1024, 2, false)]);
    }

    #[test]
    fn what_is_not_supported_is_not_received() {
        for config in [
            "",
            "zz",
            "C0",
            "40002810",
            "401028103FC0",
            "400428103FC0",
            "400008103FC0",
            "000028103FC0",
        ] {
            assert!(
                assembler(&format!("cpresent=0;config={config}")).is_none(),
                "{config}"
            );
        }
        assert!(assembler("cpresent=0").is_none() && assembler("").is_some());
    }

    proptest! {
        #[test]
        fn any_elements_are_read(
            packets in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 1..40), 0_i64..3, 0_u32..2), 0..20),
            in_band: bool,
        ) {
            let config = if in_band { String::new() } else { format!("config={CONFIG}") };
            let sent: usize = packets.iter().map(|(payload, ..)| payload.len()).sum();
            let seen = play(&format!("cpresent={};{config}", u8::from(in_band)), &packets);
            prop_assert!(seen.units.iter().map(|(data, ..)| data.len()).sum::<usize>() <= sent);
        }
    }
}
