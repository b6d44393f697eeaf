//! The output of an encoder, a byte stream of ITU-T H.264 or H.265 Annex B, as a track and its units.

use bytes::Bytes;
use lva_media_types::VideoCodec;
use lva_media_types::limits::MAX_ACCESS_UNIT_BYTES;
use lva_media_types::nal::{self, NalError, NalUnits};

use crate::unit::{MediaUnit, VideoTrack};

/// Sets of one kind that a configuration record can hold at most.
const MAX_SETS: usize = 255;

/// Why a byte stream cannot be recorded. The encoder, or how it was configured, is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnexBError {
    /// It is not a byte stream.
    #[error(transparent)]
    Nal(#[from] NalError),
    /// A recording holds H.264 and H.265 only.
    #[error("{0} has no byte stream: recordings hold H.264 and H.265")]
    Codec(VideoCodec),
    /// A parameter set is missing.
    #[error(
        "the {codec} stream has no {missing} here: pass a keyframe, and let the encoder repeat its headers with each"
    )]
    NoParameterSet {
        /// The stream's codec.
        codec: VideoCodec,
        /// `SPS`, `PPS` or `VPS`.
        missing: &'static str,
    },
    /// More or larger parameter sets than a configuration record can hold.
    #[error(
        "the stream has {count} parameter sets of {bytes} bytes in one unit, more than an MP4 file can hold"
    )]
    TooManyParameterSets {
        /// Their number.
        count: usize,
        /// Their size.
        bytes: usize,
    },
    /// The SPS is cut off or contradicts itself.
    #[error("the {0} sequence parameter set cannot be read: the encoder's output is damaged")]
    Sps(VideoCodec),
    /// Larger than [`MAX_ACCESS_UNIT_BYTES`].
    #[error("an access unit of {0} bytes is larger than {MAX_ACCESS_UNIT_BYTES} bytes")]
    TooLarge(usize),
}

impl VideoTrack {
    /// The track of an encoder's output: parameter sets and size from its first keyframe, or from its headers alone.
    ///
    /// An encoder that changes its parameters repeats them with a keyframe: call this for each keyframe and pass the
    /// result to [`Recorder::set_tracks`](crate::Recorder::set_tracks), which ignores equal tracks.
    ///
    /// # Errors
    ///
    /// The parameter sets are missing or damaged.
    pub fn from_annex_b(codec: VideoCodec, keyframe: &[u8]) -> Result<Self, AnnexBError> {
        let [vps, sps, pps] = parameter_sets(codec, keyframe)?;
        let first = sps.first().copied().unwrap_or_default();
        let (width, height) = nal::picture_size(codec, first).ok_or(AnnexBError::Sps(codec))?;
        let record = nal::configuration_record(codec, &vps, &sps, &pps).ok_or_else(|| {
            let all = || vps.iter().chain(&sps).chain(&pps);
            AnnexBError::TooManyParameterSets {
                count: all().count(),
                bytes: all().map(|set| set.len()).sum(),
            }
        })?;
        Ok(Self {
            codec,
            extra_data: record.into(),
            width,
            height,
        })
    }
}

impl MediaUnit {
    /// A picture from an encoder's output: lengths in place of start codes, without parameter sets and access unit
    /// delimiters, which a recording has elsewhere. `None` if there is no picture: some encoders emit their headers first.
    ///
    /// # Errors
    ///
    /// Not a byte stream, or larger than [`MAX_ACCESS_UNIT_BYTES`].
    pub fn from_annex_b(
        codec: VideoCodec,
        timestamp_90k: u64,
        picture: &[u8],
    ) -> Result<Option<Self>, AnnexBError> {
        let mut data = Vec::with_capacity(picture.len() + 16);
        let (mut keyframe, mut has_picture) = (false, false);
        for nal in nal_units(codec, picture)? {
            if nal::is_parameter_set(codec, nal) || is_delimiter(codec, nal) {
                continue;
            }
            keyframe |= nal::is_keyframe(codec, nal);
            has_picture |= is_picture(codec, nal);
            nal::write_length_prefixed(nal, &mut data)?;
        }
        Ok(has_picture.then(|| Self::video(timestamp_90k, keyframe, Bytes::from(data))))
    }
}

fn nal_units(codec: VideoCodec, stream: &[u8]) -> Result<NalUnits<'_>, AnnexBError> {
    if codec == VideoCodec::Mjpeg {
        return Err(AnnexBError::Codec(codec));
    }
    if stream.len() > MAX_ACCESS_UNIT_BYTES {
        return Err(AnnexBError::TooLarge(stream.len()));
    }
    let nals = NalUnits::annex_b(stream);
    match nals.is_damaged() {
        true => Err(NalError::NoStartCode(stream.len()).into()),
        false => Ok(nals),
    }
}

