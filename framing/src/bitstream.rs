//! NAL units: from the length-prefixed form of ISO/IEC 14496-15 to the byte stream of ITU-T H.264 and H.265 Annex B.

/// Four bytes, because the first NAL unit of a picture and every parameter set need the long form.
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// An `avcC` or `hvcC` record that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtraDataError {
    /// The record ends too early.
    #[error("the decoder configuration record is cut off after {0} bytes")]
    Truncated(usize),
    /// The version is not the one that ISO/IEC 14496-15 defines.
    #[error(
        "the decoder configuration record has version {0}, not 1; pass an avcC or hvcC record, not a byte stream"
    )]
    Version(u8),
    /// Lengths of 3 bytes are forbidden by the standard.
    #[error("the decoder configuration record announces lengths of 3 bytes, which the standard forbids")]
    LengthSize,
}

/// The contents of a configuration record: size of the length fields, and the parameter sets as a byte stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NalConfig {
    pub(crate) length_size: usize,
    pub(crate) parameter_sets: Vec<u8>,
}

struct Bytes<'a> {
    rest: &'a [u8],
    whole: usize,
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ExtraDataError> {
        let (head, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(ExtraDataError::Truncated(self.whole))?;
        self.rest = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, ExtraDataError> {
        self.take(1).map(|bytes| bytes.first().copied().unwrap_or(0))
    }

    fn pair(&mut self) -> Result<usize, ExtraDataError> {
        Ok(usize::from(self.byte()?) << 8 | usize::from(self.byte()?))
    }

    fn parameter_set(&mut self, into: &mut Vec<u8>) -> Result<(), ExtraDataError> {
        let length = self.pair()?;
        let unit = self.take(length)?;
        if !unit.is_empty() {
            into.extend_from_slice(&START_CODE);
            into.extend_from_slice(unit);
        }
        Ok(())
    }
}

fn length_size(low_bits: u8) -> Result<usize, ExtraDataError> {
    match low_bits & 3 {
        2 => Err(ExtraDataError::LengthSize),
        bits => Ok(usize::from(bits) + 1),
    }
}

/// Reads an `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1).
pub(crate) fn parse_avcc(record: &[u8]) -> Result<NalConfig, ExtraDataError> {
    let mut bytes = Bytes {
        rest: record,
        whole: record.len(),
    };
    match bytes.byte()? {
        1 => {}
        version => return Err(ExtraDataError::Version(version)),
    }
    bytes.take(3)?; // profile, compatibility, level: the parameter sets repeat them
    let length_size = length_size(bytes.byte()?)?;
    let mut parameter_sets = Vec::new();
    for _ in 0..bytes.byte()? & 31 {
        bytes.parameter_set(&mut parameter_sets)?;
    }
    for _ in 0..bytes.byte()? {
        bytes.parameter_set(&mut parameter_sets)?;
    }
    Ok(NalConfig {
        length_size,
        parameter_sets,
    })
}

/// Reads an `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 8.3.3.1).
pub(crate) fn parse_hvcc(record: &[u8]) -> Result<NalConfig, ExtraDataError> {
    let mut bytes = Bytes {
        rest: record,
        whole: record.len(),
    };
    match bytes.byte()? {
        1 => {}
        version => return Err(ExtraDataError::Version(version)),
    }
    bytes.take(20)?; // profile, tier, level and the like: the parameter sets repeat them
    let length_size = length_size(bytes.byte()?)?;
    let mut parameter_sets = Vec::new();
    for _ in 0..bytes.byte()? {
        bytes.byte()?; // NAL unit type of the array, which each unit repeats
        for _ in 0..bytes.pair()? {
            bytes.parameter_set(&mut parameter_sets)?;
        }
    }
    Ok(NalConfig {
        length_size,
        parameter_sets,
    })
}

/// The NAL units of a length-prefixed access unit, up to the first length that does not fit.
pub(crate) struct NalUnits<'a> {
    rest: &'a [u8],
    length_size: usize,
    damaged: bool,
}

impl<'a> NalUnits<'a> {
    pub(crate) fn new(unit: &'a [u8], length_size: usize) -> Self {
        Self {
            rest: unit,
            length_size,
            damaged: false,
        }
    }

