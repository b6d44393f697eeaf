//! Between the client library, which speaks plain RTSP over TCP only, and a camera behind TLS or an HTTP tunnel.
//!
//! The library is given an address of loopback with a secret path; what it says there goes on to the camera, in the
//! camera's own terms ([`rewrite`]). Why so, and what else was thought of: `docs/decisions/0007-rtsp-relay.md`.

mod message;
mod rewrite;
mod tunnel;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lva_client_transport::{ClientTls, ClientTlsError, certificate_advice, server_name};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tracing::debug;
use url::Url;

use self::message::{Head, Kind};
pub(crate) use self::rewrite::Rewriter;
use self::tunnel::{POST_BYTES, Tunnel};
use crate::error::SharedError;
use crate::random::random_u64;
use crate::{CameraError, CameraOptions, Transport};

/// Who connects to loopback and is not the library may take this long to show it.
const INTRODUCTION: Duration = Duration::from_millis(500);
/// How many strangers on loopback are sent away before the attempt is given up.
const STRANGERS: usize = 64;
/// How long the camera may take to say goodbye.
const FAREWELL: Duration = Duration::from_millis(400);
/// A side that takes nothing for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest head of an HTTP answer.
const MAX_HEAD: usize = 64 * 1024;
const CHUNK: usize = 64 * 1024;

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// A relay for one session. Its task ends with the library's connection, after it has told the camera.
#[derive(Debug)]
pub(crate) struct Relay {
    /// What the library has to be given.
    pub(crate) local: Url,
    failure: Arc<Mutex<Option<CameraError>>>,
    /// Dropped with the session, or with an attempt that was given up before the library connected.
    _wanted: oneshot::Sender<()>,
}

/// Counts relays that still take their leave, so that a new session can wait for the old one's end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Goodbyes(watch::Sender<usize>);

struct Present(watch::Sender<usize>);

impl Goodbyes {
    fn enter(&self) -> Present {
        self.0.send_modify(|present| *present += 1);
        Present(self.0.clone())
    }

    /// Waits until no relay is left.
    pub(crate) async fn all_said(&self) {
        // The sender is ours, so this only ends with the condition.
        let _ = self.0.subscribe().wait_for(|present| *present == 0).await;
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.send_modify(|present| *present = present.saturating_sub(1));
    }
}

/// Whether a camera with these options can only be reached through a relay.
pub(crate) fn is_needed(options: &CameraOptions) -> bool {
    options.transport == Transport::Http || options.tls.is_some() || options.url.is_tls()
}

