//! The way to a camera: TCP, TLS, or the two HTTP connections of a tunnel. Thin I/O around [`wire`](crate::wire).

mod tunnel;

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lva_client_transport::{ClientTls, ClientTlsError, server_name, tls_advice};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use self::tunnel::{POST_BYTES, Tunnel};
use crate::wire::authentication::{Authentication, LoginFailure, Next};
use crate::wire::message::{Message, end_of_head};
use crate::wire::repairs::Repairs;
use crate::{CameraError, CameraOptions, Transport};

/// A peer that reads nothing for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest head of an HTTP response.
const MAX_HEAD: usize = 64 * 1024;

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Both directions to a camera.
pub(crate) struct Connection {
    options: CameraOptions,
    port: u16,
    tls: Option<ClientTls>,
    reader: Reader,
    writer: Writer,
    local: Option<IpAddr>,
    peer: Option<IpAddr>,
    tunnel: Option<OpenTunnel>,
}

/// What a tunnel has beside its way down.
struct OpenTunnel {
    heads: Tunnel,
    /// The response to the POST, which normally never comes, and the bytes that the POST may still carry.
    post: Reader,
    left: usize,
    /// The sending side of the GET. Unused, but closing it would end the tunnel.
    _get: Writer,
}

/// One connection.
struct Pipe {
    reader: Reader,
    writer: Writer,
    local: Option<IpAddr>,
    peer: Option<IpAddr>,
}

impl Connection {
    /// Opens all connections that are needed. Also returns bytes that have come already.
    pub(crate) async fn open(options: &CameraOptions) -> Result<(Self, Vec<u8>), CameraError> {
        let secured = options.tls.is_some() || options.url.is_tls();
        if secured && matches!(options.transport, Transport::Udp | Transport::Multicast) {
            return Err(CameraError::Unsupported {
                url: options.url.clone(),
                what: "TLS does not protect RTP over UDP: use the transport tcp or http",
            });
        }
        let url = options.url.to_wire();
        let http = options.transport == Transport::Http;
        let port = url.port().unwrap_or(match (http, secured) {
            (true, true) => 443,
            (true, false) => 80,
            (false, true) => 322,
            (false, false) => 554,
        });
        let tls = secured.then(|| options.tls.clone().unwrap_or_default());
        if !http {
            let pipe = connect(options, port, tls.as_ref()).await?;
            let connection = Self {
                options: options.clone(),
                port,
                tls,
                reader: pipe.reader,
                writer: pipe.writer,
                local: pipe.local,
                peer: pipe.peer,
                tunnel: None,
            };
            return Ok((connection, Vec::new()));
        }
        let mut path = url.path().to_owned();
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        if let Some(query) = url.query() {
            path = format!("{path}?{query}");
        }
        let host = format!("{}:{port}", options.url.host());
        let cookie = random_token().map_err(|error| broken(options, &error))?;
        let login = Authentication::new(options.credentials.clone(), options.allows_basic());
        let mut heads = Tunnel::new(path, host, cookie, login);
        let mut tries = 0;
        loop {
            let mut down = connect(options, port, tls.as_ref()).await?;
            let request = heads.get();
            write_all(&mut down.writer, request.as_bytes())
                .await
                .map_err(|error| broken(options, &error))?;
            let (answer, early) = read_head(&mut down.reader, options).await?;
            match answer.status() {
                Some(200) => {
                    let up = connect(options, port, tls.as_ref()).await?;
                    let mut connection = Self {
                        options: options.clone(),
                        port,
                        tls,
                        reader: down.reader,
                        writer: up.writer,
                        local: down.local,
                        peer: down.peer,
                        tunnel: None,
                    };
                    let request = heads.post();
                    connection.write(request.as_bytes()).await?;
                    connection.tunnel = Some(OpenTunnel {
                        heads,
                        post: up.reader,
                        left: POST_BYTES,
                        _get: down.writer,
                    });
                    return Ok((connection, early));
                }
                // The response to a challenge goes over a new connection: HTTP/1.0 has closed this one.
                Some(401) => match heads.refused(&answer, tries) {
                    Next::Again { .. } => tries += 1,
                    Next::GiveUp(failure) => return Err(refused(options, 401, Some(failure))),
                },
                Some(403) => return Err(refused(options, 403, None)),
                status => return Err(no_tunnel(options, status.unwrap_or(0))),
            }
        }
    }

    /// Addresses of both ends, where the system knows them.
    pub(crate) fn addresses(&self) -> (Option<IpAddr>, Option<IpAddr>) {
        (self.local, self.peer)
    }

