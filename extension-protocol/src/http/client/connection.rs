//! Sockets and TLS, and one exchange over them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::error::HttpError;
use super::hears_out::HearsOut;
use super::options::HttpClientOptions;
use crate::BoxError;
use crate::http::tls::HttpTlsError;
use crate::http::{HttpUrl, media_type};

/// How long a connection is given to become ready for the next request once an answer was read.
const READY: Duration = Duration::from_millis(100);

/// Makes connections to one server.
pub(super) struct Connector {
    url: HttpUrl,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
    largest_answer: usize,
}

/// A connection between two requests.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    /// Other than `identity`.
    pub(super) content_encoding: Option<String>,
    pub(super) retry_after: Option<String>,
    pub(super) location: Option<String>,
    pub(super) challenges: Vec<String>,
    pub(super) body: Bytes,
}

impl Connector {
    pub(super) fn new(options: &HttpClientOptions) -> Result<Self, HttpTlsError> {
        let url = options.url.clone();
        let tls = if url.is_tls() {
            let config = options.tls.client_config()?;
            let name = ServerName::try_from(url.host().to_owned()).map_err(|_| HttpTlsError::HostName)?;
            Some((TlsConnector::from(Arc::new(config)), name))
        } else {
            None
        };
        Ok(Self {
            url,
            tls,
            timeout: options.connect_timeout,
            largest_answer: options.largest_answer,
        })
    }

    /// The contract's request.
    pub(super) fn request(
        &self,
        options: &HttpClientOptions,
        credentials: Option<(HeaderName, HeaderValue)>,
        picture: &Bytes,
    ) -> Result<Request<Full<Bytes>>, HttpError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.url.path_and_query())
            .header(header::HOST, self.url.authority())
            .header(header::CONTENT_TYPE, media_type(options.encoding))
            .header(header::ACCEPT, "application/json, */*")
            .header("x-ms-client-request-id", request_id());
        if let Ok(name) = HeaderValue::from_str(&options.user_agent) {
            request = request.header(header::USER_AGENT, name);
        }
        if let (Some((name, value)), Some(headers)) = (credentials, request.headers_mut()) {
            headers.insert(name, value);
        }
        // The length of a `Full` body is known, so `Content-Length` is set from it.
        request
            .body(Full::new(picture.clone()))
            .map_err(|error| self.broken(error))
    }

    /// Sends a request over the connection that is held, or a new one, and reads the whole answer. The connection comes
    /// back where it can be used again.
    pub(super) async fn exchange(
        &self,
        held: Option<Connection>,
        request: Request<Full<Bytes>>,
    ) -> Result<(Reply, Option<Connection>), HttpError> {
        let (mut connection, mut held) = match held.filter(|held| !held.sender.is_closed()) {
            Some(connection) => (connection, true),
            None => (self.connect().await?, false),
        };
        let mut request = request;
        let response = loop {
            match connection.sender.try_send_request(request).await {
                Ok(response) => break response,
                Err(mut error) => match error.take_message() {
                    // The server closed a connection that was kept, and nothing was sent: that is how keeping ends.
                    Some(unsent) if held => {
                        request = unsent;
                        connection = self.connect().await?;
                        held = false;
                    }
                    _ => return Err(self.broken(error.into_error())),
                },
            }
        };
        let reply = self.read(response).await?;
        let ready = tokio::time::timeout(READY, connection.sender.ready()).await;
        let reusable = matches!(ready, Ok(Ok(())));
        Ok((reply, reusable.then_some(connection)))
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Reply, HttpError> {
        let too_large = || HttpError::TooLarge {
            url: self.url.to_string(),
            limit: self.largest_answer,
        };
        let (parts, body) = response.into_parts();
        if body.size_hint().lower() > self.largest_answer as u64 {
            return Err(too_large());
        }
        let body = match Limited::new(body, self.largest_answer).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
            Err(error) => return Err(self.broken(error)),
        };
        let one = |name| text(&parts.headers, name);
        Ok(Reply {
            status: parts.status.as_u16(),
            content_type: one(header::CONTENT_TYPE),
            content_encoding: one(header::CONTENT_ENCODING)
                .filter(|name| !name.trim().is_empty() && !name.trim().eq_ignore_ascii_case("identity")),
            retry_after: one(header::RETRY_AFTER),
            location: one(header::LOCATION),
            challenges: parts
                .headers
                .get_all(header::WWW_AUTHENTICATE)
                .iter()
                .filter_map(|value| value.to_str().ok().map(str::to_owned))
                .collect(),
            body,
        })
    }

    async fn connect(&self) -> Result<Connection, HttpError> {
        let connecting = async {
            let address = (self.url.host(), self.url.port());
            let socket = TcpStream::connect(address)
                .await
                .map_err(|e| self.unreachable(e))?;
            socket.set_nodelay(true).map_err(|e| self.unreachable(e))?;
            let socket = HearsOut(socket);
            match &self.tls {
                None => self.shake_hands(socket).await,
                Some((tls, name)) => {
                    let secured = tls.connect(name.clone(), socket).await;
                    let secured = secured.map_err(|source| self.not_secured(source))?;
                    self.shake_hands(secured).await
                }
            }
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection came to be in time");
        tokio::time::timeout(self.timeout, connecting)
            .await
            .map_err(late)
            .map_err(|e| self.unreachable(e))?
    }

    async fn shake_hands<S>(&self, socket: S) -> Result<Connection, HttpError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(socket))
            .await
            .map_err(|error| self.broken(error))?;
        let driver = tokio::spawn(async move {
            // Its errors reach whoever waits for an answer; between two requests nobody cares.
            let _ = connection.await;
        });
        Ok(Connection { sender, driver })
    }

    /// A peer that breaks off is as good as away; one that speaks TLS badly, or shows a wrong certificate, stays so.
    fn not_secured(&self, source: io::Error) -> HttpError {
        if source.get_ref().is_some_and(|cause| cause.is::<rustls::Error>()) {
            HttpError::Untrusted {
                url: self.url.to_string(),
                source,
            }
        } else {
            self.unreachable(source)
        }
    }

    fn unreachable(&self, source: io::Error) -> HttpError {
        HttpError::Unreachable {
            url: self.url.to_string(),
            source,
        }
    }

    fn broken(&self, source: impl Into<BoxError>) -> HttpError {
        HttpError::Broken {
            url: self.url.to_string(),
            source: source.into(),
        }
    }
}

/// A header's value. Types and addresses with bytes beyond ASCII are read as if they were not there.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// A random UUID (RFC 9562, version 4), for the server's log.
fn request_id() -> String {
    let mut bytes = [0_u8; 16];
    // Without the system's randomness the id is a poor one, and the picture is none the worse.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    let number = u128::from_be_bytes(bytes);
    let number = number & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_random_uuids() {
        let (one, other) = (request_id(), request_id());
        assert_ne!(one, other);
        for id in [one, other] {
            assert_eq!(id.len(), 36);
            let shape: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(shape, [8, 4, 4, 4, 12]);
            assert_eq!(id.as_bytes()[14], b'4', "{id}");
            assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
        }
    }
}