impl Relay {
    /// Connects to the camera, and waits on loopback for the library.
    pub(crate) async fn start(options: &CameraOptions, goodbyes: &Goodbyes) -> Result<Self, CameraError> {
        let secured = options.tls.is_some() || options.url.is_tls();
        if secured && options.transport == Transport::Udp {
            return Err(CameraError::Unsupported {
                url: options.url.clone(),
                what: "RTP over UDP leaves the protection of TLS: use the transport tcp or http",
            });
        }
        let loopback = |error: std::io::Error| CameraError::Network {
            url: options.url.clone(),
            message: format!("this machine's loopback cannot be listened on ({error})"),
            source: None,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(loopback)?;
        let port = listener.local_addr().map_err(loopback)?.port();
        let secret = format!("{:016x}{:016x}", random_u64(), random_u64());
        let text = format!("rtsp://127.0.0.1:{port}/{secret}");
        let local = Url::parse(&text).map_err(|error| loopback(std::io::Error::other(error)))?;

        let mut way = Way::new(options, secured);
        let camera = way.open().await?;
        let failure = Arc::default();
        let rewriter = Rewriter::new(
            text,
            options.url.to_wire().to_string(),
            options.credentials.clone(),
        );
        let (wanted, mut unwanted) = oneshot::channel();
        let relay = Self {
            local,
            failure: Arc::clone(&failure),
            _wanted: wanted,
        };
        let present = goodbyes.enter();
        tokio::spawn(async move {
            let _present = present;
            let mut pump = Pump {
                way,
                camera,
                rewriter,
            };
            let library = tokio::select! {
                library = pump.wait_for_library(listener) => library,
                _ = &mut unwanted => None,
            };
            if let Some(library) = library
                && let Err(error) = pump.run(library).await
            {
                debug!(%error, "relay to the camera broke");
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        });
        Ok(relay)
    }

    /// Why the relay ended, if not because the library or the camera closed.
    pub(crate) fn take_failure(&self) -> Option<CameraError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Both directions to the camera, and what had been read when the way was open.
struct Connection {
    reader: Reader,
    writer: Writer,
    early: Vec<u8>,
    /// Of an HTTP tunnel: what the camera says to the POST, which ought to be nothing, and what it may still carry.
    post: Option<(Reader, usize)>,
    /// Of an HTTP tunnel: our side of the GET. Nothing is said there, but to close it would look like leaving.
    _get: Option<Writer>,
}

/// How to get to the camera.
struct Way {
    options: CameraOptions,
    port: u16,
    tls: Option<ClientTls>,
    tunnel: Option<Tunnel>,
}

impl Way {
    fn new(options: &CameraOptions, secured: bool) -> Self {
        let url = options.url.to_wire();
        let http = options.transport == Transport::Http;
        let port = url.port().unwrap_or(match (http, secured) {
            (true, true) => 443,
            (true, false) => 80,
            (false, true) => 322,
            (false, false) => 554,
        });
        let tunnel = http.then(|| {
            let path = match url.query() {
                Some(query) => format!("{}?{query}", url.path()),
                None => url.path().to_owned(),
            };
            let path = if path.starts_with('/') {
                path
            } else {
                format!("/{path}")
            };
            let cookie = format!("{:016x}{:016x}", random_u64(), random_u64());
            Tunnel::new(path, format!("{}:{port}", options.url.host()), cookie)
        });
        Self {
            options: options.clone(),
            port,
            tls: secured.then(|| options.tls.clone().unwrap_or_default()),
            tunnel,
        }
    }

    /// All connections that are needed.
    async fn open(&mut self) -> Result<Connection, CameraError> {
        if self.tunnel.is_none() {
            let (reader, writer) = self.connect().await?;
            return Ok(Connection {
                reader,
                writer,
                early: Vec::new(),
                post: None,
                _get: None,
            });
        }
        loop {
            let (mut reader, mut writer) = self.connect().await?;
            let credentials = self.options.credentials.as_ref();
            let Some(tunnel) = &mut self.tunnel else {
                return Err(self.broken(&std::io::Error::other("no tunnel")));
            };
            let request = tunnel.get(credentials);
            if let Err(error) = send(&mut writer, request.as_bytes()).await {
                return Err(self.broken(&error));
            }
            let mut buffer = Vec::new();
            let head = loop {
                if let Some(head) = Head::parse(&buffer) {
                    break head;
                }
                match reader.read_buf(&mut buffer).await {
                    Ok(1..) if buffer.len() <= MAX_HEAD => {}
                    Ok(_) => return Err(self.no_tunnel(0)),
                    Err(error) => return Err(self.broken(&error)),
                }
            };
            let had_credentials = credentials.is_some();
            match head.kind {
                Kind::Answer { status: 200 } => {
                    let early = buffer.split_off(head.len.min(buffer.len()));
                    let (post_reader, post_writer) = self.post().await?;
                    return Ok(Connection {
                        reader,
                        writer: post_writer,
                        early,
                        post: Some((post_reader, POST_BYTES)),
                        _get: Some(writer),
                    });
                }
                // The answer to a challenge goes over a new connection: HTTP/1.0 has closed this one.
                Kind::Answer { status: 401 } if had_credentials && tunnel.challenged(&head) => {}
                Kind::Answer {
                    status: status @ (401 | 403),
                } => {
                    return Err(CameraError::Status {
                        url: self.options.url.clone(),
                        status,
                        had_credentials,
                        source: None,
                    });
                }
                Kind::Answer { status } => return Err(self.no_tunnel(status)),
                Kind::Request { .. } => return Err(self.no_tunnel(0)),
            }
        }
    }

    /// The tunnel's way up; its answer never comes while all is well.
    async fn post(&mut self) -> Result<(Reader, Writer), CameraError> {
        let (reader, mut writer) = self.connect().await?;
        let credentials = self.options.credentials.as_ref();
        if let Some(tunnel) = &mut self.tunnel {
            let request = tunnel.post(credentials);
            if let Err(error) = send(&mut writer, request.as_bytes()).await {
                return Err(self.broken(&error));
            }
        }
        Ok((reader, writer))
    }

    async fn connect(&self) -> Result<(Reader, Writer), CameraError> {
        let url = &self.options.url;
        let host = url.host().trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, self.port))
            .await
            .map_err(|error| CameraError::Network {
                url: url.clone(),
                message: format!("no connection to port {} ({error})", self.port),
                source: Some(SharedError::new(error)),
            })?;
        // Requests are small and should leave at once. A socket that cannot be told so works too.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            let (reader, writer) = stream.into_split();
            return Ok((Box::new(reader), Box::new(writer)));
        };
        let refused = |message: String, source| CameraError::Tls {
            url: url.clone(),
            message,
            source,
        };
        let ours = |error: ClientTlsError| refused(error.to_string(), Some(SharedError::new(error)));
        let config = tls.config(&[]).map_err(ours)?;
        let name = server_name(url.host()).map_err(ours)?;
        let stream = TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| {
                let message = error
                    .get_ref()
                    .and_then(|inner| inner.downcast_ref::<rustls::Error>())
                    .map_or_else(
                        || format!("the handshake broke off ({error}): does it offer TLS on this port?"),
                        advice,
                    );
                refused(message, Some(SharedError::new(error)))
            })?;
        let (reader, writer) = tokio::io::split(stream);
        Ok((Box::new(reader), Box::new(writer)))
    }

    fn broken(&self, error: &std::io::Error) -> CameraError {
        CameraError::Network {
            url: self.options.url.clone(),
            message: format!("the connection broke ({error})"),
            source: None,
        }
    }

    fn no_tunnel(&self, status: u16) -> CameraError {
        CameraError::Tunnel {
            url: self.options.url.clone(),
            status,
        }
    }
}

