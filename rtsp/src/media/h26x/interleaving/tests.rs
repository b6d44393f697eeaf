use proptest::prelude::*;

use super::*;
use crate::media::rtp::Packet;
use crate::media::unit::Arrival;

/// Payload, ticks, packets lost before it; to units with their ticks, those that are suspect, and the repairs.
type Seen = (Vec<(Vec<u8>, i64)>, Vec<Vec<u8>>, Repairs);

fn play(interleaving: &mut Interleaving, packets: &[(Vec<u8>, i64, u32)]) -> Seen {
    let (mut units, mut suspects, mut repairs) = (Vec::new(), Vec::new(), Repairs::default());
    for (payload, ticks, lost) in packets {
        let packet = Packet {
            payload_type: 96,
            marker: true,
            sequence: 0,
            timestamp: *ticks as u32,
            ssrc: 1,
            payload,
        };
        let (ticks, lost) = (*ticks, *lost);
        let at = At {
            ticks,
            arrival: Arrival::now(),
        };
        interleaving.push(&Ordered { packet, ticks, lost }, at, &mut repairs);
        assert!(interleaving.waiting.len() <= MAX_WAITING);
        while let Some(next) = interleaving.next() {
            if next.suspect {
                suspects.push(next.unit.clone());
            }
            units.push((next.unit, next.at.ticks));
        }
    }
    (units, suspects, repairs)
}

fn described(codec: VideoCodec, fmtp: &str) -> Interleaving {
    Interleaving::described(codec, fmtp).unwrap()
}

const MODE_2: &str = "packetization-mode=2;sprop-interleaving-depth=2";

/// A slice that holds its number.
fn slice(number: u8) -> Vec<u8> {
    vec![0x61, 0x88, number]
}

/// STAP-B of one unit.
fn stap_b(number: u16, unit: &[u8]) -> Vec<u8> {
    let length = (unit.len() as u16).to_be_bytes();
    [&[0x79][..], &number.to_be_bytes(), &length, unit].concat()
}

#[test]
fn only_what_is_described_as_interleaved_is() {
    for (codec, fmtp) in [
        (VideoCodec::H264, "packetization-mode=1"),
        (VideoCodec::H264, "packetization-mode=1;sprop-max-don-diff=3"),
        (VideoCodec::H265, "sprop-max-don-diff=0;sprop-depack-buf-nalus=0"),
        (VideoCodec::H265, "sprop-vps=QAEM"),
    ] {
        assert!(Interleaving::described(codec, fmtp).is_none(), "{fmtp}");
    }
    let only_mode = described(VideoCodec::H264, "packetization-mode=2");
    assert_eq!(
        (only_mode.depth, only_mode.difference),
        (Some(DEFAULT_DEPTH), None)
    );
    let only_difference = described(VideoCodec::H265, "sprop-max-don-diff=4");
    assert_eq!(
        (only_difference.depth, only_difference.difference),
        (None, Some(4))
    );
}

#[test]
fn units_of_interleaved_mode_go_out_in_the_order_of_their_numbers() {
    let mut interleaving = described(VideoCodec::H264, MODE_2);
    let order = [65_534_u16, 0, 65_535, 2, 1, 3, 5, 4, 6, 7];
    let packets: Vec<_> = order
        .map(|number| (stap_b(number, &slice(number as u8)), 0, 0))
        .into();
    let (units, suspects, repairs) = play(&mut interleaving, &packets);
    let numbers: Vec<_> = units.iter().map(|(unit, _)| unit[2]).collect();
    assert_eq!(
        numbers,
        [254, 255, 0, 1, 2, 3, 4, 5],
        "two wait for what may come"
    );
    assert!(suspects.is_empty() && repairs.is_empty());
}

#[test]
fn aggregations_of_several_times_give_each_unit_its_own() {
    let mut interleaving = described(
        VideoCodec::H264,
        "packetization-mode=2;sprop-interleaving-depth=1",
    );
    // MTAP16 from 7 on: the second unit is the first to be decoded; MTAP24 from 9 on.
    let mtap16 = [
        &[0x7a, 0, 7][..],
        &[0, 3, 1, 0x0b, 0xb8],
        &slice(8),
        &[0, 3, 0, 0, 0],
        &slice(7),
    ]
    .concat();
    let mtap24 = [
        &[0x7b, 0, 9][..],
        &[0, 3, 0, 1, 0, 0],
        &slice(9),
        &[0, 3, 1, 0, 0, 5],
        &slice(10),
    ]
    .concat();
    let (units, _, repairs) = play(&mut interleaving, &[(mtap16, 1000, 0), (mtap24, 2000, 0)]);
    assert_eq!(units, [(slice(7), 1000), (slice(8), 4000), (slice(9), 67_536)]);
    assert!(repairs.is_empty());
}

#[test]
fn the_first_fragment_has_the_number_and_the_others_follow_it() {
    let mut interleaving = described(
        VideoCodec::H264,
        "packetization-mode=2;sprop-interleaving-depth=1",
    );
    let packets = [
        (stap_b(5, &slice(5)), 3000, 0),
        (vec![0x7d, 0x81, 0, 4, 0x88], 0, 0),
        (vec![0x7c, 0x01, 7], 0, 0),
        (vec![0x7c, 0x41, 8], 0, 0),
        (stap_b(6, &slice(6)), 6000, 0),
    ];
    let (units, _, repairs) = play(&mut interleaving, &packets);
    assert_eq!(units, [(vec![0x61, 0x88, 7, 8], 0), (slice(5), 3000)]);
    assert!(repairs.is_empty());
}

