//! What every client of this workspace needs on the way to a server: a TLS configuration, and an HTTP/1 client that
//! bounds everything a server sends.
//!
//! | type | what |
//! |---|---|
//! | [`TrustedRoots`] | the certificates a client trusts: the platform's, or given ones in PEM |
//! | [`ClientTls`] | how a server's certificate is checked, with the two `dangerous_` switches of the media-graph contract |
//! | [`ClientCertificate`] | shows a server who the client is, where it asks |
//! | [`http::HttpConnection`] | one request and one response at a time over a connection that is kept open |
//! | [`http::HttpAuthenticator`] | answers Basic and Digest challenges, or adds a fixed header |
//!
//! **The server's certificate is always checked, by rustls's own functions, unless a switch turns a check off.** A certificate that
//! was itself given as a trusted one needs no signature of another. In any case, the server must prove that it holds the private
//! key of the certificate it presents.
//!
//! ```no_run
//! use std::time::Duration;
//! use lva_client_transport::ClientTls;
//! use lva_client_transport::http::{HttpConnection, HttpLimits, Origin};
//!
//! # async fn ask() -> Result<(), Box<dyn std::error::Error>> {
//! let limits = HttpLimits { exchange_timeout: Duration::from_secs(5), ..HttpLimits::default() };
//! let mut server = HttpConnection::new(Origin::https("example.org", 443), &ClientTls::platform(), limits)?;
//! let response = server.exchange(http::Request::get("/status").body(Default::default())?).await?;
//! println!("{} from {:?}: {} bytes", response.status, response.peer, response.body.len());
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! `http` (default): the HTTP/1 client. Without it, only [`TrustedRoots`] and [`ClientTls`] are built.
//!
//! # Limits
//!
//! HTTP/1.1 only, without a proxy, redirects or content decoding; one connection for each client. TLS 1.2 and 1.3 with ring.
#![forbid(unsafe_code)]

mod certificate;
mod error;
/// What the fuzz targets run.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    /// A server's bytes to the client.
    pub async fn responses(bytes: &[u8]) {
        crate::http::fuzzing::responses(bytes).await;
    }
}
#[cfg(feature = "http")]
pub mod http;
mod roots;
mod tls;

pub use certificate::ClientCertificate;
pub use error::ClientTlsError;
pub use roots::TrustedRoots;
pub use tls::{ClientTls, peer_has_no_tls, server_name, tls_advice};
