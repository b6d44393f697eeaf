//! NAL units of H.264 and H.265 in their two forms: after lengths (ISO/IEC 14496-15), as in MP4 files and in every access
//! unit of this workspace, and after start codes (Annex B of ITU-T H.264 and H.265), as in `.h264` files and from encoders.
//!
//! ```
//! use lva_media_types::nal::{self, NalUnits};
//!
//! let annex_b = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x65, 3];
//! let mut unit = Vec::new();
//! for nal in NalUnits::annex_b(&annex_b) {
//!     nal::write_length_prefixed(nal, &mut unit)?;
//! }
//! assert_eq!(unit, [0, 0, 0, 3, 0x67, 1, 2, 0, 0, 0, 2, 0x65, 3]);
//! assert!(NalUnits::length_prefixed(&unit, 4).eq([&[0x67, 1, 2][..], &[0x65, 3]]));
//! # Ok::<(), lva_media_types::nal::NalError>(())
//! ```

use crate::VideoCodec;

/// The start code in its long form, which the first NAL unit of a picture and every parameter set need (Annex B.1.2).
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// NAL units that cannot be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NalError {
    /// The configuration record ends too early.
    #[error("the decoder configuration record is cut off after {0} bytes")]
    Truncated(usize),
    /// The version of the configuration record is not the one that ISO/IEC 14496-15 defines.
    #[error(
        "the decoder configuration record has version {0}, not 1; pass an avcC or hvcC record, not a byte stream"
    )]
    Version(u8),
    /// Lengths of 3 bytes are forbidden by ISO/IEC 14496-15.
    #[error("the decoder configuration record announces lengths of 3 bytes, which the standard forbids")]
    LengthSize,
    /// A length in an access unit exceeds what is left of it.
    #[error(
        "a length in the access unit of {0} bytes does not fit: its NAL units must follow lengths of 4 bytes"
    )]
    Length(usize),
    /// Bytes before the first start code, or no start code at all.
    #[error("the data of {0} bytes do not begin with an Annex B start code (00 00 01)")]
    NoStartCode(usize),
    /// A NAL unit that does not fit into a field of 4 bytes.
    #[error("a NAL unit of {0} bytes is too long")]
    TooLong(usize),
}

/// The NAL units of an access unit, without lengths, start codes and empty units. It ends early where the data are
/// damaged.
#[derive(Debug, Clone)]
pub struct NalUnits<'a> {
    rest: &'a [u8],
    form: Form,
    damaged: bool,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    /// With lengths of this many bytes.
    LengthPrefixed(usize),
    /// `rest` begins after a start code.
    AnnexB,
}

impl<'a> NalUnits<'a> {
    /// Of a unit whose NAL units follow their lengths in `length_size` bytes, big-endian: 4 in access units,
    /// [`ParameterSets::length_size`] in files.
    pub fn length_prefixed(unit: &'a [u8], length_size: usize) -> Self {
        Self {
            rest: unit,
            form: Form::LengthPrefixed(length_size.clamp(1, 4)),
            damaged: false,
        }
    }

    /// Of a byte stream with start codes of 3 or 4 bytes.
    pub fn annex_b(stream: &'a [u8]) -> Self {
        let (before, rest) = split_at_start_code(stream);
        Self {
            rest: rest.unwrap_or_default(),
            form: Form::AnnexB,
            damaged: before.iter().any(|byte| *byte != 0),
        }
    }

    /// Whether a length did not fit, which is known once the last unit was taken, or whether bytes precede the first
    /// start code.
    pub fn is_damaged(&self) -> bool {
        self.damaged
    }

    fn next_with_length(&mut self, length_size: usize) -> Option<&'a [u8]> {
        let unit_and_rest = self
            .rest
            .split_at_checked(length_size)
            .and_then(|(length, rest)| {
                let length = length
                    .iter()
                    .fold(0_usize, |value, byte| value << 8 | usize::from(*byte));
                rest.split_at_checked(length)
            });
        self.damaged = unit_and_rest.is_none();
        let (unit, rest) = unit_and_rest.unwrap_or_default();
        self.rest = rest;
        (!self.damaged).then_some(unit)
    }
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let unit = match self.form {
                Form::LengthPrefixed(length_size) => self.next_with_length(length_size)?,
                Form::AnnexB => {
                    let (unit, rest) = split_at_start_code(self.rest);
                    self.rest = rest.unwrap_or_default();
                    without_trailing_zeros(unit)
                }
            };
            if !unit.is_empty() {
                return Some(unit);
            }
        }
        None
    }
}

/// Where the next start code of three bytes is.
fn start_code(stream: &[u8]) -> Option<usize> {
    stream.windows(3).position(|bytes| bytes == [0, 0, 1])
}

