use lva_media_types::VideoCodec;

/// What the first bytes of a NAL unit hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NalHeader {
    /// What it is.
    pub kind: NalKind,
    /// A slice with the first block of its picture, or of a field.
    pub first_slice: bool,
    /// No other picture refers to it (`nal_ref_idc` 0). Always false for H.265, where that holds only within a layer.
    pub disposable: bool,
}

/// What a NAL unit is among those of an access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NalKind {
    /// A part of a picture.
    Slice {
        /// Decoding can start at a picture of such slices: H.264 IDR, H.265 IRAP.
        keyframe: bool,
    },
    /// SPS, PPS, and in H.265 VPS.
    ParameterSet(ParameterSetKind),
    /// An access unit delimiter.
    Delimiter,
    /// Other units in front of the slices, such as SEI messages.
    Leading,
    /// Behind the slices: filler data, ends of sequences, suffix SEI.
    Trailing,
}

/// The kinds of parameter sets, in the order of a decoder configuration record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParameterSetKind {
    /// Video parameter set (H.265).
    Vps,
    /// Sequence parameter set.
    Sps,
    /// Picture parameter set.
    Pps,
}

impl NalKind {
    /// Whether it is a part of a picture.
    pub fn is_slice(self) -> bool {
        matches!(self, Self::Slice { .. })
    }

    /// Whether it stands in front of the slices and is no parameter set.
    pub fn is_leading(self) -> bool {
        matches!(self, Self::Delimiter | Self::Leading)
    }
}

impl NalHeader {
    /// Reads it; `nal` needs not be whole. `None` for what no decoder knows: reserved types, those of RTP, damage, MJPEG.
    pub fn parse(codec: VideoCodec, nal: &[u8]) -> Option<Self> {
        match codec {
            VideoCodec::H264 => h264(nal),
            VideoCodec::H265 => h265(nal),
            VideoCodec::Mjpeg => None,
        }
    }

    /// Its bytes.
    pub fn size(codec: VideoCodec) -> usize {
        match codec {
            VideoCodec::H265 => 2,
            VideoCodec::H264 | VideoCodec::Mjpeg => 1,
        }
    }
}

/// ITU-T H.264, table 7-1.
fn h264(nal: &[u8]) -> Option<NalHeader> {
    let (&header, rest) = nal.split_first()?;
    if header & 0x80 != 0 {
        return None;
    }
    let kind = match header & 0x1f {
        kind @ 1..=5 => NalKind::Slice { keyframe: kind == 5 },
        7 => NalKind::ParameterSet(ParameterSetKind::Sps),
        8 => NalKind::ParameterSet(ParameterSetKind::Pps),
        9 => NalKind::Delimiter,
        6 | 13..=18 => NalKind::Leading,
        10..=12 | 19..=23 => NalKind::Trailing,
        // 0 is unspecified, and the others are of RTP.
        _ => return None,
    };
    // `first_mb_in_slice` is ue(v): 0 is the bit 1. Partitions B and C begin with another number.
    let first_slice = matches!(header & 0x1f, 1 | 2 | 5) && rest.first().is_some_and(|byte| byte & 0x80 != 0);
    Some(NalHeader {
        kind,
        first_slice,
        disposable: header & 0x60 == 0,
    })
}

/// ITU-T H.265, table 7-1.
fn h265(nal: &[u8]) -> Option<NalHeader> {
    let (&[first, second], rest) = nal.split_first_chunk::<2>()?;
    // The last three bits are one more than the temporal identifier.
    if first & 0x80 != 0 || second & 7 == 0 {
        return None;
    }
    let kind = match first >> 1 & 0x3f {
        kind @ (0..=9 | 16..=21) => NalKind::Slice { keyframe: kind >= 16 },
        32 => NalKind::ParameterSet(ParameterSetKind::Vps),
        33 => NalKind::ParameterSet(ParameterSetKind::Sps),
        34 => NalKind::ParameterSet(ParameterSetKind::Pps),
        35 => NalKind::Delimiter,
        39 | 41..=44 => NalKind::Leading,
        36..=38 | 40 | 45..=47 => NalKind::Trailing,
        _ => return None,
    };
    Some(NalHeader {
        kind,
        first_slice: kind.is_slice() && rest.first().is_some_and(|byte| byte & 0x80 != 0),
        disposable: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_tell_whether_they_begin_a_picture_and_whether_decoding_can_start() {
        let h264 = |bytes: &[u8]| {
            NalHeader::parse(VideoCodec::H264, bytes).map(|n| (n.kind, n.first_slice, n.disposable))
        };
        let slice = |keyframe| NalKind::Slice { keyframe };
        assert_eq!(h264(&[0x65, 0x88]), Some((slice(true), true, false)));
        assert_eq!(h264(&[0x01, 0x40]), Some((slice(false), false, true)));
        assert_eq!(h264(&[0x0c, 0xff]), Some((NalKind::Trailing, false, true)));
        assert_eq!(
            (h264(&[0xe5, 0x88]), h264(&[0x00]), h264(&[])),
            (None, None, None)
        );
        let h265 = |bytes: &[u8]| NalHeader::parse(VideoCodec::H265, bytes).map(|n| (n.kind, n.first_slice));
        assert_eq!(h265(&[0x26, 1, 0x80]), Some((slice(true), true)));
        assert_eq!(h265(&[0x02, 1, 0x00]), Some((slice(false), false)));
        assert_eq!(h265(&[0x4e, 1, 5]), Some((NalKind::Leading, false)));
        assert_eq!(h265(&[0x26, 0, 0x80]), None);
    }
}
