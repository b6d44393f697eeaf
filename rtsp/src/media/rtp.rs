//! RTP and RTCP packets (RFC 3550).

/// An RTP packet without its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// `None` for what is not RTP. The payload may be empty.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&[first, second, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3], mut rest) =
            bytes.split_first_chunk::<12>()?;
        if first >> 6 != 2 {
            return None;
        }
        let sources = usize::from(first & 0x0f) * 4;
        rest = rest.get(sources..)?;
        if first & 0x10 != 0 {
            let (&[_, _, high, low], behind) = rest.split_first_chunk::<4>()?;
            rest = behind.get(usize::from(u16::from_be_bytes([high, low])) * 4..)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*rest.last()?);
            // Some cameras set the bit and do not pad.
            if padding > 0 && padding <= rest.len() {
                rest = rest.get(..rest.len() - padding)?;
            }
        }
        Some(Self {
            payload_type: second & 0x7f,
            marker: second & 0x80 != 0,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
            payload: rest,
        })
    }
}

/// The clocks of a sender report (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SenderReport {
    /// 32.32 bits since 1900.
    pub(crate) ntp: u64,
    pub(crate) rtp: u32,
}

/// The first sender report of a compound packet, and whether all of the packet was RTCP.
pub(crate) fn sender_report(mut bytes: &[u8]) -> (Option<SenderReport>, bool) {
    let mut report = None;
    while !bytes.is_empty() {
        let Some(&[first, kind, high, low]) = bytes.first_chunk::<4>() else {
            return (report, false);
        };
        let length = 4 + usize::from(u16::from_be_bytes([high, low])) * 4;
        if first >> 6 != 2 || !(192..=223).contains(&kind) || length > bytes.len() {
            return (report, false);
        }
        let (packet, rest) = bytes.split_at(length);
        if kind == 200 && report.is_none() {
            let Some(
                &[
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    n0,
                    n1,
                    n2,
                    n3,
                    n4,
                    n5,
                    n6,
                    n7,
                    r0,
                    r1,
                    r2,
                    r3,
                ],
            ) = packet.first_chunk()
            else {
                return (report, false);
            };
            report = Some(SenderReport {
                ntp: u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7]),
                rtp: u32::from_be_bytes([r0, r1, r2, r3]),
            });
        }
        bytes = rest;
    }
    (report, true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: [u8; 12] = [0x80, 0xe0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 3];

    fn with(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        bytes[0] = first;
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn the_payload_is_found_behind_sources_and_extensions_and_before_padding() {
        for (first, rest) in [
            (0x80, &b"ab"[..]),
            (0x82, b"11112222ab"),
            (0x90, b"\xbe\xde\0\x011234ab"),
            (0xa0, b"ab\0\0\x03"),
            (0xa0, b"ab"), // the bit alone: 98 bytes of padding do not fit
        ] {
            let bytes = with(first, rest);
            let packet = Packet::parse(&bytes).unwrap();
            assert_eq!(
                (packet.payload, packet.marker, packet.payload_type),
                (&b"ab"[..], true, 96)
            );
            assert_eq!((packet.sequence, packet.timestamp, packet.ssrc), (7, 9, 3));
        }
        for (first, rest) in [(0x40, &b"ab"[..]), (0x8f, b"ab"), (0x90, b"\0\0\0\x09ab")] {
            assert_eq!(Packet::parse(&with(first, rest)), None, "{first:x} {rest:?}");
        }
    }

    #[test]
    fn a_sender_report_is_found_in_what_is_whole_of_a_compound_packet() {
        let mut report = vec![0x80, 200, 0, 6, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 9];
        report.extend([0; 8]);
        let read = Some(SenderReport {
            ntp: (1 << 32) + 2,
            rtp: 9,
        });
        assert_eq!(sender_report(&report), (read, true));
        let mut compound = vec![0x80, 201, 0, 1, 0, 0, 0, 3];
        compound.extend(&report);
        assert_eq!(sender_report(&compound), (read, true));
        compound.extend([0; 4]);
        assert_eq!(sender_report(&compound), (read, false));
        for broken in [&report[..20], &[0, 0, 0, 0], &[0x80]] {
            assert_eq!(sender_report(broken), (None, false));
        }
        assert_eq!(sender_report(&[]), (None, true));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            Packet::parse(&bytes);
            sender_report(&bytes);
        }
    }
}
