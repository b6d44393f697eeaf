use proptest::prelude::*;

use super::*;

/// 1280x720 High with VUI, and 320x180 Main, cropped from 184 lines, of encoders for 30 pictures a second.
const H264: &str = "6764001facb300a00b74d40808190000030001000003003c0f183268";
const H265: &str = "42010101600000030090000003000003003ca00a080c1f3e5ba4a4c2e6a04040dc20000003002000000303c1";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    let byte = |pair: &[u32]| (pair[0] << 4 | pair[1]) as u8;
    digits.chunks(2).map(byte).collect()
}

#[test]
fn sizes_profiles_and_rates_are_read() {
    let sps = Sps::parse(VideoCodec::H264, &bytes(H264)).unwrap();
    assert_eq!(
        (sps.size, sps.codec_name().as_str()),
        ((1280, 720), "avc1.64001F")
    );
    assert_eq!(
        (sps.profile_idc(), sps.level_idc(), sps.chroma_format),
        (100, 31, 1)
    );
    assert_eq!((sps.bit_depth, sps.frames_only, sps.id), ((8, 8), true, 0));
    assert_eq!(sps.frame_rate(), Some(30.0));
    let sps = Sps::parse(VideoCodec::H265, &bytes(H265)).unwrap();
    assert_eq!(sps.size, (320, 180));
    assert!(
        sps.codec_name().starts_with("hvc1.1.6.L60"),
        "{}",
        sps.codec_name()
    );
    assert_eq!(
        (sps.profile_idc(), sps.level_idc(), sps.temporal_layers),
        (1, 60, 1)
    );
    assert_eq!(sps.frame_rate(), Some(30.0));
}

#[test]
fn a_cut_vui_costs_only_the_rate() {
    let whole = bytes(H264);
    let cut = Sps::parse(VideoCodec::H264, &whole[..whole.len() - 6]).unwrap();
    assert_eq!((cut.size, cut.timing), ((1280, 720), None));
    assert_eq!(Sps::parse(VideoCodec::H264, &whole[..8]), None);
    assert_eq!(Sps::parse(VideoCodec::H264, &[0x68, 1, 2, 3]), None, "a PPS");
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
    let sps = Sps::parse(VideoCodec::H264, &nal).unwrap();
    assert_eq!((sps.size, sps.picture_order_type), ((62, 42), 1));
}

proptest! {
    #[test]
    fn any_bytes_are_read(mut nal in proptest::collection::vec(any::<u8>(), 2..120), h265: bool) {
        let codec = if h265 { VideoCodec::H265 } else { VideoCodec::H264 };
        nal[..2].copy_from_slice(if h265 { &[0x42, 1] } else { &[0x67, 100] });
        if let Some(sps) = Sps::parse(codec, &nal) {
            prop_assert!(sps.size.0 <= MAX_PICTURE_SIDE && sps.size.1 <= MAX_PICTURE_SIDE);
            sps.frame_rate();
            sps.codec_name();
        }
    }
}
