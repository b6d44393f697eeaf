//! The parameter sets of H.264 and H.265: collected, described, and written as an `avcC` or `hvcC` record
//! (ISO/IEC 14496-15).

mod sps;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use self::sps::Sps;
pub(crate) use self::sps::{Field, FieldSyntax};
use super::bits;
use crate::Codec;
use crate::wire::description::parameter;

/// Larger parameter sets are no parameter sets.
const MAX_LEN: usize = 16 * 1024;
/// Picture parameter sets of one stream.
const MAX_PPS: usize = 16;

/// Cameras forget the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParameterSetKind {
    Vps,
    Sps,
    Pps,
}

/// The current sets of one stream.
#[derive(Debug, Clone)]
pub(crate) struct ParameterSets {
    codec: Codec,
    vps: Vec<u8>,
    sps: Vec<u8>,
    pps: Vec<Vec<u8>>,
    version: u32,
    interlacing: Interlacing,
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

impl ParameterSets {
    /// Those that the format's parameters in a session description have.
    pub(crate) fn from_description(codec: Codec, fmtp: &str) -> Self {
        let mut sets = Self {
            codec,
            vps: Vec::new(),
            sps: Vec::new(),
            pps: Vec::new(),
            version: 0,
            interlacing: if codec == Codec::H265 {
                Interlacing::Frames
            } else {
                Interlacing::Unknown
            },
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
                    sets.offer_any(bytes.get(start..start + at).unwrap_or_default());
                    start += at + 3;
                }
                sets.offer_any(bytes.get(start..).unwrap_or_default());
            }
        }
        sets.version = 0;
        sets
    }

    fn offer_any(&mut self, unit: &[u8]) {
        let Some(header) = unit.first() else { return };
        let kind = match (self.codec, header & 0x1f, header >> 1 & 0x3f) {
            (Codec::H265, _, 32) => ParameterSetKind::Vps,
            (Codec::H265, _, 33) | (Codec::H264, 7, _) => ParameterSetKind::Sps,
            (Codec::H265, _, 34) | (Codec::H264, 8, _) => ParameterSetKind::Pps,
            _ => return,
        };
        self.offer(kind, unit);
    }

    /// Takes a set; one that is the same as before changes nothing.
    pub(crate) fn offer(&mut self, kind: ParameterSetKind, unit: &[u8]) {
        // The last byte of a unit is never 0 (H.264 section 7.4.1).
        let end = unit
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let unit = unit.get(..end).unwrap_or_default();
        let header = if self.codec == Codec::H265 { 2 } else { 1 };
        if unit.len() <= header || unit.len() > MAX_LEN {
            return;
        }
        let known = match kind {
            ParameterSetKind::Vps => &mut self.vps,
            ParameterSetKind::Sps => &mut self.sps,
            ParameterSetKind::Pps => {
                let id = |pps: &[u8]| bits::Bits::new(pps.get(header..).unwrap_or_default()).ue();
                let own = id(unit);
                match self.pps.iter().position(|known| id(known) == own) {
                    Some(place) => match self.pps.get_mut(place) {
                        Some(known) => known,
                        None => return,
                    },
                    None if self.pps.len() >= MAX_PPS => return,
                    None => {
                        self.pps.push(unit.to_vec());
                        self.version += 1;
                        return;
                    }
                }
            }
        };
        if known != unit {
            known.clear();
            known.extend_from_slice(unit);
            self.version += 1;
            if kind == ParameterSetKind::Sps && self.codec == Codec::H264 {
                self.interlacing = match Sps::parse(self.codec, &self.sps) {
                    None => Interlacing::Unknown,
                    Some(Sps { fields: None, .. }) => Interlacing::Frames,
                    Some(Sps {
                        fields: Some(syntax), ..
                    }) => Interlacing::Fields(syntax),
                };
            }
        }
    }

    /// Whether pictures may be fields.
    pub(crate) fn interlacing(&self) -> Interlacing {
        self.interlacing
    }

    /// Grows with each change since the description.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// Whether a decoder has all it needs.
    pub(crate) fn are_complete(&self) -> bool {
        self.sps.len() >= 4 && !self.pps.is_empty() && (self.codec == Codec::H264 || !self.vps.is_empty())
    }

    /// The record for a decoder or a file; empty until the sets are complete.
    pub(crate) fn record(&self) -> Bytes {
        if !self.are_complete() {
            return Bytes::new();
        }
        let mut record = Vec::with_capacity(
            64 + self.vps.len() + self.sps.len() + self.pps.iter().map(Vec::len).sum::<usize>(),
        );
        let sps = Sps::parse(self.codec, &self.sps);
        if self.codec == Codec::H265 {
            self.write_hvcc(&mut record, sps.as_ref());
        } else {
            self.write_avcc(&mut record, sps.as_ref());
        }
        Bytes::from(record)
    }

    /// ISO/IEC 14496-15 section 5.3.3.1.
    fn write_avcc(&self, record: &mut Vec<u8>, sps: Option<&Sps>) {
        record.push(1);
        record.extend(self.sps.get(1..4).unwrap_or_default());
        record.extend([0xff, 0xe1]);
        push_unit(record, &self.sps);
        record.push(self.pps.len() as u8);
        for pps in &self.pps {
            push_unit(record, pps);
        }
        if let Some(sps) = sps
            && sps.has_chroma_format
        {
            record.extend([
                0xfc | sps.chroma_format,
                0xf8 | sps.bit_depth_luma_minus8,
                0xf8 | sps.bit_depth_chroma_minus8,
                0,
            ]);
        }
    }

    /// ISO/IEC 14496-15 section 8.3.3.1.
    fn write_hvcc(&self, record: &mut Vec<u8>, sps: Option<&Sps>) {
        // One layer, nested: what nearly all streams have.
        const FALLBACK: Sps = Sps::of_hevc_main();
        let sps = sps.unwrap_or(&FALLBACK);
        record.push(1);
        record.extend(sps.profile_tier_level);
        // No spatial segmentation, unknown parallelism.
        record.extend([0xf0, 0, 0xfc]);
        record.extend([
            0xfc | sps.chroma_format,
            0xf8 | sps.bit_depth_luma_minus8,
            0xf8 | sps.bit_depth_chroma_minus8,
        ]);
        // Unknown frame rate; lengths of 4 bytes.
        record.extend([
            0,
            0,
            sps.temporal_layers << 3 | u8::from(sps.temporal_id_nested) << 2 | 3,
        ]);
        record.push(3);
        let arrays: [(u8, Vec<&[u8]>); 3] = [
            (32, vec![&self.vps]),
            (33, vec![&self.sps]),
            (34, self.pps.iter().map(Vec::as_slice).collect()),
        ];
        for (kind, units) in arrays {
            record.extend([0x80 | kind, 0, units.len() as u8]);
            for unit in units {
                push_unit(record, unit);
            }
        }
    }

    /// Width and height of the picture, cropped.
    pub(crate) fn size(&self) -> Option<(u32, u32)> {
        Sps::parse(self.codec, &self.sps).map(|sps| sps.size)
    }

    /// The name of RFC 6381, such as `avc1.4D401E`.
    pub(crate) fn codec_name(&self) -> Option<String> {
        if !self.are_complete() {
            return None;
        }
        if self.codec == Codec::H264 {
            let [profile, constraints, level] = *self.sps.get(1..)?.first_chunk::<3>()?;
            return Some(format!("avc1.{profile:02X}{constraints:02X}{level:02X}"));
        }
        // ISO/IEC 14496-15 annex E.3.
        let [first, c0, c1, c2, c3, constraints @ .., level] =
            Sps::parse(self.codec, &self.sps)?.profile_tier_level;
        let space = ["", "A", "B", "C"]
            .get(usize::from(first >> 6))
            .copied()
            .unwrap_or_default();
        let tier = if first & 0x20 == 0 { 'L' } else { 'H' };
        let compatibility = u32::from_be_bytes([c0, c1, c2, c3]).reverse_bits();
        let mut name = format!("hvc1.{space}{}.{compatibility:X}.{tier}{level}", first & 0x1f);
        let used = constraints
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        for byte in constraints.iter().take(used) {
            name.push_str(&format!(".{byte:X}"));
        }
        Some(name)
    }
}

fn push_unit(record: &mut Vec<u8>, unit: &[u8]) {
    // `MAX_LEN` fits.
    record.extend((unit.len() as u16).to_be_bytes());
    record.extend_from_slice(unit);
}

#[cfg(test)]
mod tests;