/// What to do about a handshake that failed.
fn advice(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS on this port: does it offer RTSPS here?".to_owned()
        }
        _ => certificate_advice(error).unwrap_or_else(|| error.to_string()),
    }
}

struct Pump {
    way: Way,
    camera: Connection,
    rewriter: Rewriter,
}

impl Pump {
    /// The one connection that knows the secret. The listener is gone afterwards, so there is no second one.
    async fn wait_for_library(&mut self, listener: TcpListener) -> Option<(TcpStream, Vec<u8>)> {
        for _ in 0..STRANGERS {
            // The library connects at once or never: its attempt was dropped.
            let (mut stream, _) = timeout(WRITE_TIMEOUT, listener.accept()).await.ok()?.ok()?;
            let mut buffer = Vec::new();
            let introduced = timeout(INTRODUCTION, async {
                loop {
                    if let Some(head) = Head::parse(&buffer) {
                        return self.rewriter.is_library(&head);
                    }
                    if buffer.len() > MAX_HEAD || !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                        return false;
                    }
                }
            })
            .await;
            if introduced == Ok(true) {
                return Some((stream, buffer));
            }
        }
        None
    }

    /// Carries both ways until one of them ends.
    async fn run(&mut self, (library, early): (TcpStream, Vec<u8>)) -> Result<(), CameraError> {
        let _ = library.set_nodelay(true);
        let (mut from_library, mut to_library) = library.into_split();
        let (mut up, mut down) = (vec![0; 4096], vec![0; CHUNK]);
        let (mut for_camera, mut for_library) = (Vec::new(), Vec::new());

        if self.rewriter.library_said(&early, &mut for_camera).is_err() {
            return Ok(());
        }
        let early = std::mem::take(&mut self.camera.early);
        self.rewriter
            .camera_said(&early, &mut for_library, &mut for_camera);
        loop {
            if !for_camera.is_empty() {
                self.say(&for_camera).await?;
                for_camera.clear();
            }
            if !for_library.is_empty() {
                if !matches!(
                    timeout(WRITE_TIMEOUT, to_library.write_all(&for_library)).await,
                    Ok(Ok(()))
                ) {
                    break;
                }
                for_library.clear();
            }
            tokio::select! {
                read = from_library.read(&mut up) => match read {
                    Ok(len @ 1..) => {
                        let bytes = up.get(..len).unwrap_or_default();
                        if self.rewriter.library_said(bytes, &mut for_camera).is_err() {
                            break;
                        }
                    }
                    _ => break,
                },
                read = self.camera.reader.read(&mut down) => match read {
                    Ok(0) => return Ok(()),
                    Ok(len) => {
                        let bytes = down.get(..len).unwrap_or_default();
                        self.rewriter.camera_said(bytes, &mut for_library, &mut for_camera);
                    }
                    // Cameras that close without TLS's own goodbye are many.
                    Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                    Err(error) => return Err(self.way.broken(&error)),
                },
                status = answer_to_post(&mut self.camera.post) => return Err(self.way.no_tunnel(status)),
            }
        }
        // The library has gone: so that the camera does not keep the session, and count it against its limit.
        let _ = timeout(FAREWELL, self.farewell()).await;
        Ok(())
    }

    async fn farewell(&mut self) -> Result<(), CameraError> {
        let mut request = Vec::new();
        if self.rewriter.teardown(&mut request).is_none() {
            return Ok(());
        }
        self.say(&request).await?;
        let mut chunk = vec![0; CHUNK];
        while self.rewriter.waits_for_farewell() {
            let Ok(len @ 1..) = self.camera.reader.read(&mut chunk).await else {
                break;
            };
            let mut again = Vec::new();
            let bytes = chunk.get(..len).unwrap_or_default();
            self.rewriter.camera_said(bytes, &mut Vec::new(), &mut again);
            if !again.is_empty() {
                self.say(&again).await?;
            }
        }
        let _ = self.camera.writer.shutdown().await;
        Ok(())
    }

    async fn say(&mut self, bytes: &[u8]) -> Result<(), CameraError> {
        let Some((_, left)) = &mut self.camera.post else {
            return self.write(bytes).await;
        };
        let text = STANDARD.encode(bytes);
        if text.len() > *left {
            let (reader, writer) = self.way.post().await?;
            self.camera.writer = writer;
            self.camera.post = Some((reader, POST_BYTES.saturating_sub(text.len())));
        } else {
            *left -= text.len();
        }
        self.write(text.as_bytes()).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), CameraError> {
        match timeout(WRITE_TIMEOUT, send(&mut self.camera.writer, bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.way.broken(&error)),
            Err(_) => Err(self.way.broken(&std::io::ErrorKind::TimedOut.into())),
        }
    }
}

/// Writes, and sees to it that TLS holds nothing back.
async fn send(writer: &mut Writer, bytes: &[u8]) -> std::io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}

/// The status with which a camera refuses the tunnel's way up. It does not end for cameras that are content, whether
/// they answer that with 200, close their half, or say nothing.
async fn answer_to_post(post: &mut Option<(Reader, usize)>) -> u16 {
    if let Some((reader, _)) = post {
        let mut buffer = Vec::new();
        while let Ok(1..) = reader.read_buf(&mut buffer).await {
            match Head::parse(&buffer).map(|head| head.kind) {
                Some(Kind::Answer { status }) if status >= 400 => return status,
                _ if buffer.len() > MAX_HEAD => break,
                _ => {}
            }
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests;
