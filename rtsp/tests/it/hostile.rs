//! Cameras that mean harm, before and after logging in: what they cost in memory, descriptors and processor time, and how soon
//! they are stopped.

use std::io::Write as _;
use std::time::Instant;

use lva_rtsp::{Camera, Repair, Transport};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use crate::odd_camera::{listener, plain, request};
use crate::support::{PATIENCE, closed, descriptors, endless, quick};

/// What a camera sends at least, on as many connections as it gets.
const SENT: usize = 48 << 20;
/// Or so many connections.
const CONNECTIONS: usize = 12;
/// What all of it may take. A client that keeps what comes takes more.
const MOST_BYTES: usize = 40 << 20;
const MOST_DESCRIPTORS: usize = 16;
/// Of a debug build. What is read again and again takes hours.
const MOST_SECONDS: f64 = 60.0;

/// What a camera sends in place of an answer to a request, or behind the answer to PLAY.
struct Flood {
    name: &'static str,
    at: &'static str,
    first: Vec<u8>,
    again: Vec<u8>,
    /// Of packets: the length of each in `again`, and where its number stands. Each gets the next number, because those that
    /// repeat one are dropped before anything looks at them.
    packet: Option<(usize, u16)>,
}

/// Where the number of an interleaved packet stands.
const NUMBER: std::ops::Range<usize> = 6..8;

impl Flood {
    /// The bytes to send next.
    fn next(&mut self) -> &[u8] {
        if let Some((length, number)) = &mut self.packet {
            for packet in self.again.chunks_exact_mut(*length) {
                *number = number.wrapping_add(1);
                packet[NUMBER].copy_from_slice(&number.to_be_bytes());
            }
        }
        &self.again
    }
}

/// Interleaved packets without end.
fn media_flood(name: &'static str, first: &[u8], packet: &[u8]) -> Flood {
    Flood {
        packet: Some((packet.len(), 1)),
        ..flood(name, "PLAY", first, packet)
    }
}

fn flood(name: &'static str, at: &'static str, first: &[u8], again: &[u8]) -> Flood {
    let times = (64 * 1024 / again.len()).max(1);
    Flood {
        name,
        at,
        first: first.to_vec(),
        again: again.repeat(times),
        packet: None,
    }
}

/// An RTP packet on the first channel.
fn media(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'$', 0];
    bytes.extend((12 + payload.len() as u16).to_be_bytes());
    bytes.extend([0x80, 96, 0, 1, 0, 0, 0, 9, 0, 0, 0, 7]);
    bytes.extend(payload);
    bytes
}

fn floods() -> Vec<Flood> {
    let ok = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n";
    let stap: Vec<u8> = [0x78].into_iter().chain([0, 1, 0x06].repeat(400)).collect();
    let large = [&[0x7c, 0x05][..], &[0x80; 1400]].concat();
    let sei = [&[0x06][..], &[0x80; 1000]].concat();
    vec![
        flood(
            "Content-Length of 4 GiB",
            "DESCRIBE",
            &[ok, &b"Content-Length: 4294967295\r\n\r\n"[..]].concat(),
            b"v=0\r\n",
        ),
        flood(
            "body without length",
            "DESCRIBE",
            &[ok, &b"\r\n"[..]].concat(),
            b"a=x:y\r\n",
        ),
        flood("header lines without end", "DESCRIBE", ok, b"X-Header: value\r\n"),
        flood("one line without end", "DESCRIBE", ok, b"abcdefgh"),
        flood("empty lines without end", "DESCRIBE", b"", b"\r\n"),
        flood(
            "answers that nobody asked for",
            "DESCRIBE",
            b"",
            b"RTSP/1.0 200 OK\r\nCSeq: 77\r\nContent-Length: 0\r\n\r\n",
        ),
        flood(
            "requests without end",
            "DESCRIBE",
            b"",
            b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        ),
        flood(
            "provisional answers",
            "DESCRIBE",
            b"",
            b"RTSP/1.0 100 Continue\r\n\r\n",
        ),
        flood("garbage", "DESCRIBE", b"", b"\x01\x02$\xff\xffR"),
        media_flood(
            "a fragment without end",
            &media(&[0x7c, 0x85, 0x88]),
            &media(&large),
        ),
        media_flood("SEI without a picture", b"", &media(&sei)),
        media_flood("units of one byte", b"", &media(&stap)),
        media_flood(
            "packets of other types",
            b"",
            &[&media(&large)[..5], &[50], &media(&large)[6..]].concat(),
        ),
        media_flood(
            "channels that nobody set up",
            b"",
            &[&[b'$', 9], &media(&large)[2..]].concat(),
        ),
    ]
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}

