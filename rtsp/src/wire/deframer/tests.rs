use proptest::prelude::*;

use super::*;

/// What is read from bytes that arrive in pieces of one size.
fn read(bytes: &[u8], piece: usize) -> (Vec<String>, Repairs, u64) {
    let (mut deframer, mut repairs, mut seen) = (Deframer::default(), Repairs::default(), Vec::new());
    for channel in 0..2 {
        deframer.expect_channel(channel);
    }
    for part in bytes.chunks(piece.max(1)) {
        deframer.push(part);
        while let Some(frame) = deframer.next(&mut repairs) {
            seen.push(match frame {
                Frame::Packet { channel, at } => format!("{channel}:{}", deframer.bytes(at).len()),
                Frame::Message(message) => format!("{:?}+{}", message.status(), message.body.len()),
            });
        }
    }
    (seen, repairs, deframer.garbage())
}

fn packet(channel: u8, len: usize) -> Vec<u8> {
    let mut packet = vec![b'$', channel, (len >> 8) as u8, len as u8];
    packet.extend(std::iter::repeat_n(0x80, len));
    packet
}

#[test]
fn messages_and_packets_are_told_apart_in_pieces_of_any_size() {
    let mut bytes = packet(0, 20);
    bytes.extend(b"\r\nRTSP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n$ab");
    bytes.extend(packet(9, 0));
    bytes.extend(b"OPTIONS * RTSP/1.0\r\n\r\n");
    for piece in [1, 3, 7, 1000] {
        let (seen, repairs, garbage) = read(&bytes, piece);
        assert_eq!(seen, ["0:20", "Some(200)+3", "9:0", "None+0"], "{piece}");
        assert!(repairs.is_empty() && garbage == 0);
    }
}

#[test]
fn garbage_between_packets_is_skipped_even_if_it_has_dollar_signs() {
    let garbage = [
        b"\x01\x02$$$\x00\x00$".as_slice(),
        b"Rubbish$\x00\x80\x00R",
        &[0xff; 40],
        b"$\x00\x00\x10\x00\x00",
    ];
    for piece in [1, 5, 1000] {
        for rubbish in garbage {
            let mut bytes = packet(0, 30);
            bytes.extend(rubbish);
            bytes.extend(packet(1, 28));
            bytes.extend(packet(0, 31));
            let (seen, repairs, skipped) = read(&bytes, piece);
            assert_eq!(seen, ["0:30", "1:28", "0:31"], "{rubbish:?} {piece}");
            assert_eq!(
                (repairs.count(Repair::Garbage), skipped),
                (1, rubbish.len() as u64)
            );
        }
    }
}

#[test]
fn a_message_without_end_is_given_up_in_bounded_memory() {
    let mut deframer = Deframer::default();
    let mut repairs = Repairs::default();
    deframer.push(b"RTSP/1.0 200 OK\r\n");
    for _ in 0..1000 {
        deframer.push(&[b'a'; 1000]);
        assert!(deframer.next(&mut repairs).is_none());
    }
    assert!(deframer.buffer.len() < 4 * MAX_HEAD, "{}", deframer.buffer.len());
    assert_eq!(repairs.count(Repair::TooLarge), 1);
}

#[test]
fn a_body_of_absurd_length_is_not_waited_for() {
    let bytes = b"RTSP/1.0 200 OK\r\nContent-Length: 999999999\r\n\r\n";
    let (seen, repairs, _) = read(bytes, 10);
    assert_eq!(seen, ["Some(200)+0"]);
    assert_eq!(repairs.count(Repair::TooLarge), 1);
}

/// The description that is read from these bytes after nothing more comes, and how often its length was wrong.
fn described(bytes: &[u8], piece: usize) -> (Option<String>, u64) {
    let (mut deframer, mut repairs) = (Deframer::default(), Repairs::default());
    deframer.expect_description(true);
    let mut frame = None;
    for part in bytes.chunks(piece) {
        deframer.push(part);
        frame = frame.or_else(|| deframer.next(&mut repairs));
    }
    if frame.is_none() && deframer.settles_after().is_some() {
        deframer.settle();
        frame = deframer.next(&mut repairs);
    }
    let body = match frame {
        Some(Frame::Message(message)) => String::from_utf8(message.body).ok(),
        _ => None,
    };
    (body, repairs.count(Repair::Length))
}