    /// A length did not fit; known once the last unit was taken.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged
    }
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() && !self.damaged {
            let length_and_rest = self.rest.split_at_checked(self.length_size);
            let unit_and_rest = length_and_rest.and_then(|(length, rest)| {
                let length = length
                    .iter()
                    .fold(0_usize, |value, byte| value << 8 | usize::from(*byte));
                rest.split_at_checked(length)
            });
            match unit_and_rest {
                Some((unit, rest)) => {
                    self.rest = rest;
                    if !unit.is_empty() {
                        return Some(unit);
                    }
                }
                None => self.damaged = true,
            }
        }
        None
    }
}

/// Bytes that [`write_annex_b`] will write for this unit, and whether a length in it did not fit.
pub(crate) fn annex_b_len(unit: &[u8], length_size: usize) -> (usize, bool) {
    let mut units = NalUnits::new(unit, length_size);
    let len = units.by_ref().map(|nal| START_CODE.len() + nal.len()).sum();
    (len, units.damaged)
}

/// Writes the unit as a byte stream into `into`, which has exactly the announced length.
pub(crate) fn write_annex_b(unit: &[u8], length_size: usize, mut into: &mut [u8]) {
    for nal in NalUnits::new(unit, length_size) {
        let Some((code, rest)) = into.split_at_mut_checked(START_CODE.len()) else {
            return;
        };
        let Some((body, rest)) = rest.split_at_mut_checked(nal.len()) else {
            return;
        };
        code.copy_from_slice(&START_CODE);
        body.copy_from_slice(nal);
        into = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AVCC: [u8; 18] = [1, 66, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 1, 2, 3, 1, 0, 3, 0x68, 4, 5];

    #[test]
    fn parameter_sets_come_out_as_a_byte_stream() {
        let config = parse_avcc(&AVCC).unwrap();
        assert_eq!(config.length_size, 4);
        assert_eq!(
            config.parameter_sets,
            [0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 0, 1, 0x68, 4, 5]
        );
    }

    #[test]
    fn a_record_cut_anywhere_is_refused() {
        for length in 0..AVCC.len() {
            assert_eq!(
                parse_avcc(&AVCC[..length]),
                Err(ExtraDataError::Truncated(length))
            );
        }
    }

    #[test]
    fn a_byte_stream_in_place_of_a_record_is_named() {
        assert_eq!(parse_avcc(&[0, 0, 0, 1, 0x67]), Err(ExtraDataError::Version(0)));
        assert_eq!(parse_hvcc(&[0, 0, 0, 1, 0x40]), Err(ExtraDataError::Version(0)));
    }

    #[test]
    fn lengths_become_start_codes_and_a_cut_unit_keeps_its_whole_part() {
        let unit = [0, 0, 0, 2, 9, 8, 0, 0, 0, 0, 0, 0, 0, 1, 7, 0, 0, 1, 0, 5];
        let (len, damaged) = annex_b_len(&unit, 4);
        let mut stream = vec![0; len];
        write_annex_b(&unit, 4, &mut stream);
        assert!(damaged);
        assert_eq!(stream, [0, 0, 0, 1, 9, 8, 0, 0, 0, 1, 7]);
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_can_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), size in 0usize..4) {
            let size = [1, 2, 4, 4][size];
            let _ = parse_avcc(&bytes);
            let _ = parse_hvcc(&bytes);
            let (len, _) = annex_b_len(&bytes, size);
            let mut stream = vec![0xaa; len];
            write_annex_b(&bytes, size, &mut stream);
            prop_assert!(len <= bytes.len() * 5);
        }

        #[test]
        fn whole_units_survive_the_way(nals in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 1..8)) {
            let unit: Vec<u8> = nals.iter().flat_map(|nal| {
                let mut out = u32::try_from(nal.len()).unwrap().to_be_bytes().to_vec();
                out.extend_from_slice(nal);
                out
            }).collect();
            prop_assert!(NalUnits::new(&unit, 4).eq(nals.iter().map(Vec::as_slice)));
            prop_assert_eq!(annex_b_len(&unit, 4), (unit.len(), false));
        }
    }
}
