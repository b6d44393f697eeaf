//! Packs units into RTP packets: H.264 (RFC 6184, non-interleaved mode: single NAL units and FU-A), H.265 (RFC 7798: single
//! NAL units and fragmentation units) and AAC (RFC 3640, high bit-rate mode), and sender reports (RFC 3550 section 6.4.1).

use lva_bitstream::NalUnits;

use crate::media::TrackKind;

/// Largest RTP payload in bytes: fits an Ethernet frame with all headers, tunnels included.
pub(crate) const MAX_PAYLOAD: usize = 1400;
/// RTP payload types in the simulator's session descriptions.
pub(crate) const VIDEO_PAYLOAD_TYPE: u8 = 96;
pub(crate) const AUDIO_PAYLOAD_TYPE: u8 = 97;

const FU_A: u8 = 28;
/// Fragmentation units of H.265 (RFC 7798 section 4.4.3).
const FU_H265: u8 = 49;
/// Seconds from 1900, the NTP epoch, to 1970.
const NTP_TO_UNIX_SECONDS: u64 = 2_208_988_800;

/// The sending side of one RTP stream.
#[derive(Debug)]
pub(crate) struct Packetizer {
    payload_type: u8,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    /// Added to every timestamp; random (RFC 3550 section 5.1).
    pub(crate) base: u32,
    packets: u32,
    octets: u32,
}

impl Packetizer {
    /// Fails when the operating system gives no random numbers.
    pub(crate) fn new(kind: &TrackKind) -> Result<Self, getrandom::Error> {
        let random = getrandom::u64()?;
        Ok(Self {
            payload_type: match kind {
                TrackKind::H264 { .. } | TrackKind::H265 { .. } => VIDEO_PAYLOAD_TYPE,
                TrackKind::Aac { .. } => AUDIO_PAYLOAD_TYPE,
            },
            ssrc: random as u32,
            // Not 0 or 1, which clients take for a mistake of the camera.
            sequence: ((random >> 32) as u16) | 2,
            base: getrandom::u32()?,
            packets: 0,
            octets: 0,
        })
    }

    /// Passes the packets of a sample to `send`, after the parameter sets if `in_band`. `rtp` is in ticks of the stream's
    /// clock, without the base.
    pub(crate) fn unit(
        &mut self,
        kind: &TrackKind,
        sample: &[u8],
        in_band: bool,
        rtp: u32,
        mut send: impl FnMut(&[u8]),
    ) {
        match kind {
            TrackKind::H264 {
                sps,
                pps,
                length_bytes,
            } => {
                let sets = sps.iter().chain(pps).filter(|_| in_band);
                let nals = NalUnits::length_prefixed(sample, *length_bytes);
                self.nals(sets, nals, rtp, &mut send, Self::h264);
            }
            TrackKind::H265 {
                vps,
                sps,
                pps,
                length_bytes,
            } => {
                let sets = vps.iter().chain(sps).chain(pps).filter(|_| in_band);
                let nals = NalUnits::length_prefixed(sample, *length_bytes);
                self.nals(sets, nals, rtp, &mut send, Self::h265);
            }
            TrackKind::Aac { .. } => self.aac(sample, rtp, &mut send),
        }
    }

