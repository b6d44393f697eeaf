use proptest::prelude::*;

use super::*;

const SSRC: u32 = 7;

fn packet(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, payload_type];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes.push(sequence as u8);
    bytes
}

/// (sequence, lost) of what comes out of packets that come 10 ms apart, and the repairs.
fn order(packets: &[Vec<u8>]) -> (Vec<(u16, u32)>, Repairs) {
    let (mut receiver, mut repairs, mut out) = (Receiver::new(96), Repairs::default(), Vec::new());
    let mut now = Duration::ZERO;
    for bytes in packets {
        receiver.push(bytes, now, &mut repairs, &mut |ordered, _| {
            out.push((ordered.packet.sequence, ordered.lost))
        });
        now += Duration::from_millis(10);
    }
    receiver.flush(now, &mut repairs, &mut |ordered, _| {
        out.push((ordered.packet.sequence, ordered.lost))
    });
    (out, repairs)
}

fn sequences(numbers: &[u16]) -> (Vec<(u16, u32)>, Repairs) {
    let packets: Vec<_> = numbers
        .iter()
        .map(|n| packet(96, *n, u32::from(*n), SSRC))
        .collect();
    order(&packets)
}

#[test]
fn swapped_packets_are_put_in_order_and_duplicates_dropped() {
    let (out, repairs) = sequences(&[65_534, 65_535, 1, 0, 2, 2, 0, 3]);
    assert_eq!(out, [(65_534, 0), (65_535, 0), (0, 0), (1, 0), (2, 0), (3, 0)]);
    assert_eq!(
        (repairs.count(Repair::Reordered), repairs.count(Repair::Duplicate)),
        (1, 2)
    );
}

#[test]
fn a_gap_is_given_up_after_a_quarter_of_a_second_and_counted_exactly() {
    let numbers: Vec<u16> = (0..100).filter(|n| !(10..13).contains(n) && *n != 50).collect();
    let (out, repairs) = sequences(&numbers);
    let lost: Vec<_> = out.iter().filter(|(_, lost)| *lost > 0).collect();
    assert_eq!(lost, [&(13, 3), &(51, 1)]);
    assert_eq!(out.len(), numbers.len());
    assert_eq!(repairs.count(Repair::Reordered), 0);
}

#[test]
fn another_ssrc_with_the_next_number_continues_the_stream() {
    let packets: Vec<_> = (0..20).map(|n| packet(96, n, 0, u32::from(n / 5))).collect();
    let (out, repairs) = order(&packets);
    assert_eq!(out.iter().map(|(_, lost)| lost).sum::<u32>(), 0);
    assert_eq!((out.len(), repairs.count(Repair::SourceChanged)), (20, 3));
}

#[test]
fn a_stream_that_begins_again_is_followed_from_its_second_packet_without_losing_the_first() {
    let mut packets: Vec<_> = (0..5).map(|n| packet(96, n, 0, SSRC)).collect();
    packets.extend((0..3).map(|n| packet(96, 40_000 + n, 9, SSRC + 1)));
    packets.insert(2, packet(96, 20_000, 0, SSRC + 2)); // one that strays in
    let (out, repairs) = order(&packets);
    let numbers: Vec<_> = out.iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 40_000, 40_001, 40_002]);
    assert_eq!(out[5].1, 1);
    assert_eq!(repairs.count(Repair::SourceChanged), 1);
}

#[test]
fn numbers_that_begin_again_a_little_lower_are_followed_after_a_while() {
    let numbers: Vec<u16> = (500..600).chain(100..400).collect();
    let (out, repairs) = sequences(&numbers);
    assert_eq!(out.len(), 100 + 300 - MAX_LATE as usize);
    assert_eq!(repairs.count(Repair::SourceChanged), 1);
}

