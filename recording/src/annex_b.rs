//! The output of an encoder, a byte stream of ITU-T H.264 or H.265 Annex B, as a track and its units.

use bytes::Bytes;
use lva_bitstream::{
    NalError, NalHeader, NalKind, NalUnits, Sps, decoder_configuration, write_length_prefixed,
};
use lva_media_types::VideoCodec;
use lva_media_types::limits::MAX_ACCESS_UNIT_BYTES;

use crate::unit::{MediaUnit, VideoTrack};

/// Why a byte stream cannot be recorded. The encoder, or how it was configured, is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnexBError {
    /// It is not a byte stream, or its parameter sets do not make a configuration record.
    #[error(transparent)]
    Nal(#[from] NalError),
    /// A recording holds H.264 and H.265 only.
    #[error("{0} has no byte stream: recordings hold H.264 and H.265")]
    Codec(VideoCodec),
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
        let record = decoder_configuration(codec, nal_units(codec, keyframe)?)?;
        let sps = nal_units(codec, keyframe)?.find_map(|nal| Sps::parse(codec, nal));
        let size = sps.ok_or(AnnexBError::Sps(codec))?.size;
        Ok(Self::new(codec, record, size))
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
            match NalHeader::parse(codec, nal).map(|header| header.kind) {
                Some(NalKind::ParameterSet(_) | NalKind::Delimiter) => continue,
                Some(NalKind::Slice { keyframe: starts }) => {
                    keyframe |= starts;
                    has_picture = true;
                }
                _ => {}
            }
            write_length_prefixed(nal, &mut data)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use lva_bitstream::ParameterSets;
    use proptest::prelude::*;

    /// Records of videos of 190x1080 by x264 and x265, High and Main.
    const RECORDS: [(VideoCodec, &str); 2] = [
        (
            VideoCodec::H264,
            "0164001effe1001a6764001eacd9430089ea5c0440000003004000000c83c58b658001000668ebe3cb22c0fdf8f800",
        ),
        (
            VideoCodec::H265,
            "0101600000009000000000003ff000fcfdf8f800000f03a00001001840010c01ffff016000000300900000030000030\
             03f959809a10001002a42010101600000030090000003000003003fa018200439d796566924caf01680800000030080\
             00000c84a2000100074401c172b46240",
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
    fn a_track_is_made_of_the_parameter_sets_of_a_keyframe() {
        for (codec, record) in RECORDS {
            let record = bytes(record);
            let track = VideoTrack::from_annex_b(codec, &annex_b(codec, &record).repeat(2)).unwrap();
            assert_eq!(track, VideoTrack::new(codec, record, (190, 1080)));
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
            (VideoCodec::H264, RECORDS[0].1, "00000106050578323634208000"),
            (VideoCodec::H265, RECORDS[1].1, "0000014e01050578323635208000"),
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
        let (codec, record) = (RECORDS[0].0, bytes(RECORDS[0].1));
        let stream = annex_b(codec, &record);
        let missing = |stream: &[u8]| match VideoTrack::from_annex_b(codec, stream) {
            Err(AnnexBError::Nal(NalError::MissingSet(_, missing))) => missing,
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
