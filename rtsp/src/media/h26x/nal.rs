//! NAL units and how payloads carry them.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::super::parameter_sets::ParameterSetKind;
use crate::Codec;

static START_CODE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\0\0\x01"));

/// What matters of a unit's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nal {
    pub(super) kind: NalKind,
    /// A slice with the picture's first block.
    pub(super) first_slice: bool,
    /// No other picture refers to it.
    pub(super) disposable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NalKind {
    Slice {
        /// Decoding can start at a picture of such slices.
        intra_start: bool,
    },
    ParameterSet(ParameterSetKind),
    /// In front of the slices: delimiters, SEI.
    Leading,
    /// Behind the slices: filler data, ends of sequences, suffix SEI.
    Trailing,
}

impl NalKind {
    pub(super) fn is_slice(self) -> bool {
        matches!(self, Self::Slice { .. })
    }
}

impl Nal {
    /// `None` for what cannot be a unit.
    pub(super) fn parse(codec: Codec, unit: &[u8]) -> Option<Self> {
        if codec == Codec::H265 {
            h265(unit)
        } else {
            h264(unit)
        }
    }
}

/// H.264 table 7-1.
fn h264(unit: &[u8]) -> Option<Nal> {
    let (&header, rest) = unit.split_first()?;
    if header & 0x80 != 0 {
        return None;
    }
    let kind = match header & 0x1f {
        1..=5 => NalKind::Slice {
            intra_start: header & 0x1f == 5,
        },
        7 => NalKind::ParameterSet(ParameterSetKind::Sps),
        8 => NalKind::ParameterSet(ParameterSetKind::Pps),
        6 | 9 | 13..=18 => NalKind::Leading,
        10..=12 | 19..=23 => NalKind::Trailing,
        // 0 is unspecified, and the others are of RTP.
        _ => return None,
    };
    // `first_mb_in_slice` is ue(v): 0 is the bit 1. Partitions B and C begin with another number.
    let first_slice = matches!(header & 0x1f, 1 | 2 | 5) && rest.first().is_some_and(|byte| byte & 0x80 != 0);
    Some(Nal {
        kind,
        first_slice,
        disposable: header & 0x60 == 0,
    })
}

/// H.265 table 7-1.
fn h265(unit: &[u8]) -> Option<Nal> {
    let (&[first, second], rest) = unit.split_first_chunk::<2>()?;
    // The last three bits of the temporal identifier are one more than it.
    if first & 0x80 != 0 || second & 7 == 0 {
        return None;
    }
    let kind = match first >> 1 & 0x3f {
        kind @ (0..=9 | 16..=21) => NalKind::Slice {
            intra_start: kind >= 16,
        },
        32 => NalKind::ParameterSet(ParameterSetKind::Vps),
        33 => NalKind::ParameterSet(ParameterSetKind::Sps),
        34 => NalKind::ParameterSet(ParameterSetKind::Pps),
        35 | 39 | 41..=44 => NalKind::Leading,
        36..=38 | 40 | 45..=47 => NalKind::Trailing,
        _ => return None,
    };
    Some(Nal {
        kind,
        first_slice: kind.is_slice() && rest.first().is_some_and(|byte| byte & 0x80 != 0),
        // A sub-layer non-reference picture may be one only within its layer.
        disposable: false,
    })
}

/// Whether this is an access unit delimiter.
pub(super) fn is_delimiter(codec: Codec, unit: &[u8]) -> bool {
    let Some(header) = unit.first() else { return false };
    if codec == Codec::H265 {
        header >> 1 & 0x3f == 35
    } else {
        header & 0x1f == 9
    }
}

/// An aggregation with a broken length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The units of an aggregation packet (STAP-A, AP); `None` for another payload.
pub(super) fn aggregated(
    codec: Codec,
    payload: &[u8],
) -> Option<impl Iterator<Item = Result<&[u8], Malformed>>> {
    let first = payload.first()?;
    let (is_one, header) = if codec == Codec::H265 {
        (first >> 1 & 0x3f == 48, 2)
    } else {
        (first & 0x1f == 24, 1)
    };
    let mut rest = payload.get(header..).filter(|_| is_one)?;
    Some(std::iter::from_fn(move || {
        let Some((&[high, low], behind)) = rest.split_first_chunk::<2>() else {
            let left = std::mem::take(&mut rest);
            return (!left.is_empty()).then_some(Err(Malformed));
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some((unit, behind)) = behind.split_at_checked(length) else {
            rest = &[];
            return Some(Err(Malformed));
        };
        rest = behind;
        Some(if unit.is_empty() { Err(Malformed) } else { Ok(unit) })
    }))
}

/// A part of a unit (FU-A, FU).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    header: [u8; 2],
    header_len: usize,
    pub(super) body: &'a [u8],
    pub(super) start: bool,
    pub(super) end: bool,
}

