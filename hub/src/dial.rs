use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use lva_client_transport::{ClientTls, certificate_advice, server_name};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What MQTT runs over.
pub trait MqttStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> MqttStream for T {}

/// Opens connections to a broker. Implement it for another way there, such as a WebSocket or a proxy.
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

/// TCP, with TLS unless it is turned off. The host's name must be in the certificate.
pub(crate) struct TcpDialer {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) trust: Trust,
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
        let socket = TcpStream::connect((host, self.port)).await?;
        // Answers should leave at once. A socket that refuses the option works too.
        let _ = socket.set_nodelay(true);
        let Some(tls) = tls else {
            return Ok(Box::new(socket));
        };
        // The platform's certificates are read from files.
        let config = tokio::task::spawn_blocking(move || tls.config(&[]))
            .await
            .map_err(io::Error::other)?
            .map_err(io::Error::other)?;
        let name = server_name(host).map_err(io::Error::other)?;
        match TlsConnector::from(config).connect(name, socket).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(explain(error)),
        }
    }
}

/// Adds the remedy to a rejected certificate.
fn explain(error: io::Error) -> io::Error {
    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause.and_then(certificate_advice) {
        Some(advice) => io::Error::new(error.kind(), format!("TLS failed: {advice}")),
        None => error,
    }
}
