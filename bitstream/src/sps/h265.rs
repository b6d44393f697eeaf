//! The SPS of H.265 (ITU-T H.265, 7.3.2.2.1).

use lva_media_types::VideoCodec;

use super::vui::timing;
use super::{Sps, bit_depth, chroma_format, chroma_unit, cropped};
use crate::BitReader;

/// Sets of reference pictures, and pictures in one of them (7.4.3.2.1, 7.4.8).
const MAX_SETS: u32 = 64;
const MAX_PICTURES: u32 = 16;
/// `num_long_term_ref_pics_sps`.
const MAX_LONG_TERM: u32 = 32;

pub(super) fn sps(mut bits: BitReader<'_>) -> Option<Sps> {
    bits.skip(4)?; // sps_video_parameter_set_id
    let sub_layers = bits.bits(3)?;
    let temporal_id_nested = bits.flag()?;
    let mut profile = [0; 12];
    for byte in &mut profile {
        *byte = u8::try_from(bits.bits(8)?).ok()?;
    }
    // profile_tier_level(): profiles and levels of the sub-layers.
    let mut skipped = 0;
    for _ in 0..sub_layers {
        skipped += if bits.flag()? { 88 } else { 0 };
        skipped += if bits.flag()? { 8 } else { 0 };
    }
    if sub_layers > 0 {
        skipped += 2 * 8_u32.saturating_sub(sub_layers);
    }
    bits.skip(skipped)?;
    let id = bits.unsigned_exp_golomb()?;
    let (chroma, separate) = chroma_format(&mut bits)?;
    let coded_size = (bits.unsigned_exp_golomb()?, bits.unsigned_exp_golomb()?);
    let size = cropped(&mut bits, coded_size, chroma_unit(chroma, separate))?;
    Some(Sps {
        codec: VideoCodec::H265,
        id,
        size,
        coded_size,
        chroma_format: chroma,
        bit_depth: bit_depth(&mut bits)?,
        separate_colour_planes: separate,
        frames_only: true,
        frame_num_bits: 0,
        picture_order_type: 0,
        temporal_layers: u8::try_from(sub_layers).ok()? + 1,
        temporal_id_nested,
        timing: skip_to_vui(&mut bits, sub_layers).and_then(|()| timing(&mut bits, VideoCodec::H265)),
        profile,
    })
}

/// Everything between the bit depths and the VUI.
fn skip_to_vui(bits: &mut BitReader<'_>, sub_layers: u32) -> Option<()> {
    let codes =
        |bits: &mut BitReader<'_>, count| (0..count).try_for_each(|_| bits.unsigned_exp_golomb().map(drop));
    let order_bits = bits
        .unsigned_exp_golomb()?
        .checked_add(4)
        .filter(|bits| *bits <= 16)?;
    // sps_sub_layer_ordering_info_present_flag
    let layers = if bits.flag()? { sub_layers + 1 } else { 1 };
    codes(bits, 3 * layers)?;
    codes(bits, 6)?; // sizes of blocks, depths of transforms
    // scaling_list_enabled_flag, sps_scaling_list_data_present_flag
    if bits.flag()? && bits.flag()? {
        skip_scaling_lists(bits)?;
    }
    bits.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    // pcm_enabled_flag
    if bits.flag()? {
        bits.skip(8)?;
        codes(bits, 2)?;
        bits.skip(1)?;
    }
    let sets = bits.unsigned_exp_golomb().filter(|sets| *sets <= MAX_SETS)?;
    let mut pictures = 0;
    for set in 0..sets {
        pictures = skip_reference_set(bits, set > 0, pictures)?;
    }
    // long_term_ref_pics_present_flag
    if bits.flag()? {
        let pictures = bits
            .unsigned_exp_golomb()
            .filter(|count| *count <= MAX_LONG_TERM)?;
        bits.skip(pictures * (order_bits + 1))?;
    }
    bits.skip(2) // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
}

/// st_ref_pic_set() (7.3.7); `before` are the pictures of the set before it, the result are those of this one.
fn skip_reference_set(bits: &mut BitReader<'_>, has_one_before: bool, before: u32) -> Option<u32> {
    // inter_ref_pic_set_prediction_flag
    if has_one_before && bits.flag()? {
        bits.skip(1)?; // delta_rps_sign
        bits.unsigned_exp_golomb()?;
        let mut pictures = 0;
        for _ in 0..=before {
            // used_by_curr_pic_flag, use_delta_flag
            pictures += u32::from(bits.flag()? || bits.flag()?);
        }
        return (pictures <= 2 * MAX_PICTURES).then_some(pictures);
    }
    let (negative, positive) = (bits.unsigned_exp_golomb()?, bits.unsigned_exp_golomb()?);
    if negative > MAX_PICTURES || positive > MAX_PICTURES {
        return None;
    }
    for _ in 0..negative + positive {
        bits.unsigned_exp_golomb()?;
        bits.flag()?;
    }
    Some(negative + positive)
}

/// scaling_list_data() (7.3.4).
fn skip_scaling_lists(bits: &mut BitReader<'_>) -> Option<()> {
    for size in 0..4 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            // scaling_list_pred_mode_flag
            if !bits.flag()? {
                bits.unsigned_exp_golomb()?;
                continue;
            }
            let coefficients = 64.min(1 << (4 + 2 * size));
            let first = u32::from(size > 1); // scaling_list_dc_coef_minus8
            for _ in 0..coefficients + first {
                bits.signed_exp_golomb()?;
            }
        }
    }
    Some(())
}
