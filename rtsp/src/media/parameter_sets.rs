//! The parameter sets of H.264 and H.265: collected, described, and made a decoder configuration record of.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use lva_bitstream::{
    BitReader, NalHeader, NalKind, ParameterSetKind, Sps, VideoCodec, decoder_configuration,
    without_trailing_zeros,
};

use crate::wire::description::parameter;

/// Larger parameter sets are no parameter sets.
const MAX_LEN: usize = 16 * 1024;
/// Sequence and picture parameter sets of one stream.
const MAX_SPS: usize = 4;
const MAX_PPS: usize = 16;

/// Cameras forget the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The current sets of one stream.
#[derive(Debug, Clone)]
pub(crate) struct ParameterSets {
    codec: VideoCodec,
    sets: Vec<Set>,
    /// The number of the SPS to which the last key frame refers.
    active: u32,
    version: u32,
}

#[derive(Debug, Clone)]
struct Set {
    kind: ParameterSetKind,
    id: u32,
    unit: Vec<u8>,
    /// Of an SPS that can be read.
    sps: Option<Sps>,
}

/// Whether pictures may be fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interlacing {
    /// No readable SPS has come.
    Unknown,
    /// All are frames. In H.265, fields are pictures like others.
    Frames,
    /// H.264 with `frame_mbs_only_flag` 0.
    Fields(FieldSyntax),
}

/// What has to be known to read a slice header of H.264 (section 7.3.3) as far as the bits about fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldSyntax {
    frame_num_bits: u32,
    separate_colour_planes: bool,
}

/// A picture that is one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) frame_num: u32,
    pub(crate) is_bottom: bool,
}

impl FieldSyntax {
    /// The field of which this unit is a slice; `None` for slices of frames.
    pub(crate) fn field(self, unit: &[u8]) -> Option<Field> {
        let mut bits = BitReader::of_nal(unit.get(1..)?);
        for _ in 0..3 {
            bits.unsigned_exp_golomb()?;
        }
        if self.separate_colour_planes {
            bits.skip(2)?;
        }
        let frame_num = bits.bits(self.frame_num_bits)?;
        let is_field = bits.flag()?;
        let is_bottom = is_field && bits.flag()?;
        is_field.then_some(Field { frame_num, is_bottom })
    }
}

impl ParameterSets {
    /// Those that the format's parameters in a session description have.
    pub(crate) fn from_description(codec: VideoCodec, fmtp: &str) -> Self {
        let mut sets = Self {
            codec,
            sets: Vec::new(),
            active: 0,
            version: 0,
        };
        for name in ["sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps"] {
            let values = parameter(fmtp, name).unwrap_or_default();
            for value in values.split(',') {
                let Ok(bytes) = BASE64.decode(value.trim()) else {
                    continue;
                };
                // Some cameras put start codes inside.
                let mut start = 0;
                while let Some(at) = memchr::memmem::find(bytes.get(start..).unwrap_or_default(), b"\0\0\x01")
                {
                    sets.offer(bytes.get(start..start + at).unwrap_or_default());
                    start += at + 3;
                }
                sets.offer(bytes.get(start..).unwrap_or_default());
            }
        }
        sets.version = 0;
        sets
    }

