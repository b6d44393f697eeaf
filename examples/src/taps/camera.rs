use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use lva_media_types::MediaTime;
use parking_lot::Mutex;

use super::Watch;

/// Seconds from 1900, where NTP begins, to 1970 (RFC 3550 section 4).
const NTP_TO_UNIX: u64 = 2_208_988_800;
const TICKS: u64 = MediaTime::TICKS_PER_SECOND;

/// When the pictures of a camera with one video stream passed, over RTSP with interleaved RTP (RFC 2326 section 10.12). Clones share it.
#[derive(Debug, Clone, Default)]
pub struct CameraLog(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// RTP time of each picture, and when its last packet came.
    pictures: Vec<(u32, Instant)>,
    /// Media time and RTP time of the latest sender report.
    report: Option<(u64, u32)>,
}

impl CameraLog {
    /// Watches what comes from the camera.
    pub fn watch(&self) -> impl Watch + use<> {
        FromCamera {
            log: self.clone(),
            input: BytesMut::new(),
        }
    }

    /// The media time of each picture, in ticks of 1/90000 s since 1970, with the arrival of its last packet. Empty before
    /// the first sender report.
    pub fn pictures(&self) -> Vec<(u64, Instant)> {
        let seen = self.0.lock();
        let Some((media, rtp)) = seen.report else {
            return Vec::new();
        };
        let time = |own: u32| {
            // The difference, with its sign.
            let ticks = i64::from(own.wrapping_sub(rtp).cast_signed());
            media.saturating_add_signed(ticks)
        };
        seen.pictures.iter().map(|(own, at)| (time(*own), *at)).collect()
    }
}

struct FromCamera {
    log: CameraLog,
    input: BytesMut,
}

impl Watch for FromCamera {
    fn passed(&mut self, bytes: &[u8], at: Instant) {
        self.input.extend_from_slice(bytes);
        while let Some(length) = whole(&self.input) {
            let message = self.input.split_to(length);
            if let [b'$', channel, _, _, packet @ ..] = &message[..] {
                let mut seen = self.log.0.lock();
                match channel % 2 {
                    0 => seen.pictures.extend(last_of_picture(packet).map(|rtp| (rtp, at))),
                    _ => seen.report = sender_report(packet).or(seen.report),
                }
            }
        }
    }
}

/// Length of the first message, if it is complete.
fn whole(input: &[u8]) -> Option<usize> {
    if let [b'$', _, high, low, ..] = input {
        let length = 4 + usize::from(u16::from_be_bytes([*high, *low]));
        return (input.len() >= length).then_some(length);
    }
    let head = input.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(input.get(..head)?).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    (input.len() - head >= length).then_some(head + length)
}

/// RTP time of a packet with the marker, which is the last one of its picture (RFC 6184 section 5.1).
fn last_of_picture(mut packet: &[u8]) -> Option<u32> {
    if packet.len() < 12 {
        return None;
    }
    let (_, marker) = (packet.get_u8(), packet.get_u8() & 0x80 != 0);
    let _sequence = packet.get_u16();
    let time = packet.get_u32();
    marker.then_some(time)
}

/// Media time and RTP time of a sender report (RFC 3550 section 6.4.1).
fn sender_report(mut packet: &[u8]) -> Option<(u64, u32)> {
    if packet.len() < 20 {
        return None;
    }
    let (_, kind) = (packet.get_u8(), packet.get_u8());
    packet.advance(6);
    let (seconds, fraction) = (u64::from(packet.get_u32()), u64::from(packet.get_u32()));
    let rtp = packet.get_u32();
    let seconds = seconds.checked_sub(NTP_TO_UNIX)?;
    (kind == 200).then_some((seconds * TICKS + ((fraction * TICKS) >> 32), rtp))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interleaved(channel: u8, packet: &[u8]) -> Vec<u8> {
        let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
        [&[b'$', channel], &length[..], packet].concat()
    }

    fn rtp(is_last: bool, time: u32) -> Vec<u8> {
        let head = [0x80, if is_last { 0xE0 } else { 0x60 }, 0, 1];
        interleaved(0, &[&head[..], &time.to_be_bytes(), &[0; 4], b"payload"].concat())
    }

    #[test]
    fn pictures_have_the_media_time_of_the_sender_report_and_the_arrival_of_their_last_packet() {
        let log = CameraLog::default();
        let mut watch = log.watch();
        let answer = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 5\r\n\r\n$$$$$".to_vec();
        // Half a second after 1970-01-01 00:00:10, at RTP time 1000.
        let report = [
            &[0x80, 200, 0, 6, 0, 0, 0, 1][..],
            &u32::try_from(NTP_TO_UNIX + 10).unwrap().to_be_bytes(),
            &(1_u32 << 31).to_be_bytes(),
            &1000_u32.to_be_bytes(),
            &[0; 8],
        ]
        .concat();
        let first = Instant::now();
        let second = first + std::time::Duration::from_millis(40);
        let bytes = [
            answer,
            rtp(false, 400),
            rtp(true, 400),
            interleaved(1, &report),
            rtp(true, 4000),
        ]
        .concat();
        let (early, late) = bytes.split_at(bytes.len() - 3);
        for byte in early {
            watch.passed(&[*byte], first);
        }
        watch.passed(late, second);
        let at = |rtp: u64| 10 * TICKS + TICKS / 2 + rtp - 1000;
        assert_eq!(log.pictures(), [(at(1000) - 600, first), (at(4000), second)]);
    }
}