/// What is before the next start code, and what is after it.
fn split_at_start_code(stream: &[u8]) -> (&[u8], Option<&[u8]>) {
    match start_code(stream) {
        Some(at) => {
            let (before, from) = stream.split_at(at);
            (before, from.get(3..))
        }
        None => (stream, None),
    }
}

/// A NAL unit never ends in a zero byte; zeros after it belong to the next start code, or fill (Annex B.1.1).
fn without_trailing_zeros(unit: &[u8]) -> &[u8] {
    let end = unit
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    unit.get(..end).unwrap_or_default()
}

/// Whether a NAL unit is a parameter set: SPS, PPS, and in H.265 VPS.
pub fn is_parameter_set(codec: VideoCodec, nal: &[u8]) -> bool {
    match (codec, nal.first()) {
        (VideoCodec::H264, Some(first)) => matches!(first & 31, 7 | 8),
        (VideoCodec::H265, Some(first)) => matches!(first >> 1 & 63, 32..=34),
        (VideoCodec::Mjpeg, _) | (_, None) => false,
    }
}

/// Whether a NAL unit belongs to a picture at which decoding can start: H.264 IDR (ITU-T H.264, table 7-1), H.265 IRAP
/// (ITU-T H.265, table 7-1).
pub fn is_keyframe(codec: VideoCodec, nal: &[u8]) -> bool {
    match (codec, nal.first()) {
        (VideoCodec::H264, Some(first)) => first & 31 == 5,
        (VideoCodec::H265, Some(first)) => matches!(first >> 1 & 63, 16..=21),
        (VideoCodec::Mjpeg, _) | (_, None) => false,
    }
}

/// Splits a byte stream that is in memory as a whole, such as a `.h264` file, into access units: one picture each, with
/// the headers before it. Start codes stay; the units together are the stream.
pub fn access_units(codec: VideoCodec, stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = stream;
    std::iter::from_fn(move || {
        let (mut from, mut has_picture, mut prefix) = (0, false, None);
        while let Some(offset) = start_code(rest.get(from..).unwrap_or_default()) {
            let code = from + offset;
            from = code + 3;
            let role = role(codec, rest.get(from..).unwrap_or_default());
            if has_picture && matches!(role, Role::Header | Role::FirstSlice) {
                let code = prefix.unwrap_or(code);
                // The zero byte of the long start code.
                let end = match code.checked_sub(1) {
                    Some(before) if rest.get(before) == Some(&0) => before,
                    _ => code,
                };
                let (unit, after) = rest.split_at_checked(end)?;
                rest = after;
                return Some(unit);
            }
            has_picture |= matches!(role, Role::FirstSlice | Role::Slice);
            prefix = (role == Role::Prefix).then_some(code);
        }
        let unit = std::mem::take(&mut rest);
        (!unit.is_empty()).then_some(unit)
    })
}

/// What a NAL unit is among those of an access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// After a picture, the next access unit begins here.
    Header,
    FirstSlice,
    Slice,
    /// Belongs to the slice that follows.
    Prefix,
    Other,
}

/// ITU-T H.264, 7.4.1.2.3; ITU-T H.265, 7.4.2.4.4. The first bit of a slice header is set for the first macroblock or
/// slice segment of a picture.
fn role(codec: VideoCodec, nal: &[u8]) -> Role {
    let slice = |header: Option<&u8>| match header {
        Some(byte) if byte & 0x80 == 0 => Role::Slice,
        _ => Role::FirstSlice,
    };
    match (codec, nal) {
        (VideoCodec::H264, [first, rest @ ..]) => match first & 31 {
            1 | 2 | 5 => slice(rest.first()),
            14 => Role::Prefix, // of scalable streams, before every slice
            6..=9 | 15..=18 => Role::Header,
            _ => Role::Other,
        },
        (VideoCodec::H265, [first, _, rest @ ..]) => match first >> 1 & 63 {
            0..=31 => slice(rest.first()),
            32..=35 | 39 | 41..=44 | 48..=55 => Role::Header,
            _ => Role::Other,
        },
        _ => Role::Other,
    }
}

/// Appends a NAL unit after its length in 4 bytes.
///
/// # Errors
///
/// [`NalError::TooLong`] from 4 GiB on.
pub fn write_length_prefixed(nal: &[u8], out: &mut Vec<u8>) -> Result<(), NalError> {
    let length = u32::try_from(nal.len()).map_err(|_| NalError::TooLong(nal.len()))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(nal);
    Ok(())
}

/// The parameter sets of a stream, apart from its pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSets {
    length_size: usize,
    /// After lengths of 4 bytes.
    sets: Vec<u8>,
}

