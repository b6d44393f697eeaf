//! A bounded HTTP/1 server: limited connections, limited time for a request's head, TLS by option.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use lva_server_transport::{Connection, ConnectionLimits, GuardedListener, GuardedStream};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::{ServiceExt, service_fn};

/// Time for a TLS handshake, and for the head of a request on an open connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address is in use, or not one of this machine's.
    #[error(
        "cannot listen on {address}: {cause}; check that it is an address of this machine and no other program uses the port"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        cause: std::io::Error,
    },
    /// The certificate or its key.
    #[error("cannot use the certificate {} with the key {}: {message}", certificate.display(), key.display())]
    Certificate {
        /// PEM file of the chain.
        certificate: PathBuf,
        /// PEM file of the key.
        key: PathBuf,
        /// What is wrong.
        message: String,
    },
}

/// How a server listens.
#[derive(Debug, Clone)]
pub struct ListenerOptions {
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    max_connections: usize,
}

impl ListenerOptions {
    /// Plain HTTP on this address, with 256 connections at a time.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            max_connections: 256,
        }
    }

    /// TLS with the chain and the key of these PEM files.
    ///
    /// # Errors
    ///
    /// [`ListenError::Certificate`].
    pub fn with_certificate(mut self, certificate: &Path, key: &Path) -> Result<Self, ListenError> {
        let failed = |message: String| ListenError::Certificate {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            message,
        };
        let read =
            CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = read.map_err(|error| failed(error.to_string()))?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_no_client_auth())
            .and_then(|builder| builder.with_single_cert(chain, secret));
        self.tls = Some(Arc::new(config.map_err(|error| failed(error.to_string()))?));
        Ok(self)
    }

    /// Connections at a time. A further one gets the place of the oldest connection that has shown no token, then of one
    /// that has had no request for 30 s; else it is closed.
    #[must_use]
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

/// An address that is taken, where callers wait until it is [served](Self::serve).
#[derive(Debug)]
pub struct BoundListener {
    listener: TcpListener,
    address: SocketAddr,
    options: ListenerOptions,
}

impl BoundListener {
    /// Serves a router. Its handlers may ask for `ConnectInfo<SocketAddr>`.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn serve(self, router: Router) -> Listener {
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(accept(self.listener, self.options, router, stopped));
        Listener {
            address: self.address,
            stop,
        }
    }
}

impl Listener {
    /// Takes the address.
    ///
    /// # Errors
    ///
    /// [`ListenError::Listen`].
    pub async fn bind(options: ListenerOptions) -> Result<BoundListener, ListenError> {
        let address = options.address;
        let failed = |cause| ListenError::Listen { address, cause };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(BoundListener {
            listener,
            address,
            options,
        })
    }

    /// Takes the address and serves a router: [`bind`](Self::bind) and [`serve`](BoundListener::serve).
    ///
    /// # Errors
    ///
    /// [`ListenError::Listen`].
    pub async fn start(options: ListenerOptions, router: Router) -> Result<Self, ListenError> {
        Ok(Self::bind(options).await?.serve(router))
    }

    /// The address, with the port that the system chose where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn accept(
    listener: TcpListener,
    options: ListenerOptions,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let limits = ConnectionLimits::default()
        .with_max_connections(options.max_connections)
        .with_first_request(HEAD_TIMEOUT);
    let mut listener = GuardedListener::new(listener, limits);
    let tls = options.tls.map(TlsAcceptor::from);
    loop {
        let stream = tokio::select! {
            stream = listener.accept() => stream,
            () = stop(&mut stopped) => return,
        };
        let (router, tls, stopped) = (router.clone(), tls.clone(), stopped.clone());
        tokio::spawn(async move {
            // A peer that has gone already has no address.
            if let Ok(peer) = stream.socket().peer_addr() {
                connection(stream, peer, tls, router, stopped).await;
            }
        });
    }
}

/// Waits until the listener is dropped.
async fn stop(stopped: &mut watch::Receiver<bool>) {
    // An error means that its sender is gone, and the listener with it.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn connection(
    stream: GuardedStream<TcpStream>,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    stopped: watch::Receiver<bool>,
) {
    let handle = stream.connection().clone();
    let Some(tls) = tls else {
        return serve(stream, peer, handle, router, stopped).await;
    };
    match timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, peer, handle, router, stopped).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
    }
}

async fn serve<S>(
    stream: S,
    peer: SocketAddr,
    handle: Connection,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        // Handlers that take the connection over keep a copy: it is in use as long as that lives.
        let in_progress = Arc::new(handle.begin_request());
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(handle.clone());
        request.extensions_mut().insert(Arc::clone(&in_progress));
        let answer = router.clone().oneshot(request);
        async move {
            let mut answer = answer.await;
            if let (true, Ok(answer)) = (in_progress.is_last(), &mut answer) {
                let close = http::HeaderValue::from_static("close");
                answer.headers_mut().insert(http::header::CONNECTION, close);
            }
            drop(in_progress);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => Some(served),
        () = stop(&mut stopped) => None,
    };
    let served = match served {
        Some(served) => served,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a connection broke");
    }
}
