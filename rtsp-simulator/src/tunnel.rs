//! RTSP in two HTTP connections, server side ("Tunnelling RTSP and RTP through HTTP", Apple 1999): requests arrive in
//! Base64 as the endless body of a POST, responses and media go out as the endless body of a GET. A cookie chosen by the
//! client joins the two.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{Mutex as AsyncMutex, watch};

use crate::client::{BoxedReader, BoxedWriter, Client, Ends};
use crate::request::MAX_REQUEST_BYTES;
use crate::state::{Control, Shared};
use crate::tunnel_registry::OpenTunnel;

const MAX_COOKIE: usize = 256;
const TYPE: &str = "application/x-rtsp-tunnelled";

/// The head of an HTTP request.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    post: bool,
    cookie: Option<String>,
    /// Its length in bytes.
    len: usize,
}

/// `None` until the head is complete.
fn head(buffer: &[u8]) -> Option<Head> {
    let len = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(buffer.get(..len)?);
    let cookie = text.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        let good = name.trim().eq_ignore_ascii_case("x-sessioncookie")
            && !value.is_empty()
            && value.len() <= MAX_COOKIE;
        good.then(|| value.to_owned())
    });
    Some(Head {
        post: text.starts_with("POST"),
        cookie,
        len,
    })
}

/// Decodes Base64 in pieces of any length, in which each message has its own padding.
#[derive(Debug, Default)]
struct Decoder {
    quad: Vec<u8>,
}

impl Decoder {
    /// `None` for invalid Base64.
    fn push(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(bytes.len() / 4 * 3 + 3);
        for byte in bytes.iter().filter(|byte| !byte.is_ascii_whitespace()) {
            self.quad.push(*byte);
            if self.quad.len() == 4 {
                STANDARD.decode_vec(&self.quad, &mut out).ok()?;
                self.quad.clear();
            }
        }
        Some(out)
    }
}

/// Serves one of the two connections until it ends.
pub(crate) async fn serve(
    (mut reader, mut writer): (BoxedReader, BoxedWriter),
    mut buffer: Vec<u8>,
    ends: Ends,
    shared: Arc<Shared>,
    control: watch::Receiver<Control>,
) {
    let head = loop {
        if let Some(head) = head(&buffer) {
            break head;
        }
        if buffer.len() > MAX_REQUEST_BYTES || !matches!(reader.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    };
    let body = buffer.split_off(head.len);
    let reject = async |writer: &mut BoxedWriter| {
        // The client may have gone.
        let _ = writer
            .write_all(b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n")
            .await;
        let _ = writer.shutdown().await;
    };
    let Some(cookie) = head.cookie else {
        return reject(&mut writer).await;
    };
    if head.post {
        match shared.tunnels.find(&cookie) {
            Some(pipe) => {
                // As long as its GET: that one shows who it is.
                ends.connection.vouch();
                let _in_use = ends.connection.begin_request();
                tokio::select! {
                    () = receive(reader, body, &pipe) => {}
                    () = shared.tunnels.closed(&cookie) => {}
                }
            }
            None => reject(&mut writer).await,
        }
        return;
    }
    let Some(pipe) = shared.tunnels.open(&cookie) else {
        return reject(&mut writer).await;
    };
    let _open = OpenTunnel(&shared.tunnels, &cookie);
    let answer = format!(
        "HTTP/1.0 200 OK\r\nConnection: close\r\nCache-Control: no-store\r\nPragma: no-cache\r\n\
         Content-Type: {TYPE}\r\n\r\n"
    );
    if writer.write_all(answer.as_bytes()).await.is_err() || writer.flush().await.is_err() {
        return;
    }
    let serve = Client::serve(
        (Box::new(pipe), writer),
        Vec::new(),
        ends,
        false,
        Arc::clone(&shared),
        control,
    );
    tokio::select! {
        () = serve => {}
        () = until_closed(reader) => {}
    }
}

/// Waits for the end of a connection that carries no more data.
async fn until_closed(mut reader: BoxedReader) {
    let mut chunk = [0; 256];
    while matches!(reader.read(&mut chunk).await, Ok(1..)) {}
}

/// Copies the body of a POST into the pipe of its GET.
async fn receive(mut reader: BoxedReader, mut body: Vec<u8>, pipe: &AsyncMutex<DuplexStream>) {
    let mut decoder = Decoder::default();
    loop {
        let Some(bytes) = decoder.push(&body) else { return };
        if pipe.lock().await.write_all(&bytes).await.is_err() {
            return;
        }
        body.clear();
        if !matches!(reader.read_buf(&mut body).await, Ok(1..)) {
            return;
        }
    }
}

#[cfg(any(fuzzing, test))]
pub(crate) fn fuzz(data: &[u8]) {
    head(data);
    Decoder::default().push(data);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn heads_are_parsed_when_complete() {
        assert_eq!(head(b"GET /x HTTP/1.0\r\nx-sessioncookie: a"), None);
        let text = b"POST /x HTTP/1.0\r\nX-SessionCookie:  abc \r\n\r\nT1BU";
        let found = head(text).unwrap();
        assert_eq!(
            (found.post, found.cookie.as_deref(), text.len() - found.len),
            (true, Some("abc"), 4)
        );
        assert_eq!(head(b"GET / HTTP/1.0\r\n\r\n").unwrap().cookie, None);
    }

    proptest! {
        #[test]
        fn messages_come_back_however_they_are_cut(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 1..6),
            cut in 1..40_usize,
        ) {
            let text: String = messages.iter().map(|m| STANDARD.encode(m) + "\r\n").collect();
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for piece in text.as_bytes().chunks(cut) {
                found.extend(decoder.push(piece).unwrap());
            }
            prop_assert_eq!(found, messages.concat());
        }

        #[test]
        fn any_bytes_are_accepted_or_rejected_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            head(&bytes);
            Decoder::default().push(&bytes);
        }
    }
}
