use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::error::HttpTransportError;
use super::origin::Origin;
use super::read_after_close::ReadAfterPeerClose;
use crate::error::ClientTlsError;
use crate::tls::{ClientTls, server_name};

/// How long a connection may take to become ready for the next request after a response.
const READY_TIMEOUT: Duration = Duration::from_millis(100);

/// Provisional answers (1xx) to one request. Servers send one.
const MAX_PROVISIONAL: usize = 16;

/// What a server may cost: time and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Time to resolve, reach and, with TLS, check the server. Default 10 s: small devices take seconds for TLS.
    pub connect_timeout: Duration,
    /// Time for one exchange, connecting included. Default 30 s. A short time gives up on a server that is merely slow;
    /// with a long one, a server that stalls goes unnoticed for as long.
    pub exchange_timeout: Duration,
    /// Most bytes of a response's headers, at least 8 KiB. Default 64 KiB.
    pub max_header_bytes: usize,
    /// Most bytes of a response's body. Default 4 MiB.
    pub max_body_bytes: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            exchange_timeout: Duration::from_secs(30),
            max_header_bytes: 64 * 1024,
            max_body_bytes: 4 * 1024 * 1024,
        }
    }
}

/// A complete response.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpResponse {
    /// The status. Redirections are returned like any other status, never followed.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The address that responded.
    pub peer: Option<IpAddr>,
}

impl HttpResponse {
    /// A header's value, unless it has bytes beyond ASCII.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The challenges of a 401, one string for each `WWW-Authenticate` header.
    pub fn challenges(&self) -> impl Iterator<Item = &str> {
        let all = self.headers.get_all(header::WWW_AUTHENTICATE).iter();
        all.filter_map(|value| value.to_str().ok())
    }
}

/// A client of one server that keeps its connection open between requests.
///
/// A request over a kept connection that the server has closed in the meantime is sent once more over a new one. Dropping
/// the future of an exchange closes the connection.
pub struct HttpConnection {
    origin: Origin,
    host: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    limits: HttpLimits,
    open: Option<Open>,
    opened: u64,
}

struct Open {
    sender: SendRequest<Full<Bytes>>,
    peer: Option<IpAddr>,
    driver: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl HttpConnection {
    /// Connects with the first request. Without TLS in the origin, `tls` is not used.
    ///
    /// # Errors
    ///
    /// [`ClientTlsError`], also for a host that cannot stand in a header.
    pub fn new(origin: Origin, tls: &ClientTls, limits: HttpLimits) -> Result<Self, ClientTlsError> {
        let host = HeaderValue::from_str(&origin.authority()).map_err(|_| ClientTlsError::HostName {
            host: origin.host().to_owned(),
        })?;
        let tls = match origin.is_tls() {
            true => Some((
                TlsConnector::from(tls.config(&["http/1.1"])?),
                server_name(origin.host())?,
            )),
            false => None,
        };
        Ok(Self {
            origin,
            host,
            tls,
            limits,
            open: None,
            opened: 0,
        })
    }

    /// The server.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How many connections were opened so far.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Sends a request and reads the whole response. The URI of the request is the path and query. `Host`, unless the
    /// request has it, and `Content-Length` are added.
    ///
    /// # Errors
    ///
    /// [`HttpTransportError`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn exchange(&mut self, request: Request<Bytes>) -> Result<HttpResponse, HttpTransportError> {
        let limit = self.limits.max_body_bytes;
        self.exchange_bounded(request, limit).await
    }

    /// The same with another limit of the body, in bytes.
    ///
    /// # Errors
    ///
    /// As [`exchange`](Self::exchange).
    pub async fn exchange_bounded(
        &mut self,
        request: Request<Bytes>,
        max_body_bytes: usize,
    ) -> Result<HttpResponse, HttpTransportError> {
        let waited = self.limits.exchange_timeout;
        let exchange = self.send(request, max_body_bytes);
        let response = tokio::time::timeout(waited, exchange).await;
        response.unwrap_or(Err(HttpTransportError::TimedOut { waited }))
    }

