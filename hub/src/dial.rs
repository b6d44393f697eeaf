mod websocket;

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use lva_client_transport::{ClientTls, server_name, tls_advice};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What MQTT runs over.
pub trait MqttStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> MqttStream for T {}

/// Opens connections to a broker. Implement it for another way there, such as a proxy.
#[async_trait]
pub trait Dial: Send + Sync {
    /// Opens one. The caller bounds the time.
    ///
    /// # Errors
    ///
    /// Any; the client tries again.
    async fn dial(&self) -> io::Result<Box<dyn MqttStream>>;
}

/// Gives the certificates to trust, anew for each connection.
#[async_trait]
pub(crate) trait TrustSource: Send + Sync {
    async fn trust(&self) -> io::Result<ClientTls>;
}

/// How a server proves who it is.
#[derive(Clone)]
pub(crate) enum Trust {
    /// Without TLS: anyone on the way can read and change everything.
    Plain,
    Fixed(ClientTls),
    Source(Arc<dyn TrustSource>),
}

/// TCP, with TLS unless it is turned off, and in it a WebSocket where there is a path. The host's name must be in the
/// certificate.
#[derive(Clone)]
pub(crate) struct TcpDialer {
    pub(crate) host: String,
    /// `None` for the customary one.
    pub(crate) port: Option<u16>,
    pub(crate) trust: Trust,
    pub(crate) websocket: Option<String>,
}

impl TcpDialer {
    /// The ports that IANA registered for MQTT and for HTTP, each with and without TLS.
    fn port(&self) -> u16 {
        let is_plain = matches!(self.trust, Trust::Plain);
        self.port.unwrap_or(match (self.websocket.is_some(), is_plain) {
            (false, false) => 8883,
            (false, true) => 1883,
            (true, false) => 443,
            (true, true) => 80,
        })
    }
}

#[async_trait]
impl Dial for TcpDialer {
    async fn dial(&self) -> io::Result<Box<dyn MqttStream>> {
        let tls = match &self.trust {
            Trust::Plain => None,
            Trust::Fixed(tls) => Some(tls.clone()),
            Trust::Source(source) => Some(source.trust().await?),
        };
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let socket = TcpStream::connect((host, self.port())).await?;
        // Answers should leave at once. A socket that refuses the option works too.
        let _ = socket.set_nodelay(true);
        let stream: Box<dyn MqttStream> = match tls {
            None => Box::new(socket),
            Some(tls) => Box::new(encrypted(socket, host, tls).await?),
        };
        let Some(path) = &self.websocket else {
            return Ok(stream);
        };
        let authority = match host.contains(':') {
            true => format!("[{host}]:{}", self.port()),
            false => format!("{host}:{}", self.port()),
        };
        websocket::upgrade(stream, &authority, path).await
    }
}

async fn encrypted(socket: TcpStream, host: &str, tls: ClientTls) -> io::Result<TlsStream<TcpStream>> {
    // The platform's certificates are read from files.
    let config = tokio::task::spawn_blocking(move || tls.config(&[]))
        .await
        .map_err(io::Error::other)?
        .map_err(io::Error::other)?;
    let name = server_name(host).map_err(io::Error::other)?;
    TlsConnector::from(config)
        .connect(name, socket)
        .await
        .map_err(explain)
}

/// Adds the remedy to a handshake that failed.
fn explain(error: io::Error) -> io::Error {
    match tls_advice(&error) {
        Some(advice) => io::Error::new(error.kind(), format!("TLS failed: {advice}")),
        None => error,
    }
}