/// Processor time of this process in seconds: both ends.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |place| {
        behind_name
            .split(' ')
            .nth(place)
            .and_then(|text| text.parse::<f64>().ok())
    };
    (ticks(12).unwrap_or(0.0) + ticks(13).unwrap_or(0.0)) / 100.0
}

/// Serves connections until so much was sent or so many came.
async fn serve(
    listener: tokio::net::TcpListener,
    mut flood: Flood,
    done: watch::Sender<Option<(usize, usize)>>,
) {
    let (mut sent, mut connections, mut open) = (0, 0, Vec::new());
    while let Ok((mut stream, _)) = listener.accept().await {
        connections += 1;
        while let Some(request) = request(&mut stream).await {
            let tunnel = request.method == "GET";
            if tunnel {
                let answer = "HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes()).await;
            } else if request.method != flood.at || flood.at == "PLAY" {
                let _ = stream.write_all(plain(&request).as_bytes()).await;
            }
            if tunnel || request.method == flood.at {
                let _ = stream.write_all(&flood.first).await;
                while sent < SENT && stream.write_all(flood.next()).await.is_ok() {
                    sent += flood.again.len();
                }
                break;
            }
        }
        open.push(stream);
        if sent >= SENT || connections >= CONNECTIONS {
            done.send_replace(Some((sent, connections)));
        }
    }
}

/// What it cost: bytes, descriptors, processor time.
async fn suffer(flood: Flood, transport: Transport) {
    let name = flood.name;
    let (listener, url) = listener().await;
    let before = (resident(), descriptors(), processor_seconds());
    let (done, mut is_done) = watch::channel(None);
    let serving = tokio::spawn(serve(listener, flood, done));
    let options = quick(&url).with_transport(transport).with_timeouts(endless());
    let mut camera = Camera::connect(options);
    let reading = async { while camera.next().await.is_some() {} };
    let (sent, connections) = tokio::select! {
        () = reading => panic!("{name}: the camera stopped"),
        done = tokio::time::timeout(4 * PATIENCE, is_done.wait_for(Option::is_some)) => {
            let done = done.unwrap_or_else(|_| panic!("{name}: not in time"));
            done.unwrap().unwrap()
        }
    };
    let bytes = resident().saturating_sub(before.0);
    let open = descriptors().saturating_sub(before.1);
    let seconds = processor_seconds() - before.2;
    let stopping = Instant::now();
    let monitor = camera.monitor();
    closed(camera, name).await;
    let stopped = stopping.elapsed();
    serving.abort();
    let _ = writeln!(
        std::io::stderr(),
        "{name}: {} KiB sent on {connections} connections; {} KiB, {open} descriptors, {seconds:.2} s of processor time, stopped in {} ms",
        sent / 1024,
        bytes / 1024,
        stopped.as_millis()
    );
    let duplicates = monitor.counters().repairs.count(Repair::Duplicate);
    assert_eq!(
        duplicates, 0,
        "{name}: what is dropped as a duplicate costs nothing"
    );
    assert!(bytes < MOST_BYTES, "{name}: {bytes} bytes");
    assert!(open <= MOST_DESCRIPTORS, "{name}: {open} descriptors");
    assert!(seconds < MOST_SECONDS, "{name}: {seconds} s");
}

#[tokio::test]
async fn a_hostile_camera_costs_bounded_memory_descriptors_and_time() {
    for flood in floods() {
        suffer(flood, Transport::Tcp).await;
    }
}

#[tokio::test]
async fn empty_lines_without_end_in_a_tunnel_cost_bounded_memory_and_time() {
    suffer(
        flood("empty lines in a tunnel", "GET", b"", b"\r\n"),
        Transport::Http,
    )
    .await;
}

#[tokio::test]
async fn thousands_of_streams_open_no_descriptors() {
    let (listener, url) = listener().await;
    let (asked, mut setups) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Some(request) = request(&mut stream).await {
                let mut answer = plain(&request);
                if request.method == "DESCRIBE" {
                    let body: String = (0..5000)
                        .map(|n| format!("m=audio 0 RTP/AVP 8\r\na=control:trackID={n}\r\n"))
                        .collect();
                    let cseq = request.header("CSeq");
                    answer = format!(
                        "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    );
                }
                if request.method == "SETUP" {
                    asked.send_modify(|asked| *asked += 1);
                }
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    let before = descriptors();
    let options = quick(&url)
        .with_transport(Transport::Udp)
        .with_timeouts(endless());
    let mut camera = Camera::connect(options);
    let (streams, _) = crate::support::established(&mut camera).await;
    assert_eq!((streams.len(), *setups.borrow_and_update()), (64, 1));
    let open = descriptors() - before;
    let _ = writeln!(std::io::stderr(), "5,000 streams: {open} descriptors");
    assert!(open <= MOST_DESCRIPTORS, "{open} descriptors");
    closed(camera, "5,000 streams").await;
}
