//! A camera that quotes secrets wherever it can: none shows in events, answers, files or logs.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use lva_inference_schema::EventName;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{module, must, until_of};

const SECRET: &str = "Ge:He1mnis";
/// The same as it stands in an address.
const ENCODED: &str = "Ge%3AHe1mnis";

/// Everything that is logged, at every level and by every thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl tracing::field::Visit for Log {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0.lock().unwrap(), " {field}={value:?}");
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut self.clone());
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
        self.0.lock().unwrap().push('\n');
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Fails the first two sessions, and plays every other one. It quotes its address with the password everywhere.
async fn camera(listener: TcpListener) {
    let own = format!(
        "rtsp://admin:{SECRET}@{}/user=admin_password={SECRET}_channel=1/",
        listener.local_addr().unwrap()
    );
    for fails in ["DESCRIBE", "SETUP"].into_iter().chain(std::iter::repeat("")) {
        let Ok((mut stream, _)) = listener.accept().await else {
            return;
        };
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns={SECRET}\r\nt=0 0\r\na=control:{own}\r\nm=video 0 RTP/AVP 96\r\n\
             a=rtpmap:96 H264/90000\r\na=control:{own}trackID=0\r\n\
             a=fmtp:96 sprop-parameter-sets=Z2QAH6yzAKALdNQICBkAAAMAAQAAAwA8DxgyaA==,aOlxyyLA\r\n\
             m=audio 0 RTP/AVP 97\r\na=rtpmap:97 {SECRET}/8000\r\n"
        );
        while let Some(head) = head(&mut stream).await {
            let method = head.split(' ').next().unwrap_or_default();
            let cseq = head
                .lines()
                .find_map(|line| line.strip_prefix("CSeq: "))
                .unwrap_or("1");
            let quoting =
                format!("CSeq: {cseq}\r\nServer: {own}\r\nLocation: {own}\r\nContent-Base: {own}\r\n");
            let answer = match method {
                method if method == fails => format!("RTSP/1.0 404 {own}\r\n{quoting}\r\n"),
                "DESCRIBE" => format!(
                    "RTSP/1.0 200 {own}\r\n{quoting}Content-Length: {}\r\n\r\n{sdp}",
                    sdp.len()
                ),
                "SETUP" => format!(
                    "RTSP/1.0 200 OK\r\n{quoting}Session: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n"
                ),
                _ => format!("RTSP/1.0 200 OK\r\n{quoting}\r\n"),
            };
            if stream.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
            for number in (0..60_u16).filter(|_| method == "PLAY") {
                let mut packet = vec![b'$', 0, 0, 15, 0x80, 0xe0];
                packet.extend(number.to_be_bytes());
                packet.extend((u32::from(number) * 3000).to_be_bytes());
                packet.extend([0, 0, 0, 7, if number % 30 == 0 { 0x65 } else { 0x61 }, 0x88, 0x80]);
                let _ = stream.write_all(&packet).await;
            }
        }
    }
}

async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// The contents of all files below a directory, and their names.
fn files(directory: &Path, out: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        out.push_str(&path.to_string_lossy());
        if path.is_dir() {
            files(&path, out);
        } else {
            out.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_camera_quotes_shows_in_no_event_answer_file_or_log() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "rtsp://admin:{ENCODED}@{}/user=admin_password={SECRET}_channel=1?token={ENCODED}",
        listener.local_addr().unwrap()
    );
    let serving = tokio::spawn(camera(listener));
    let (module, events) = module(directory.path());
    let topology = json!({
        "@apiVersion": "1.1", "name": "t",
        "properties": {
            "parameters": [{"name": "url", "type": "SecretString"}],
            "sources": [{
                "@type": "#Microsoft.VideoAnalyzer.RtspSource", "name": "camera",
                "endpoint": {"@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "${url}"},
            }],
            "sinks": [{
                "@type": "#Microsoft.VideoAnalyzer.VideoSink", "name": "video", "videoName": "v",
                "localMediaCachePath": "/x", "localMediaCacheMaximumSizeMiB": "512",
                "inputs": [{"nodeName": "camera"}],
            }],
        },
    });
    must(&module, "pipelineTopologySet", topology).await;
    let pipeline = json!({
        "@apiVersion": "1.1", "name": "p",
        "properties": {"topologyName": "t", "parameters": [{"name": "url", "value": url}]},
    });
    must(&module, "livePipelineSet", pipeline).await;
    let name = || json!({"@apiVersion": "1.1", "name": "p"});
    must(&module, "livePipelineActivate", name()).await;
    events.wait(EventName::RecordingStarted, 0).await;
    until_of(&module, "p", |stats| stats.received >= 60).await;

    let mut shown = String::new();
    for (method, payload) in [
        ("livePipelineGet", name()),
        ("livePipelineList", json!({"@apiVersion": "1.1"})),
        ("pipelineTopologyGet", json!({"@apiVersion": "1.1", "name": "t"})),
    ] {
        write!(shown, "{:?}", module.invoke(method, &payload).await).unwrap();
    }
    must(&module, "livePipelineDeactivate", name()).await;
    events.wait(EventName::RecordingAvailable, 0).await;
    write!(shown, "{:?} {:?}", module.stats("p"), events.all()).unwrap();
    files(directory.path(), &mut shown);
    shown.push_str(&log.0.lock().unwrap());
    serving.abort();

    // All of it was there to be seen.
    for part in [
        "ProtocolError",
        "MediaSessionEstablished",
        "m=video",
        "index.m3u8",
        "session established",
    ] {
        assert!(shown.contains(part), "{part}");
    }
    let shown = shown.to_ascii_lowercase();
    for secret in [SECRET, ENCODED, "He1mnis"].map(str::to_ascii_lowercase) {
        let at = shown.find(&secret);
        let around =
            at.map(|at| String::from_utf8_lossy(&shown.as_bytes()[at.saturating_sub(100)..at]).into_owned());
        assert_eq!(around, None, "{secret}");
    }
}
