//! A camera that sends what a test gives it, in real time.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::media::{Sample, Stream};

/// Larger units go out in fragments.
const MAX_PAYLOAD: usize = 1000;

/// Packets, the last of which has the marker.
#[derive(Clone)]
pub(super) struct Burst {
    /// When it is sent, and its RTP time.
    pub(super) sent_90k: u32,
    pub(super) ticks: u32,
    pub(super) units: Vec<Vec<u8>>,
    /// Whether its last packet is lost on the way.
    pub(super) cut_off: bool,
}

impl Burst {
    pub(super) fn of(sample: &Sample) -> Self {
        Self {
            sent_90k: sample.sent_90k,
            ticks: sample.shown_90k,
            units: sample.units.clone(),
            cut_off: false,
        }
    }
}

/// What a camera describes and sends.
pub(super) struct OddCamera {
    pub(super) is_h265: bool,
    /// Parameter sets in the description.
    pub(super) described: Vec<Vec<u8>>,
    pub(super) bursts: Vec<Burst>,
    /// Frames of AAC beside them.
    pub(super) audio: Vec<Sample>,
}

impl OddCamera {
    /// One that sends the pictures as they are.
    pub(super) fn of(stream: &Stream) -> Self {
        Self {
            is_h265: stream.is_h265,
            described: stream.sets.clone(),
            bursts: stream.samples.iter().map(Burst::of).collect(),
            audio: Vec::new(),
        }
    }

    /// The same, where each picture becomes other bursts. It gets the picture's number and whether it is a key frame.
    pub(super) fn bent(stream: &Stream, mut bend: impl FnMut(usize, bool, Burst) -> Vec<Burst>) -> Self {
        let numbered = stream.samples.iter().enumerate();
        let bursts = numbered
            .flat_map(|(number, sample)| bend(number, stream.is_key(sample), Burst::of(sample)))
            .collect();
        Self {
            bursts,
            ..Self::of(stream)
        }
    }

    fn description(&self) -> String {
        let mut sets = self.described.iter().map(|set| STANDARD.encode(set));
        let (name, parameters) = match (self.is_h265, self.described.is_empty()) {
            (true, true) => ("H265", String::new()),
            (true, false) => {
                let named = ["vps", "sps", "pps"].iter().zip(sets);
                let named: Vec<_> = named.map(|(name, set)| format!("sprop-{name}={set}")).collect();
                ("H265", named.join(";"))
            }
            (false, true) => ("H264", "packetization-mode=1".to_owned()),
            (false, false) => {
                let first = sets.next().unwrap_or_default();
                let sets = sets.fold(first, |all, set| format!("{all},{set}"));
                (
                    "H264",
                    format!("packetization-mode=1;sprop-parameter-sets={sets}"),
                )
            }
        };
        let audio = match self.audio.is_empty() {
            true => "",
            false => {
                "m=audio 0 RTP/AVP 97\r\na=control:trackID=1\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\n\
                 a=fmtp:97 streamtype=5;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408\r\n"
            }
        };
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=odd\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=control:trackID=0\r\n\
             a=rtpmap:96 {name}/90000\r\na=fmtp:96 {parameters}\r\n{audio}"
        )
    }

    /// Everything in the order in which it is sent: when, and the interleaved bytes.
    fn packets(&self) -> Vec<(u32, Vec<u8>)> {
        let mut packets = Vec::new();
        let mut number = 0;
        for burst in &self.bursts {
            let payloads: Vec<_> = burst
                .units
                .iter()
                .flat_map(|unit| payloads(self.is_h265, unit))
                .collect();
            let count = payloads.len();
            for (place, payload) in payloads.into_iter().enumerate() {
                let is_last = place + 1 == count;
                if !(is_last && burst.cut_off) {
                    packets.push((
                        burst.sent_90k,
                        interleaved(0, 96, is_last, number, burst.ticks, &payload),
                    ));
                }
                number += 1;
            }
        }
        for (number, frame) in (0_u16..).zip(&self.audio) {
            let data = frame.units.concat();
            let mut payload = vec![0, 16];
            payload.extend(((data.len() as u16) << 3).to_be_bytes());
            payload.extend(data);
            let ticks = u32::from(number) * 1024;
            packets.push((frame.sent_90k, interleaved(2, 97, true, number, ticks, &payload)));
        }
        packets.sort_by_key(|(sent, _)| *sent);
        packets
    }

    /// Serves clients one after the other; returns the address.
    pub(super) fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("rtsp://{}/live", listener.local_addr().unwrap());
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                self.serve(stream);
            }
        });
        url
    }

    fn serve(&self, mut stream: TcpStream) {
        let Ok(writer) = stream.try_clone() else {
            return;
        };
        let writer = Arc::new(Mutex::new(writer));
        let say = |text: String| writer.lock().unwrap().write_all(text.as_bytes());
        while let Some(head) = head(&mut stream) {
            let header = |name: &str| {
                head.lines()
                    .find_map(|line| line.strip_prefix(name))
                    .unwrap_or_default()
            };
            let cseq = header("CSeq: ");
            let (more, body) = match head.split(' ').next() {
                Some("DESCRIBE") => (String::new(), self.description()),
                Some("SETUP") => (
                    format!("Session: 1\r\nTransport: {}\r\n", header("Transport: ")),
                    String::new(),
                ),
                _ => ("Session: 1\r\n".to_owned(), String::new()),
            };
            let length = body.len();
            let answer =
                format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n{more}Content-Length: {length}\r\n\r\n{body}");
            if say(answer).is_err() {
                return;
            }
            if head.starts_with("PLAY ") {
                let (packets, writer) = (self.packets(), Arc::clone(&writer));
                thread::spawn(move || play(&packets, &writer));
            }
        }
    }
}