    /// Takes a set. One that is the same as before changes nothing, and neither does a damaged SPS where another is known.
    pub(crate) fn offer(&mut self, unit: &[u8]) {
        let unit = without_trailing_zeros(unit);
        let header = NalHeader::size(self.codec);
        let kind = match NalHeader::parse(self.codec, unit).map(|header| header.kind) {
            Some(NalKind::ParameterSet(kind)) if unit.len() > header && unit.len() <= MAX_LEN => kind,
            _ => return,
        };
        let sps = Sps::parse(self.codec, unit);
        let (id, most) = match kind {
            ParameterSetKind::Vps => (0, 1),
            ParameterSetKind::Sps if sps.is_none() && self.sps().is_some() => return,
            ParameterSetKind::Sps => (sps.map_or(0, |sps| sps.id), MAX_SPS),
            ParameterSetKind::Pps => {
                let mut bits = BitReader::of_nal(unit.get(header..).unwrap_or_default());
                (bits.unsigned_exp_golomb().unwrap_or(0), MAX_PPS)
            }
        };
        let set = Set {
            kind,
            id,
            unit: unit.to_vec(),
            sps,
        };
        match self
            .sets
            .iter_mut()
            .find(|known| known.kind == kind && known.id == id)
        {
            Some(known) if known.unit == unit => return,
            Some(known) => *known = set,
            None => {
                let mut same = self
                    .sets
                    .iter()
                    .enumerate()
                    .filter(|(_, known)| known.kind == kind);
                let oldest = same
                    .next()
                    .map(|(place, _)| place)
                    .filter(|_| same.count() + 1 >= most);
                if let Some(oldest) = oldest {
                    self.sets.remove(oldest);
                }
                self.sets.push(set);
            }
        }
        self.version += 1;
    }

    /// Takes the SPS to which the first slice of a key frame refers. Cameras have several, of their other streams.
    pub(crate) fn activate(&mut self, slice: &[u8]) {
        if let Some(id) = self.sps_of(slice).filter(|id| *id != self.active) {
            self.active = id;
            self.version += 1;
        }
    }

    fn sps_of(&self, slice: &[u8]) -> Option<u32> {
        let header = NalHeader::size(self.codec);
        let mut bits = BitReader::of_nal(slice.get(header..)?);
        if self.codec == VideoCodec::H265 {
            bits.skip(2)?; // first_slice_segment_in_pic_flag; of a key frame no_output_of_prior_pics_flag
        } else {
            bits.unsigned_exp_golomb()?; // first_mb_in_slice
            bits.unsigned_exp_golomb()?; // slice_type
        }
        let id = bits.unsigned_exp_golomb()?;
        let pps = self.of(ParameterSetKind::Pps).find(|set| set.id == id)?;
        let mut bits = BitReader::of_nal(pps.unit.get(header..)?);
        bits.unsigned_exp_golomb()?;
        let id = bits.unsigned_exp_golomb()?;
        self.of(ParameterSetKind::Sps)
            .any(|set| set.id == id)
            .then_some(id)
    }

    fn of(&self, kind: ParameterSetKind) -> impl Iterator<Item = &Set> + Clone {
        self.sets.iter().filter(move |set| set.kind == kind)
    }

    /// The SPS of the pictures, as far as it can be read.
    fn sps(&self) -> Option<&Sps> {
        let mut known = self.of(ParameterSetKind::Sps);
        let active = known.clone().find(|set| set.id == self.active);
        active.or_else(|| known.next())?.sps.as_ref()
    }

    /// Whether pictures may be fields.
    pub(crate) fn interlacing(&self) -> Interlacing {
        match self.sps() {
            _ if self.codec == VideoCodec::H265 => Interlacing::Frames,
            None => Interlacing::Unknown,
            Some(sps) if sps.frames_only => Interlacing::Frames,
            Some(sps) => Interlacing::Fields(FieldSyntax {
                frame_num_bits: sps.frame_num_bits,
                separate_colour_planes: sps.separate_colour_planes,
            }),
        }
    }

    /// Grows with each change since the description.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// The record for a decoder or a file; empty until a decoder has all it needs.
    pub(crate) fn record(&self) -> Bytes {
        let mut sets: Vec<_> = self.sets.iter().collect();
        // Whichever came first: the same sets make the same record.
        sets.sort_by_key(|set| (set.kind, set.id));
        let units = sets.iter().map(|set| set.unit.as_slice());
        decoder_configuration(self.codec, units)
            .unwrap_or_default()
            .into()
    }

    /// Width and height of the picture, cropped.
    pub(crate) fn size(&self) -> Option<(u32, u32)> {
        self.sps().map(|sps| sps.size)
    }

    /// The name of RFC 6381, such as `avc1.4D401E`.
    pub(crate) fn codec_name(&self) -> Option<String> {
        self.sps().map(Sps::codec_name)
    }
}

#[cfg(test)]
mod tests;
