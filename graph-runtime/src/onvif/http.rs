//! Sockets and TLS to one device, and one exchange over them, within time and size.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderName};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use lva_extension_protocol::http::{HttpTls, HttpTlsError};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::address::DeviceUrl;
use super::error::OnvifError;
use super::inquiry::{Call, Reply};

/// Most bytes of an answer's headers.
const MAX_HEADERS: usize = 32 * 1024;

/// A client of one device. It keeps its connection where the device does.
pub(super) struct Client {
    url: DeviceUrl,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
    connection: Option<Connection>,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    peer: Option<IpAddr>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Client {
    pub(super) fn new(url: DeviceUrl, tls: &HttpTls, timeout: Duration) -> Result<Self, OnvifError> {
        let tls = if url.is_tls() {
            let config = tls.client_config().map_err(OnvifError::Tls)?;
            let name = ServerName::try_from(url.host().to_owned());
            let name = name.map_err(|_| OnvifError::Tls(HttpTlsError::HostName))?;
            Some((TlsConnector::from(Arc::new(config)), name))
        } else {
            None
        };
        Ok(Self {
            url,
            tls,
            timeout,
            connection: None,
        })
    }

    /// Sends a request and reads the whole answer, and says who gave it.
    pub(super) async fn ask(&mut self, call: &Call) -> Result<(Reply, Option<IpAddr>), OnvifError> {
        let waited = self.timeout;
        let exchange = self.exchange(call);
        let answer = tokio::time::timeout(waited, exchange).await;
        answer.unwrap_or(Err(OnvifError::TimedOut { waited }))
    }

    async fn exchange(&mut self, call: &Call) -> Result<(Reply, Option<IpAddr>), OnvifError> {
        let mut request = self.request(call)?;
        // Taken out, so that an exchange that is given up half-way takes its connection along.
        let held = self.connection.take().filter(|held| !held.sender.is_closed());
        let mut kept = held.is_some();
        let mut connection = match held {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let response = loop {
            match connection.sender.try_send_request(request).await {
                Ok(response) => break response,
                Err(mut error) => match error.take_message() {
                    // The device closed a connection that was kept: that is how keeping ends.
                    Some(unsent) if kept => {
                        request = unsent;
                        connection = self.connect().await?;
                        kept = false;
                    }
                    _ => return Err(OnvifError::Broken(error.into_error())),
                },
            }
        };
        let reply = read(response, call.largest).await?;
        let peer = connection.peer;
        if connection.sender.ready().await.is_ok() {
            self.connection = Some(connection);
        }
        Ok((reply, peer))
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, OnvifError> {
        let content_type = format!("application/soap+xml; charset=utf-8; action=\"{}\"", call.action);
        let mut request = Request::post(&call.path)
            .header(header::HOST, self.url.authority())
            .header(header::CONTENT_TYPE, content_type)
            .header(header::ACCEPT, "application/soap+xml, text/xml");
        if let (Some((name, value)), Some(headers)) = (&call.header, request.headers_mut()) {
            headers.insert(name.clone(), value.clone());
        }
        let body = Full::new(Bytes::from(call.body.clone()));
        // What a URL holds as a path is one to HTTP too; what would not be is said of the address.
        request
            .body(body)
            .map_err(|_| super::address::AddressError::Malformed.into())
    }

    async fn connect(&self) -> Result<Connection, OnvifError> {
        let unreachable = |source: io::Error| OnvifError::Unreachable {
            url: self.url.to_string(),
            source,
        };
        let socket = TcpStream::connect((self.url.host(), self.url.port()));
        let socket = socket.await.map_err(unreachable)?;
        socket.set_nodelay(true).map_err(unreachable)?;
        let peer = socket.peer_addr().ok().map(|address| address.ip());
        match &self.tls {
            None => shake_hands(socket, peer).await,
            Some((tls, name)) => match tls.connect(name.clone(), socket).await {
                Ok(secured) => shake_hands(secured, peer).await,
                // One that shows a wrong certificate, or speaks TLS badly, stays so.
                Err(source) if source.get_ref().is_some_and(|cause| cause.is::<rustls::Error>()) => {
                    Err(OnvifError::Untrusted(source))
                }
                Err(source) => Err(unreachable(source)),
            },
        }
    }
}

async fn shake_hands<S>(socket: S, peer: Option<IpAddr>) -> Result<Connection, OnvifError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    // Small devices write headers in all manners.
    builder
        .max_buf_size(MAX_HEADERS)
        .allow_obsolete_multiline_headers_in_responses(true);
    let (sender, connection) = builder
        .handshake(TokioIo::new(socket))
        .await
        .map_err(OnvifError::Broken)?;
    let driver = tokio::spawn(async move {
        // Its errors reach whoever waits for an answer; between two requests nobody cares.
        let _ = connection.await;
    });
    Ok(Connection { sender, peer, driver })
}

async fn read(response: Response<Incoming>, largest: usize) -> Result<Reply, OnvifError> {
    let (parts, body) = response.into_parts();
    let text = |name: HeaderName| parts.headers.get(name)?.to_str().ok().map(str::to_owned);
    let body = match Limited::new(body, largest).collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(error) if error.is::<LengthLimitError>() => return Err(OnvifError::TooLarge { limit: largest }),
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => return Err(OnvifError::Broken(*error)),
            // The limit and the connection are all that can fail.
            Err(_) => return Err(OnvifError::TooLarge { limit: largest }),
        },
    };
    let challenges = parts.headers.get_all(header::WWW_AUTHENTICATE).iter();
    Ok(Reply {
        status: parts.status.as_u16(),
        content_type: text(header::CONTENT_TYPE),
        challenges: challenges
            .filter_map(|value| value.to_str().ok().map(str::to_owned))
            .collect(),
        body,
    })
}
