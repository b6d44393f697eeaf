//! A loopback proxy between the client library, which speaks only plain RTSP over TCP, and a camera behind TLS or an
//! HTTP tunnel.
//!
//! The library connects to a loopback address with a secret path, and the proxy forwards its requests with the camera's
//! addresses ([`rewrite`]). Reasons and alternatives: `docs/decisions/0007-rtsp-proxy.md`.

mod message;
mod rewrite;
mod tunnel;

use std::error::Error;
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
use crate::{CameraError, CameraOptions, Transport};

/// How long a client on loopback may take to send its first request.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_millis(500);
/// How many unknown clients on loopback are rejected before the attempt fails.
const MAX_REJECTED_CLIENTS: usize = 64;
/// How long the camera may take to answer TEARDOWN.
const TEARDOWN_TIMEOUT: Duration = Duration::from_millis(400);
/// A peer that reads nothing for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest head of an HTTP response.
const MAX_HEAD: usize = 64 * 1024;
const CHUNK: usize = 64 * 1024;

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// A proxy for one session. Its task ends after the library's connection, once TEARDOWN was sent.
#[derive(Debug)]
pub(crate) struct LoopbackProxy {
    /// The address that the library connects to.
    pub(crate) local: Url,
    failure: Arc<Mutex<Option<CameraError>>>,
    /// Dropped with the session, or with an attempt that was cancelled before the library connected.
    _alive: oneshot::Sender<()>,
}

/// Counts proxies that still have to send TEARDOWN, so that a new session can wait for the end of the old one.
#[derive(Debug, Clone, Default)]
pub(crate) struct TeardownTracker(watch::Sender<usize>);

struct TeardownGuard(watch::Sender<usize>);

impl TeardownTracker {
    fn register(&self) -> TeardownGuard {
        self.0.send_modify(|count| *count += 1);
        TeardownGuard(self.0.clone())
    }

