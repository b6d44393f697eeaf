//! Sequence parameter sets (ITU-T H.264, 7.3.2.1.1; ITU-T H.265, 7.3.2.2).

mod h265;
mod vui;

use lva_media_types::VideoCodec;
use lva_media_types::limits::MAX_PICTURE_SIDE;

use self::vui::timing;
use crate::{BitReader, NalHeader, NalKind, ParameterSetKind};

/// What a sequence parameter set describes of its pictures. Everything in it was checked against its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sps {
    /// How the pictures are encoded.
    pub codec: VideoCodec,
    /// Its number, to which picture parameter sets refer.
    pub id: u32,
    /// Width and height of the pictures in pixels, cropped; at most [`MAX_PICTURE_SIDE`].
    pub size: (u32, u32),
    /// Width and height before cropping: what a decoder takes memory for, however little of it is shown.
    pub coded_size: (u32, u32),
    /// `chroma_format_idc`: 0 without colour, 1 is 4:2:0, 2 is 4:2:2, 3 is 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma and of a chroma sample, 8 to 15.
    pub bit_depth: (u8, u8),
    /// The three colours are coded like three pictures without colour.
    pub separate_colour_planes: bool,
    /// All pictures are frames (`frame_mbs_only_flag` of H.264). In H.265 fields are pictures like others.
    pub frames_only: bool,
    /// H.264: bits of `frame_num` in a slice header, 4 to 16. Otherwise 0.
    pub frame_num_bits: u32,
    /// H.264: `pic_order_cnt_type`, 0 to 2; with 2, pictures are presented in the order of decoding. Otherwise 0.
    pub picture_order_type: u8,
    /// H.265: temporal sub-layers, 1 to 8. Otherwise 1.
    pub temporal_layers: u8,
    /// H.265: `sps_temporal_id_nesting_flag`.
    pub temporal_id_nested: bool,
    /// `num_units_in_tick` and `time_scale` of the VUI (annex E of both standards), neither of them 0.
    pub timing: Option<(u32, u32)>,
    /// H.264: profile, constraints, level. H.265: `general_profile_space` to `general_level_idc`.
    profile: [u8; 12],
}

impl Sps {
    /// Reads the NAL unit of an SPS; `None` for another unit, one that is cut off, and values out of their ranges.
    pub fn parse(codec: VideoCodec, nal: &[u8]) -> Option<Self> {
        if NalHeader::parse(codec, nal)?.kind != NalKind::ParameterSet(ParameterSetKind::Sps) {
            return None;
        }
        let bits = BitReader::of_nal(nal.get(NalHeader::size(codec)..)?);
        let sps = match codec {
            VideoCodec::H264 => h264(bits),
            VideoCodec::H265 => h265::sps(bits),
            VideoCodec::Mjpeg => None,
        }?;
        let is_usable = |side| (1..=MAX_PICTURE_SIDE).contains(&side);
        (is_usable(sps.size.0) && is_usable(sps.size.1)).then_some(sps)
    }

    /// Pictures a second by the VUI, which many encoders do not fill in, and some not truly.
    pub fn frame_rate(&self) -> Option<f64> {
        let (units, scale) = self.timing?;
        // In H.264 a tick is a field.
        let ticks = if self.codec == VideoCodec::H264 { 2.0 } else { 1.0 };
        Some(f64::from(scale) / (f64::from(units) * ticks))
    }

    /// `profile_idc` of H.264, `general_profile_idc` of H.265.
    pub fn profile_idc(&self) -> u8 {
        let [first, ..] = self.profile;
        match self.codec {
            VideoCodec::H265 => first & 31,
            VideoCodec::H264 | VideoCodec::Mjpeg => first,
        }
    }

    /// `level_idc` of H.264: ten times the level; `general_level_idc` of H.265: thirty times.
    pub fn level_idc(&self) -> u8 {
        let [_, _, h264, .., h265] = self.profile;
        match self.codec {
            VideoCodec::H265 => h265,
            VideoCodec::H264 | VideoCodec::Mjpeg => h264,
        }
    }

    /// The codec's name of RFC 6381, such as `avc1.4D401E`.
    pub fn codec_name(&self) -> String {
        let [first, c0, c1, c2, c3, constraints @ .., level] = self.profile;
        if self.codec != VideoCodec::H265 {
            return format!("avc1.{first:02X}{c0:02X}{c1:02X}");
        }
        // ISO/IEC 14496-15 annex E.3.
        let space = ["", "A", "B", "C"].get(usize::from(first >> 6)).copied();
        let tier = if first & 0x20 == 0 { 'L' } else { 'H' };
        let compatibility = u32::from_be_bytes([c0, c1, c2, c3]).reverse_bits();
        let mut name = format!(
            "hvc1.{}{}.{compatibility:X}.{tier}{level}",
            space.unwrap_or_default(),
            first & 0x1f
        );
        let used = constraints.iter().rposition(|byte| *byte != 0);
        for byte in constraints.iter().take(used.map_or(0, |last| last + 1)) {
            name.push_str(&format!(".{byte:X}"));
        }
        name
    }

    /// H.264: a configuration record has chroma format and bit depths only for these profiles.
    pub(crate) fn has_chroma_format(profile_idc: u32) -> bool {
        matches!(
            profile_idc,
            100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
        )
    }

    /// H.265: `general_profile_space` to `general_level_idc`, as a configuration record repeats them.
    pub(crate) fn profile_tier_level(&self) -> [u8; 12] {
        self.profile
    }

