//! Sockets and shutdown.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lva_server_transport::{
    ConnectionLimits, ConnectionStatsReader, GuardedListener, UnixSocketFile, bind_unix,
};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tonic::service::Routes;
use tonic::transport::Server;

use super::connection::{CountRequests, incoming};
use super::extension::Extension;
use super::options::ServerOptions;
use super::service::Service;
use super::side_services;
use super::stats::{Counters, StatsReader};
use super::stream::{MAX_CONFIGURATION, ServerState};
use crate::ExtensionUrl;
use crate::causes::root_cause;
use crate::wire::media_graph_extension_server::MediaGraphExtensionServer;

/// Bytes of a message besides the frame: upstream inferences, a configuration.
const MESSAGE_OVERHEAD: usize = MAX_CONFIGURATION + (1 << 20);

/// Least time from a connection to its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(5);
/// Streams of one connection besides those of the contract: health and reflection.
const SIDE_STREAMS: u32 = 16;
/// Streams that a client may have reset before this side has looked at them, and that this side remembers to have reset.
const RESET_STREAMS: usize = 32;
/// Bytes of a request's head.
const HEAD_BYTES: u32 = 16 << 10;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenAddress {
    /// A TCP address. Any other than loopback is reachable over the network: use credentials.
    Tcp(SocketAddr),
    /// A Unix socket at this path, for the same user only (mode 0600 from the start). A stale socket is replaced, any other
    /// file is not.
    Unix(PathBuf),
}

impl ListenAddress {
    /// A port on the loopback address; 0 selects a free one.
    pub fn loopback(port: u16) -> Self {
        Self::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why a server cannot listen or serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The address is in use, not permitted, or not on this machine.
    #[error("cannot listen on {address}: {cause}")]
    Bind {
        /// The address.
        address: String,
        /// The error of the system.
        cause: io::Error,
    },
    /// A certificate for a Unix socket. The mode of the socket restricts it to one user; use it without TLS.
    #[error("TLS is not supported on Unix sockets")]
    TlsOverUnix,
    /// The transport failed while serving.
    #[error("serving on {address} failed: {}", root_cause(cause))]
    Serve {
        /// The address.
        address: String,
        /// The error of the transport.
        cause: tonic::transport::Error,
    },
}

/// An extension with its options.
#[derive(Debug)]
pub struct ExtensionServer<E> {
    extension: E,
    options: ServerOptions,
}

impl<E: Extension> ExtensionServer<E> {
    /// With default options.
    pub fn new(extension: E) -> Self {
        Self {
            extension,
            options: ServerOptions::default(),
        }
    }

    /// With other options.
    #[must_use]
    pub fn with_options(mut self, options: ServerOptions) -> Self {
        self.options = options;
        self
    }

    /// Binds the address. Clients can connect from now on and are served once [`Listening::serve`] runs.
    ///
    /// # Errors
    ///
    /// [`HostError::Bind`], [`HostError::TlsOverUnix`].
    ///
    /// # Panics
    ///
    /// When it is polled outside of a tokio runtime with I/O and time.
    pub async fn listen(self, address: ListenAddress) -> Result<Listening<E>, HostError> {
        if self.options.tls.is_some() && matches!(address, ListenAddress::Unix(_)) {
            return Err(HostError::TlsOverUnix);
        }
        let failed = |cause| HostError::Bind {
            address: address.to_string(),
            cause,
        };
        let limits = ConnectionLimits::default()
            .with_max_connections(self.options.max_connections)
            .with_first_request(self.options.handshake_timeout.max(FIRST_REQUEST));
        let (socket, connections, bound) = match &address {
            ListenAddress::Tcp(wanted) => {
                let listener = TcpListener::bind(wanted).await.map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?;
                let guarded = GuardedListener::new(listener, limits);
                let stats = guarded.stats();
                (Socket::Tcp(guarded), stats, ListenAddress::Tcp(bound))
            }
            ListenAddress::Unix(path) => {
                let (listener, file) = bind_unix(path).await.map_err(failed)?;
                let guarded = GuardedListener::new(listener, limits);
                let stats = guarded.stats();
                (Socket::Unix(guarded, file), stats, address.clone())
            }
        };
        if let ListenAddress::Tcp(bound) = &bound
            && !bound.ip().is_loopback()
            && self.options.credentials.is_none()
        {
            tracing::warn!(address = %bound, "listening on a network address without credentials");
        }
        Ok(Listening {
            server: self,
            socket,
            connections,
            address: bound,
            counters: Arc::default(),
        })
    }
}

/// A server that is bound to its address.
#[derive(Debug)]
pub struct Listening<E> {
    server: ExtensionServer<E>,
    socket: Socket,
    connections: ConnectionStatsReader,
    address: ListenAddress,
    counters: Arc<Counters>,
}

#[derive(Debug)]
enum Socket {
    Tcp(GuardedListener<TcpListener>),
    Unix(GuardedListener<UnixListener>, UnixSocketFile),
}

impl<E: Extension> Listening<E> {
    /// The address, with the actual port.
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// The address for a client on this machine.
    pub fn url(&self) -> ExtensionUrl {
        match &self.address {
            ListenAddress::Tcp(address) => {
                let mut address = *address;
                match address.ip() {
                    IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
                    IpAddr::V6(ip) if ip.is_unspecified() => {
                        address.set_ip(std::net::Ipv6Addr::LOCALHOST.into());
                    }
                    IpAddr::V4(_) | IpAddr::V6(_) => {}
                }
                match self.server.options.tls {
                    Some(_) => ExtensionUrl::tcp(address).with_tls(),
                    None => ExtensionUrl::tcp(address),
                }
            }
            ListenAddress::Unix(path) => ExtensionUrl::unix(path),
        }
    }

