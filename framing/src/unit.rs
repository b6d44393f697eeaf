//! The role of an access unit among the pictures around it, read from its NAL unit headers.

use lva_bitstream::{NalUnits, ParameterSets};
use lva_media_types::VideoCodec;

/// The role of an access unit among the pictures around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnitKind {
    /// Decoding can start here: H.264 IDR, H.265 IRAP; every JPEG.
    Keyframe,
    /// No other picture refers to it, and it carries nothing else that is needed.
    Disposable,
    /// Others may refer to it.
    Reference,
    /// It carries no picture.
    NoPicture,
}

/// Classifies the units of one stream, using its parameter sets.
#[derive(Debug, Clone)]
pub(crate) struct UnitReader {
    codec: VideoCodec,
    /// Highest temporal sub-layer of an H.265 stream, once its VPS was seen.
    highest_layer: Option<u8>,
    open_group: bool,
}

impl UnitReader {
    pub(crate) fn new(codec: VideoCodec) -> Self {
        Self {
            codec,
            highest_layer: None,
            open_group: false,
        }
    }

    /// Reads parameter sets that came out of band.
    pub(crate) fn parameter_sets(&mut self, sets: &ParameterSets) {
        self.highest_layer = None;
        if self.codec == VideoCodec::H265 {
            for set in sets.iter() {
                self.h265(set);
            }
        }
    }

    /// The kind of a unit. A truncated or unknown unit counts as a reference, so that the decoder sees it.
    pub(crate) fn kind(&mut self, unit: &[u8], length_size: usize) -> UnitKind {
        if self.codec == VideoCodec::Mjpeg {
            return if unit.is_empty() {
                UnitKind::NoPicture
            } else {
                UnitKind::Keyframe
            };
        }
        self.open_group = false;
        let mut kind = UnitKind::NoPicture;
        let mut anything_else = false;
        let mut units = NalUnits::length_prefixed(unit, length_size);
        for nal in units.by_ref() {
            let part = match self.codec {
                VideoCodec::H264 => h264(nal),
                VideoCodec::H265 => self.h265(nal),
                VideoCodec::Mjpeg => Part::Other,
            };
            kind = match (part, kind) {
                (Part::Ignored, kind) => kind,
                (Part::Other, kind) => {
                    anything_else = true;
                    kind
                }
                (Part::Picture(part), UnitKind::NoPicture) => part,
                (Part::Picture(part), kind) if part == kind => kind,
                // Slices that disagree.
                (Part::Picture(_), _) => UnitKind::Reference,
            };
        }
        match kind {
            UnitKind::Disposable if anything_else || units.is_damaged() => UnitKind::Reference,
            UnitKind::NoPicture if units.is_damaged() => UnitKind::Reference,
            kind => kind,
        }
    }

    /// Whether the last classified unit may be followed by pictures that refer to what was before it.
    pub(crate) fn is_open_group(&self) -> bool {
        self.open_group
    }

