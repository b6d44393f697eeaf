use proptest::prelude::*;

use super::*;

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

const AVCC: [u8; 18] = [1, 66, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 1, 2, 3, 1, 0, 3, 0x68, 4, 5];

#[test]
fn the_sets_of_a_record_come_out_with_start_codes() {
    let sets = ParameterSets::from_extra_data(VideoCodec::H264, &AVCC).unwrap();
    assert_eq!(sets.length_size(), 4);
    assert_eq!(
        sets.to_annex_b(),
        [0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 0, 1, 0x68, 4, 5]
    );
}

#[test]
fn a_record_cut_anywhere_is_rejected() {
    for length in 1..AVCC.len() {
        assert_eq!(
            ParameterSets::from_extra_data(VideoCodec::H264, &AVCC[..length]),
            Err(NalError::Truncated(length))
        );
    }
}

#[test]
fn a_byte_stream_in_place_of_a_record_is_named() {
    for codec in [VideoCodec::H264, VideoCodec::H265] {
        let error = ParameterSets::from_extra_data(codec, &START_CODE);
        assert_eq!(error, Err(NalError::Version(0)));
    }
}

#[test]
fn records_are_those_of_ffmpeg_to_the_byte() {
    for (codec, record) in RECORDS {
        let record = bytes(record);
        let sets = ParameterSets::from_extra_data(codec, &record).unwrap();
        let picture: &[u8] = &[0x65, 0x88];
        let twice = sets.iter().chain(sets.iter()).chain([picture]);
        assert_eq!(decoder_configuration(codec, twice), Ok(record));
        let read: Vec<_> = sets.iter().filter_map(|set| Sps::parse(codec, set)).collect();
        assert!(
            matches!(read.as_slice(), [sps] if sps.size == (190, 1080)),
            "{read:?}"
        );
    }
}

#[test]
fn a_set_that_is_missing_is_named_and_too_many_are_rejected() {
    let (sps, pps): (&[u8], &[u8]) = (&[0x67, 66, 0, 30, 9], &[0x68, 4]);
    let record = |sets: &[&'static [u8]]| decoder_configuration(VideoCodec::H264, sets.iter().copied());
    assert_eq!(record(&[pps]), Err(NalError::MissingSet(VideoCodec::H264, "SPS")));
    assert_eq!(record(&[sps]), Err(NalError::MissingSet(VideoCodec::H264, "PPS")));
    let h265 = decoder_configuration(VideoCodec::H265, [&[0x42, 1, 1][..], &[0x44, 1, 1]]);
    assert_eq!(h265, Err(NalError::MissingSet(VideoCodec::H265, "VPS")));
    let many: Vec<_> = (0..32_u8)
        .map(|number| [0x67, 66, 0, 30, number | 0x80])
        .collect();
    let many = decoder_configuration(VideoCodec::H264, many.iter().map(<[u8; 5]>::as_slice));
    assert_eq!(
        many,
        Err(NalError::TooManySets {
            count: 32,
            bytes: 160
        })
    );
}

#[test]
fn an_sps_that_cannot_be_read_still_makes_a_record() {
    let sets: [&[u8]; 3] = [&[0x40, 1, 1], &[0x42, 1, 1, 1], &[0x44, 1, 1]];
    let record = decoder_configuration(VideoCodec::H265, sets).unwrap();
    assert_eq!(record[..4], [1, 1, 0x60, 0]);
    assert!(
        ParameterSets::from_extra_data(VideoCodec::H265, &record)
            .unwrap()
            .iter()
            .eq(sets)
    );
}

proptest! {
    #[test]
    fn any_record_is_survived_and_a_changed_one_is_written_as_it_is_read(
        which in 0..RECORDS.len(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<proptest::sample::Index>(),
    ) {
        let (codec, record) = RECORDS[which];
        let mut record = bytes(record);
        for (at, value) in changes {
            let at = at.index(record.len());
            record[at] = value;
        }
        record.truncate(cut.index(record.len()) + 1);
        if let Ok(sets) = ParameterSets::from_extra_data(codec, &record)
            && let Ok(again) = decoder_configuration(codec, sets.iter())
        {
            let again = ParameterSets::from_extra_data(codec, &again).unwrap();
            prop_assert!(again.iter().all(|set| sets.iter().any(|one| one == set)));
        }
    }
}
