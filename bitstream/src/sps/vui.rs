//! Video usability information (annex E of both standards), as far as its clock.

use lva_media_types::VideoCodec;

use crate::BitReader;

/// `aspect_ratio_idc` of which the ratio follows.
const EXTENDED: u32 = 255;

/// `num_units_in_tick` and `time_scale`; the reader stands in front of `vui_parameters_present_flag`. What is cut off or
/// odd here costs nothing else.
pub(super) fn timing(bits: &mut BitReader<'_>, codec: VideoCodec) -> Option<(u32, u32)> {
    let present = |bits: &mut BitReader<'_>| bits.flag().filter(|present| *present);
    present(bits)?;
    // aspect_ratio_info_present_flag
    if bits.flag()? && bits.bits(8)? == EXTENDED {
        bits.skip(32)?;
    }
    // overscan_info_present_flag
    if bits.flag()? {
        bits.skip(1)?;
    }
    // video_signal_type_present_flag
    if bits.flag()? {
        bits.skip(4)?;
        if bits.flag()? {
            bits.skip(24)?;
        }
    }
    // chroma_loc_info_present_flag
    if bits.flag()? {
        bits.unsigned_exp_golomb()?;
        bits.unsigned_exp_golomb()?;
    }
    if codec == VideoCodec::H265 {
        bits.skip(3)?; // neutral chroma, fields
        // default_display_window_flag
        if bits.flag()? {
            for _ in 0..4 {
                bits.unsigned_exp_golomb()?;
            }
        }
    }
    present(bits)?;
    let timing = (bits.bits(32)?, bits.bits(32)?);
    (timing.0 != 0 && timing.1 != 0).then_some(timing)
}