fn is_delimiter(codec: VideoCodec, nal: &[u8]) -> bool {
    match (codec, nal.first()) {
        (VideoCodec::H264, Some(first)) => first & 31 == 9,
        (VideoCodec::H265, Some(first)) => first >> 1 & 63 == 35,
        (VideoCodec::Mjpeg, _) | (_, None) => false,
    }
}

/// Whether a NAL unit is a part of a coded picture (VCL; ITU-T H.264, table 7-1; ITU-T H.265, table 7-1).
fn is_picture(codec: VideoCodec, nal: &[u8]) -> bool {
    match (codec, nal.first()) {
        (VideoCodec::H264, Some(first)) => matches!(first & 31, 1..=5),
        (VideoCodec::H265, Some(first)) => first >> 1 & 63 <= 31,
        (VideoCodec::Mjpeg, _) | (_, None) => false,
    }
}

/// The different parameter sets of a stream: VPS, SPS, PPS.
fn parameter_sets(codec: VideoCodec, stream: &[u8]) -> Result<[Vec<&[u8]>; 3], AnnexBError> {
    let [mut vps, mut sps, mut pps] = [Vec::new(), Vec::new(), Vec::new()];
    for nal in nal_units(codec, stream)?.filter(|nal| nal::is_parameter_set(codec, nal)) {
        let header = nal.first().copied().unwrap_or(0);
        let array = match (codec, header & 31, header >> 1 & 63) {
            (VideoCodec::H264, 7, _) | (VideoCodec::H265, _, 33) => &mut sps,
            (VideoCodec::H265, _, 32) => &mut vps,
            _ => &mut pps,
        };
        if array.len() > MAX_SETS {
            break; // too many, which the configuration record reports
        }
        if !array.contains(&nal) {
            array.push(nal);
        }
    }
    for (name, array) in [("VPS", &vps), ("SPS", &sps), ("PPS", &pps)] {
        if array.is_empty() && (name != "VPS" || codec == VideoCodec::H265) {
            return Err(AnnexBError::NoParameterSet { codec, missing: name });
        }
    }
    Ok([vps, sps, pps])
}

#[cfg(test)]
mod tests {
    use super::*;
    use lva_media_types::nal::ParameterSets;
    use proptest::prelude::*;

    /// Records that FFmpeg 7.1 wrote for videos of 190x1080 by x264 and x265.
    const RECORDS: [(VideoCodec, &str); 6] = [
        // Baseline.
        (
            VideoCodec::H264,
            "0142c01effe100186742c01ed9030089ea5c0440000003004000000c83c58b9201000568cb83cb20",
        ),
        // High.
        (
            VideoCodec::H264,
            "0164001effe1001a6764001eacd9430089ea5c0440000003004000000c83c58b658001000668ebe3cb22c0fdf8f800",
        ),
        // High 4:4:4 Predictive.
        (
            VideoCodec::H264,
            "01f4001effe1001b67f4001e919b2860113dc4e022000003000200000300641e2c5b2c01000668ebe3c44844fff8f800",
        ),
        // Interlaced.
        (
            VideoCodec::H264,
            "0164001effe1001a6764001eacd9430113d5e022000003000200000300643e28532c01000668fba3cb22c0fdf8f800",
        ),
        // Main.
        (
            VideoCodec::H265,
            "0101600000009000000000003ff000fcfdf8f800000f03a00001001840010c01ffff016000000300900000030000030\
             03f959809a10001002a42010101600000030090000003000003003fa018200439d796566924caf01680800000030080\
             00000c84a2000100074401c172b46240",
        ),
        // Main 10.
        (
            VideoCodec::H265,
            "0102200000009000000000003ff000fcfdfafa00000f03a00001001840010c01ffff022000000300900000030000030\
             03f959809a10001002c42010102200000030090000003000003003fa018200439d6d96566924caf0168080000030008\
             00000300c840a2000100074401c172b46240",
        ),
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits
            .chunks(2)
            .map(|pair| (pair[0] << 4 | pair[1]) as u8)
            .collect()
    }

    fn annex_b(codec: VideoCodec, record: &[u8]) -> Vec<u8> {
        ParameterSets::from_extra_data(codec, record)
            .unwrap()
            .to_annex_b()
    }

    #[test]
    fn records_are_those_of_ffmpeg_to_the_byte() {
        for (codec, record) in RECORDS {
            let record = bytes(record);
            let twice = annex_b(codec, &record).repeat(2);
            let track = VideoTrack::from_annex_b(codec, &twice).unwrap();
            assert_eq!(track.extra_data, record);
            assert_eq!((track.width, track.height), (190, 1080));
        }
    }

