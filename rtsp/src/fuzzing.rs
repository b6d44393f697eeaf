//! Entry points of the fuzz targets in `rtsp/fuzz`, compiled for them and for tests only.

use std::time::Duration;

use lva_bitstream::{NalHeader, NalUnits};
use lva_media_types::Credentials;

use crate::media::receiver::Delivery;
use crate::media::track::Track;
use crate::media::unit::Arrival;
use crate::wire::description::Description;
use crate::wire::exchange::{Event, Exchange, Method};
use crate::wire::headers;
use crate::wire::repairs::Repairs;

/// Bytes from a camera to the session layer; the first byte is the size of the pieces.
///
/// # Panics
///
/// When the password goes out in the clear.
pub fn camera_answers(data: &[u8]) {
    let Some((cut, bytes)) = data.split_first() else {
        return;
    };
    let credentials = Some(Credentials::new("testuser", "correct-horse-battery"));
    let mut exchange = Exchange::new(credentials, true);
    exchange.deframer.expect_channel(0);
    for method in [Method::Describe, Method::Setup, Method::Play] {
        exchange.send(method, "rtsp://cam/live", "");
    }
    exchange.deframer.expect_description(cut % 2 == 1);
    let mut output = exchange.take_output();
    for piece in bytes.chunks(usize::from(*cut).max(1)) {
        exchange.deframer.push(piece);
        while let Some(event) = exchange.next() {
            match event {
                Event::Packet { at, .. } => {
                    exchange.bytes(at);
                }
                Event::Answer { message, .. } => {
                    let mut repairs = Repairs::default();
                    headers::session(&message, &mut repairs);
                    headers::transport(&message, &mut repairs);
                    headers::base(&message, "rtsp://cam/live", &mut repairs);
                    Description::parse(&message.body, &mut repairs);
                }
            }
        }
        output.append(&mut exchange.take_output());
    }
    // The camera may have offered Basic, which is its answer in another spelling.
    let secret = b"correct-horse-battery";
    assert!(
        !output.windows(secret.len()).any(|window| window == secret),
        "the password went out in the clear"
    );
}