    /// ITU-T H.265, 7.3.1.2 and table 7-1.
    fn h265(&mut self, nal: &[u8]) -> Part {
        let [first, second, ..] = nal else {
            return Part::Other;
        };
        let (kind, layer) = (first >> 1 & 63, (second & 7).saturating_sub(1));
        match kind {
            // Sub-layer non-reference pictures: their own sub-layer does not refer to them, but higher ones may.
            0 | 2 | 4 | 6 | 8 | 10 | 12 | 14 if self.highest_layer == Some(layer) => {
                Part::Picture(UnitKind::Disposable)
            }
            16..=21 => {
                self.open_group |= kind == 21; // CRA
                Part::Picture(UnitKind::Keyframe)
            }
            0..=31 => Part::Picture(UnitKind::Reference),
            32 => {
                // vps_max_sub_layers_minus1, after 4 + 1 + 1 + 6 bits (7.3.2.1).
                if let Some(byte) = nal.get(3) {
                    self.highest_layer = Some(byte >> 1 & 7);
                }
                Part::Other
            }
            35 | 38..=40 => Part::Ignored, // delimiter, filler, SEI
            _ => Part::Other,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Picture(UnitKind),
    /// Nothing later depends on it.
    Ignored,
    /// Parameter sets and unknown types.
    Other,
}

/// ITU-T H.264, 7.3.1 and table 7-1.
fn h264(nal: &[u8]) -> Part {
    let Some(first) = nal.first() else {
        return Part::Ignored;
    };
    let referred_to = first >> 5 & 3 != 0;
    match first & 31 {
        5 => Part::Picture(UnitKind::Keyframe),
        1..=4 if referred_to => Part::Picture(UnitKind::Reference),
        1..=4 => Part::Picture(UnitKind::Disposable),
        6 | 9 | 12 => Part::Ignored, // SEI, delimiter, filler
        _ => Part::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unit(nals: &[&[u8]]) -> Vec<u8> {
        let prefixed = nals.iter().flat_map(|nal| {
            let mut out = (nal.len() as u32).to_be_bytes().to_vec();
            out.extend_from_slice(nal);
            out
        });
        prefixed.collect()
    }

    fn kind(codec: VideoCodec, nals: &[&[u8]]) -> UnitKind {
        UnitReader::new(codec).kind(&unit(nals), 4)
    }

    #[test]
    fn h264_units_are_classified_by_type_and_reference() {
        let h264 = |nals: &[&[u8]]| kind(VideoCodec::H264, nals);
        assert_eq!(
            h264(&[&[0x67, 1], &[0x68, 2], &[0x06, 3], &[0x65, 4]]),
            UnitKind::Keyframe
        );
        assert_eq!(h264(&[&[0x41, 1]]), UnitKind::Reference);
        assert_eq!(
            h264(&[&[0x09, 1], &[0x06, 1], &[0x01, 1], &[0x01, 2]]),
            UnitKind::Disposable
        );
        assert_eq!(
            h264(&[&[0x01, 1], &[0x41, 2]]),
            UnitKind::Reference,
            "slices that disagree"
        );
        assert_eq!(
            h264(&[&[0x67, 1], &[0x01, 2]]),
            UnitKind::Reference,
            "it carries a parameter set"
        );
        assert_eq!(h264(&[&[0x67, 1]]), UnitKind::NoPicture);
        let cut = &unit(&[&[0x01, 1, 2, 3]])[..6];
        assert_eq!(
            UnitReader::new(VideoCodec::H264).kind(cut, 4),
            UnitKind::Reference
        );
    }

    #[test]
    fn h265_pictures_are_disposable_in_the_highest_layer_only() {
        let vps = |layers_minus_1: u8| [0x40, 1, 0x0c, layers_minus_1 << 1 | 0xf1];
        let mut reader = UnitReader::new(VideoCodec::H265);
        let trailing = unit(&[&[0x00, 1, 9]]);
        assert_eq!(reader.kind(&trailing, 4), UnitKind::Reference, "layers unknown");
        let key = unit(&[&vps(0), &[0x26, 1, 9]]);
        assert_eq!(reader.kind(&key, 4), UnitKind::Keyframe);
        assert_eq!(reader.kind(&trailing, 4), UnitKind::Disposable);
        assert_eq!(reader.kind(&unit(&[&[0x02, 1, 9]]), 4), UnitKind::Reference);
        assert_eq!(reader.kind(&unit(&[&[0x2a, 1, 9]]), 4), UnitKind::Keyframe, "CRA");
        let mut record = vec![0; 23];
        (record[0], record[21], record[22]) = (1, 3, 1);
        record.extend([32, 0, 1, 0, 4]);
        record.extend(vps(1));
        reader.parameter_sets(&ParameterSets::from_extra_data(VideoCodec::H265, &record).unwrap());
        assert_eq!(
            reader.kind(&trailing, 4),
            UnitKind::Reference,
            "a higher layer may refer to it"
        );
        assert_eq!(reader.kind(&unit(&[&[0x00, 2, 9]]), 4), UnitKind::Disposable);
    }

    proptest! {
        #[test]
        fn anything_at_all_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1usize..5) {
            for codec in [VideoCodec::H264, VideoCodec::H265, VideoCodec::Mjpeg] {
                let mut reader = UnitReader::new(codec);
                reader.parameter_sets(&ParameterSets::from_extra_data(codec, &bytes).unwrap_or_default());
                reader.kind(&bytes, size);
            }
        }
    }
}
