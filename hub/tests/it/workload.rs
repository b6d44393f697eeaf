//! The workload API of IoT Edge, on a Unix socket.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

pub(crate) const KEY: &[u8] = b"the key of the module";

pub(crate) struct WorkloadServer {
    pub(crate) path: PathBuf,
    /// Requests to close the socket on instead of answering.
    pub(crate) close_next: Arc<AtomicU32>,
    pub(crate) signatures: Arc<AtomicU32>,
}

impl WorkloadServer {
    pub(crate) fn start(path: PathBuf, trust_bundle: String) -> Self {
        Self::of_module("lva%3DEdge", path, trust_bundle)
    }

    /// For the module of this name, percent-encoded.
    pub(crate) fn of_module(module: &'static str, path: PathBuf, trust_bundle: String) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        let (close_next, signatures) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (close, count) = (Arc::clone(&close_next), Arc::clone(&signatures));
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (close, count, bundle) = (Arc::clone(&close), Arc::clone(&count), trust_bundle.clone());
                tokio::spawn(async move {
                    let mut socket = BufReader::new(socket);
                    while serve(module, &mut socket, &close, &count, &bundle)
                        .await
                        .is_some()
                    {}
                });
            }
        });
        Self {
            path,
            close_next,
            signatures,
        }
    }
}

/// One request. `None` at the end of the connection.
async fn serve(
    module: &str,
    socket: &mut BufReader<UnixStream>,
    close: &AtomicU32,
    signatures: &AtomicU32,
    bundle: &str,
) -> Option<()> {
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    if close
        .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
        .is_ok()
    {
        return None;
    }
    let own = format!(" /modules/{module}/genid/7/");
    let request = head.lines().next().unwrap().replace(&own, " own/");
    let (status, answer) = match request.as_str() {
        "POST own/sign?api-version=2022-08-03 HTTP/1.1" => {
            signatures.fetch_add(1, SeqCst);
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                (&body["keyId"], &body["algo"]),
                (&json!("primary"), &json!("HMACSHA256"))
            );
            let data = STANDARD.decode(body["data"].as_str().unwrap()).unwrap();
            (200, json!({ "digest": signature(&data) }))
        }
        "GET /trust-bundle?api-version=2022-08-03 HTTP/1.1" => (200, json!({ "certificate": bundle })),
        "POST own/certificate/server?api-version=2022-08-03 HTTP/1.1" => {
            let key = json!({ "type": "key", "bytes": "PEM of a key" });
            let answer =
                json!({ "privateKey": key, "certificate": "PEM", "expiration": "2027-01-01T00:00:00Z" });
            (201, answer)
        }
        _ => (403, json!({ "message": "caller not authorized" })),
    };
    let answer = answer.to_string();
    let response = format!(
        "HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    );
    socket.get_mut().write_all(response.as_bytes()).await.ok()
}

pub(crate) fn signature(text: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY);
    STANDARD.encode(hmac::sign(&key, text))
}