impl Fragment<'_> {
    /// The header of the whole unit.
    pub(super) fn header(&self) -> &[u8] {
        self.header.get(..self.header_len).unwrap_or_default()
    }
}

/// The fragment in a payload; `None` for another payload.
pub(super) fn fragment(codec: Codec, payload: &[u8]) -> Option<Fragment<'_>> {
    let (header, header_len, fu, body) = if codec == Codec::H265 {
        let (&[first, second, fu], body) = payload.split_first_chunk::<3>()?;
        if first >> 1 & 0x3f != 49 {
            return None;
        }
        ([first & 0x81 | (fu & 0x3f) << 1, second], 2, fu, body)
    } else {
        let (&[first, fu], body) = payload.split_first_chunk::<2>()?;
        if first & 0x1f != 28 {
            return None;
        }
        ([first & 0xe0 | fu & 0x1f, 0], 1, fu, body)
    };
    Some(Fragment {
        header,
        header_len,
        body,
        start: fu & 0x80 != 0,
        end: fu & 0x40 != 0,
    })
}

/// Whether there is a start code (Annex B), which no unit has inside.
pub(super) fn has_start_code(unit: &[u8]) -> bool {
    START_CODE.find(unit).is_some()
}

/// The units between start codes, without the zeros around them.
pub(super) fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        loop {
            let all = rest?;
            let (unit, behind) = match START_CODE.find(all) {
                Some(at) => (all.get(..at).unwrap_or_default(), all.get(at + 3..)),
                None => (all, None),
            };
            rest = behind;
            let end = unit
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |last| last + 1);
            if end > 0 {
                return unit.get(..end);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_of_three_and_four_bytes_separate_units() {
        let parts: Vec<_> = split(b"\0\0\0\x01\x67a\0\0\x01\x68b\0\0\0\x01\x65c\0\0").collect();
        assert_eq!(parts, [&b"\x67a"[..], b"\x68b", b"\x65c"]);
        assert!(!has_start_code(b"\x65\0\0\x03\x01"));
    }

    #[test]
    fn aggregations_give_their_units_and_name_what_is_broken() {
        let units: Vec<_> = aggregated(Codec::H264, b"\x18\0\x02ab\0\x01c\0\x09d")
            .unwrap()
            .collect();
        assert_eq!(units, [Ok(&b"ab"[..]), Ok(b"c"), Err(Malformed)]);
        let units: Vec<_> = aggregated(Codec::H265, b"\x60\x01\0\x02ab\0").unwrap().collect();
        assert_eq!(units, [Ok(&b"ab"[..]), Err(Malformed)]);
        assert!(aggregated(Codec::H264, b"\x65abc").is_none());
    }

    #[test]
    fn fragments_carry_the_header_of_their_unit() {
        let one = fragment(Codec::H264, &[0x7c, 0x85, 1, 2]).unwrap();
        assert_eq!(
            (one.header(), one.body, one.start, one.end),
            (&[0x65][..], &[1, 2][..], true, false)
        );
        let one = fragment(Codec::H265, &[0x62, 1, 0x53, 9]).unwrap();
        assert_eq!((one.header(), one.start, one.end), (&[0x26, 1][..], false, true));
        assert!(fragment(Codec::H265, &[0x40, 1, 1]).is_none());
    }

    #[test]
    fn slices_tell_whether_they_begin_a_picture_and_whether_decoding_can_start() {
        let h264 =
            |bytes: &[u8]| Nal::parse(Codec::H264, bytes).map(|n| (n.kind, n.first_slice, n.disposable));
        assert_eq!(
            h264(&[0x65, 0x88]),
            Some((NalKind::Slice { intra_start: true }, true, false))
        );
        assert_eq!(
            h264(&[0x01, 0x40]),
            Some((NalKind::Slice { intra_start: false }, false, true))
        );
        assert_eq!(h264(&[0x0c, 0xff]), Some((NalKind::Trailing, false, true)));
        assert_eq!(
            (h264(&[0xe5, 0x88]), h264(&[0x00]), h264(&[])),
            (None, None, None)
        );
        let h265 = |bytes: &[u8]| Nal::parse(Codec::H265, bytes).map(|n| (n.kind, n.first_slice));
        assert_eq!(
            h265(&[0x26, 1, 0x80]),
            Some((NalKind::Slice { intra_start: true }, true))
        );
        assert_eq!(
            h265(&[0x02, 1, 0x00]),
            Some((NalKind::Slice { intra_start: false }, false))
        );
        assert_eq!(h265(&[0x4e, 1, 5]), Some((NalKind::Leading, false)));
        assert_eq!(h265(&[0x26, 0, 0x80]), None);
    }
}