    /// Main profile, level 4, 8 bits, 4:2:0, one nested layer: what a configuration record has for an SPS that cannot be
    /// read.
    pub(crate) fn of_hevc_main() -> Self {
        Self {
            codec: VideoCodec::H265,
            id: 0,
            coded_size: (0, 0),
            size: (0, 0),
            chroma_format: 1,
            bit_depth: (8, 8),
            separate_colour_planes: false,
            frames_only: true,
            frame_num_bits: 0,
            picture_order_type: 0,
            temporal_layers: 1,
            temporal_id_nested: true,
            timing: None,
            profile: [1, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 120],
        }
    }
}

fn h264(mut bits: BitReader<'_>) -> Option<Sps> {
    let mut profile = [0; 12];
    for byte in profile.iter_mut().take(3) {
        *byte = u8::try_from(bits.bits(8)?).ok()?;
    }
    let id = bits.unsigned_exp_golomb()?;
    let (mut chroma, mut separate, mut depth) = (1, false, (8, 8));
    if Sps::has_chroma_format(profile.first().copied()?.into()) {
        (chroma, separate) = chroma_format(&mut bits)?;
        depth = bit_depth(&mut bits)?;
        bits.flag()?; // qpprime_y_zero_transform_bypass_flag
        if bits.flag()? {
            for list in 0..if chroma == 3 { 12 } else { 8 } {
                if bits.flag()? {
                    skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    let frame_num_bits = bits.unsigned_exp_golomb()?.checked_add(4)?;
    let picture_order_type = bits.unsigned_exp_golomb()?;
    match picture_order_type {
        0 => drop(bits.unsigned_exp_golomb()?), // log2_max_pic_order_cnt_lsb_minus4
        1 => {
            bits.flag()?; // delta_pic_order_always_zero_flag
            bits.signed_exp_golomb()?; // offset_for_non_ref_pic
            bits.signed_exp_golomb()?; // offset_for_top_to_bottom_field
            let cycle = bits.unsigned_exp_golomb()?;
            for _ in 0..Some(cycle).filter(|cycle| *cycle <= 255)? {
                bits.signed_exp_golomb()?;
            }
        }
        _ => {}
    }
    bits.unsigned_exp_golomb()?; // max_num_ref_frames
    bits.flag()?; // gaps_in_frame_num_value_allowed_flag
    let width = bits.unsigned_exp_golomb()?.checked_add(1)?.checked_mul(16)?;
    let map_units = bits.unsigned_exp_golomb()?.checked_add(1)?;
    let frames_only = bits.flag()?;
    if !frames_only {
        bits.flag()?; // mb_adaptive_frame_field_flag
    }
    bits.flag()?; // direct_8x8_inference_flag
    let fields = if frames_only { 1 } else { 2 };
    let height = map_units.checked_mul(16 * fields)?;
    let (across, down) = chroma_unit(chroma, separate);
    let size = cropped(&mut bits, (width, height), (across, down * fields))?;
    Some(Sps {
        codec: VideoCodec::H264,
        id,
        size,
        coded_size: (width, height),
        chroma_format: chroma,
        bit_depth: depth,
        separate_colour_planes: separate,
        frames_only,
        frame_num_bits: Some(frame_num_bits).filter(|bits| *bits <= 16)?,
        picture_order_type: u8::try_from(picture_order_type).ok().filter(|kind| *kind <= 2)?,
        temporal_layers: 1,
        temporal_id_nested: false,
        timing: timing(&mut bits, VideoCodec::H264),
        profile,
    })
}

/// `chroma_format_idc` and `separate_colour_plane_flag`.
fn chroma_format(bits: &mut BitReader<'_>) -> Option<(u8, bool)> {
    let format = bits.unsigned_exp_golomb()?;
    let separate = format == 3 && bits.flag()?;
    let format = u8::try_from(format).ok().filter(|format| *format <= 3)?;
    Some((format, separate))
}

/// `bit_depth_luma_minus8` and `bit_depth_chroma_minus8`, of which a configuration record holds three bits.
fn bit_depth(bits: &mut BitReader<'_>) -> Option<(u8, u8)> {
    let mut depth = || {
        let more = bits.unsigned_exp_golomb()?;
        u8::try_from(more)
            .ok()
            .filter(|more| *more < 8)
            .map(|more| 8 + more)
    };
    Some((depth()?, depth()?))
}

/// Width and height of a chroma sample in luma samples, in which borders are counted.
fn chroma_unit(format: u8, separate_planes: bool) -> (u32, u32) {
    match format {
        _ if separate_planes => (1, 1),
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    }
}

/// The size without the borders that may follow, in `unit`s.
fn cropped(bits: &mut BitReader<'_>, size: (u32, u32), unit: (u32, u32)) -> Option<(u32, u32)> {
    if !bits.flag()? {
        return Some(size);
    }
    let mut border = || bits.unsigned_exp_golomb();
    let [left, right, top, bottom] = [border()?, border()?, border()?, border()?];
    let across = left.checked_add(right)?.checked_mul(unit.0)?;
    let down = top.checked_add(bottom)?.checked_mul(unit.1)?;
    Some((size.0.checked_sub(across)?, size.1.checked_sub(down)?))
}

/// ITU-T H.264, 7.3.2.1.1.1.
fn skip_scaling_list(bits: &mut BitReader<'_>, len: u32) -> Option<()> {
    let (mut last, mut next) = (8_i32, 8_i32);
    for _ in 0..len {
        if next != 0 {
            next = last.checked_add(bits.signed_exp_golomb()?)?.rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests;