    /// Sends the parameter sets, then the NAL units of the unit, the last one with the marker bit.
    fn nals<'a, S: FnMut(&[u8])>(
        &mut self,
        sets: impl Iterator<Item = &'a Vec<u8>>,
        nals: impl Iterator<Item = &'a [u8]>,
        rtp: u32,
        send: &mut S,
        nal: fn(&mut Self, &[u8], u32, bool, &mut S),
    ) {
        for set in sets {
            nal(self, set, rtp, false, send);
        }
        let mut nals = nals.peekable();
        while let Some(next) = nals.next() {
            nal(self, next, rtp, nals.peek().is_none(), send);
        }
    }

    fn h264(&mut self, nal: &[u8], rtp: u32, last: bool, send: &mut impl FnMut(&[u8])) {
        let Some((header, body)) = nal.split_first() else {
            return;
        };
        let indicator = [header & 0xe0 | FU_A];
        self.fragments(nal, &indicator, header & 0x1f, body, rtp, last, send);
    }

    fn h265(&mut self, nal: &[u8], rtp: u32, last: bool, send: &mut impl FnMut(&[u8])) {
        let Some((&[first, second], body)) = nal.split_first_chunk::<2>() else {
            return;
        };
        let indicator = [first & 0x81 | FU_H265 << 1, second];
        self.fragments(nal, &indicator, first >> 1 & 0x3f, body, rtp, last, send);
    }

    /// Sends a NAL unit in one packet, or in fragments after `indicator` and a byte with its type.
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of one NAL unit, named by their two callers"
    )]
    fn fragments(
        &mut self,
        nal: &[u8],
        indicator: &[u8],
        nal_unit_type: u8,
        body: &[u8],
        rtp: u32,
        last: bool,
        send: &mut impl FnMut(&[u8]),
    ) {
        if nal.len() <= MAX_PAYLOAD {
            return self.packet(&[nal], rtp, last, send);
        }
        let mut pieces = body.chunks(MAX_PAYLOAD - 3).peekable();
        let mut start = 0x80;
        while let Some(piece) = pieces.next() {
            let end = pieces.peek().is_none();
            let fu = nal_unit_type | start | if end { 0x40 } else { 0 };
            self.packet(&[indicator, &[fu], piece], rtp, last && end, send);
            start = 0;
        }
    }

    fn aac(&mut self, frame: &[u8], rtp: u32, send: &mut impl FnMut(&[u8])) {
        // 13 bits of size: larger frames do not exist in AAC.
        if frame.len() > 0x1fff {
            return;
        }
        let size = ((frame.len() as u16) << 3).to_be_bytes();
        let mut pieces = frame.chunks(MAX_PAYLOAD - 4).peekable();
        while let Some(piece) = pieces.next() {
            self.packet(&[&[0, 16], &size, piece], rtp, pieces.peek().is_none(), send);
        }
    }

    fn packet(&mut self, parts: &[&[u8]], rtp: u32, marker: bool, send: &mut impl FnMut(&[u8])) {
        let mut packet = Vec::with_capacity(12 + MAX_PAYLOAD);
        packet.extend_from_slice(&[0x80, u8::from(marker) << 7 | self.payload_type]);
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.base.wrapping_add(rtp).to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        parts.iter().for_each(|part| packet.extend_from_slice(part));
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add((packet.len() - 12) as u32);
        send(&packet);
    }

    /// A sender report with a source description, at `unix_nanos` and the RTP time of that moment.
    pub(crate) fn report(&self, unix_nanos: u128, rtp: u32) -> Vec<u8> {
        const CNAME: &[u8] = b"lva-rtsp";
        let seconds = (unix_nanos / 1_000_000_000) as u64;
        let fraction = ((unix_nanos % 1_000_000_000) << 32) / 1_000_000_000;
        let mut packet = Vec::with_capacity(48);
        packet.extend_from_slice(&[0x80, 200, 0, 6]);
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(&(seconds.wrapping_add(NTP_TO_UNIX_SECONDS) as u32).to_be_bytes());
        packet.extend_from_slice(&(fraction as u32).to_be_bytes());
        packet.extend_from_slice(&self.base.wrapping_add(rtp).to_be_bytes());
        packet.extend_from_slice(&self.packets.to_be_bytes());
        packet.extend_from_slice(&self.octets.to_be_bytes());
        // SDES with one chunk: SSRC, CNAME item, and zeros to the next word (RFC 3550 section 6.5).
        packet.extend_from_slice(&[0x81, 202, 0, 4]);
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(&[1, CNAME.len() as u8]);
        packet.extend_from_slice(CNAME);
        packet.extend_from_slice(&[0, 0]);
        packet
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn h264() -> TrackKind {
        TrackKind::H264 {
            sps: vec![],
            pps: vec![],
            length_bytes: 4,
        }
    }

    fn h265() -> TrackKind {
        TrackKind::H265 {
            vps: vec![],
            sps: vec![],
            pps: vec![],
            length_bytes: 4,
        }
    }

    /// Reassembles H.265 packets like a receiver.
    fn reassemble_h265(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut nal = Vec::new();
        for packet in packets {
            let payload = &packet[12..];
            if payload[0] >> 1 & 0x3f == FU_H265 {
                if payload[2] & 0x80 != 0 {
                    nal = vec![payload[0] & 0x81 | (payload[2] & 0x3f) << 1, payload[1]];
                }
                nal.extend_from_slice(&payload[3..]);
                if payload[2] & 0x40 == 0 {
                    continue;
                }
            } else {
                nal = payload.to_vec();
            }
            out.extend_from_slice(&(nal.len() as u32).to_be_bytes());
            out.append(&mut nal);
        }
        out
    }

    fn packets(kind: &TrackKind, sample: &[u8]) -> Vec<Vec<u8>> {
        let mut sender = Packetizer::new(kind).unwrap();
        let mut all = Vec::new();
        sender.unit(kind, sample, false, 0, |packet| all.push(packet.to_vec()));
        all
    }

    /// Reassembles H.264 packets like a receiver.
    fn reassemble(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut nal = Vec::new();
        let mut flush = |nal: &mut Vec<u8>| {
            out.extend_from_slice(&(nal.len() as u32).to_be_bytes());
            out.append(nal);
        };
        for packet in packets {
            let payload = &packet[12..];
            if payload[0] & 0x1f != FU_A {
                nal = payload.to_vec();
                flush(&mut nal);
                continue;
            }
            if payload[1] & 0x80 != 0 {
                nal = vec![payload[0] & 0xe0 | payload[1] & 0x1f];
            }
            nal.extend_from_slice(&payload[2..]);
            if payload[1] & 0x40 != 0 {
                flush(&mut nal);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn samples_come_back_from_their_packets(
            nals in proptest::collection::vec((1..24_u8, 0..6000_usize), 1..6),
        ) {
            let mut sample = Vec::new();
            for (kind, len) in nals {
                sample.extend_from_slice(&(len as u32 + 1).to_be_bytes());
                sample.push(kind);
                sample.extend((0..len).map(|n| n as u8));
            }
            let packets = packets(&h264(), &sample);
            prop_assert!(packets.iter().all(|p| p.len() <= 12 + MAX_PAYLOAD));
            let markers: Vec<_> = packets.iter().map(|p| p[1] >> 7).collect();
            prop_assert!(markers.iter().rev().skip(1).all(|m| *m == 0) && markers.last() == Some(&1));
            prop_assert_eq!(reassemble(&packets), sample);
        }

        #[test]
        fn samples_of_h265_come_back_from_their_packets(
            nals in proptest::collection::vec((0..48_u8, 0..6000_usize), 1..6),
        ) {
            let mut sample = Vec::new();
            for (kind, len) in nals {
                sample.extend_from_slice(&(len as u32 + 2).to_be_bytes());
                sample.extend_from_slice(&[kind << 1, 1]);
                sample.extend((0..len).map(|n| n as u8));
            }
            let packets = packets(&h265(), &sample);
            prop_assert!(packets.iter().all(|p| p.len() <= 12 + MAX_PAYLOAD));
            prop_assert_eq!(packets.iter().filter(|p| p[1] & 0x80 != 0).count(), 1);
            prop_assert_eq!(reassemble_h265(&packets), sample);
        }

        #[test]
        fn broken_samples_do_no_harm(sample in proptest::collection::vec(any::<u8>(), 0..100), length_bytes in 1..5_usize) {
            let kind = TrackKind::H264 { sps: vec![], pps: vec![], length_bytes };
            packets(&kind, &sample);
            packets(&TrackKind::H265 { vps: vec![], sps: vec![], pps: vec![], length_bytes }, &sample);
            packets(&TrackKind::Aac { config: [0; 2], sample_rate_hz: 48000, channels: 2 }, &sample);
        }
    }

    #[test]
    fn a_report_has_the_layout_of_the_standard() {
        let sender = Packetizer {
            payload_type: 96,
            ssrc: 7,
            sequence: 0,
            base: 1000,
            packets: 3,
            octets: 30,
        };
        let report = sender.report(1_500_000_000, 9);
        assert_eq!(report.len(), 28 + 20);
        assert_eq!(&report[8..12], &(NTP_TO_UNIX_SECONDS as u32 + 1).to_be_bytes());
        assert_eq!(&report[12..16], &0x8000_0000_u32.to_be_bytes());
        assert_eq!(&report[16..20], &1009_u32.to_be_bytes());
    }
}