#[test]
fn a_description_is_read_whatever_its_length_is_said_to_be() {
    const BODY: &str = "v=0\r\nm=video 0 RTP/AVP 96\r\na=control:trackID=0\r\n";
    let whole = Some(BODY.to_owned());
    for piece in [1, 7, 1000] {
        for length in [
            "",
            "Content-Length:\r\n",
            "Content-Length: 0\r\n",
            "Content-Length: x\r\n",
            "Content-Length: 4000\r\n",
            "Content-Length: 99999999999\r\n",
        ] {
            let text = format!("RTSP/1.0 200 OK\r\n{length}\r\n{BODY}");
            assert_eq!(described(text.as_bytes(), piece), (whole.clone(), 1), "{length}");
        }
        let good = format!("RTSP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{BODY}", BODY.len());
        assert_eq!(described(good.as_bytes(), piece), (whole.clone(), 0));
        let none = described(b"RTSP/1.0 200 OK\r\n\r\n", piece);
        assert_eq!(none, (Some(String::new()), 0));
        // Another message ends it.
        let next = format!("RTSP/1.0 200 OK\r\n\r\n{BODY}RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n");
        assert_eq!(described(next.as_bytes(), piece), (whole.clone(), 1));
        // An answer that refuses has no description.
        let refused = described(b"RTSP/1.0 404 No\r\n\r\n", piece);
        assert_eq!(refused, (Some(String::new()), 0));
    }
    let short = format!("RTSP/1.0 200 OK\r\nContent-Length: 10\r\n\r\n{BODY}");
    assert_eq!(described(short.as_bytes(), 1000), (whole, 1));
}

#[test]
fn a_description_without_end_is_cut_off() {
    let mut deframer = Deframer::default();
    let mut repairs = Repairs::default();
    deframer.expect_description(true);
    deframer.push(b"RTSP/1.0 200 OK\r\n\r\n");
    let line = b"a=rubbish:without end\r\n".repeat(1000);
    let body = (0..1000).find_map(|_| {
        deframer.push(&line);
        match deframer.next(&mut repairs)? {
            Frame::Message(message) => Some(message.body.len()),
            Frame::Packet { .. } => None,
        }
    });
    assert_eq!(body, Some(MAX_BODY));
    assert!(deframer.buffer.len() <= 4 * MAX_BODY, "{}", deframer.buffer.len());
}

/// The time that this thread has had on a processor, however busy the machine is. Zero where Linux does not measure it.
fn processor_time() -> Duration {
    let had = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let had = had.split_whitespace().next().and_then(|text| text.parse().ok());
    Duration::from_nanos(had.unwrap_or(0))
}

#[test]
fn a_head_that_comes_byte_by_byte_is_read_in_linear_time() {
    let mut bytes = b"RTSP/1.0 200 OK\r\n".to_vec();
    while bytes.len() < MAX_HEAD - 100 {
        bytes.extend(b"X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    }
    bytes.extend(b"\r\n");
    let before = processor_time();
    assert_eq!(read(&bytes, 1).0.len(), 1);
    let took = processor_time() - before;
    assert!(took.as_secs() < 5, "{took:?}");
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..400), piece in 1_usize..50) {
        read(&bytes, piece);
    }

    #[test]
    fn a_good_connection_is_read_without_a_repair(lengths in proptest::collection::vec(0_usize..300, 0..20), piece in 1_usize..500) {
        let mut bytes = Vec::new();
        for (number, len) in lengths.iter().enumerate() {
            match number % 3 {
                2 => {
                    bytes.extend(format!("RTSP/1.0 200 OK\r\nCSeq: {number}\r\nContent-Length: {len}\r\n\r\n").into_bytes());
                    bytes.extend(std::iter::repeat_n(b'$', *len));
                }
                channel => bytes.extend(packet(channel as u8, *len)),
            }
        }
        let (seen, repairs, garbage) = read(&bytes, piece);
        prop_assert_eq!(seen.len(), lengths.len());
        prop_assert!(repairs.is_empty() && garbage == 0);
    }
}
