//! The head of a sequence parameter set: the size of the picture, and what a configuration record repeats of it.

use lva_media_types::VideoCodec;
use lva_media_types::limits::MAX_PICTURE_SIDE;

/// What a track and its configuration record need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sps {
    /// Cropped.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) chroma_format: u8,
    pub(crate) luma_depth_minus_8: u8,
    pub(crate) chroma_depth_minus_8: u8,
    /// H.264: the profiles whose record has chroma format and bit depths.
    pub(crate) is_high: bool,
    /// H.265: `general_profile_space` to `general_level_idc`. Empty for H.264.
    pub(crate) profile_tier_level: Vec<u8>,
    /// H.265.
    pub(crate) temporal_layers: u8,
    /// H.265.
    pub(crate) temporal_id_nested: bool,
}

/// Reads the NAL unit of an SPS; `None` if it is cut off, or a value is out of its range.
pub(crate) fn parse(codec: VideoCodec, nal: &[u8]) -> Option<Sps> {
    let sps = match codec {
        VideoCodec::H264 => h264(&without_emulation_prevention(nal)),
        VideoCodec::H265 => h265(&without_emulation_prevention(nal)),
        VideoCodec::Mjpeg => None,
    }?;
    let sides = 1..=MAX_PICTURE_SIDE;
    let depths = 0..=8;
    let usable = sides.contains(&sps.width)
        && sides.contains(&sps.height)
        && sps.chroma_format <= 3
        && depths.contains(&sps.luma_depth_minus_8)
        && depths.contains(&sps.chroma_depth_minus_8);
    usable.then_some(sps)
}

