//! Cameras whose answers a test writes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const SDP: &str = "v=0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 sprop-parameter-sets=Z2QAH6yzAKALdNQICBkAAAMAAQAAAwA8DxgyaA==,aOlxyyLA\r\na=control:trackID=0\r\n";

/// A request and the connection that it came on.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) head: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        let prefix = format!("{name}: ");
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
            .unwrap_or_default()
    }
}

pub(crate) async fn request(stream: &mut TcpStream) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let method = head.split(' ').next().unwrap().to_owned();
    Some(Request { method, head })
}

/// The answer of a plain camera.
pub(crate) fn plain(request: &Request) -> String {
    let cseq = request.header("CSeq");
    match request.method.as_str() {
        "DESCRIBE" => format!(
            "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Length: {}\r\n\r\n{SDP}",
            SDP.len()
        ),
        "SETUP" => format!(
            "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: A1\r\nTransport: {}\r\n\r\n",
            request.header("Transport")
        ),
        _ => format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n\r\n"),
    }
}

pub(crate) fn picture(number: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0xe0];
    packet.extend(number.to_be_bytes());
    packet.extend((u32::from(number) * 3000).to_be_bytes());
    packet.extend([0, 0, 0, 7, if number == 0 { 0x65 } else { 0x61 }, 0x88, 0x80]);
    packet
}

pub(crate) fn interleaved(packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'$', 0, 0, packet.len() as u8];
    bytes.extend(packet);
    bytes
}

pub(crate) async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsp://{}/live", listener.local_addr().unwrap());
    (listener, url)
}

/// Serves connections with `answer`; after PLAY it sends `media`.
pub(crate) fn serve(
    listener: TcpListener,
    answer: impl Fn(&Request) -> String + Send + 'static,
    media: Vec<u8>,
) {
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Some(request) = request(&mut stream).await {
                if stream.write_all(answer(&request).as_bytes()).await.is_err() {
                    break;
                }
                if request.method == "PLAY" && stream.write_all(&media).await.is_err() {
                    break;
                }
            }
        }
    });
}

pub(crate) fn pictures(count: u16) -> Vec<u8> {
    (0..count)
        .flat_map(|number| interleaved(&picture(number)))
        .collect()
}