impl Default for ParameterSets {
    /// None, for streams that carry them in their pictures: lengths of 4 bytes.
    fn default() -> Self {
        Self {
            length_size: 4,
            sets: Vec::new(),
        }
    }
}

impl ParameterSets {
    /// Reads an `avcC` (H.264) or `hvcC` (H.265) record (ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1). An empty record, and one
    /// of Motion JPEG, has no sets.
    ///
    /// # Errors
    ///
    /// The record is cut off, or of another version.
    pub fn from_extra_data(codec: VideoCodec, record: &[u8]) -> Result<Self, NalError> {
        let mut reader = RecordReader {
            rest: record,
            whole: record.len(),
        };
        match codec {
            VideoCodec::Mjpeg => Ok(Self::default()),
            _ if record.is_empty() => Ok(Self::default()),
            VideoCodec::H264 => reader.avcc(),
            VideoCodec::H265 => reader.hvcc(),
        }
    }

    /// Bytes of each length in the access units of the stream: 1, 2 or 4. Always 4 in units of this workspace.
    pub fn length_size(&self) -> usize {
        self.length_size
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// The sets, in the order of the record: (VPS,) SPS, PPS.
    pub fn iter(&self) -> NalUnits<'_> {
        NalUnits::length_prefixed(&self.sets, 4)
    }

    /// The sets as a byte stream, each after a start code of 4 bytes.
    pub fn to_annex_b(&self) -> Vec<u8> {
        let with_codes = self.iter().flat_map(|set| [&START_CODE[..], set]);
        with_codes.flatten().copied().collect()
    }
}

struct RecordReader<'a> {
    rest: &'a [u8],
    whole: usize,
}

impl<'a> RecordReader<'a> {
    fn avcc(&mut self) -> Result<ParameterSets, NalError> {
        self.version()?;
        self.take(3)?; // profile, compatibility, level: the parameter sets repeat them
        let mut found = self.length_size()?;
        for _ in 0..self.byte()? & 31 {
            self.set(&mut found)?;
        }
        for _ in 0..self.byte()? {
            self.set(&mut found)?;
        }
        Ok(found)
    }

    fn hvcc(&mut self) -> Result<ParameterSets, NalError> {
        self.version()?;
        self.take(20)?; // profile, tier, level and the like: the parameter sets repeat them
        let mut found = self.length_size()?;
        for _ in 0..self.byte()? {
            self.byte()?; // NAL unit type of the array, which each unit repeats
            for _ in 0..self.pair()? {
                self.set(&mut found)?;
            }
        }
        Ok(found)
    }

    fn version(&mut self) -> Result<(), NalError> {
        match self.byte()? {
            1 => Ok(()),
            version => Err(NalError::Version(version)),
        }
    }

    fn length_size(&mut self) -> Result<ParameterSets, NalError> {
        match self.byte()? & 3 {
            2 => Err(NalError::LengthSize),
            bits => Ok(ParameterSets {
                length_size: usize::from(bits) + 1,
                sets: Vec::new(),
            }),
        }
    }