/// ITU-T H.264, 7.3.2.1.1.
fn h264(rbsp: &[u8]) -> Option<Sps> {
    let profile = *rbsp.get(1)?;
    let mut bits = Bits::new(rbsp.get(4..)?);
    bits.ue()?; // seq_parameter_set_id
    let is_high = matches!(
        profile,
        100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
    );
    let (mut chroma_format, mut separate_planes, mut depths) = (1, false, (0, 0));
    if is_high {
        chroma_format = bits.ue()?;
        separate_planes = chroma_format == 3 && bits.flag()?;
        depths = (bits.ue()?, bits.ue()?);
        bits.flag()?; // qpprime_y_zero_transform_bypass_flag
        if bits.flag()? {
            for list in 0..if chroma_format == 3 { 12 } else { 8 } {
                if bits.flag()? {
                    bits.skip_scaling_list(if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.ue()?; // log2_max_frame_num_minus4
    match bits.ue()? {
        0 => drop(bits.ue()?), // log2_max_pic_order_cnt_lsb_minus4
        1 => {
            bits.flag()?; // delta_pic_order_always_zero_flag
            bits.ue()?; // offset_for_non_ref_pic; signed and unsigned codes have the same length
            bits.ue()?; // offset_for_top_to_bottom_field
            let cycle = bits.ue()?;
            if cycle > 255 {
                return None;
            }
            for _ in 0..cycle {
                bits.ue()?;
            }
        }
        _ => {}
    }
    bits.ue()?; // max_num_ref_frames
    bits.flag()?; // gaps_in_frame_num_value_allowed_flag
    let width_in_mbs = bits.ue()?.checked_add(1)?;
    let height_in_map_units = bits.ue()?.checked_add(1)?;
    let frame_mbs_only = bits.flag()?;
    if !frame_mbs_only {
        bits.flag()?; // mb_adaptive_frame_field_flag
    }
    bits.flag()?; // direct_8x8_inference_flag
    let fields = if frame_mbs_only { 1 } else { 2 };
    let (crop_x, crop_y) = chroma_unit(if separate_planes { 0 } else { chroma_format });
    let (width, height) = bits.cropped(
        width_in_mbs.checked_mul(16)?,
        height_in_map_units.checked_mul(16 * fields)?,
        (crop_x, crop_y * fields),
    )?;
    Some(Sps {
        width,
        height,
        chroma_format: u8::try_from(chroma_format).ok()?,
        luma_depth_minus_8: u8::try_from(depths.0).ok()?,
        chroma_depth_minus_8: u8::try_from(depths.1).ok()?,
        is_high,
        profile_tier_level: Vec::new(),
        temporal_layers: 1,
        temporal_id_nested: false,
    })
}

/// ITU-T H.265, 7.3.2.2.1 and 7.3.3.
fn h265(rbsp: &[u8]) -> Option<Sps> {
    let layers = *rbsp.get(2)?;
    let sub_layers = u32::from(layers >> 1 & 7);
    let profile_tier_level = rbsp.get(3..15)?.to_vec();
    let mut bits = Bits::new(rbsp.get(15..)?);
    let mut skipped = 0;
    for _ in 0..sub_layers {
        skipped += if bits.flag()? { 88 } else { 0 };
        skipped += if bits.flag()? { 8 } else { 0 };
    }
    if sub_layers > 0 {
        skipped += 2 * 8_u32.saturating_sub(sub_layers);
    }
    for _ in 0..skipped {
        bits.flag()?;
    }
    bits.ue()?; // sps_seq_parameter_set_id
    let chroma_format = bits.ue()?;
    let separate_planes = chroma_format == 3 && bits.flag()?;
    let size = (bits.ue()?, bits.ue()?);
    let unit = chroma_unit(if separate_planes { 0 } else { chroma_format });
    let (width, height) = bits.cropped(size.0, size.1, unit)?;
    Some(Sps {
        width,
        height,
        chroma_format: u8::try_from(chroma_format).ok()?,
        luma_depth_minus_8: u8::try_from(bits.ue()?).ok()?,
        chroma_depth_minus_8: u8::try_from(bits.ue()?).ok()?,
        is_high: false,
        profile_tier_level,
        temporal_layers: (layers >> 1 & 7) + 1,
        temporal_id_nested: layers & 1 == 1,
    })
}

/// Width and height of a chroma sample in luma samples.
fn chroma_unit(chroma_format: u32) -> (u32, u32) {
    match chroma_format {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    }
}

/// Removes the 3 of each 00 00 03 (7.4.1 of both standards).
fn without_emulation_prevention(nal: &[u8]) -> Vec<u8> {
    let mut zeros = 0;
    let kept = nal.iter().copied().filter(|&byte| {
        let inserted = zeros >= 2 && byte == 3;
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        !inserted
    });
    kept.collect()
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// An unsigned Exp-Golomb code (9.1 of H.264, 9.2 of H.265).
    fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros == 32 {
                return None;
            }
        }
        let mut value: u32 = 1;
        for _ in 0..zeros {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value - 1)
    }

    /// A signed one.
    fn se(&mut self) -> Option<i64> {
        let code = i64::from(self.ue()?);
        Some(if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 })
    }

    /// ITU-T H.264, 7.3.2.1.1.1.
    fn skip_scaling_list(&mut self, size: usize) -> Option<()> {
        let (mut last, mut next) = (8, 8);
        for _ in 0..size {
            if next != 0 {
                next = (last + self.se()?).rem_euclid(256);
            }
            if next != 0 {
                last = next;
            }
        }
        Some(())
    }

    /// The size without the borders that may follow, in `unit`s.
    fn cropped(&mut self, width: u32, height: u32, unit: (u32, u32)) -> Option<(u32, u32)> {
        if !self.flag()? {
            return Some((width, height));
        }
        let [left, right, top, bottom] = [self.ue()?, self.ue()?, self.ue()?, self.ue()?];
        let (x, y) = (left.checked_add(right)?, top.checked_add(bottom)?);
        Some((
            width.checked_sub(x.checked_mul(unit.0)?)?,
            height.checked_sub(y.checked_mul(unit.1)?)?,
        ))
    }
}