    /// Waits until none is left.
    pub(crate) async fn wait_all(&self) {
        // `self` keeps the channel open, so this ends only with the condition.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for TeardownGuard {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Whether a camera with these options needs a proxy.
pub(crate) fn is_needed(options: &CameraOptions) -> bool {
    options.transport == Transport::Http || options.tls.is_some() || options.url.is_tls()
}

impl LoopbackProxy {
    /// Connects to the camera, and listens on loopback for the library.
    pub(crate) async fn start(
        options: &CameraOptions,
        teardowns: &TeardownTracker,
    ) -> Result<Self, CameraError> {
        let secured = options.tls.is_some() || options.url.is_tls();
        if secured && options.transport == Transport::Udp {
            return Err(CameraError::Unsupported {
                url: options.url.clone(),
                what: "TLS does not protect RTP over UDP: use the transport tcp or http",
            });
        }
        let loopback = |error: std::io::Error| CameraError::Network {
            url: options.url.clone(),
            message: format!("the proxy on 127.0.0.1 cannot start ({error})"),
            source: None,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(loopback)?;
        let port = listener.local_addr().map_err(loopback)?.port();
        let secret = random_token().map_err(loopback)?;
        let text = format!("rtsp://127.0.0.1:{port}/{secret}");
        let local = Url::parse(&text).map_err(|error| loopback(std::io::Error::other(error)))?;

        let mut route = Route::new(options, secured).map_err(loopback)?;
        let camera = route.open().await?;
        let failure = Arc::default();
        let rewriter = Rewriter::new(
            text,
            options.url.to_wire().to_string(),
            options.credentials.clone(),
        );
        let (alive, mut dropped) = oneshot::channel();
        let proxy = Self {
            local,
            failure: Arc::clone(&failure),
            _alive: alive,
        };
        let guard = teardowns.register();
        tokio::spawn(async move {
            let _guard = guard;
            let mut forwarder = Forwarder {
                route,
                camera,
                rewriter,
            };
            let client = tokio::select! {
                client = forwarder.accept_client(listener) => client,
                _ = &mut dropped => None,
            };
            if let Some(client) = client
                && let Err(error) = forwarder.run(client).await
            {
                debug!(%error, "proxied connection to the camera failed");
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        });
        Ok(proxy)
    }

    /// Why the proxy ended, unless the library or the camera closed the connection.
    pub(crate) fn take_failure(&self) -> Option<CameraError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Both directions to the camera, and the bytes already read from it.
struct Connection {
    reader: Reader,
    writer: Writer,
    early: Vec<u8>,
    /// Of an HTTP tunnel: the response to the POST, which normally never comes, and the bytes that the POST may still
    /// carry.
    post: Option<(Reader, usize)>,
    /// Of an HTTP tunnel: the sending side of the GET. Unused, but closing it would end the tunnel.
    _get: Option<Writer>,
}

/// How to reach the camera.
struct Route {
    options: CameraOptions,
    port: u16,
    tls: Option<ClientTls>,
    tunnel: Option<Tunnel>,
}

impl Route {
    fn new(options: &CameraOptions, secured: bool) -> std::io::Result<Self> {
        let url = options.url.to_wire();
        let http = options.transport == Transport::Http;
        let port = url.port().unwrap_or(match (http, secured) {
            (true, true) => 443,
            (true, false) => 80,
            (false, true) => 322,
            (false, false) => 554,
        });
        let tunnel = match http {
            true => {
                let mut path = url.path().to_owned();
                if !path.starts_with('/') {
                    path.insert(0, '/');
                }
                if let Some(query) = url.query() {
                    path = format!("{path}?{query}");
                }
                let host = format!("{}:{port}", options.url.host());
                Some(Tunnel::new(path, host, random_token()?))
            }
            false => None,
        };
        Ok(Self {
            options: options.clone(),
            port,
            tls: secured.then(|| options.tls.clone().unwrap_or_default()),
            tunnel,
        })
    }

    /// Opens all connections that are needed.
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
            if let Err(error) = write_all(&mut writer, request.as_bytes()).await {
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
                Kind::Response { status: 200 } => {
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
                // The response to a challenge goes over a new connection: HTTP/1.0 has closed this one.
                Kind::Response { status: 401 } if had_credentials && tunnel.challenged(&head) => {}
                Kind::Response {
                    status: status @ (401 | 403),
                } => {
                    return Err(CameraError::Status {
                        url: self.options.url.clone(),
                        status,
                        had_credentials,
                        source: None,
                    });
                }
                Kind::Response { status } => return Err(self.no_tunnel(status)),
                Kind::Request { .. } => return Err(self.no_tunnel(0)),
            }
        }
    }

    /// The tunnel's connection to the camera; its response never comes while all is well.
    async fn post(&mut self) -> Result<(Reader, Writer), CameraError> {
        let (reader, mut writer) = self.connect().await?;
        let credentials = self.options.credentials.as_ref();
        if let Some(tunnel) = &mut self.tunnel {
            let request = tunnel.post(credentials);
            if let Err(error) = write_all(&mut writer, request.as_bytes()).await {
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
                message: format!("cannot connect to port {} ({error})", self.port),
                source: Some(Arc::new(error)),
            })?;
        // Requests are small and should leave at once; the connection works without this option too.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            let (reader, writer) = stream.into_split();
            return Ok((Box::new(reader), Box::new(writer)));
        };
        let tls_error = |message: String, source: Arc<dyn Error + Send + Sync>| CameraError::Tls {
            url: url.clone(),
            message,
            source: Some(source),
        };
        let setup = |error: ClientTlsError| tls_error(error.to_string(), Arc::new(error));
        let config = tls.config(&[]).map_err(setup)?;
        let name = server_name(url.host()).map_err(setup)?;
        let stream = TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| {
                let message = error
                    .get_ref()
                    .and_then(|inner| inner.downcast_ref::<rustls::Error>())
                    .map_or_else(
                        || format!("the handshake broke off ({error}): check that the camera offers TLS on this port"),
                        advice,
                    );
                tls_error(message, Arc::new(error))
            })?;
        let (reader, writer) = tokio::io::split(stream);
        Ok((Box::new(reader), Box::new(writer)))
    }

    fn broken(&self, error: &std::io::Error) -> CameraError {
        CameraError::Network {
            url: self.options.url.clone(),
            message: format!("the connection failed ({error})"),
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

struct Forwarder {
    route: Route,
    camera: Connection,
    rewriter: Rewriter,
}

impl Forwarder {
    /// Accepts the one client that knows the secret. Closes the listener afterwards, so there can be only one.
    async fn accept_client(&mut self, listener: TcpListener) -> Option<(TcpStream, Vec<u8>)> {
        for _ in 0..MAX_REJECTED_CLIENTS {
            // The library connects at once, or never if its attempt was cancelled.
            let (mut stream, _) = timeout(WRITE_TIMEOUT, listener.accept()).await.ok()?.ok()?;
            let mut buffer = Vec::new();
            let known = timeout(FIRST_REQUEST_TIMEOUT, async {
                loop {
                    if let Some(head) = Head::parse(&buffer) {
                        return self.rewriter.is_client(&head);
                    }
                    if buffer.len() > MAX_HEAD || !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
                        return false;
                    }
                }
            })
            .await;
            if known == Ok(true) {
                return Some((stream, buffer));
            }
        }
        None
    }

    /// Forwards in both directions until one of them ends.
    async fn run(&mut self, (client, early): (TcpStream, Vec<u8>)) -> Result<(), CameraError> {
        let _ = client.set_nodelay(true);
        let (mut from_client, mut to_client) = client.into_split();
        let (mut up, mut down) = (vec![0; 4096], vec![0; CHUNK]);
        let (mut for_server, mut for_client) = (Vec::new(), Vec::new());

        if self.rewriter.on_client_bytes(&early, &mut for_server).is_err() {
            return Ok(());
        }
        let early = std::mem::take(&mut self.camera.early);
        self.rewriter
            .on_server_bytes(&early, &mut for_client, &mut for_server);
        loop {
            if !for_server.is_empty() {
                self.send(&for_server).await?;
                for_server.clear();
            }
            if !for_client.is_empty() {
                if !matches!(
                    timeout(WRITE_TIMEOUT, to_client.write_all(&for_client)).await,
                    Ok(Ok(()))
                ) {
                    break;
                }
                for_client.clear();
            }
            tokio::select! {
                read = from_client.read(&mut up) => match read {
                    Ok(len @ 1..) => {
                        let bytes = up.get(..len).unwrap_or_default();
                        if self.rewriter.on_client_bytes(bytes, &mut for_server).is_err() {
                            break;
                        }
                    }
                    _ => break,
                },
                read = self.camera.reader.read(&mut down) => match read {
                    Ok(0) => return Ok(()),
                    Ok(len) => {
                        let bytes = down.get(..len).unwrap_or_default();
                        self.rewriter.on_server_bytes(bytes, &mut for_client, &mut for_server);
                    }
                    // Many cameras close without the closing message of TLS.
                    Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                    Err(error) => return Err(self.route.broken(&error)),
                },
                status = post_rejected(&mut self.camera.post) => return Err(self.route.no_tunnel(status)),
            }
        }
        // The library has disconnected. Without TEARDOWN the camera would keep the session and count it against its limit.
        let _ = timeout(TEARDOWN_TIMEOUT, self.tear_down()).await;
        Ok(())
    }

    async fn tear_down(&mut self) -> Result<(), CameraError> {
        let mut request = Vec::new();
        if self.rewriter.teardown(&mut request).is_none() {
            return Ok(());
        }
        self.send(&request).await?;
        let mut chunk = vec![0; CHUNK];
        while self.rewriter.awaits_teardown() {
            let Ok(len @ 1..) = self.camera.reader.read(&mut chunk).await else {
                break;
            };
            let mut again = Vec::new();
            let bytes = chunk.get(..len).unwrap_or_default();
            self.rewriter.on_server_bytes(bytes, &mut Vec::new(), &mut again);
            if !again.is_empty() {
                self.send(&again).await?;
            }
        }
        let _ = self.camera.writer.shutdown().await;
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), CameraError> {
        let Some((_, left)) = &mut self.camera.post else {
            return self.write(bytes).await;
        };
        let text = STANDARD.encode(bytes);
        if text.len() > *left {
            let (reader, writer) = self.route.post().await?;
            self.camera.writer = writer;
            self.camera.post = Some((reader, POST_BYTES.saturating_sub(text.len())));
        } else {
            *left -= text.len();
        }
        self.write(text.as_bytes()).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), CameraError> {
        match timeout(WRITE_TIMEOUT, write_all(&mut self.camera.writer, bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.route.broken(&error)),
            Err(_) => Err(self.route.broken(&std::io::ErrorKind::TimedOut.into())),
        }
    }
}

/// Writes and flushes: TLS buffers.
async fn write_all(writer: &mut Writer, bytes: &[u8]) -> std::io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}

/// The error status with which a camera rejects the tunnel's POST. Pending forever for cameras that accept it, whether
/// they answer 200, close their half, or send nothing.
async fn post_rejected(post: &mut Option<(Reader, usize)>) -> u16 {
    if let Some((reader, _)) = post {
        let mut buffer = Vec::new();
        while let Ok(1..) = reader.read_buf(&mut buffer).await {
            match Head::parse(&buffer).map(|head| head.kind) {
                Some(Kind::Response { status }) if status >= 400 => return status,
                _ if buffer.len() > MAX_HEAD => break,
                _ => {}
            }
        }
    }
    std::future::pending().await
}

/// 128 random bits in hexadecimal.
fn random_token() -> std::io::Result<String> {
    let random = || getrandom::u64().map_err(std::io::Error::other);
    Ok(format!("{:016x}{:016x}", random()?, random()?))
}

#[cfg(test)]
mod tests;
