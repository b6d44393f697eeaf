//! How payloads carry NAL units (RFC 6184, RFC 7798).

use std::sync::LazyLock;

use lva_bitstream::{NalHeader, VideoCodec, without_trailing_zeros};
use memchr::memmem::Finder;

static START_CODE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\0\0\x01"));

/// An aggregation with a broken length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The units of an aggregation packet (STAP-A, AP); `None` for another payload.
pub(super) fn aggregated(
    codec: VideoCodec,
    payload: &[u8],
) -> Option<impl Iterator<Item = Result<&[u8], Malformed>>> {
    let first = payload.first()?;
    let is_one = match codec {
        VideoCodec::H265 => first >> 1 & 0x3f == 48,
        VideoCodec::H264 | VideoCodec::Mjpeg => first & 0x1f == 24,
    };
    let mut rest = payload.get(NalHeader::size(codec)..).filter(|_| is_one)?;
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

/// A part of a unit (FU-A, FU-B, FU).
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
pub(super) fn fragment(codec: VideoCodec, payload: &[u8]) -> Option<Fragment<'_>> {
    let (header, header_len, fu, body) = if codec == VideoCodec::H265 {
        let (&[first, second, fu], body) = payload.split_first_chunk::<3>()?;
        if first >> 1 & 0x3f != 49 {
            return None;
        }
        ([first & 0x81 | (fu & 0x3f) << 1, second], 2, fu, body)
    } else {
        let (&[first, fu], body) = payload.split_first_chunk::<2>()?;
        if !matches!(first & 0x1f, 28 | 29) {
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
            let unit = without_trailing_zeros(unit);
            if !unit.is_empty() {
                return Some(unit);
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
        let units: Vec<_> = aggregated(VideoCodec::H264, b"\x18\0\x02ab\0\x01c\0\x09d")
            .unwrap()
            .collect();
        assert_eq!(units, [Ok(&b"ab"[..]), Ok(b"c"), Err(Malformed)]);
        let units: Vec<_> = aggregated(VideoCodec::H265, b"\x60\x01\0\x02ab\0")
            .unwrap()
            .collect();
        assert_eq!(units, [Ok(&b"ab"[..]), Err(Malformed)]);
        assert!(aggregated(VideoCodec::H264, b"\x65abc").is_none());
    }

    #[test]
    fn fragments_carry_the_header_of_their_unit() {
        let one = fragment(VideoCodec::H264, &[0x7c, 0x85, 1, 2]).unwrap();
        assert_eq!(
            (one.header(), one.body, one.start, one.end),
            (&[0x65][..], &[1, 2][..], true, false)
        );
        let one = fragment(VideoCodec::H265, &[0x62, 1, 0x53, 9]).unwrap();
        assert_eq!((one.header(), one.start, one.end), (&[0x26, 1][..], false, true));
        assert!(fragment(VideoCodec::H265, &[0x40, 1, 1]).is_none());
    }
}