#[test]
fn other_payload_types_are_dropped_unless_there_is_no_other() {
    let mixed: Vec<_> = (0..10)
        .flat_map(|n| [packet(96, n, 0, SSRC), packet(50, n, 0, SSRC)])
        .collect();
    let (out, repairs) = order(&mixed);
    assert_eq!((out.len(), repairs.count(Repair::OtherPayloadType)), (10, 10));
    let wrong: Vec<_> = (0..30).map(|n| packet(97, n, 0, SSRC)).collect();
    let numbers: Vec<_> = order(&wrong).0.into_iter().map(|(n, _)| n).collect();
    assert_eq!(numbers, (0..30).collect::<Vec<_>>());
    // A stray type in front costs nothing, and few packets are kept.
    let stray: Vec<_> = (0..5).map(|n| packet(50, n, 0, SSRC)).collect();
    assert_eq!(order(&[stray, wrong].concat()).0.len(), 30);
    let mut receiver = Receiver::new(96);
    for n in 0..1000 {
        let bytes = packet(50 + (n % 2) as u8, n, 0, SSRC);
        receiver.push(&bytes, Duration::ZERO, &mut Repairs::default(), &mut |_, _| {
            panic!("none is the stream's")
        });
        assert!(receiver.others.len() < MAX_OTHER_TYPE);
    }
}

#[test]
fn time_is_extended_over_its_32_bits_and_back() {
    let mut receiver = Receiver::new(96);
    let mut seen = Vec::new();
    for (n, timestamp) in [u32::MAX - 1, 5, u32::MAX, 10].into_iter().enumerate() {
        let bytes = packet(96, n as u16, timestamp, SSRC);
        receiver.push(
            &bytes,
            Duration::ZERO,
            &mut Repairs::default(),
            &mut |ordered, _| seen.push(ordered.ticks),
        );
    }
    let wrap = 1_i64 << 32;
    assert_eq!(seen, [wrap - 2, wrap + 5, wrap - 1, wrap + 10]);
    assert_eq!(receiver.report_ticks(4), wrap + 4);
    assert_eq!(Receiver::new(96).report_ticks(u32::MAX), wrap - 1);
}

proptest! {
    #[test]
    fn any_packets_come_out_in_order_and_at_most_once(numbers in proptest::collection::vec(0_u16..60, 0..MAX_LATE as usize)) {
        let (out, _) = sequences(&numbers);
        prop_assert!(out.len() <= numbers.len());
        prop_assert!(out.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn packets_in_order_pass_at_once_and_without_a_repair(first: u16, count in 0_u16..200) {
        let numbers: Vec<u16> = (0..count).map(|n| first.wrapping_add(n)).collect();
        let (out, repairs) = sequences(&numbers);
        prop_assert!(repairs.is_empty());
        prop_assert_eq!(out, numbers.iter().map(|n| (*n, 0)).collect::<Vec<_>>());
    }
}

#[test]
fn numbers_that_stand_still_are_not_looked_at() {
    let packets: Vec<_> = (0..30).map(|n| packet(96, 7, n * 3000, SSRC)).collect();
    let (out, repairs) = order(&packets);
    // The first, and all from the tenth on; what was missing is reported once.
    assert_eq!(out.len(), 1 + 30 - 1 - MAX_REPEATS as usize);
    assert_eq!((out[0], out[1], out[2]), ((7, 0), (7, 1), (7, 0)));
    assert_eq!(repairs.count(Repair::Unnumbered), 1);
    // Copies are another matter.
    let mut copies = vec![packet(96, 7, 0, SSRC); 30];
    copies.push(packet(96, 8, 3000, SSRC));
    assert_eq!(order(&copies).0, [(7, 0), (8, 0)]);
}

#[test]
fn a_count_that_begins_again_with_a_later_time_loses_no_packet() {
    let groups =
        (0..3_u32).flat_map(|group| (0..40_u16).map(move |n| (n, (group * 40 + u32::from(n)) * 3000)));
    let packets: Vec<_> = groups.map(|(n, time)| packet(96, n, time, SSRC)).collect();
    let (out, repairs) = order(&packets);
    assert_eq!(out.len(), 120);
    // How much is missing between two counts cannot be known.
    assert_eq!(out.iter().filter(|(_, lost)| *lost > 0).count(), 2);
    assert_eq!(
        (
            repairs.count(Repair::SourceChanged),
            repairs.count(Repair::Duplicate)
        ),
        (2, 0)
    );
    // A count that begins anywhere else.
    let far: Vec<_> = (0..10)
        .chain(20_000..20_010)
        .map(|n| packet(96, n, u32::from(n) * 30, SSRC))
        .collect();
    assert_eq!(order(&far).0.len(), 20);
    // Copies from far behind have the times that they had.
    let mut late: Vec<_> = (0..40)
        .map(|n| packet(96, n, u32::from(n) * 3000, SSRC))
        .collect();
    late.extend_from_within(5..9);
    assert_eq!(order(&late).0.len(), 40);
}