    async fn send(
        &mut self,
        request: Request<Bytes>,
        limit: usize,
    ) -> Result<HttpResponse, HttpTransportError> {
        let mut request = request.map(Full::new);
        if !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, self.host.clone());
        }
        // Taken out, so that an exchange that is dropped half-way takes its connection along.
        let kept = self.open.take().filter(|kept| !kept.sender.is_closed());
        let mut is_kept = kept.is_some();
        let mut open = match kept {
            Some(open) => open,
            None => self.connect().await?,
        };
        let too_many = count_provisional(&mut request);
        let response = loop {
            let answer = tokio::select! {
                answer = open.sender.try_send_request(request) => answer,
                () = too_many.notified() => {
                    return Err(HttpTransportError::Provisional { limit: MAX_PROVISIONAL });
                }
            };
            match answer {
                Ok(response) => break response,
                Err(mut error) => match error.take_message() {
                    // The server closed a kept connection before it took the request.
                    Some(unsent) if is_kept => {
                        request = unsent;
                        open = self.connect().await?;
                        is_kept = false;
                    }
                    _ => return Err(HttpTransportError::Broken(error.into_error())),
                },
            }
        };
        let response = read(response, limit, open.peer).await?;
        let ready = tokio::time::timeout(READY_TIMEOUT, open.sender.ready()).await;
        if matches!(ready, Ok(Ok(()))) {
            self.open = Some(open);
        }
        Ok(response)
    }

    async fn connect(&mut self) -> Result<Open, HttpTransportError> {
        let connecting = tokio::time::timeout(self.limits.connect_timeout, self.connect_at_leisure());
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the connection took too long");
        let open = connecting
            .await
            .map_err(late)
            .map_err(HttpTransportError::Unreachable)??;
        self.opened += 1;
        Ok(open)
    }

    /// Exchanges over this stream, until it ends.
    #[cfg(any(test, fuzzing))]
    pub(super) async fn open_over<S>(&mut self, stream: S) -> Result<(), HttpTransportError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.open = Some(self.handshake(stream, None).await?);
        Ok(())
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn is_open(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.sender.is_closed())
    }

    async fn connect_at_leisure(&self) -> Result<Open, HttpTransportError> {
        if let Some(path) = self.origin.socket() {
            return self.connect_unix(path).await;
        }
        let socket = TcpStream::connect((self.origin.host(), self.origin.port())).await;
        let socket = socket.map_err(HttpTransportError::Unreachable)?;
        // Requests should leave at once. A socket that refuses the option works too.
        let _ = socket.set_nodelay(true);
        let peer = socket.peer_addr().ok().map(|address| address.ip());
        let socket = ReadAfterPeerClose(socket);
        match &self.tls {
            None => self.handshake(socket, peer).await,
            Some((tls, name)) => match tls.connect(name.clone(), socket).await {
                Ok(socket) => self.handshake(socket, peer).await,
                // A server that presents a wrong certificate, or speaks TLS badly, will do so again.
                Err(error) if error.get_ref().is_some_and(|cause| cause.is::<rustls::Error>()) => {
                    Err(HttpTransportError::Untrusted(error))
                }
                Err(error) => Err(HttpTransportError::Unreachable(error)),
            },
        }
    }

    #[cfg(unix)]
    async fn connect_unix(&self, path: &Path) -> Result<Open, HttpTransportError> {
        let socket = UnixStream::connect(path).await;
        self.handshake(socket.map_err(HttpTransportError::Unreachable)?, None)
            .await
    }

    #[cfg(not(unix))]
    async fn connect_unix(&self, _: &Path) -> Result<Open, HttpTransportError> {
        let error = io::Error::new(io::ErrorKind::Unsupported, "this system has no Unix sockets");
        Err(HttpTransportError::Unreachable(error))
    }

    async fn handshake<S>(&self, socket: S, peer: Option<IpAddr>) -> Result<Open, HttpTransportError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        // hyper panics below its smallest buffer.
        let max_header_bytes = self.limits.max_header_bytes.max(8 * 1024);
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(max_header_bytes)
            // Small devices still fold their header lines.
            .allow_obsolete_multiline_headers_in_responses(true)
            .handshake(TokioIo::new(socket))
            .await
            .map_err(HttpTransportError::Broken)?;
        let driver = tokio::spawn(async move {
            // An exchange reports its errors; between two exchanges they only close the connection.
            let _ = connection.await;
        });
        Ok(Open { sender, peer, driver })
    }
}

impl fmt::Debug for HttpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnection")
            .field("origin", &self.origin)
            .field("is_open", &self.open.is_some())
            .field("opened", &self.opened)
            .finish_non_exhaustive()
    }
}

/// Tells when there are too many: they have no limit of their own, and each costs processor time.
fn count_provisional(request: &mut Request<Full<Bytes>>) -> Arc<Notify> {
    let too_many = Arc::new(Notify::new());
    let tell = Arc::clone(&too_many);
    let count = AtomicUsize::new(0);
    hyper::ext::on_informational(request, move |_| {
        if count.fetch_add(1, Ordering::Relaxed) >= MAX_PROVISIONAL {
            tell.notify_one();
        }
    });
    too_many
}

async fn read(
    response: Response<Incoming>,
    limit: usize,
    peer: Option<IpAddr>,
) -> Result<HttpResponse, HttpTransportError> {
    let (parts, body) = response.into_parts();
    if body.size_hint().lower() > limit as u64 {
        return Err(HttpTransportError::TooLarge { limit });
    }
    let body = match Limited::new(body, limit).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(HttpTransportError::TooLarge { limit }),
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => return Err(HttpTransportError::Broken(*error)),
            // Nothing but the limit and the connection can fail.
            Err(_) => return Err(HttpTransportError::TooLarge { limit }),
        },
    };
    Ok(HttpResponse {
        status: parts.status,
        headers: parts.headers,
        body,
        peer,
    })
}

#[cfg(test)]
mod tests;
