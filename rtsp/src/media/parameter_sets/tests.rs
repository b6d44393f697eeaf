use proptest::prelude::*;

use super::*;

/// 1280x720 High, of an encoder that writes VUI.
const H264: &str =
    "packetization-mode=1; sprop-parameter-sets=Z2QAH6yzAKALdNQICBkAAAMAAQAAAwA8DxgyaA==,aOlxyyLA";
/// 320x180 Main, cropped from 184 lines.
const H265: &str = "sprop-vps=QAEMAf//AWAAAAMAkAAAAwAAAwA8ugJA;sprop-sps=QgEBAWAAAAMAkAAAAwAAAwA8oAoIDB8+W6SkwuagQEDcIAAAAwAgAAADA8E=;sprop-pps=RAHAc8GJ";

#[test]
fn records_and_sizes_are_made_of_what_the_description_has() {
    let sets = ParameterSets::from_description(Codec::H264, H264);
    assert!(sets.are_complete());
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
    let sets = ParameterSets::from_description(Codec::H265, H265);
    assert!(sets.are_complete());
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
    let good = ParameterSets::from_description(Codec::H264, H264).record();
    for value in [
        format!("{},{}", annex_b(sps), annex_b(pps)),
        format!("{},{pps},", sps.trim_end_matches('=')),
        format!(" {sps} , {pps} , ???"),
    ] {
        let sets = ParameterSets::from_description(Codec::H264, &format!("sprop-parameter-sets={value}"));
        assert_eq!(sets.record(), good, "{value}");
    }
    for value in ["", sps, pps] {
        let sets = ParameterSets::from_description(Codec::H264, &format!("sprop-parameter-sets={value}"));
        assert!(!sets.are_complete() && sets.record().is_empty());
    }
}

#[test]
fn only_a_set_that_differs_is_a_change() {
    let mut sets = ParameterSets::from_description(Codec::H264, H264);
    let sps = sets.sps.clone();
    sets.offer(ParameterSetKind::Sps, &sps);
    sets.offer(ParameterSetKind::Pps, b"\x68\xe9\x71\xcb\x22\xc0\0\0");
    assert_eq!(sets.version(), 0);
    let mut other = sps;
    other[3] = 0x28;
    sets.offer(ParameterSetKind::Sps, &other);
    assert_eq!(
        (sets.version(), sets.codec_name().as_deref()),
        (1, Some("avc1.640028"))
    );
    for id in 0..100_u8 {
        sets.offer(ParameterSetKind::Pps, &[0x68, id, 0x80]);
    }
    assert!(sets.pps.len() <= MAX_PPS);
}

#[test]
fn a_set_that_cannot_be_read_still_makes_a_record() {
    let mut sets = ParameterSets::from_description(Codec::H265, H265);
    sets.offer(ParameterSetKind::Sps, &[0x42, 1, 1, 1]);
    assert!(sets.size().is_none() && !sets.record().is_empty());
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..80), h265: bool) {
        let codec = if h265 { Codec::H265 } else { Codec::H264 };
        let mut sets = ParameterSets::from_description(codec, "");
        for kind in [ParameterSetKind::Vps, ParameterSetKind::Sps, ParameterSetKind::Pps] {
            sets.offer(kind, &bytes);
        }
        sets.record();
        sets.size();
        sets.codec_name();
    }
}
