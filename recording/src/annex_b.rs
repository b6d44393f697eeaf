//! The output of an encoder, a byte stream of ITU-T H.264 or H.265 Annex B, as a track and its units.

use bytes::Bytes;
use lva_media_types::VideoCodec;
use lva_media_types::limits::MAX_ACCESS_UNIT_BYTES;
use lva_media_types::nal::{self, NalError, NalUnits};

use crate::sps::{self, Sps};
use crate::unit::{MediaUnit, VideoTrack};

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
        let sets = ParameterSetArrays::find(codec, keyframe)?;
        let sps = sets.sps()?;
        Ok(Self {
            codec,
            extra_data: match codec {
                VideoCodec::H265 => sets.hvcc(&sps),
                VideoCodec::H264 | VideoCodec::Mjpeg => sets.avcc(&sps),
            }
            .into(),
            width: sps.width,
            height: sps.height,
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

/// The different parameter sets of a stream by kind, in the order of a configuration record.
struct ParameterSetArrays<'a> {
    codec: VideoCodec,
    vps: Vec<&'a [u8]>,
    sps: Vec<&'a [u8]>,
    pps: Vec<&'a [u8]>,
}

impl<'a> ParameterSetArrays<'a> {
    /// Checks that a record can hold them, so that writing it cannot fail.
    fn find(codec: VideoCodec, stream: &'a [u8]) -> Result<Self, AnnexBError> {
        let (mut vps, mut sps, mut pps) = (Vec::new(), Vec::new(), Vec::new());
        let (mut count, mut bytes) = (0, 0);
        for nal in nal_units(codec, stream)?.filter(|nal| nal::is_parameter_set(codec, nal)) {
            let header = nal.first().copied().unwrap_or(0);
            let (array, most) = match (codec, header & 31, header >> 1 & 63) {
                (VideoCodec::H264, 7, _) => (&mut sps, 31),
                (VideoCodec::H264, _, _) => (&mut pps, 255),
                (_, _, 32) => (&mut vps, 255),
                (_, _, 33) => (&mut sps, 255),
                _ => (&mut pps, 255),
            };
            if array.contains(&nal) {
                continue;
            }
            array.push(nal);
            count += 1;
            bytes += nal.len();
            if array.len() > most || nal.len() > usize::from(u16::MAX) {
                return Err(AnnexBError::TooManyParameterSets { count, bytes });
            }
        }
        for (name, array) in [("VPS", &vps), ("SPS", &sps), ("PPS", &pps)] {
            if array.is_empty() && (name != "VPS" || codec == VideoCodec::H265) {
                return Err(AnnexBError::NoParameterSet { codec, missing: name });
            }
        }
        Ok(Self { codec, vps, sps, pps })
    }

    fn sps(&self) -> Result<Sps, AnnexBError> {
        let first = self.sps.first().copied().unwrap_or_default();
        sps::parse(self.codec, first).ok_or(AnnexBError::Sps(self.codec))
    }

    /// An `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1).
    fn avcc(&self, sps: &Sps) -> Vec<u8> {
        let profile = self.sps.first().and_then(|sps| sps.get(1..4)).unwrap_or_default();
        let mut record = vec![1];
        record.extend_from_slice(profile);
        record.extend([0xff, 0xe0 | self.sps.len() as u8]); // lengths of 4 bytes
        write_sets(&self.sps, &mut record);
        record.push(self.pps.len() as u8);
        write_sets(&self.pps, &mut record);
        if sps.is_high {
            let depths = [0xf8 | sps.luma_depth_minus_8, 0xf8 | sps.chroma_depth_minus_8];
            record.extend([0xfc | sps.chroma_format, depths[0], depths[1], 0]);
        }
        record
    }

    /// An `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 8.3.3.1).
    fn hvcc(&self, sps: &Sps) -> Vec<u8> {
        let mut record = vec![1];
        record.extend_from_slice(&sps.profile_tier_level);
        record.extend([0xf0, 0, 0xfc]); // segmentation and parallelism: unknown
        record.extend([
            0xfc | sps.chroma_format,
            0xf8 | sps.luma_depth_minus_8,
            0xf8 | sps.chroma_depth_minus_8,
        ]);
        let nested = u8::from(sps.temporal_id_nested);
        // Frame rate unknown; lengths of 4 bytes; three arrays.
        record.extend([0, 0, sps.temporal_layers << 3 | nested << 2 | 3, 3]);
        for (nal_unit_type, sets) in [(32, &self.vps), (33, &self.sps), (34, &self.pps)] {
            record.extend([0x80 | nal_unit_type, 0, sets.len() as u8]); // all of this type are here
            write_sets(sets, &mut record);
        }
        record
    }
}

/// Each after its length in 2 bytes.
fn write_sets(sets: &[&[u8]], record: &mut Vec<u8>) {
    for set in sets {
        record.extend((set.len() as u16).to_be_bytes());
        record.extend_from_slice(set);
    }
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
    fn scaling_lists_and_a_picture_order_of_type_1_are_skipped() {
        let flat = "1".repeat(64);
        // High profile, 4:2:0 in 8 bits; of eight lists, the first ends after -8, two have a delta of 0 for each entry;
        // picture order from a cycle of two offsets; 64x48 pixels less 2 at the right and 6 at the bottom.
        let bits = [
            "1 010 1 1 0 1",
            "1 000010001",
            "1",
            &flat[..16],
            "0000",
            "1",
            &flat,
            "0",
            "1 010 0 00110 1 011 1 010",
            "010 0 00100 011 1 1",
            "1 1 010 1 00100 1",
        ];
        let bits = bits.concat().replace(' ', "");
        let bits: Vec<u8> = bits.bytes().map(|bit| bit - b'0').collect();
        let byte = |bits: &[u8]| bits.iter().fold(0, |sum, bit| sum << 1 | bit) << (8 - bits.len());
        let nal: Vec<u8> = [0x67, 100, 0, 30]
            .into_iter()
            .chain(bits.chunks(8).map(byte))
            .collect();
        let sps = sps::parse(VideoCodec::H264, &nal).unwrap();
        assert_eq!((sps.width, sps.height), (62, 42));
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
        let sets = (0..32_u8).flat_map(|number| [0, 0, 0, 1, 0x67, 66, 0, 30, number | 0x80]);
        let stream: Vec<u8> = sets.collect();
        assert_eq!(
            VideoTrack::from_annex_b(VideoCodec::H264, &stream),
            Err(AnnexBError::TooManyParameterSets {
                count: 32,
                bytes: 160
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
