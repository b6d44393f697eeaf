//! Where decoding starts in a stream without key frames: with gradual refresh, and with open groups of pictures.

use std::time::{Duration, Instant};

use lva_bitstream::{BitReader, NalHeader, NalKind, NalUnits, VideoCodec};

use super::LENGTH;
use crate::media::unit::Arrival;

/// So long a key frame is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The payload type of a recovery point (annex D of ITU-T H.264 and H.265).
const RECOVERY_POINT: u32 = 6;

/// Whether a stream has key frames.
#[derive(Debug, Default)]
pub(super) struct EntryPoints {
    /// When its first picture came.
    since: Option<Instant>,
    has_keyframes: bool,
}

impl EntryPoints {
    /// Whether a decoder should start at this picture, units after their lengths: at a key frame, and where none came for
    /// some seconds, at a recovery point and at a picture of intra slices.
    pub(super) fn is_at(
        &mut self,
        codec: VideoCodec,
        picture: &[u8],
        keyframe: bool,
        arrival: Arrival,
    ) -> bool {
        self.has_keyframes |= keyframe;
        if self.has_keyframes {
            return keyframe;
        }
        let since = *self.since.get_or_insert(arrival.at);
        arrival.at.saturating_duration_since(since) >= PATIENCE && is_entry(codec, picture)
    }
}

fn is_entry(codec: VideoCodec, picture: &[u8]) -> bool {
    let mut intra = true;
    for nal in NalUnits::length_prefixed(picture, LENGTH) {
        match NalHeader::parse(codec, nal).map(|header| header.kind) {
            Some(NalKind::Slice { .. }) => intra &= is_intra(codec, nal).unwrap_or(false),
            Some(NalKind::Leading) if is_recovery_point(codec, nal) => return true,
            _ => {}
        }
    }
    intra
}

/// The slice type of H.264 (7.3.3, table 7-6): I or SI. That of H.265 is behind what only its PPS describes.
fn is_intra(codec: VideoCodec, slice: &[u8]) -> Option<bool> {
    let mut bits = BitReader::of_nal(slice.get(1..)?);
    bits.unsigned_exp_golomb()?; // first_mb_in_slice
    let kind = bits.unsigned_exp_golomb()? % 5;
    Some(codec == VideoCodec::H264 && matches!(kind, 2 | 4))
}

/// Whether one of the messages of an SEI unit is a recovery point.
fn is_recovery_point(codec: VideoCodec, nal: &[u8]) -> bool {
    let is_sei = match codec {
        VideoCodec::H265 => nal.first().is_some_and(|header| header >> 1 & 63 == 39),
        VideoCodec::H264 | VideoCodec::Mjpeg => nal.first().is_some_and(|header| header & 31 == 6),
    };
    let mut bits = BitReader::of_nal(nal.get(NalHeader::size(codec)..).unwrap_or_default());
    let number = |bits: &mut BitReader<'_>| {
        let mut number = 0_u32;
        loop {
            let byte = bits.bits(8)?;
            number = number.checked_add(byte)?;
            if byte != 255 {
                return Some(number);
            }
        }
    };
    while let Some(kind) = number(&mut bits).filter(|_| is_sei) {
        let Some(size) = number(&mut bits) else { break };
        if kind == RECOVERY_POINT {
            return size > 0;
        }
        if size.checked_mul(8).and_then(|size| bits.skip(size)).is_none() {
            break;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: &[u8] = &[0x61, 0x9a];
    const I: &[u8] = &[0x61, 0x88];
    const IDR: &[u8] = &[0x65, 0x88];
    /// A message of 3 bytes, then a recovery point.
    const RECOVERY: &[u8] = &[0x06, 5, 3, 1, 2, 3, 6, 1, 0xc4, 0x80];
    const SEI: &[u8] = &[0x06, 5, 3, 6, 1, 3, 0x80];

    fn picture(units: &[&[u8]]) -> Vec<u8> {
        let mut picture = Vec::new();
        for unit in units {
            picture.extend([0, 0, 0, unit.len() as u8]);
            picture.extend_from_slice(unit);
        }
        picture
    }

    /// Which of these pictures, by their seconds, are where decoding starts.
    fn entries(pictures: &[(&[&[u8]], u64)]) -> Vec<bool> {
        let (mut entry, began) = (EntryPoints::default(), Arrival::now());
        let at = |seconds| Arrival {
            at: began.at + Duration::from_secs(seconds),
            ..began
        };
        pictures
            .iter()
            .map(|(units, seconds)| {
                let keyframe = units.contains(&IDR);
                entry.is_at(VideoCodec::H264, &picture(units), keyframe, at(*seconds))
            })
            .collect()
    }

    #[test]
    fn without_key_frames_decoding_starts_at_recovery_points_and_intra_pictures() {
        let seen = entries(&[
            (&[I], 0),
            (&[RECOVERY, P], 4),
            (&[P], 5),
            (&[SEI, P], 6),
            (&[RECOVERY, P], 7),
            (&[I, I], 8),
            (&[I, P], 9),
        ]);
        assert_eq!(seen, [false, false, false, false, true, true, false]);
    }

    #[test]
    fn one_key_frame_is_enough_to_wait_for_another() {
        let seen = entries(&[(&[I], 0), (&[IDR], 3), (&[RECOVERY, I], 9), (&[IDR], 60)]);
        assert_eq!(seen, [false, true, false, true]);
    }

    #[test]
    fn recovery_points_of_h265_count_too() {
        assert!(is_recovery_point(VideoCodec::H265, &[0x4e, 1, 6, 1, 0xc0, 0x80]));
        assert!(!is_recovery_point(VideoCodec::H265, &[0x4e, 1, 5, 1, 6, 0x80]));
        assert!(!is_recovery_point(VideoCodec::H265, &[0x50, 1, 6, 1, 0xc0, 0x80]));
        assert!(!is_entry(VideoCodec::H265, &picture(&[&[0x02, 1, 0xd0]])));
    }
}
