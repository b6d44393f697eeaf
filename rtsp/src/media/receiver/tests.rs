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

fn at(milliseconds: u64) -> Came {
    Came {
        at: Duration::from_millis(milliseconds),
        number: 0,
    }
}

/// (sequence, lost) of what comes out of datagrams that come 10 ms apart, and the repairs.
fn order(packets: &[Vec<u8>]) -> (Vec<(u16, u32)>, Repairs) {
    order_by(Delivery::Datagrams, packets)
}

fn order_by(delivery: Delivery, packets: &[Vec<u8>]) -> (Vec<(u16, u32)>, Repairs) {
    let (mut receiver, mut repairs, mut out) = (Receiver::new(96, delivery), Repairs::default(), Vec::new());
    for (place, bytes) in packets.iter().enumerate() {
        receiver.push(bytes, at(place as u64 * 10), &mut repairs, &mut |ordered, _| {
            out.push((ordered.packet.sequence, ordered.lost))
        });
    }
    let end = at(packets.len() as u64 * 10).at;
    receiver.flush(end, &mut repairs, &mut |ordered, _| {
        out.push((ordered.packet.sequence, ordered.lost))
    });
    (out, repairs)
}

/// Packets with these numbers by a connection, whose content is their place. Returns the places that come out.
fn connection(numbers: &[u16]) -> (Vec<u32>, u32, Repairs) {
    let (mut receiver, mut repairs) = (Receiver::new(96, Delivery::InOrder), Repairs::default());
    let (mut out, mut lost) = (Vec::new(), 0);
    let mut take = |ordered: Ordered<'_>| {
        out.push(ordered.packet.timestamp / 3000);
        lost += ordered.lost;
    };
    for (place, number) in numbers.iter().enumerate() {
        let bytes = packet(96, *number, place as u32 * 3000, SSRC);
        receiver.push(&bytes, at(place as u64 * 10), &mut repairs, &mut |ordered, _| {
            take(ordered)
        });
    }
    receiver.flush(
        at(numbers.len() as u64 * 10).at,
        &mut repairs,
        &mut |ordered, _| take(ordered),
    );
    (out, lost, repairs)
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
    // Of later times they are followed at once; these have the times of their numbers.
    assert_eq!(out.len(), 100 + 300 - MAX_LATE as usize - 1);
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
    let mut receiver = Receiver::new(96, Delivery::Datagrams);
    for n in 0..1000 {
        let bytes = packet(50 + (n % 2) as u8, n, 0, SSRC);
        receiver.push(&bytes, at(0), &mut Repairs::default(), &mut |_, _| {
            panic!("none is the stream's")
        });
        assert!(receiver.others.len() < MAX_OTHER_TYPE);
    }
}

#[test]
fn time_is_extended_over_its_32_bits_and_back() {
    let mut receiver = Receiver::new(96, Delivery::Datagrams);
    let mut seen = Vec::new();
    for (n, timestamp) in [u32::MAX - 1, 5, u32::MAX, 10].into_iter().enumerate() {
        let bytes = packet(96, n as u16, timestamp, SSRC);
        receiver.push(&bytes, at(0), &mut Repairs::default(), &mut |ordered, _| {
            seen.push(ordered.ticks)
        });
    }
    let wrap = 1_i64 << 32;
    assert_eq!(seen, [wrap - 2, wrap + 5, wrap - 1, wrap + 10]);
    assert_eq!(receiver.report_ticks(4), wrap + 4);
    assert_eq!(
        Receiver::new(96, Delivery::Datagrams).report_ticks(u32::MAX),
        wrap - 1
    );
}

proptest! {
    #[test]
    fn datagrams_that_overtake_each_other_come_out_in_order_and_at_most_once(
        fates in proptest::collection::vec((0_usize..6, 0_u8..10), 0..200),
    ) {
        // Each is up to five places late, and some are lost or come twice.
        let mut sent: Vec<_> = fates.iter().enumerate().flat_map(|(place, (late, fate))| match fate {
            0 => vec![],
            1 => vec![(place + late, place), (place + 3, place)],
            _ => vec![(place + late, place)],
        }).collect();
        sent.sort();
        let numbers: Vec<u16> = sent.iter().map(|(_, place)| *place as u16).collect();
        let (out, _) = sequences(&numbers);
        prop_assert!(out.len() <= numbers.len());
        prop_assert!(out.windows(2).all(|pair| pair[0].0 < pair[1].0), "{numbers:?} {out:?}");
    }

    #[test]
    fn by_a_connection_every_packet_comes_out_once_whatever_its_number(
        numbers in proptest::collection::vec(prop_oneof![0_u16..40, any::<u16>()], 0..200),
    ) {
        let (mut out, _, repairs) = connection(&numbers);
        out.sort_unstable();
        prop_assert_eq!(out, (0..numbers.len() as u32).collect::<Vec<_>>());
        prop_assert_eq!(repairs.count(Repair::Duplicate), 0);
    }

    #[test]
    fn packets_in_order_pass_at_once_and_without_a_repair(first: u16, count in 0_u16..200) {
        let numbers: Vec<u16> = (0..count).map(|n| first.wrapping_add(n)).collect();
        let (out, repairs) = sequences(&numbers);
        prop_assert!(repairs.is_empty());
        prop_assert_eq!(out, numbers.iter().map(|n| (*n, 0)).collect::<Vec<_>>());
        let (out, lost, repairs) = connection(&numbers);
        prop_assert!(repairs.is_empty() && lost == 0 && out.is_sorted());
    }
}

