//! A server that follows a script, whether HTTP allows that or not.

use std::sync::{Arc, Mutex};

use lva_extension_protocol::http::HttpUrl;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) line: String,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .next()
    }
}

/// What is done about a request.
pub(super) enum Act {
    Send(String),
    SendAndClose(String),
    /// Nothing, for ever.
    Hang,
    /// This, and then a byte of the body again and again.
    Endless(String),
}

/// Status, headers (each with its line end) and a body with its length.
pub(super) fn answer(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

pub(super) fn json(body: &str) -> Act {
    Act::Send(answer(200, "content-type: application/json\r\n", body))
}

type Script = Arc<dyn Fn(usize, &Seen) -> Act + Send + Sync>;

/// Bytes that no socket buffers on the way, so that a client that posts them still writes when the server has closed.
pub(super) const MORE_THAN_BUFFERS_HOLD: usize = 16 << 20;

pub(super) struct Scripted {
    pub(super) url: HttpUrl,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Scripted {
    /// `script` gets the number of the request, from 0 over all connections, and the request.
    pub(super) async fn start(script: impl Fn(usize, &Seen) -> Act + Send + Sync + 'static) -> Self {
        Self::listen(script, None).await
    }

    /// Sends this once a request's head was read, and closes with the body unread.
    pub(super) async fn start_impatient(text: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/score", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut head = [0; 64];
                let _ = socket.read_exact(&mut head).await;
                let _ = socket.write_all(text.as_bytes()).await;
            }
        });
        Self {
            url: url.parse().unwrap(),
            seen: Arc::default(),
            task,
        }
    }

    pub(super) async fn start_tls(acceptor: TlsAcceptor) -> Self {
        Self::listen(|_, _| json("{}"), Some(acceptor)).await
    }

    async fn listen(
        script: impl Fn(usize, &Seen) -> Act + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://localhost:{}/score?id=1", address.port());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log): (Script, _) = (Arc::new(script), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (script, log, tls) = (Arc::clone(&script), Arc::clone(&log), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => converse(socket, &script, &log).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                converse(socket, &script, &log).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            url: url.parse().unwrap(),
            seen,
            task,
        }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(mut socket: S, script: &Script, log: &Mutex<Vec<Seen>>) {
    while let Some(seen) = read_request(&mut socket).await {
        let number = {
            let mut log = log.lock().unwrap();
            log.push(seen.clone());
            log.len() - 1
        };
        match script(number, &seen) {
            Act::Send(text) => {
                if socket.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Act::SendAndClose(text) => {
                let _ = socket.write_all(text.as_bytes()).await;
                let _ = socket.shutdown().await;
                return;
            }
            Act::Hang => std::future::pending().await,
            Act::Endless(text) => {
                let _ = socket.write_all(text.as_bytes()).await;
                while socket.write_all(&[b'x'; 4096]).await.is_ok() {}
                return;
            }
        }
        if socket.flush().await.is_err() {
            return;
        }
    }
}

async fn read_request<S: AsyncRead + Unpin>(socket: &mut S) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let (line, head) = head.split_once("\r\n")?;
    let mut seen = Seen {
        line: line.to_owned(),
        head: head.to_owned(),
        body: bytes[end + 4..].to_vec(),
    };
    let length: usize = seen.header("content-length")?.parse().ok()?;
    while seen.body.len() < length {
        if socket.read_buf(&mut seen.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(seen)
}