    fn set(&mut self, into: &mut ParameterSets) -> Result<(), NalError> {
        let length = self.pair()?;
        let set = self.take(length)?;
        if set.is_empty() {
            return Ok(());
        }
        write_length_prefixed(set, &mut into.sets)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], NalError> {
        let (head, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(NalError::Truncated(self.whole))?;
        self.rest = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, NalError> {
        self.take(1).map(|bytes| bytes.first().copied().unwrap_or(0))
    }

    fn pair(&mut self) -> Result<usize, NalError> {
        Ok(usize::from(self.byte()?) << 8 | usize::from(self.byte()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AVCC: [u8; 18] = [1, 66, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 1, 2, 3, 1, 0, 3, 0x68, 4, 5];

    #[test]
    fn the_sets_of_a_record_come_out_with_start_codes() {
        let sets = ParameterSets::from_extra_data(VideoCodec::H264, &AVCC).unwrap();
        assert_eq!(sets.length_size(), 4);
        assert_eq!(
            sets.to_annex_b(),
            [0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 0, 1, 0x68, 4, 5]
        );
    }

    #[test]
    fn a_record_cut_anywhere_is_rejected() {
        for length in 1..AVCC.len() {
            assert_eq!(
                ParameterSets::from_extra_data(VideoCodec::H264, &AVCC[..length]),
                Err(NalError::Truncated(length))
            );
        }
    }

    #[test]
    fn a_byte_stream_in_place_of_a_record_is_named() {
        for codec in [VideoCodec::H264, VideoCodec::H265] {
            let error = ParameterSets::from_extra_data(codec, &START_CODE);
            assert_eq!(error, Err(NalError::Version(0)));
        }
    }

    #[test]
    fn a_cut_unit_keeps_its_whole_part() {
        let unit = [0, 0, 0, 2, 9, 8, 0, 0, 0, 0, 0, 0, 0, 1, 7, 0, 0, 1, 0, 5];
        let mut nals = NalUnits::length_prefixed(&unit, 4);
        assert!(nals.by_ref().eq([&[9, 8][..], &[7]]));
        assert!(nals.is_damaged());
    }

    #[test]
    fn start_codes_of_both_lengths_and_zeros_around_them_are_accepted() {
        let stream = [0, 0, 0, 0, 1, 9, 8, 0, 0, 0, 0, 1, 0, 0, 1, 7, 0, 0, 2, 0, 0, 1];
        let mut nals = NalUnits::annex_b(&stream);
        assert!(nals.by_ref().eq([&[9, 8][..], &[7, 0, 0, 2]]));
        assert!(!nals.is_damaged());
        assert!(NalUnits::annex_b(&[5, 0, 0, 1, 7]).is_damaged());
        assert!(NalUnits::annex_b(&[5, 6]).is_damaged());
    }

    #[test]
    fn a_stream_is_split_before_the_headers_of_each_picture() {
        let picture = |kind: u8, first: u8| [0, 0, 0, 1, kind, first, 7];
        let headers = [0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2];
        let key = [&headers[..], &picture(0x65, 0x88), &picture(0x65, 0x42)].concat();
        let other = picture(0x41, 0x9a).to_vec();
        let stream = [&key[..], &other, &other, &key].concat();
        let units: Vec<&[u8]> = access_units(VideoCodec::H264, &stream).collect();
        assert_eq!(units, [&key, &other, &other, &key]);
        let h265 = [
            &[0, 0, 1, 0x46, 1, 0x10][..],
            &[0, 0, 1, 0x26, 1, 0x80],
            &[0, 0, 1, 2, 1, 0x80],
        ];
        let stream = h265.concat();
        let units: Vec<&[u8]> = access_units(VideoCodec::H265, &stream).collect();
        assert_eq!(units, [&stream[..12], &stream[12..]]);
    }

    #[test]
    fn slices_with_prefixes_stay_one_picture() {
        let slice = |first: u8| [0, 0, 1, 0x6e, 0x80, 7, 0, 0, 1, 0x65, first, 7];
        let picture = [slice(0x88), slice(0x42)].concat();
        let stream = picture.repeat(2);
        let units: Vec<&[u8]> = access_units(VideoCodec::H264, &stream).collect();
        assert_eq!(units, [&picture, &picture]);
    }

    /// NAL units as the standards define them: without a start code inside, without a zero at the end.
    fn nals() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let byte = prop_oneof![Just(0), Just(1), any::<u8>()];
        let nal = proptest::collection::vec(byte, 1..40).prop_map(|mut nal| {
            for at in 2..nal.len() {
                if nal[at - 2] == 0 && nal[at - 1] == 0 && nal[at] <= 3 {
                    nal[at] = 4; // where an encoder inserts an emulation prevention byte
                }
            }
            nal.push(0x80);
            nal
        });
        proptest::collection::vec(nal, 1..8)
    }

    proptest! {
        #[test]
        fn anything_at_all_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300), size in 0usize..9) {
            for codec in [VideoCodec::H264, VideoCodec::H265, VideoCodec::Mjpeg] {
                let _ = ParameterSets::from_extra_data(codec, &bytes);
            }
            let total: usize = NalUnits::length_prefixed(&bytes, size).map(<[u8]>::len).sum();
            prop_assert!(total <= bytes.len());
            for codec in [VideoCodec::H264, VideoCodec::H265, VideoCodec::Mjpeg] {
                prop_assert_eq!(access_units(codec, &bytes).flatten().copied().collect::<Vec<_>>(), bytes.clone());
            }
            let total: usize = NalUnits::annex_b(&bytes).map(<[u8]>::len).sum();
            prop_assert!(total <= bytes.len());
        }

        #[test]
        fn units_survive_the_way_to_annex_b_and_back(nals in nals(), long_codes in any::<bool>()) {
            let (mut unit, mut stream) = (Vec::new(), Vec::new());
            for nal in &nals {
                write_length_prefixed(nal, &mut unit).unwrap();
            }
            for nal in NalUnits::length_prefixed(&unit, 4) {
                stream.extend_from_slice(if long_codes { &START_CODE } else { &START_CODE[1..] });
                stream.extend_from_slice(nal);
            }
            let mut back = Vec::new();
            for nal in NalUnits::annex_b(&stream) {
                write_length_prefixed(nal, &mut back).unwrap();
            }
            prop_assert_eq!(back, unit);
        }
    }
}