    /// Reads what has come; 0 at the end. Cancel safe.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, CameraError> {
        let Self {
            reader,
            tunnel,
            options,
            ..
        } = self;
        let read = async {
            match reader.read(buffer).await {
                Ok(len) => Ok(len),
                // Many cameras close without the closing message of TLS.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(0),
                Err(error) => Err(broken(options, &error)),
            }
        };
        let Some(tunnel) = tunnel else { return read.await };
        tokio::select! {
            read = read => read,
            status = rejected(&mut tunnel.post) => Err(no_tunnel(options, status)),
        }
    }

    /// Sends requests.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), CameraError> {
        if self.tunnel.is_none() {
            return self.write(bytes).await;
        }
        let text = STANDARD.encode(bytes);
        if self
            .tunnel
            .as_ref()
            .is_some_and(|tunnel| text.len() > tunnel.left)
        {
            let up = connect(&self.options, self.port, self.tls.as_ref()).await?;
            self.writer = up.writer;
            let Some(tunnel) = &mut self.tunnel else {
                return Ok(());
            };
            tunnel.post = up.reader;
            tunnel.left = POST_BYTES;
            let request = tunnel.heads.post();
            self.write(request.as_bytes()).await?;
        }
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.left = tunnel.left.saturating_sub(text.len());
        }
        self.write(text.as_bytes()).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), CameraError> {
        match timeout(WRITE_TIMEOUT, write_all(&mut self.writer, bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(broken(&self.options, &error)),
            Err(_) => Err(broken(&self.options, &std::io::ErrorKind::TimedOut.into())),
        }
    }

    /// Ends the sending direction.
    pub(crate) async fn shut_down(&mut self) {
        // A peer that is gone already needs no notice.
        let _ = self.writer.shutdown().await;
    }
}

async fn connect(options: &CameraOptions, port: u16, tls: Option<&ClientTls>) -> Result<Pipe, CameraError> {
    let url = &options.url;
    let host = url.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(|error| CameraError::Network {
            url: url.clone(),
            message: format!("cannot connect to port {port} ({error})"),
            // The message has it already, and would be printed twice.
            source: None,
        })?;
    // Requests are small and should leave at once; the connection works without this option too.
    let _ = stream.set_nodelay(true);
    let local = stream.local_addr().ok().map(|address| address.ip());
    let peer = stream.peer_addr().ok().map(|address| address.ip());
    let Some(tls) = tls else {
        let (reader, writer) = stream.into_split();
        return Ok(Pipe {
            reader: Box::new(reader),
            writer: Box::new(writer),
            local,
            peer,
        });
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
            // What rustls rejects has a name; the rest is a connection that broke.
            let rejected = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
            let message = match tls_advice(&error) {
                Some(advice) => advice,
                None if rejected => error.to_string(),
                None => format!(
                    "the handshake broke off ({error}): check that the camera offers TLS on this port"
                ),
            };
            tls_error(message, Arc::new(error))
        })?;
    let (reader, writer) = tokio::io::split(stream);
    Ok(Pipe {
        reader: Box::new(reader),
        writer: Box::new(writer),
        local,
        peer,
    })
}

/// The head of the answer to a GET, and what came behind it.
async fn read_head(reader: &mut Reader, options: &CameraOptions) -> Result<(Message, Vec<u8>), CameraError> {
    let (mut buffer, mut scanned) = (Vec::new(), 0);
    loop {
        match end_of_head(&buffer, scanned) {
            Ok(len) => {
                let early = buffer.split_off(len.min(buffer.len()));
                return Ok((Message::parse(&buffer, &mut Repairs::default()), early));
            }
            Err(now) => scanned = now,
        }
        match reader.read_buf(&mut buffer).await {
            Ok(1..) if buffer.len() <= MAX_HEAD => {}
            Ok(_) => return Err(no_tunnel(options, 0)),
            Err(error) => return Err(broken(options, &error)),
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
async fn rejected(post: &mut Reader) -> u16 {
    let mut buffer = Vec::new();
    while let Ok(1..) = post.read_buf(&mut buffer).await {
        if let Ok(len) = end_of_head(&buffer, 0) {
            let answer = Message::parse(buffer.get(..len).unwrap_or_default(), &mut Repairs::default());
            if let Some(status) = answer.status().filter(|status| *status >= 400) {
                return status;
            }
            buffer.clear();
        } else if buffer.len() > MAX_HEAD {
            break;
        }
    }
    std::future::pending().await
}

fn broken(options: &CameraOptions, error: &std::io::Error) -> CameraError {
    CameraError::Broken {
        url: options.url.clone(),
        message: error.to_string(),
    }
}

fn refused(options: &CameraOptions, status: u16, login: Option<LoginFailure>) -> CameraError {
    CameraError::Status {
        url: options.url.clone(),
        status,
        login,
    }
}

fn no_tunnel(options: &CameraOptions, status: u16) -> CameraError {
    CameraError::Tunnel {
        url: options.url.clone(),
        status,
    }
}

/// 128 random bits in hexadecimal.
fn random_token() -> std::io::Result<String> {
    let random = || getrandom::u64().map_err(std::io::Error::other);
    Ok(format!("{:016x}{:016x}", random()?, random()?))
}
