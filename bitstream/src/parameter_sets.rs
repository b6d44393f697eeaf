use lva_media_types::VideoCodec;

use crate::{
    NalError, NalHeader, NalKind, NalUnits, ParameterSetKind, START_CODE, Sps, write_length_prefixed,
};

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

/// Writes the parameter sets among these NAL units as an `avcC` (H.264) or `hvcC` (H.265) record (ISO/IEC 14496-15,
/// 5.3.3.1 and 8.3.3.1), for units whose lengths have 4 bytes. A set that comes twice counts once, other units are passed
/// over, and an SPS of H.265 that cannot be read is described as one of Main profile.
///
/// # Errors
///
/// A set is missing, or there are more of them than a record can hold.
pub fn decoder_configuration<'a>(
    codec: VideoCodec,
    nals: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, NalError> {
    let (mut vps, mut sps, mut pps) = (Vec::new(), Vec::new(), Vec::new());
    let (mut count, mut bytes) = (0, 0);
    for nal in nals {
        let (array, most) = match NalHeader::parse(codec, nal).map(|header| header.kind) {
            Some(NalKind::ParameterSet(ParameterSetKind::Vps)) => (&mut vps, 255),
            Some(NalKind::ParameterSet(ParameterSetKind::Sps)) if codec == VideoCodec::H264 => (&mut sps, 31),
            Some(NalKind::ParameterSet(ParameterSetKind::Sps)) => (&mut sps, 255),
            Some(NalKind::ParameterSet(ParameterSetKind::Pps)) => (&mut pps, 255),
            _ => continue,
        };
        if array.contains(&nal) {
            continue;
        }
        array.push(nal);
        count += 1;
        bytes += nal.len();
        if array.len() > most || nal.len() > usize::from(u16::MAX) {
            return Err(NalError::TooManySets { count, bytes });
        }
    }
    for (name, array) in [("VPS", &vps), ("SPS", &sps), ("PPS", &pps)] {
        if array.is_empty() && (name != "VPS" || codec == VideoCodec::H265) {
            return Err(NalError::MissingSet(codec, name));
        }
    }
    let first = sps.first().copied().unwrap_or_default();
    let parsed = Sps::parse(codec, first);
    let mut record = vec![1];
    if codec == VideoCodec::H265 {
        let parsed = parsed.unwrap_or_else(Sps::of_hevc_main);
        record.extend(parsed.profile_tier_level());
        record.extend([0xf0, 0, 0xfc]); // segmentation and parallelism: unknown
        record.extend(colours(&parsed));
        let nested = u8::from(parsed.temporal_id_nested);
        // Frame rate unknown; lengths of 4 bytes; three arrays.
        record.extend([0, 0, parsed.temporal_layers << 3 | nested << 2 | 3, 3]);
        for (nal_unit_type, sets) in [(32, &vps), (33, &sps), (34, &pps)] {
            record.extend([0x80 | nal_unit_type, 0, sets.len() as u8]); // all of this type are here
            write_sets(sets, &mut record);
        }
        return Ok(record);
    }
    record.extend(first.get(1..4).unwrap_or(&[66, 0, 10])); // profile, constraints, level
    record.extend([0xff, 0xe0 | sps.len() as u8]); // lengths of 4 bytes
    write_sets(&sps, &mut record);
    record.push(pps.len() as u8);
    write_sets(&pps, &mut record);
    if let Some(parsed) = parsed.filter(|sps| Sps::has_chroma_format(sps.profile_idc().into())) {
        record.extend(colours(&parsed));
        record.push(0); // no extensions of the SPS
    }
    Ok(record)
}

/// Chroma format and bit depths less 8, in the bits that both records give them.
fn colours(sps: &Sps) -> [u8; 3] {
    let (luma, chroma) = sps.bit_depth;
    [
        0xfc | sps.chroma_format,
        0xf8 | luma.saturating_sub(8),
        0xf8 | chroma.saturating_sub(8),
    ]
}

/// Each after its length in 2 bytes.
fn write_sets(sets: &[&[u8]], record: &mut Vec<u8>) {
    for set in sets {
        record.extend((set.len() as u16).to_be_bytes());
        record.extend_from_slice(set);
    }
}

#[cfg(test)]
mod tests;
