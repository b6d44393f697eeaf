//! Sequence parameter sets, as far as sizes and records need them.

use super::super::bits::Bits;
use crate::Codec;

/// The largest width or height that is believed.
const MAX_SIDE: u32 = 32_768;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sps {
    /// In pixels, cropped.
    pub(super) size: (u32, u32),
    pub(super) chroma_format: u8,
    pub(super) bit_depth_luma_minus8: u8,
    pub(super) bit_depth_chroma_minus8: u8,
    /// H.264: whether the profile has a chroma format at all.
    pub(super) has_chroma_format: bool,
    /// H.264: how slices tell fields; `None` if all pictures are frames.
    pub(super) fields: Option<FieldSyntax>,
    /// H.265: twelve bytes of profile, tier and level.
    pub(super) profile_tier_level: [u8; 12],
    pub(super) temporal_layers: u8,
    pub(super) temporal_id_nested: bool,
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
        let mut bits = Bits::new(unit.get(1..)?);
        for _ in 0..3 {
            bits.ue()?;
        }
        if self.separate_colour_planes {
            bits.skip(2)?;
        }
        let frame_num = bits.u(self.frame_num_bits)?;
        let is_field = bits.flag()?;
        let is_bottom = is_field && bits.flag()?;
        is_field.then_some(Field { frame_num, is_bottom })
    }
}

impl Sps {
    /// `None` for what cannot be read; the stream may play nevertheless.
    pub(super) fn parse(codec: Codec, unit: &[u8]) -> Option<Self> {
        let sps = if codec == Codec::H265 {
            h265(unit)
        } else {
            h264(unit)
        }?;
        let (width, height) = sps.size;
        let believable = |side| (1..=MAX_SIDE).contains(&side);
        (believable(width) && believable(height)).then_some(sps)
    }

    /// Main profile, 8 bits, 4:2:0, level 4.
    pub(super) const fn of_hevc_main() -> Self {
        Self {
            size: (0, 0),
            chroma_format: 1,
            bit_depth_luma_minus8: 0,
            bit_depth_chroma_minus8: 0,
            has_chroma_format: true,
            fields: None,
            profile_tier_level: [1, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 120],
            temporal_layers: 1,
            temporal_id_nested: true,
        }
    }
}

/// H.264 section 7.3.2.1.1.
fn h264(unit: &[u8]) -> Option<Sps> {
    let mut bits = Bits::new(unit.get(1..)?);
    let profile = bits.u(8)?;
    bits.skip(16)?;
    bits.ue()?;
    let has_chroma_format = matches!(
        profile,
        100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
    );
    let (mut chroma, mut luma_depth, mut chroma_depth, mut separate) = (1, 0, 0, false);
    if has_chroma_format {
        chroma = bits.ue()?;
        separate = chroma == 3 && bits.flag()?;
        luma_depth = bits.ue()?;
        chroma_depth = bits.ue()?;
        bits.flag()?;
        if bits.flag()? {
            for list in 0..if chroma == 3 { 12 } else { 8 } {
                if bits.flag()? {
                    skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    let frame_num_bits = bits.ue()?.checked_add(4).filter(|bits| *bits <= 16)?;
    match bits.ue()? {
        0 => {
            bits.ue()?;
        }
        1 => {
            bits.flag()?;
            bits.se()?;
            bits.se()?;
            for _ in 0..bits.ue()?.min(255) {
                bits.se()?;
            }
        }
        _ => {}
    }
    bits.ue()?;
    bits.flag()?;
    let width = bits.ue()?.checked_add(1)?.checked_mul(16)?;
    let map_units = bits.ue()?.checked_add(1)?;
    let frames_only = bits.flag()?;
    if !frames_only {
        bits.flag()?;
    }
    bits.flag()?;
    let height = map_units.checked_mul(if frames_only { 16 } else { 32 })?;
    let mut size = (width, height);
    if bits.flag()? {
        let crop = [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?];
        let (x, y) = match (chroma, separate) {
            (0, _) | (_, true) => (1, 1),
            (1, _) => (2, 2),
            (2, _) => (2, 1),
            _ => (1, 1),
        };
        size = cropped(size, crop, (x, y * if frames_only { 1 } else { 2 }))?;
    }
    Some(Sps {
        size,
        chroma_format: u8::try_from(chroma).ok().filter(|format| *format < 4)?,
        bit_depth_luma_minus8: u8::try_from(luma_depth).ok().filter(|depth| *depth < 8)?,
        bit_depth_chroma_minus8: u8::try_from(chroma_depth).ok().filter(|depth| *depth < 8)?,
        has_chroma_format,
        fields: (!frames_only).then_some(FieldSyntax {
            frame_num_bits,
            separate_colour_planes: separate,
        }),
        profile_tier_level: [0; 12],
        temporal_layers: 1,
        temporal_id_nested: true,
    })
}

fn skip_scaling_list(bits: &mut Bits<'_>, len: u32) -> Option<()> {
    let (mut last, mut next) = (8_i32, 8_i32);
    for _ in 0..len {
        if next != 0 {
            next = last.checked_add(bits.se()?)?.rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// H.265 section 7.3.2.2.1.
fn h265(unit: &[u8]) -> Option<Sps> {
    let mut bits = Bits::new(unit.get(2..)?);
    bits.skip(4)?;
    let sub_layers = bits.u(3)?;
    let temporal_id_nested = bits.flag()?;
    let mut profile_tier_level = [0; 12];
    for byte in &mut profile_tier_level {
        *byte = bits.u(8)? as u8;
    }
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((bits.flag()?, bits.flag()?));
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers))?;
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 })?;
    }
    bits.ue()?;
    let chroma = bits.ue()?;
    let separate = chroma == 3 && bits.flag()?;
    let mut size = (bits.ue()?, bits.ue()?);
    if bits.flag()? {
        let crop = [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?];
        let unit = match (chroma, separate) {
            (1, _) => (2, 2),
            (2, _) => (2, 1),
            _ => (1, 1),
        };
        size = cropped(size, crop, unit)?;
    }
    let (luma_depth, chroma_depth) = (bits.ue()?, bits.ue()?);
    Some(Sps {
        size,
        chroma_format: u8::try_from(chroma).ok().filter(|format| *format < 4)?,
        bit_depth_luma_minus8: u8::try_from(luma_depth).ok().filter(|depth| *depth < 8)?,
        bit_depth_chroma_minus8: u8::try_from(chroma_depth).ok().filter(|depth| *depth < 8)?,
        has_chroma_format: true,
        fields: None,
        profile_tier_level,
        temporal_layers: sub_layers as u8 + 1,
        temporal_id_nested,
    })
}

/// `crop` is left, right, top and bottom, in these units.
fn cropped(size: (u32, u32), crop: [u32; 4], unit: (u32, u32)) -> Option<(u32, u32)> {
    let [left, right, top, bottom] = crop;
    let across = left.checked_add(right)?.checked_mul(unit.0)?;
    let down = top.checked_add(bottom)?.checked_mul(unit.1)?;
    Some((size.0.checked_sub(across)?, size.1.checked_sub(down)?))
}