    #[test]
    fn a_picture_gets_lengths_and_loses_headers() {
        let stream = [
            0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x67, 66, 1, 0, 0, 1, 0x68, 2, 0, 0, 1, 6, 5, 0, 0, 1, 0x65, 9,
            0,
        ];
        let unit = MediaUnit::from_annex_b(VideoCodec::H264, 7, &stream)
            .unwrap()
            .unwrap();
        assert_eq!(unit.data[..], [0, 0, 0, 2, 6, 5, 0, 0, 0, 2, 0x65, 9]);
        assert!(unit.keyframe && unit.timestamp_90k == 7);
        let other = MediaUnit::from_annex_b(VideoCodec::H265, 7, &[0, 0, 1, 2, 1, 9])
            .unwrap()
            .unwrap();
        assert!(!other.keyframe);
        assert_eq!(
            MediaUnit::from_annex_b(VideoCodec::H264, 7, &stream[..18]),
            Ok(None)
        );
    }

    #[test]
    fn headers_alone_are_no_unit_although_they_hold_the_name_of_the_encoder() {
        // As x264 and x265 write them: parameter sets, then an SEI message of user data.
        let messages = [
            (VideoCodec::H264, RECORDS[1].1, "00000106050578323634208000"),
            (VideoCodec::H265, RECORDS[4].1, "0000014e01050578323635208000"),
        ];
        for (codec, record, message) in messages {
            let headers = [annex_b(codec, &bytes(record)), bytes(message)].concat();
            assert!(VideoTrack::from_annex_b(codec, &headers).is_ok());
            assert_eq!(MediaUnit::from_annex_b(codec, 7, &headers), Ok(None));
            let slice: &[u8] = match codec {
                VideoCodec::H265 => &[0, 0, 1, 0x26, 1, 0x80],
                VideoCodec::H264 | VideoCodec::Mjpeg => &[0, 0, 1, 0x65, 0x88, 0x80],
            };
            let unit = MediaUnit::from_annex_b(codec, 7, &[&headers, slice].concat());
            assert!(unit.unwrap().unwrap().keyframe);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let (codec, record) = (RECORDS[1].0, bytes(RECORDS[1].1));
        let stream = annex_b(codec, &record);
        let missing = |stream: &[u8]| match VideoTrack::from_annex_b(codec, stream) {
            Err(AnnexBError::NoParameterSet { missing, .. }) => missing,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(&stream[..30]), "PPS");
        assert_eq!(missing(&stream[30..]), "SPS");
        assert_eq!(missing(&[]), "SPS");
        assert_eq!(
            VideoTrack::from_annex_b(codec, &record),
            Err(NalError::NoStartCode(record.len()).into())
        );
        let cut = [&stream[..12], &stream[30..]].concat();
        assert_eq!(
            VideoTrack::from_annex_b(codec, &cut),
            Err(AnnexBError::Sps(codec))
        );
        let jpeg = MediaUnit::from_annex_b(VideoCodec::Mjpeg, 0, &[0xff, 0xd8]);
        assert_eq!(jpeg, Err(AnnexBError::Codec(VideoCodec::Mjpeg)));
    }

    #[test]
    fn more_sets_than_a_record_holds_are_rejected() {
        let sets = ParameterSets::from_extra_data(VideoCodec::H264, &bytes(RECORDS[1].1)).unwrap();
        let sps = sets.iter().next().unwrap();
        // What follows the parameters is not read.
        let different = (1..33_u8).flat_map(|number| [&[0, 0, 0, 1][..], sps, &[number]].concat());
        let stream: Vec<u8> = different.chain([0, 0, 1, 0x68, 2]).collect();
        assert_eq!(
            VideoTrack::from_annex_b(VideoCodec::H264, &stream),
            Err(AnnexBError::TooManyParameterSets {
                count: 33,
                bytes: 32 * (sps.len() + 1) + 2
            })
        );
    }

    proptest! {
        #[test]
        fn mutated_streams_are_survived(
            which in 0..RECORDS.len(),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<proptest::sample::Index>(),
        ) {
            let (codec, record) = RECORDS[which];
            let mut stream = annex_b(codec, &bytes(record));
            for (at, value) in changes {
                let at = at.index(stream.len());
                stream[at] = value;
            }
            stream.truncate(cut.index(stream.len()) + 1);
            if let Ok(track) = VideoTrack::from_annex_b(codec, &stream) {
                let sets = ParameterSets::from_extra_data(codec, &track.extra_data).unwrap();
                prop_assert!(!sets.is_empty() && track.width > 0 && track.height > 0);
            }
            let _ = MediaUnit::from_annex_b(codec, 0, &stream);
        }
    }
}