    /// A reader of the counters, also while the server runs.
    pub fn stats(&self) -> StatsReader {
        StatsReader(Arc::clone(&self.counters), self.connections.clone())
    }

    /// Serves until `shutdown` completes. After that no stream is accepted, received frames are answered, and each stream
    /// ends with `UNAVAILABLE`; streams that remain after the grace period are aborted.
    ///
    /// # Errors
    ///
    /// [`HostError::Serve`].
    ///
    /// # Panics
    ///
    /// When it is polled outside of a tokio runtime with I/O and time.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), HostError> {
        let Self {
            server: ExtensionServer { extension, options },
            socket,
            address,
            counters,
            ..
        } = self;
        let (announce, shutdown_seen) = watch::channel(false);
        let grace = options.shutdown_grace;
        let message_limit = options.max_frame_bytes.saturating_add(MESSAGE_OVERHEAD);
        let state = ServerState {
            extension,
            options,
            counters,
            shutdown: shutdown_seen,
        };
        let (with, tls) = (state.options.clone(), state.options.tls.clone());
        let service = MediaGraphExtensionServer::new(Service::new(state))
            .max_decoding_message_size(message_limit)
            .max_encoding_message_size(usize::MAX);
        let (routes, mut health) = side_services::add(Routes::new(service), &with).await;
        let failed = |cause| HostError::Serve {
            address: address.to_string(),
            cause,
        };
        let mut server = Server::builder();
        if let Some(tls) = &tls {
            let config = tls.config().timeout(with.handshake_timeout);
            server = server.tls_config(config).map_err(failed)?;
        }
        let streams = u32::try_from(with.max_sessions).unwrap_or(u32::MAX);
        let router = server
            .layer(CountRequests)
            .max_concurrent_streams(streams.saturating_add(SIDE_STREAMS))
            .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS))
            .http2_max_local_error_reset_streams(Some(RESET_STREAMS))
            .http2_max_header_list_size(HEAD_BYTES)
            .initial_stream_window_size(16 << 20)
            .initial_connection_window_size(32 << 20)
            // Detects clients that disappeared, which would otherwise occupy a stream.
            .http2_keepalive_interval(Some(Duration::from_secs(60)))
            .http2_keepalive_timeout(Some(Duration::from_secs(20)))
            .add_routes(routes);
        let mut down = announce.subscribe();
        let stopped = async move {
            let _ = down.wait_for(|down| *down).await;
        };
        let serving = async {
            match socket {
                Socket::Tcp(listener) => {
                    router
                        .serve_with_incoming_shutdown(incoming(listener), stopped)
                        .await
                }
                Socket::Unix(listener, _file) => {
                    router
                        .serve_with_incoming_shutdown(incoming(listener), stopped)
                        .await
                }
            }
        };
        tokio::pin!(serving);
        tokio::select! {
            result = &mut serving => return result.map_err(failed),
            () = shutdown => {}
        }
        health.shut_down().await;
        announce.send_replace(true);
        match tokio::time::timeout(grace, serving).await {
            Ok(result) => result.map_err(failed),
            Err(_) => {
                tracing::warn!(%address, "streams were aborted: frames took longer than the grace period");
                Ok(())
            }
        }
    }
}
