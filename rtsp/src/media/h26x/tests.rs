use super::super::rtp::Packet;
use super::*;

/// The units of a picture by their first bytes, whether it is a keyframe, and its time.
type Seen = (Vec<u8>, bool, i64);

/// Payloads with their markers; a time for each picture.
struct Camera {
    assembler: PictureAssembler,
    repairs: Repairs,
    units: Vec<Unit>,
    sequence: u16,
}

impl Camera {
    fn new(codec: VideoCodec) -> Self {
        Self {
            assembler: PictureAssembler::new(codec, ""),
            repairs: Repairs::default(),
            units: Vec::new(),
            sequence: 0,
        }
    }

    fn send_after(&mut self, lost: u32, ticks: i64, payload: &[u8], marker: bool) {
        let packet = Packet {
            payload_type: 96,
            marker,
            sequence: self.sequence,
            timestamp: ticks as u32,
            ssrc: 1,
            payload,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let ordered = Ordered { packet, ticks, lost };
        self.assembler
            .push(&ordered, Arrival::now(), &mut self.repairs, &mut self.units);
    }

    fn send(&mut self, ticks: i64, payload: &[u8], marker: bool) {
        self.send_after(0, ticks, payload, marker);
    }

    fn pictures(mut self) -> (Vec<Seen>, Repairs, u64) {
        self.assembler.flush(&mut self.repairs, &mut self.units);
        let pictures = self.units.iter().map(|unit| {
            let mut rest = unit.data.as_slice();
            let mut heads = Vec::new();
            while let Some((length, behind)) = rest.split_first_chunk::<4>() {
                let (nal, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
                heads.push(nal[0]);
                rest = behind;
            }
            (heads, unit.keyframe, unit.ticks)
        });
        (pictures.collect(), self.repairs, self.assembler.damaged())
    }
}

const IDR: &[u8] = &[0x65, 0x88, 1];
const P: &[u8] = &[0x61, 0x88, 2];
/// A slice of the same picture.
const MORE: &[u8] = &[0x61, 0x08, 3];
const SPS: &[u8] = &[0x67, 100, 0, 31, 0xac];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3];
const SEI: &[u8] = &[0x06, 5, 1];

#[test]
fn markers_that_are_right_are_believed_after_three_pictures() {
    let mut camera = Camera::new(VideoCodec::H264);
    for n in 0..6 {
        camera.send(n * 3000, if n == 0 { IDR } else { P }, true);
        let expected = if n < PICTURES_TO_TRUST as i64 { n } else { n + 1 };
        assert_eq!(camera.units.len() as i64, expected, "picture {n}");
    }
    let (pictures, repairs, _) = camera.pictures();
    assert_eq!(pictures[0], (vec![0x65], true, 0));
    assert!(pictures.len() == 6 && repairs.is_empty());
}

#[test]
fn slices_that_each_carry_the_marker_are_one_picture() {
    let mut camera = Camera::new(VideoCodec::H264);
    for n in 0..5 {
        for unit in [P, MORE, MORE] {
            camera.send(n * 3000, unit, true);
        }
    }
    let (pictures, repairs, damaged) = camera.pictures();
    assert!(
        pictures.len() == 5 && pictures.iter().all(|(units, ..)| units.len() == 3),
        "{pictures:?}"
    );
    assert_eq!((repairs.count(Repair::Marker), damaged), (10, 0));
}

#[test]
fn a_stream_without_markers_is_cut_at_its_times_and_at_third_first_slices() {
    let mut camera = Camera::new(VideoCodec::H264);
    for n in 0..4 {
        camera.send(n * 3000, P, false);
        camera.send(n * 3000, MORE, false);
    }
    camera.send(12_000, P, true);
    assert_eq!(camera.pictures().0.len(), 5);
    let mut fields = Camera::new(VideoCodec::H264);
    for n in 0..4 {
        fields.send(n * 3000, P, false);
        fields.send(n * 3000, P, true);
    }
    assert!(fields.pictures().0.iter().all(|(units, ..)| units.len() == 2));
}

#[test]
fn pictures_that_all_have_the_same_time_are_cut_at_their_markers() {
    let mut camera = Camera::new(VideoCodec::H264);
    for _ in 0..8 {
        camera.send(0, P, true);
    }
    assert_eq!(camera.pictures().0.len(), 8);
}

#[test]
fn units_without_a_slice_are_never_a_picture() {
    let mut camera = Camera::new(VideoCodec::H264);
    for n in 0..8 {
        let ticks = n * 3000;
        if n % 4 == 0 {
            for unit in [SPS, PPS, SEI] {
                camera.send(ticks, unit, true);
            }
            camera.send(ticks, IDR, true);
        } else {
            camera.send(ticks, P, true);
        }
        camera.send(ticks, &[0x0c, 0xff, 0x80], true); // filler data
        camera.send(ticks, &[0x09, 0x10], true); // a delimiter alone
    }
    let (pictures, repairs, damaged) = camera.pictures();
    assert_eq!(pictures.len(), 8, "{pictures:?}");
    let keys: Vec<_> = pictures.iter().map(|(_, key, _)| *key).collect();
    assert_eq!(keys, [true, false, false, false, true, false, false, false]);
    assert!(
        pictures
            .iter()
            .all(|(units, ..)| units.iter().any(|unit| matches!(unit & 0x1f, 1 | 5)))
    );
    assert!(repairs.count(Repair::UnitWithoutSlice) > 0 && damaged == 0);
}

#[test]
fn sei_behind_a_picture_of_h265_joins_the_next_one() {
    let mut camera = Camera::new(VideoCodec::H265);
    for n in 0..6_i64 {
        camera.send(n * 3000, &[if n == 0 { 0x26 } else { 0x02 }, 1, 0x80], true);
        camera.send(n * 3000, &[39 << 1, 1, 5, 1], true);
        camera.send(n * 3000, &[40 << 1, 1, 5, 1], true);
    }
    let (pictures, ..) = camera.pictures();
    assert_eq!(pictures.len(), 6);
    assert_eq!(
        pictures.iter().map(|(_, _, ticks)| *ticks).collect::<Vec<_>>(),
        [0, 3000, 6000, 9000, 12_000, 15_000]
    );
}

#[test]
fn parameter_sets_with_the_time_of_the_picture_before_belong_to_the_next() {
    let mut camera = Camera::new(VideoCodec::H264);
    for n in 0..6 {
        if n % 2 == 0 {
            camera.send((n - 1) * 3000, SPS, true);
            camera.send((n - 1) * 3000, PPS, false);
        }
        camera.send(n * 3000, if n % 2 == 0 { IDR } else { P }, true);
    }
    let changed: Vec<_> = camera.units.iter().map(|unit| unit.parameters_changed).collect();
    assert!(changed[0] && !changed[1..].contains(&true));
    let (pictures, ..) = camera.pictures();
    assert_eq!(
        pictures
            .iter()
            .map(|(_, _, ticks)| ticks / 3000)
            .collect::<Vec<_>>(),
        [0, 1, 2, 3, 4, 5]
    );
}

#[test]
fn fragments_make_the_unit_that_they_were_cut_from() {
    let mut camera = Camera::new(VideoCodec::H264);
    camera.send(0, &[0x7c, 0x85, 0x88, 1], false);
    camera.send(0, &[0x7c, 0x05, 2, 3], false);
    camera.send(0, &[0x7c, 0x45, 4], true);
    camera.send(3000, &[0x7c, 0xc1, 0x88, 9], true); // start and end at once
    camera.assembler.flush(&mut camera.repairs, &mut camera.units);
    assert_eq!(camera.units[0].data, [0, 0, 0, 6, 0x65, 0x88, 1, 2, 3, 4]);
    assert_eq!(camera.units[1].data, [0, 0, 0, 3, 0x61, 0x88, 9]);
}

#[test]
fn fragments_without_a_beginning_or_an_end_are_units_if_nothing_is_missing() {
    let mut camera = Camera::new(VideoCodec::H264);
    camera.send(0, &[0x7c, 0x05, 0x88, 1], false);
    camera.send(0, &[0x7c, 0x05, 2], true);
    camera.send(3000, &[0x7c, 0x81, 0x88], false);
    camera.send(3000, MORE, true);
    let (pictures, repairs, damaged) = camera.pictures();
    assert_eq!(
        pictures
            .iter()
            .map(|(units, ..)| units.clone())
            .collect::<Vec<_>>(),
        [vec![0x65], vec![0x61, 0x61]]
    );
    assert!(repairs.count(Repair::Fragments) >= 3 && damaged == 0);
}

#[test]
fn start_codes_in_units_and_fragments_separate_units() {
    let mut camera = Camera::new(VideoCodec::H264);
    let mut whole = SPS.to_vec();
    whole.extend(b"\0\0\0\x01");
    whole.extend(PPS);
    whole.extend(b"\0\0\x01");
    whole.extend(IDR);
    camera.send(0, &whole, true);
    let (first, second) = whole[1..].split_at(9);
    camera.send(3000, &[&[0x7c, 0x87], first].concat(), false);
    camera.send(3000, &[&[0x7c, 0x47], second].concat(), true);
    let complete = !camera.assembler.parameters.record().is_empty();
    let (pictures, repairs, _) = camera.pictures();
    assert_eq!(pictures, [(vec![0x65], true, 0), (vec![0x65], true, 3000)]);
    assert!(complete && repairs.count(Repair::StartCodes) == 2);
}

#[test]
fn a_loss_costs_its_picture_and_no_other() {
    for lost_at in 0..4 {
        let mut camera = Camera::new(VideoCodec::H264);
        camera.send(0, IDR, true);
        camera.send(3000, P, true);
        let parts: [(&[u8], bool); 4] = [
            (&[0x7c, 0x81, 0x88], false),
            (&[0x7c, 0x01, 1], false),
            (&[0x7c, 0x41, 2], false),
            (MORE, true),
        ];
        for (index, (payload, marker)) in parts.into_iter().enumerate() {
            if index != lost_at {
                camera.send_after(u32::from(index == lost_at + 1), 6000, payload, marker);
            }
        }
        camera.send_after(u32::from(lost_at == 3), 9000, P, true);
        camera.send(12_000, P, true);
        camera.assembler.flush(&mut camera.repairs, &mut camera.units);
        let times: Vec<_> = camera
            .units
            .iter()
            .map(|unit| (unit.ticks / 3000, unit.lost > 0))
            .collect();
        assert_eq!(
            times,
            [(0, false), (1, false), (3, true), (4, false)],
            "packet {lost_at}"
        );
    }
}

#[test]
fn a_malformed_payload_costs_its_picture_and_is_counted() {
    let mut camera = Camera::new(VideoCodec::H264);
    camera.send(0, IDR, true);
    camera.send(3000, P, false);
    camera.send(3000, &[0xff, 1, 2], true);
    camera.send(6000, P, true);
    camera.send(9000, &[0x78, 0, 9, 1], true);
    camera.send(12_000, P, true);
    let (pictures, repairs, damaged) = camera.pictures();
    assert_eq!(
        pictures
            .iter()
            .map(|(_, _, ticks)| ticks / 3000)
            .collect::<Vec<_>>(),
        [0, 2, 4]
    );
    assert_eq!((repairs.count(Repair::Payload), damaged), (2, 1));
}

#[test]
fn a_picture_without_end_is_given_up_in_bounded_memory() {
    let mut camera = Camera::new(VideoCodec::H264);
    camera.send(0, &[0x7c, 0x85, 0x88], false);
    let part = [&[0x7c, 0x05][..], &[7; 60_000]].concat();
    for _ in 0..1000 {
        camera.send(0, &part, false);
        assert!(camera.assembler.picture.data.capacity() <= 2 * MAX_PICTURE);
    }
    for _ in 0..100_000 {
        camera.send(0, SEI, false);
    }
    assert!(camera.assembler.picture.data.len() <= MAX_PICTURE);
    camera.send(3000, IDR, true);
    camera.send(6000, P, true);
    let (pictures, repairs, _) = camera.pictures();
    assert_eq!(pictures.len(), 2);
    assert!(repairs.count(Repair::TooLarge) > 0);
}

#[test]
fn fragments_of_h265_may_tell_other_types_than_their_first() {
    let mut camera = Camera::new(VideoCodec::H265);
    camera.send(0, &[0x62, 1, 0x93, 0x80, 1], false);
    camera.send(0, &[0x62, 1, 0x01, 2], false);
    camera.send(0, &[0x62, 1, 0x41, 3], true);
    let (pictures, ..) = camera.pictures();
    assert_eq!(pictures, [(vec![0x26], true, 0)]);
}

/// Payloads of a unit: itself, or its fragments.
fn payloads(codec: VideoCodec, unit: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    let header = if codec == VideoCodec::H265 { 2 } else { 1 };
    let (head, body) = unit.split_at(header);
    if body.len() <= mtu {
        return vec![unit.to_vec()];
    }
    let parts: Vec<_> = body.chunks(mtu).collect();
    let last = parts.len() - 1;
    let fragments = parts.iter().enumerate().map(|(at, part)| {
        let bits = u8::from(at == 0) << 7 | u8::from(at == last) << 6;
        let mut payload = match codec {
            VideoCodec::H265 => vec![head[0] & 0x81 | 49 << 1, head[1], bits | head[0] >> 1 & 0x3f],
            _ => vec![head[0] & 0xe0 | 28, bits | head[0] & 0x1f],
        };
        payload.extend_from_slice(part);
        payload
    });
    fragments.collect()
}

proptest::proptest! {
    #[test]
    fn a_good_stream_passes_byte_for_byte_and_without_a_repair(
        h265: bool,
        mtu in 20_usize..1400,
        // Slices of each picture by their lengths; no byte is 0, so no start code comes about.
        pictures in proptest::collection::vec(proptest::collection::vec(1_usize..5000, 1..4), 1..12),
        filling in 1_u8..=255,
    ) {
        let codec = if h265 { VideoCodec::H265 } else { VideoCodec::H264 };
        let mut camera = Camera::new(codec);
        let mut expected = Vec::new();
        for (number, slices) in pictures.iter().enumerate() {
            let mut picture = Vec::new();
            for (index, len) in slices.iter().enumerate() {
                let mut unit = match (h265, number % 5 == 0) {
                    (true, true) => vec![0x26, 1],
                    (true, false) => vec![0x02, 1],
                    (false, true) => vec![0x65],
                    (false, false) => vec![0x61],
                };
                unit.push(if index == 0 { 0x88 } else { 0x48 });
                unit.extend(std::iter::repeat_n(filling, *len));
                let parts = payloads(codec, &unit, mtu);
                for (at, part) in parts.iter().enumerate() {
                    let marker = index + 1 == slices.len() && at + 1 == parts.len();
                    camera.send(number as i64 * 3000, part, marker);
                }
                picture.extend((unit.len() as u32).to_be_bytes());
                picture.extend(unit);
            }
            expected.push(picture);
        }
        camera.assembler.flush(&mut camera.repairs, &mut camera.units);
        let units: Vec<_> = camera.units.iter().map(|unit| unit.data.clone()).collect();
        proptest::prop_assert_eq!(units, expected);
        proptest::prop_assert!(camera.repairs.is_empty());
    }
}

#[test]
fn markers_of_a_slow_camera_are_believed_after_three_pictures_that_nothing_followed() {
    let mut camera = Camera::new(VideoCodec::H264);
    for n in 0..3 {
        camera.send(n * 90_000, P, true);
        camera.assembler.flush(&mut camera.repairs, &mut camera.units);
    }
    camera.send(270_000, P, true);
    assert_eq!(camera.units.len(), 4);
}

#[test]
fn a_picture_of_a_camera_with_wrong_markers_is_damaged_by_a_loss_behind_one() {
    let mut camera = Camera::new(VideoCodec::H264);
    for n in 0..3 {
        camera.send(n * 3000, P, true);
        camera.send(n * 3000, MORE, true);
    }
    camera.send_after(1, 9000, P, true);
    let (pictures, _, damaged) = camera.pictures();
    let times: Vec<_> = pictures.iter().map(|(.., ticks)| *ticks).collect();
    assert_eq!((times, damaged), (vec![0, 3000, 9000], 1));
}

/// Main profile, 128x96, `frame_mbs_only_flag` 0, four bits of `frame_num`.
const INTERLACED_SPS: &[u8] = &[0x67, 77, 0, 30, 0xda, 0x08, 0x64, 0x80];

/// A slice with the picture's first block: of a frame, or of a field (`Some(true)`: bottom).
fn first_slice(header: u8, frame_num: u8, field: Option<bool>) -> Vec<u8> {
    // first_mb_in_slice 0, slice_type 7, pic_parameter_set_id 0.
    let mut bits = format!("100010001{frame_num:04b}");
    bits.push_str(match field {
        None => "0",
        Some(false) => "10",
        Some(true) => "11",
    });
    bits.push_str("10101010101");
    let bytes = bits.as_bytes().chunks(8).map(|byte| {
        let digits = byte.iter().map(|digit| digit - b'0');
        digits
            .chain(std::iter::repeat(1))
            .take(8)
            .fold(0, |value, bit| value << 1 | bit)
    });
    std::iter::once(header).chain(bytes).collect()
}

#[test]
fn two_fields_are_one_picture_and_an_idr_picture_if_the_first_is_one() {
    // Whether fields carry a marker each, and how far apart their times are.
    for (marked, apart) in [(true, 0), (false, 0), (true, 1500)] {
        let mut camera = Camera::new(VideoCodec::H264);
        camera.send(0, INTERLACED_SPS, false);
        for n in 0..6_i64 {
            let idr = n % 3 == 0;
            let (first, second) = if idr { (0x65, 0x61) } else { (0x61, 0x61) };
            let number = (n % 3) as u8;
            camera.send(n * 3000, &[0x09, 0x10], false);
            camera.send(n * 3000, &first_slice(first, number, Some(false)), marked);
            camera.send(n * 3000 + apart, &[0x09, 0x30], false);
            camera.send(n * 3000 + apart, &first_slice(second, number, Some(true)), true);
        }
        let (pictures, repairs, damaged) = camera.pictures();
        let seen: Vec<_> = pictures
            .iter()
            .map(|(units, key, ticks)| {
                let slices = units.iter().filter(|unit| matches!(*unit & 0x1f, 1 | 5)).count();
                (slices, *key, ticks / 3000)
            })
            .collect();
        let expected: Vec<_> = (0..6).map(|n| (2, n % 3 == 0, n)).collect();
        assert_eq!(seen, expected, "{marked} {apart}");
        assert_eq!((repairs.is_empty(), damaged), (true, 0), "{repairs}");
    }
}

#[test]
fn frames_fields_alone_and_fields_of_one_parity_are_pictures_of_their_own() {
    let mut camera = Camera::new(VideoCodec::H264);
    camera.send(0, INTERLACED_SPS, false);
    let fields = [
        (0x65, 0, None),
        (0x61, 1, None),
        (0x61, 2, Some(false)), // the other one is missing
        (0x61, 3, Some(false)),
        (0x61, 3, Some(true)),
        (0x01, 4, Some(true)),
        (0x01, 4, Some(true)), // the same again
        (0x01, 4, Some(false)),
    ];
    for (n, (header, number, field)) in fields.into_iter().enumerate() {
        camera.send(n as i64 * 1500, &first_slice(header, number, field), true);
    }
    let (pictures, ..) = camera.pictures();
    let slices: Vec<_> = pictures.iter().map(|(units, ..)| units.len()).collect();
    assert_eq!(slices, [1, 1, 1, 2, 1, 2]);
}

#[test]
fn a_field_that_waits_for_the_other_is_handed_out_when_nothing_comes() {
    let mut camera = Camera::new(VideoCodec::H264);
    camera.send(0, INTERLACED_SPS, false);
    for n in 0..5 {
        camera.send(n * 3000, &first_slice(0x65, 0, None), true);
    }
    camera.send(15_000, &first_slice(0x65, 0, Some(false)), true);
    assert!(camera.assembler.is_holding());
    let before = camera.units.len();
    camera.assembler.flush(&mut camera.repairs, &mut camera.units);
    assert_eq!(camera.units.len(), before + 1);
}

#[test]
fn in_progressive_video_each_first_slice_is_a_picture() {
    // The same SPS with `frame_mbs_only_flag` 1.
    let sps = [0x67, 77, 0, 30, 0xda, 0x08, 0x79];
    let mut camera = Camera::new(VideoCodec::H264);
    camera.send(0, &sps, false);
    for n in 0..4 {
        camera.send(0, P, false);
        camera.send(0, MORE, n == 3);
    }
    assert_eq!(camera.pictures().0.len(), 4);
}

#[test]
fn the_marker_on_every_packet_does_not_cut_fragments() {
    let mut camera = Camera::new(VideoCodec::H264);
    for n in 0..5 {
        let kind = if n == 0 { 5 } else { 1 };
        for payload in [[0x7c, 0x80 | kind, 0x88], [0x7c, kind, 2], [0x7c, 0x40 | kind, 3]] {
            camera.send(n * 3000, &payload, true);
        }
    }
    let sizes: Vec<_> = camera.units.iter().map(|unit| unit.data.len()).collect();
    assert_eq!(sizes, [8; 4]);
    let (pictures, repairs, damaged) = camera.pictures();
    assert_eq!(
        (pictures.len(), damaged),
        (5, 0),
        "the last one waits for what follows"
    );
    assert_eq!(
        (repairs.count(Repair::Marker), repairs.count(Repair::Fragments)),
        (1, 0)
    );
}

#[test]
fn a_fragment_without_its_end_ends_at_the_marker() {
    let mut camera = Camera::new(VideoCodec::H264);
    for n in 0..6 {
        camera.send(n * 3000, &[0x7c, 0x81, 0x88], false);
        camera.send(n * 3000, &[0x7c, 0x01, 2], true);
    }
    let (pictures, repairs, damaged) = camera.pictures();
    assert_eq!(
        (pictures.len(), damaged, repairs.count(Repair::Fragments)),
        (6, 0, 6)
    );
}

#[test]
fn a_byte_stream_in_fragments_is_taken_apart_though_a_packet_was_lost_before() {
    let mut camera = Camera::new(VideoCodec::H264);
    camera.send(0, IDR, true);
    for n in 1..4 {
        let start = [
            &[0x7c, 0x85, 0, 0, 0, 1][..],
            SPS,
            &[0, 0, 0, 1],
            PPS,
            &[0, 0, 1, 0x65, 0x88],
        ]
        .concat();
        camera.send_after(u32::from(n == 2), n * 3000, &start, false);
        camera.send(n * 3000, &[0x7c, 0x45, 7], true);
    }
    let (pictures, _, damaged) = camera.pictures();
    assert!(
        pictures
            .iter()
            .all(|(units, keyframe, _)| *keyframe && units == &[0x65]),
        "{pictures:?}"
    );
    assert_eq!((pictures.len(), damaged), (4, 0));
}

#[test]
fn pictures_of_numbered_units_are_whole_or_dropped() {
    let mut camera = Camera::new(VideoCodec::H264);
    let fmtp = "packetization-mode=2;sprop-interleaving-depth=2;sprop-max-don-diff=3";
    camera.assembler = PictureAssembler::new(VideoCodec::H264, fmtp);
    let stap_b = |number: u8, unit: &[u8]| [&[0x79, 0, number, 0, unit.len() as u8][..], unit].concat();
    // Two slices a picture, of which the first comes second; the second of picture 6 is lost.
    for n in 0..12_u8 {
        let first = if n == 0 { IDR } else { P };
        let ticks = i64::from(n) * 3000;
        if n != 6 {
            camera.send(ticks, &stap_b(2 * n + 1, MORE), true);
        }
        camera.send_after(u32::from(n == 6), ticks, &stap_b(2 * n, first), true);
    }
    let (pictures, ..) = camera.pictures();
    assert!(
        pictures.iter().all(|(units, ..)| units.len() == 2),
        "{pictures:?}"
    );
    let times: Vec<_> = pictures.iter().map(|(_, _, ticks)| ticks / 3000).collect();
    assert!(
        !times.contains(&6) && times.starts_with(&[0, 1, 2, 3, 4]) && times.contains(&9),
        "{times:?}"
    );
}