fn play(packets: &[(u32, Vec<u8>)], writer: &Mutex<TcpStream>) {
    let began = Instant::now();
    for (sent, bytes) in packets {
        let due = Duration::from_secs_f64(f64::from(*sent) / 90_000.0);
        thread::sleep(due.saturating_sub(began.elapsed()));
        if writer.lock().unwrap().write_all(bytes).is_err() {
            return;
        }
    }
}

/// The head of a request.
fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    String::from_utf8(head).ok()
}

fn interleaved(
    channel: u8,
    payload_type: u8,
    marked: bool,
    number: u16,
    ticks: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![b'$', channel];
    bytes.extend((payload.len() as u16 + 12).to_be_bytes());
    bytes.extend([0x80, u8::from(marked) << 7 | payload_type]);
    bytes.extend(number.to_be_bytes());
    bytes.extend(ticks.to_be_bytes());
    bytes.extend([0, 0, 0, 7 + channel]);
    bytes.extend(payload);
    bytes
}

/// A unit as it is, or in fragments (RFC 6184 section 5.8, RFC 7798 section 4.4.3).
fn payloads(is_h265: bool, unit: &[u8]) -> Vec<Vec<u8>> {
    if unit.len() <= MAX_PAYLOAD {
        return vec![unit.to_vec()];
    }
    let (header, body) = unit.split_at(if is_h265 { 2 } else { 1 });
    let count = body.len().div_ceil(MAX_PAYLOAD);
    let pieces = body.chunks(MAX_PAYLOAD).enumerate();
    let fragment = |(place, piece): (usize, &[u8])| {
        let ends = u8::from(place == 0) << 7 | u8::from(place + 1 == count) << 6;
        let head = match is_h265 {
            true => vec![header[0] & 0x81 | 49 << 1, header[1], ends | header[0] >> 1 & 63],
            false => vec![header[0] & 0xe0 | 28, ends | header[0] & 31],
        };
        [&head, piece].concat()
    };
    pieces.map(fragment).collect()
}
