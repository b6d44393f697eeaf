//! The parameter sets of H.264 and H.265: collected, and described.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use lva_media_types::VideoCodec;
use lva_media_types::nal::{configuration_record, picture_parameter_set_id, picture_size};

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
        let codec = self.video_codec();
        let known = match kind {
            ParameterSetKind::Vps => &mut self.vps,
            ParameterSetKind::Sps => &mut self.sps,
            ParameterSetKind::Pps => {
                let id = |pps: &[u8]| picture_parameter_set_id(codec, pps);
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
        }
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
        let pps: Vec<&[u8]> = self.pps.iter().map(Vec::as_slice).collect();
        let vps: &[&[u8]] = if self.vps.is_empty() { &[] } else { &[&self.vps] };
        // Sets within `MAX_LEN` and `MAX_PPS` fit.
        let record = configuration_record(self.video_codec(), vps, &[&self.sps], &pps);
        record.unwrap_or_default().into()
    }

    fn video_codec(&self) -> VideoCodec {
        if self.codec == Codec::H265 {
            VideoCodec::H265
        } else {
            VideoCodec::H264
        }
    }

    /// Width and height of the picture, cropped.
    pub(crate) fn size(&self) -> Option<(u32, u32)> {
        picture_size(self.video_codec(), &self.sps)
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
        self.size()?;
        // ISO/IEC 14496-15 annex E.3, of the profile, tier and level behind the version.
        let record = self.record();
        let [first, c0, c1, c2, c3, constraints @ .., level] = *record.get(1..)?.first_chunk::<12>()?;
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

#[cfg(test)]
mod tests;
