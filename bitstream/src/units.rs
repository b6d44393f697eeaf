use lva_media_types::VideoCodec;

use crate::{NalError, NalHeader, NalKind};

/// The start code in its long form, which the first NAL unit of a picture and every parameter set need (Annex B.1.2).
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

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
    /// [`ParameterSets::length_size`](crate::ParameterSets::length_size) in files.
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
pub fn without_trailing_zeros(unit: &[u8]) -> &[u8] {
    let end = unit
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    unit.get(..end).unwrap_or_default()
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

/// What a NAL unit is where an access unit may begin.
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

/// ITU-T H.264, 7.4.1.2.3; ITU-T H.265, 7.4.2.4.4.
fn role(codec: VideoCodec, nal: &[u8]) -> Role {
    // Of scalable H.264 streams, before every slice.
    if codec == VideoCodec::H264 && nal.first().is_some_and(|header| header & 31 == 14) {
        return Role::Prefix;
    }
    match NalHeader::parse(codec, nal) {
        Some(header) if header.first_slice => Role::FirstSlice,
        Some(NalHeader { kind, .. }) => match kind {
            NalKind::Slice { .. } => Role::Slice,
            NalKind::ParameterSet(_) | NalKind::Delimiter | NalKind::Leading => Role::Header,
            NalKind::Trailing => Role::Other,
        },
        None => Role::Other,
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