#[test]
fn numbers_of_h265_are_left_out_of_single_units_aggregations_and_fragments() {
    let mut interleaving = described(VideoCodec::H265, "sprop-max-don-diff=2;sprop-depack-buf-nalus=2");
    let packets = [
        (vec![0x02, 1, 0, 1, 0x80, 1], 0, 0),
        // 0, then the difference 1: 2.
        (
            vec![0x60, 1, 0, 0, 0, 4, 0x02, 1, 0x80, 0, 1, 0, 4, 0x02, 1, 0x80, 2],
            0,
            0,
        ),
        (vec![0x62, 1, 0x81, 0, 4, 0x80], 0, 0),
        (vec![0x62, 1, 0x41, 4], 0, 0),
        (vec![0x02, 1, 0, 3, 0x80, 3], 0, 0),
        (vec![0x02, 1, 0, 6, 0x80, 6], 0, 0),
        (vec![0x02, 1, 0, 7, 0x80, 7], 0, 0),
    ];
    let (units, _, repairs) = play(&mut interleaving, &packets);
    let numbers: Vec<_> = units.iter().map(|(unit, _)| unit[3]).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4], "{units:?}");
    assert!(units.iter().all(|(unit, _)| unit[..3] == [0x02, 1, 0x80]) && repairs.is_empty());
}

#[test]
fn whatever_may_have_been_lost_is_suspect_and_what_is_far_from_it_is_not() {
    let mut interleaving = described(VideoCodec::H264, &format!("{MODE_2};sprop-max-don-diff=3"));
    let packets: Vec<_> = (0..20)
        .map(|number| (stap_b(number, &slice(number as u8)), 0, u32::from(number == 10)))
        .collect();
    let (units, suspects, _) = play(&mut interleaving, &packets);
    let suspects: Vec<_> = suspects.iter().map(|unit| unit[2]).collect();
    assert_eq!((units.len(), suspects), (18, vec![8, 9, 10, 11, 12, 13]));
}

#[test]
fn a_unit_that_comes_too_late_is_dropped_and_what_is_cut_off_costs_no_other() {
    let mut interleaving = Interleaving::undescribed(VideoCodec::H264);
    let packets = [
        (stap_b(5, &slice(5)), 0, 0),
        (stap_b(3, &slice(3)), 0, 0),
        (stap_b(6, &slice(6))[..7].to_vec(), 0, 0),
        (slice(7), 0, 0),
        (vec![0x7d, 0x81, 0], 0, 0),
        (vec![0x7c, 0x41, 8], 0, 0),
        (stap_b(8, &slice(8)), 0, 0),
    ];
    let (units, suspects, repairs) = play(&mut interleaving, &packets);
    let numbers: Vec<_> = units.iter().map(|(unit, _)| unit[2]).collect();
    assert_eq!((numbers, suspects.len()), (vec![5, 7, 8], 2));
    assert_eq!(
        (repairs.count(Repair::Duplicate), repairs.count(Repair::Payload)),
        (1, 2)
    );
}

proptest! {
    #[test]
    fn units_within_the_window_come_out_in_order(
        first: u16,
        swaps in proptest::collection::vec(0_usize..3, 40),
    ) {
        // Each unit is at most two places from its own.
        let mut order: Vec<u16> = (0..40).collect();
        for (place, swap) in swaps.into_iter().enumerate().step_by(3) {
            if place + swap < 40 {
                order.swap(place, place + swap);
            }
        }
        let number = |place: u16| first.wrapping_add(place);
        let packets: Vec<_> = order.iter().map(|place| (stap_b(number(*place), &slice(*place as u8)), 0, 0)).collect();
        let mut interleaving = described(VideoCodec::H264, "packetization-mode=2;sprop-max-don-diff=4");
        let (units, _, repairs) = play(&mut interleaving, &packets);
        prop_assert!(units.iter().map(|(unit, _)| unit[2]).eq(0..units.len() as u8));
        prop_assert!(units.len() >= 35 && repairs.is_empty());
    }

    #[test]
    fn any_packets_are_taken_and_bounded(
        h265: bool,
        packets in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..30), 0_u8..8, 0_u32..3), 0..60),
    ) {
        let (codec, fmtp) = if h265 {
            (VideoCodec::H265, "sprop-max-don-diff=30000")
        } else {
            (VideoCodec::H264, "packetization-mode=2;sprop-interleaving-depth=9")
        };
        let packets: Vec<_> = packets.into_iter().map(|(mut payload, kind, lost)| {
            if let Some(first) = payload.first_mut() {
                *first = if h265 { (46 + kind) << 1 } else { 0x60 | (23 + kind) };
            }
            (payload, 0, lost)
        }).collect();
        let mut interleaving = described(codec, fmtp);
        let (units, ..) = play(&mut interleaving, &packets);
        let waiting: usize = interleaving.waiting.values().map(|waiting| waiting.unit.len()).sum();
        prop_assert_eq!(waiting, interleaving.waiting_bytes);
        let sent: usize = packets.iter().map(|(payload, ..)| payload.len()).sum();
        prop_assert!(units.iter().map(|(unit, _)| unit.len()).sum::<usize>() <= sent + 2 * packets.len());
    }
}
