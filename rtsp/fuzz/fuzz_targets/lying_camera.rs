//! A whole session over a socket with a hostile camera: the data holds its description, responses, packets and reports.
//! The session plays, fails or is lost within its time limits, and media time never goes back.
#![no_main]

use std::time::Duration;

use lva_rtsp::{Camera, CameraEvent, CameraOptions, CameraUrl, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Separates the parts of the data: the session description, one part for each response, and what follows PLAY.
const SEPARATOR: &[u8] = b"\xff\x00\xff";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(session(data)));
});

async fn session(data: &[u8]) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsp://{}/x", listener.local_addr().unwrap());
    let parts: Vec<Vec<u8>> = split(data);
    let serve = tokio::spawn(async move {
        let Ok((mut stream, _)) = listener.accept().await else { return };
        let mut parts = parts.into_iter();
        let sdp = parts.next().unwrap_or_default();
        let mut request = Vec::new();
        for number in 0.. {
            request.clear();
            while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
                    return;
                }
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let cseq = text.lines().find_map(|line| line.strip_prefix("CSeq: ")).unwrap_or("1");
            let mut answer = format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n").into_bytes();
            let extra = parts.next().unwrap_or_default();
            match number {
                0 => {
                    answer.extend_from_slice(&extra);
                    answer.extend_from_slice(
                        format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n", sdp.len()).as_bytes(),
                    );
                    answer.extend_from_slice(&sdp);
                }
                _ if text.starts_with("SETUP") => {
                    answer.extend_from_slice(b"Session: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n");
                    answer.extend_from_slice(&extra);
                    answer.extend_from_slice(b"\r\n");
                }
                _ => {
                    answer.extend_from_slice(b"\r\n");
                    answer.extend_from_slice(&extra);
                    for rest in parts.by_ref() {
                        answer.extend_from_slice(&[b'$', 0]);
                        answer.extend_from_slice(&(rest.len() as u16).to_be_bytes());
                        answer.extend_from_slice(&rest[..rest.len().min(65_535)]);
                    }
                }
            }
            if stream.write_all(&answer).await.is_err() {
                return;
            }
            if text.starts_with("PLAY") {
                return;
            }
        }
    });
    let limit = Duration::from_millis(500);
    let timeouts = Timeouts::default().with_attempt(limit).with_stall(limit).with_give_up(Some(Duration::ZERO));
    let mut camera = Camera::connect(CameraOptions::new(CameraUrl::parse(&url).unwrap()).with_timeouts(timeouts));
    let mut last = std::collections::HashMap::new();
    while let Some(event) = camera.next().await {
        if let CameraEvent::Unit(unit) = event {
            let newest: &mut u64 = last.entry(unit.stream).or_default();
            // Pictures are reordered by less than a second.
            assert!(unit.timestamp_90k + 90_000 >= *newest, "media time went back");
            *newest = unit.timestamp_90k.max(*newest);
        }
    }
    serve.abort();
}

fn split(data: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut rest = data;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(SEPARATOR) {
            parts.push(Vec::new());
            rest = after;
            continue;
        }
        parts.last_mut().unwrap().push(*first);
        rest = after;
    }
    parts
}
