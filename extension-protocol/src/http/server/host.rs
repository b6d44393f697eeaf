//! Sockets and shutdown.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lva_server_transport::{ConnectionLimits, GuardedListener, GuardedStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::options::HttpServerOptions;
use super::service::{ArrivalClock, ServerState, retry_after};
use super::sessions::{Sessions, empty_slot};
use super::stats::{Counters, HttpStatsReader};
use crate::counters::count;
use crate::http::HttpUrl;
use crate::server::{Extension, HostError};

/// Time for a connection to send the head of its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// How often idle sessions are closed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// An extension with its options, ready to serve HTTP.
///
/// # Which session a picture belongs to
///
/// An [`Extension`] opens a session for a stream of frames, in which trackers remember people. HTTP has no streams:
///
/// * `POST /score?stream=door`: the session has a name. It outlives connections until it is idle for
///   [`HttpServerOptions::with_idle_timeout`]. Two clients with one name share it, so each camera needs its own: in a
///   topology, a URL such as `http://extension/score?stream=${System.GraphInstanceName}`.
/// * Without that parameter the session belongs to the connection and ends with it: for a client that opens a connection
///   for each picture, each picture starts a new session.
///
/// Pictures of another size or encoding restart the session.
///
/// # Answers
///
/// | what | answer |
/// |---|---|
/// | inferences | 200, `{"inferences": […]}` by the published schema |
/// | none | 204 |
/// | not a picture, a corrupt header, raw pixels of another length, a format that the extension does not support | 400 and a reason |
/// | the extension ended the stream over the picture ([`StreamError`](crate::server::StreamError)), such as one that cannot be decoded | 400 and a reason; the session restarts |
/// | missing or wrong credentials | 401, Basic |
/// | another path or method | 404, 405 |
/// | a picture that does not arrive in time | 408 |
/// | a body over the limit | 413; the connection is closed |
/// | a failure of the extension | 500; after three in a row the session restarts |
/// | the session's previous picture is in progress, too many sessions or connections, the extension is busy, or has nothing to do for the session any more | 503 with `Retry-After` |
///
/// HTTP/1.1 without TLS: beyond this machine, use credentials and a proxy with TLS.
#[derive(Debug)]
pub struct HttpExtensionServer<E> {
    extension: E,
    options: HttpServerOptions,
}

impl<E: Extension> HttpExtensionServer<E> {
    /// With default options.
    pub fn new(extension: E) -> Self {
        Self {
            extension,
            options: HttpServerOptions::default(),
        }
    }

    /// Sets the options.
    #[must_use]
    pub fn with_options(mut self, options: HttpServerOptions) -> Self {
        self.options = options;
        self
    }

    /// Opens the listening socket. Clients can connect from now on, and are served by [`HttpListening::serve`]. Port 0
    /// chooses a free one.
    ///
    /// # Errors
    ///
    /// [`HostError::Bind`].
    ///
    /// # Panics
    ///
    /// When it is polled outside of a tokio runtime with I/O and time.
    pub async fn listen(self, address: SocketAddr) -> Result<HttpListening<E>, HostError> {
        let failed = |cause| HostError::Bind {
            address: format!("http://{address}"),
            cause,
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if !address.ip().is_loopback() && self.options.credentials.is_none() {
            tracing::warn!(%address, "the HTTP extension accepts requests from other machines without credentials");
        }
        let sessions = Sessions::new(self.options.max_sessions, self.options.idle_timeout);
        let state = ServerState {
            extension: self.extension,
            options: self.options,
            counters: Arc::default(),
            sessions,
            clock: ArrivalClock::start(),
        };
        Ok(HttpListening {
            listener,
            address,
            state: Arc::new(state),
        })
    }
}

/// An HTTP server with an open socket.
pub struct HttpListening<E> {
    listener: TcpListener,
    address: SocketAddr,
    state: Arc<ServerState<E>>,
}

impl<E: Extension> HttpListening<E> {
    /// The address, with the actual port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for a client on this machine.
    pub fn url(&self) -> HttpUrl {
        let mut address = self.address;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        HttpUrl::of(address)
    }

    /// A handle to the counters, also while the server runs.
    pub fn stats(&self) -> HttpStatsReader {
        HttpStatsReader(Arc::clone(&self.state.counters))
    }

    /// Serves until `shutdown` completes. After that, no connections are accepted, pictures in progress are answered, and
    /// connections that remain after the grace period are closed.
    ///
    /// # Panics
    ///
    /// When it is polled outside of a tokio runtime with I/O and time.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { listener, state, .. } = self;
        let limits = ConnectionLimits::default()
            .with_max_connections(state.options.max_connections)
            .with_first_request(FIRST_REQUEST.min(state.options.idle_timeout))
            .with_idle(state.options.idle_timeout);
        let mut listener = GuardedListener::new(listener, limits);
        let (announce, down) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                _ = sweep.tick() => state.sessions.close_idle(Instant::now()),
                stream = listener.accept_or_reject(|socket| reject(socket, &state.options, &state.counters)) => {
                    connections.spawn(connection(Arc::clone(&state), stream, down.clone()));
                }
            }
        }
        drop(listener);
        announce.send_replace(true);
        let rest = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(state.options.shutdown_grace, rest)
            .await
            .is_err()
        {
            tracing::warn!("closed connections whose pictures took longer than the grace period");
        }
    }
}

impl<E> fmt::Debug for HttpListening<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpListening")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

async fn connection<E: Extension>(
    state: Arc<ServerState<E>>,
    stream: GuardedStream<TcpStream>,
    mut down: watch::Receiver<bool>,
) {
    let own = empty_slot();
    let idle = state.options.idle_timeout;
    let peer = stream.connection().clone();
    let service = service_fn(move |request| {
        let (state, own, peer) = (Arc::clone(&state), Arc::clone(&own), peer.clone());
        async move {
            let in_progress = peer.begin_request();
            let mut answer = state.answer(own, &peer, request).await;
            if in_progress.is_last() {
                let close = hyper::header::HeaderValue::from_static("close");
                answer.headers_mut().insert(hyper::header::CONNECTION, close);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        // This is also the time between two requests.
        .header_read_timeout(idle)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let going_down = async {
        let _ = down.wait_for(|down| *down).await;
    };
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = going_down => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Sends a 503 without waiting. A client that does not read it sees a closed connection.
fn reject(socket: &TcpStream, options: &HttpServerOptions, counters: &Counters) {
    count(&counters.busy);
    let seconds = retry_after(options);
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: {seconds}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let _: io::Result<usize> = socket.try_write(answer.as_bytes());
}
