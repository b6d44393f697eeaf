//! Writes the configuration records of ISO/IEC 14496-15.

use super::sps::{self, Sps};
use crate::VideoCodec;

/// An `avcC` or `hvcC` record (ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1) of parameter sets without start codes, for access
/// units with lengths of 4 bytes. H.264 has no VPS.
///
/// Of an H.265 stream whose first SPS cannot be read, the record announces Main profile; decoders read the SPS itself.
///
/// `None` where a record cannot hold the sets: 31 SPS of H.264, else 255 sets of a kind, of at most 65,535 bytes each.
/// `None` for Motion JPEG.
pub fn configuration_record(
    codec: VideoCodec,
    vps: &[&[u8]],
    sps: &[&[u8]],
    pps: &[&[u8]],
) -> Option<Vec<u8>> {
    let first = sps.first().copied().unwrap_or_default();
    let parsed = sps::parse(codec, first);
    match codec {
        VideoCodec::H264 => avcc(parsed.filter(|sps| sps.is_high), sps, pps),
        VideoCodec::H265 => hvcc(&parsed.unwrap_or(Sps::MAIN), [vps, sps, pps]),
        VideoCodec::Mjpeg => None,
    }
}

fn avcc(high: Option<Sps>, sps: &[&[u8]], pps: &[&[u8]]) -> Option<Vec<u8>> {
    let count = u8::try_from(sps.len()).ok().filter(|count| *count < 32)?;
    let mut record = vec![1];
    record.extend_from_slice(sps.first()?.get(1..4)?); // profile, compatibility, level
    record.extend([0xff, 0xe0 | count]); // lengths of 4 bytes
    write_sets(sps, &mut record)?;
    record.push(u8::try_from(pps.len()).ok()?);
    write_sets(pps, &mut record)?;
    if let Some(sps) = high {
        record.extend(formats(&sps));
        record.push(0);
    }
    Some(record)
}

fn hvcc(sps: &Sps, arrays: [&[&[u8]]; 3]) -> Option<Vec<u8>> {
    let mut record = vec![1];
    record.extend(sps.profile_tier_level);
    record.extend([0xf0, 0, 0xfc]); // segmentation and parallelism: unknown
    record.extend(formats(sps));
    let nested = u8::from(sps.temporal_id_nested);
    // Frame rate unknown; lengths of 4 bytes; three arrays.
    record.extend([0, 0, sps.temporal_layers << 3 | nested << 2 | 3, 3]);
    for (nal_unit_type, sets) in [32, 33, 34].into_iter().zip(arrays) {
        record.extend([0x80 | nal_unit_type, 0, u8::try_from(sets.len()).ok()?]); // all of this type are here
        write_sets(sets, &mut record)?;
    }
    Some(record)
}

fn formats(sps: &Sps) -> [u8; 3] {
    [
        0xfc | sps.chroma_format,
        0xf8 | sps.luma_depth_minus_8,
        0xf8 | sps.chroma_depth_minus_8,
    ]
}

/// Each after its length in 2 bytes.
fn write_sets(sets: &[&[u8]], record: &mut Vec<u8>) -> Option<()> {
    for set in sets {
        record.extend(u16::try_from(set.len()).ok()?.to_be_bytes());
        record.extend_from_slice(set);
    }
    Some(())
}