/// Packets of a described stream to units. The first byte chooses the encoding; each packet follows the byte of its length.
///
/// # Panics
///
/// When a unit is not a row of units after their lengths, or is a picture without a slice.
pub fn unit_assembly(data: &[u8]) {
    let Some((&choice, mut rest)) = data.split_first() else {
        return;
    };
    let encoding = [
        "H264",
        "H265",
        "JPEG",
        "MPEG4-GENERIC",
        "opus",
        "vnd.onvif.metadata",
        "MP4A-LATM",
    ];
    let encoding = encoding
        .get(usize::from(choice) % encoding.len())
        .copied()
        .unwrap_or_default();
    let interleaved = match choice {
        ..128 => "",
        _ => ";packetization-mode=2;sprop-interleaving-depth=2;sprop-max-don-diff=4;sprop-depack-buf-nalus=3",
    };
    let media = match encoding {
        "MPEG4-GENERIC" | "MP4A-LATM" | "opus" => "audio",
        "vnd.onvif.metadata" => "application",
        _ => "video",
    };
    let text = format!(
        "m={media} 0 RTP/AVP 96\r\na=rtpmap:96 {encoding}/90000/2\r\na=fmtp:96 mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408{interleaved}\r\n"
    );
    let mut repairs = Repairs::default();
    let description = Description::parse(text.as_bytes(), &mut repairs);
    let Some(described) = description.tracks.first() else {
        return;
    };
    let delivery = if choice & 64 == 0 {
        Delivery::Datagrams
    } else {
        Delivery::InOrder
    };
    let (Some(mut track), mut info) = Track::new(0, described, delivery) else {
        return;
    };
    let (mut units, mut sequence, mut now) = (Vec::new(), 0_u16, Duration::ZERO);
    let mut timestamp = 0_u32;
    while let Some((&length, behind)) = rest.split_first() {
        let (payload, behind) = behind.split_at(usize::from(length >> 2).min(behind.len()));
        rest = behind;
        // The last bits: another time, the marker. A length of 255 loses a packet.
        timestamp = timestamp.wrapping_add(u32::from(length & 1) * 3000);
        sequence = sequence.wrapping_add(if length == 255 { 2 } else { 1 });
        let mut packet = vec![0x80, 96 | (length & 2) << 6];
        packet.extend(sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend([0, 0, 0, 1]);
        packet.extend_from_slice(payload);
        now += Duration::from_millis(50);
        track.rtp(&packet, now, Arrival::now(), &mut repairs, &mut units);
    }
    track.flush(now, &mut repairs, &mut units);
    track.describe(&mut info);
    if let Some(codec) = info
        .codec
        .video_codec()
        .filter(|_| info.codec.has_parameter_sets())
    {
        for unit in &units {
            let mut nals = NalUnits::length_prefixed(&unit.data, 4);
            let is_slice = |nal| NalHeader::parse(codec, nal).is_some_and(|header| header.kind.is_slice());
            assert!(nals.by_ref().any(is_slice), "a picture without a slice");
            nals.by_ref().for_each(drop);
            assert!(!nals.is_damaged(), "a unit is cut off");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_response_is_handled(
            words in proptest::collection::vec(
                prop_oneof![
                    Just(&b"RTSP/1.0 200 OK\r\n"[..]),
                    Just(&b"RTSP/1.0 401 No\r\n"[..]),
                    Just(&b"CSeq: 1\r\n"[..]),
                    Just(&b"CSeq: 2\r\n"[..]),
                    Just(&b"WWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\n"[..]),
                    Just(&b"Content-Length: 3\r\n"[..]),
                    Just(&b"\r\n"[..]),
                    Just(&b"$\0\0\x02"[..]),
                    Just(&b"ab"[..]),
                ],
                0..30,
            ),
            cut: u8,
        ) {
            let mut data = vec![cut];
            data.extend(words.concat());
            super::camera_answers(&data);
        }

        #[test]
        fn any_packets_give_whole_pictures(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            super::unit_assembly(&data);
        }

        #[test]
        fn units_in_any_order_give_whole_pictures(
            h265: bool,
            interleaved: bool,
            packets in proptest::collection::vec(
                (0_u8..4, prop_oneof![
                    Just(&[0x65_u8, 0x88, 1, 2][..]), Just(&[0x61, 0x88][..]), Just(&[0x61, 0x08][..]), Just(&[0x06, 5][..]),
                    Just(&[0x67, 100, 0, 31, 9][..]), Just(&[0x68, 0xeb][..]), Just(&[0x09, 0x10][..]), Just(&[0x0c, 0xff][..]),
                    Just(&[0x7c, 0x85, 0x88][..]), Just(&[0x7c, 0x05, 1][..]), Just(&[0x7c, 0x45, 2][..]),
                    Just(&[0x7c, 0x87, 1, 0, 0, 1, 0x65, 0x88][..]), Just(&[0x78, 0, 2, 0x65, 0x88][..]),
                    Just(&[0x26, 1, 0x80][..]), Just(&[0x02, 1, 0x80][..]), Just(&[0x02, 1, 0][..]), Just(&[0x4e, 1, 5][..]),
                    Just(&[0x79, 0, 3, 0, 2, 0x65, 0x88][..]), Just(&[0x7d, 0x81, 0, 2, 0x88][..]), Just(&[0x02, 1, 0, 4, 0x80][..]),
                    Just(&[0x50, 1, 5][..]), Just(&[0x40, 1, 5][..]), Just(&[0x62, 1, 0x93, 0x80][..]), Just(&[0x62, 1, 0x53][..]),
                ]),
                0..60,
            ),
        ) {
            // 133 is a multiple of the number of encodings.
            let mut data = vec![u8::from(h265) + if interleaved { 133 } else { 0 }];
            for (bits, payload) in packets {
                data.push((payload.len() as u8) << 2 | bits);
                data.extend(payload);
            }
            super::unit_assembly(&data);
        }
    }
}