#[test]
fn numbers_that_mean_nothing_are_not_looked_at_and_cost_no_packet() {
    type Number = fn(u32) -> u16;
    let random = |n: u32| (n.wrapping_mul(2_654_435_761) >> 7) as u16;
    let cases: [(&str, Number, bool); 5] = [
        ("frozen", |_| 7, true),
        ("random", random, true),
        ("backwards", |n| 500 - n as u16, true),
        ("one for each three", |n| 100 + n as u16 / 3, false),
        ("every second", |n| 100 + 2 * n as u16, false),
    ];
    for (name, number, by_datagrams) in cases {
        let numbers: Vec<u16> = (0..120).map(number).collect();
        let (out, lost, repairs) = connection(&numbers);
        assert_eq!(out, (0..120).collect::<Vec<_>>(), "{name}");
        assert_eq!((lost, repairs.count(Repair::Duplicate)), (0, 0), "{name}");
        assert!(repairs.count(Repair::Unnumbered) > 0, "{name}");
        if by_datagrams {
            let packets: Vec<_> = (0..120).map(|n| packet(96, number(n), n * 3000, SSRC)).collect();
            let (out, repairs) = order(&packets);
            assert_eq!(out.len(), 120, "{name}");
            assert!(repairs.count(Repair::Unnumbered) > 0, "{name}");
        }
    }
    // Copies are another matter.
    for delivery in [Delivery::InOrder, Delivery::Datagrams] {
        let mut copies = vec![packet(96, 7, 0, SSRC); 30];
        copies.push(packet(96, 8, 3000, SSRC));
        let (out, repairs) = order_by(delivery, &copies);
        assert_eq!(out, [(7, 0), (8, 0)]);
        assert_eq!(repairs.count(Repair::Duplicate), 29);
    }
}

#[test]
fn what_a_camera_leaves_out_swaps_or_repeats_by_a_connection_is_noticed() {
    let numbers: Vec<u16> = (0..100).filter(|n| !(10..13).contains(n) && *n != 50).collect();
    let (out, lost, repairs) = connection(&numbers);
    assert_eq!((out.len(), lost), (numbers.len(), 4));
    assert_eq!(repairs.count(Repair::Unnumbered), 0);
    let packets = [0, 2, 1, 3, 3, 5, 4, 6].map(|n| packet(96, n, u32::from(n) * 30, SSRC));
    let (out, repairs) = order_by(Delivery::InOrder, &packets);
    assert_eq!(out, (0..7).map(|n| (n, 0)).collect::<Vec<_>>());
    let counts = [Repair::Reordered, Repair::Duplicate].map(|repair| repairs.count(repair));
    assert_eq!(counts, [2, 1]);
}

#[test]
fn numbers_that_mean_something_again_are_believed_again() {
    let wild = (0..20).map(|n: u16| n.wrapping_mul(7919));
    let good = (0..200).filter(|n| *n != 150);
    let (_, lost, _) = connection(&wild.chain(good).collect::<Vec<_>>());
    assert_eq!(lost, 1);
    // Another count needs no time at all.
    let (out, lost, repairs) = connection(&(500..600).chain(100..400).collect::<Vec<_>>());
    assert_eq!((out.len(), lost), (400, 0));
    assert_eq!(repairs.count(Repair::SourceChanged), 1);
}

#[test]
fn a_stranger_is_dropped_and_two_are_taken() {
    let mut packets: Vec<_> = (0..5).map(|n| packet(96, n, 0, SSRC)).collect();
    packets.insert(2, packet(96, 20_000, 0, SSRC + 2));
    let (out, repairs) = order_by(Delivery::InOrder, &packets);
    assert_eq!(out, (0..5).map(|n| (n, 0)).collect::<Vec<_>>());
    assert_eq!(repairs.count(Repair::Duplicate), 1);
    // Another SSRC and another number with each packet.
    let packets: Vec<_> = (0..50_u16)
        .map(|n| packet(96, n.wrapping_mul(7919), u32::from(n) * 30, u32::from(n)))
        .collect();
    let (out, _) = order_by(Delivery::InOrder, &packets);
    assert_eq!(out.len(), 50);
    assert!(out.iter().all(|(_, lost)| *lost == 0));
}

#[test]
fn streams_that_share_one_count_lose_nothing() {
    for shared in [true, false] {
        let (mut receiver, mut repairs) = (Receiver::new(96, Delivery::InOrder), Repairs::default());
        let (mut out, mut lost, mut own, mut arrived) = (0, 0, 0, 0);
        for number in 0..300_u16 {
            // Every seventh packet is of another stream.
            if number % 7 == 3 {
                arrived += 1;
                continue;
            }
            let sequence = if shared { number } else { own };
            own += 1;
            // The camera leaves one out.
            if number == 200 {
                continue;
            }
            let came = Came {
                number: arrived,
                ..at(u64::from(number) * 40)
            };
            arrived += 1;
            let bytes = packet(96, sequence, u32::from(number), SSRC);
            receiver.push(&bytes, came, &mut repairs, &mut |ordered, _| {
                out += 1;
                lost += ordered.lost;
            });
        }
        receiver.flush(at(20_000).at, &mut repairs, &mut |ordered, _| {
            out += 1;
            lost += ordered.lost;
        });
        assert_eq!((out, lost), (own - 1, 1), "{shared}");
        assert_eq!(repairs.count(Repair::SharedCount) > 0, shared);
    }
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
