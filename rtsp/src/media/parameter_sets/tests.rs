use proptest::prelude::*;

use super::*;

/// 1280x720 High, of an encoder that writes VUI.
const H264: &str =
    "packetization-mode=1; sprop-parameter-sets=Z2QAH6yzAKALdNQICBkAAAMAAQAAAwA8DxgyaA==,aOlxyyLA";
/// 320x180 Main, cropped from 184 lines.
const H265: &str = "sprop-vps=QAEMAf//AWAAAAMAkAAAAwAAAwA8ugJA;sprop-sps=QgEBAWAAAAMAkAAAAwAAAwA8oAoIDB8+W6SkwuagQEDcIAAAAwAgAAADA8E=;sprop-pps=RAHAc8GJ";

#[test]
fn records_and_sizes_are_made_of_what_the_description_has() {
    let sets = ParameterSets::from_description(VideoCodec::H264, H264);
    assert_eq!(
        (sets.size(), sets.codec_name().as_deref()),
        (Some((1280, 720)), Some("avc1.64001F"))
    );
    let record = sets.record();
    assert_eq!(record[..6], [1, 0x64, 0, 0x1f, 0xff, 0xe1]);
    assert_eq!(record[record.len() - 4..], [0xfd, 0xf8, 0xf8, 0]);
}

#[test]
fn records_of_h265_name_profile_level_and_layers() {
    let sets = ParameterSets::from_description(VideoCodec::H265, H265);
    let record = sets.record();
    assert_eq!(sets.size(), Some((320, 180)));
    assert_eq!((record[0], record[1], record[21] & 3, record[22]), (1, 1, 3, 3));
    assert!(
        sets.codec_name().unwrap().starts_with("hvc1.1.6.L60"),
        "{:?}",
        sets.codec_name()
    );
}

#[test]
fn start_codes_missing_padding_and_empty_values_do_not_matter() {
    let annex_b = |base64: &str| {
        let mut bytes = vec![0, 0, 0, 1];
        bytes.extend(BASE64.decode(base64).unwrap());
        BASE64.encode(bytes)
    };
    let (sps, pps) = ("Z2QAH6yzAKALdNQICBkAAAMAAQAAAwA8DxgyaA==", "aOlxyyLA");
    let good = ParameterSets::from_description(VideoCodec::H264, H264).record();
    for value in [
        format!("{},{}", annex_b(sps), annex_b(pps)),
        format!("{},{pps},", sps.trim_end_matches('=')),
        format!(" {sps} , {pps} , ???"),
    ] {
        let sets =
            ParameterSets::from_description(VideoCodec::H264, &format!("sprop-parameter-sets={value}"));
        assert_eq!(sets.record(), good, "{value}");
    }
    for value in ["", sps, pps] {
        let sets =
            ParameterSets::from_description(VideoCodec::H264, &format!("sprop-parameter-sets={value}"));
        assert!(sets.record().is_empty());
    }
}

#[test]
fn only_a_set_that_differs_is_a_change() {
    let mut sets = ParameterSets::from_description(VideoCodec::H264, H264);
    let sps = sets.sets[0].unit.clone();
    sets.offer(&sps);
    sets.offer(b"\x68\xe9\x71\xcb\x22\xc0\0\0\0");
    assert_eq!(sets.version(), 0);
    let mut other = sps;
    other[3] = 0x28;
    sets.offer(&other);
    assert_eq!(
        (sets.version(), sets.codec_name().as_deref()),
        (1, Some("avc1.640028"))
    );
    for id in 0..100_u8 {
        sets.offer(&[0x68, id, 0x80]);
    }
    assert_eq!(sets.of(ParameterSetKind::Pps).count(), MAX_PPS);
}

#[test]
fn a_damaged_sps_does_not_replace_a_good_one() {
    let mut sets = ParameterSets::from_description(VideoCodec::H265, H265);
    let record = sets.record();
    sets.offer(&[0x42, 1, 1, 1]);
    assert_eq!((sets.record(), sets.size()), (record, Some((320, 180))));
    let only = "sprop-vps=QAEM;sprop-sps=QgEBAQ==;sprop-pps=RAHAc8GJ";
    let sets = ParameterSets::from_description(VideoCodec::H265, only);
    assert!(
        sets.size().is_none() && !sets.record().is_empty(),
        "better than none"
    );
}

#[test]
fn the_sps_of_the_last_key_frame_counts_and_the_others_are_kept() {
    // 640x352 and 320x176, numbers 0 and 1.
    let first = [0x67, 66, 0, 30, 0xda, 0x02, 0x80, 0xb6, 0x40];
    let second = [0x67, 66, 0, 30, 0x56, 0x81, 0x41, 0x79];
    // The numbers of a PPS and of its SPS are ue(v): 0 is 1, 1 is 010.
    let (pps0, pps1) = ([0x68, 0xc0, 0x80], [0x68, 0x48, 0x80]);
    let mut sets = ParameterSets::from_description(VideoCodec::H264, "");
    for unit in [&first[..], &second, &pps0, &pps1] {
        sets.offer(unit);
    }
    let sizes: Vec<_> = sets
        .of(ParameterSetKind::Sps)
        .map(|set| set.sps.unwrap().size)
        .collect();
    assert_eq!(sizes, [(640, 352), (320, 176)]);
    let record = sets.record();
    // First block 0, type 7, PPS 1 or 0.
    let (slice1, slice0) = ([0x65, 0b1_0001000, 0b010_00000], [0x65, 0b1_0001000, 0b1_0000000]);
    sets.activate(&slice1);
    assert_eq!((sets.size(), sets.version()), (Some(sizes[1]), 5));
    sets.activate(&slice1);
    sets.activate(&slice0);
    assert_eq!((sets.size(), sets.version()), (Some(sizes[0]), 6));
    assert_eq!(sets.record(), record, "in whichever order they come");
    for unit in [&second[..], &first] {
        sets.offer(unit);
    }
    assert_eq!(sets.version(), 6);
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..80), h265: bool) {
        let codec = if h265 { VideoCodec::H265 } else { VideoCodec::H264 };
        let mut sets = ParameterSets::from_description(codec, "");
        for header in [&[0x67][..], &[0x68], &[0x40, 1], &[0x42, 1], &[0x44, 1]] {
            sets.offer(&[header, &bytes].concat());
        }
        sets.activate(&bytes);
        sets.record();
        sets.size();
        sets.codec_name();
    }
}
