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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::options::HttpServerOptions;
use super::service::{ArrivalClock, Common, retry_after};
use super::sessions::{Sessions, empty_place};
use super::stats::{Counters, HttpStatsReader, count};
use crate::http::HttpUrl;
use crate::server::{Extension, HostError};

/// How long to rest when the system gives no connection (too many open files, say).
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How often idle sessions are looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// An extension with its options, ready to listen for HTTP.
///
/// # Which session a picture belongs to
///
/// An [`Extension`] opens a session for a stream of frames, and trackers remember people in it. HTTP has no streams:
///
/// * `POST /score?stream=door`: the session is named. It goes on over connections until it is idle for
///   [`HttpServerOptions::with_idle_timeout`]. Two clients with one name share it, so give each camera its own: in a
///   topology, a URL such as `http://extension/score?stream=${System.GraphInstanceName}`.
/// * Without that parameter the session is the connection's own and ends with it: a client that keeps its connection
///   is followed, one that opens a new one for each picture begins anew each time.
///
/// Pictures of another size or encoding than those before begin the session anew.
///
/// # Answers
///
/// | what | answer |
/// |---|---|
/// | inferences | 200, `{"inferences": […]}` by the published schema |
/// | none | 204 |
/// | no picture, unreadable headers of one, bare pixels of another length, a format that the extension does not take | 400 and why |
/// | the extension ended the stream over the picture ([`StreamError`](crate::server::StreamError)), such as one that cannot be decoded | 400 and why; the session begins anew |
/// | credentials missing or wrong | 401, Basic |
/// | another path or method | 404, 405 |
/// | the picture did not arrive in time | 408 |
/// | too large a body | 413; the connection is closed |
/// | the extension failed | 500; after three in a row the session begins anew |
/// | the session's picture before is still looked at, no place for a session or connection, the extension is busy | 503 with `Retry-After` |
///
/// HTTP/1.1 without TLS: beyond the machine, put a proxy with TLS before it, and use credentials.
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

    /// With other options.
    #[must_use]
    pub fn with_options(mut self, options: HttpServerOptions) -> Self {
        self.options = options;
        self
    }

    /// Begins to listen: from now on clients can connect, and are served once [`HttpListening::serve`] runs. Port 0
    /// takes any free one.
    ///
    /// # Errors
    ///
    /// [`HostError::Bind`].
    pub async fn listen(self, address: SocketAddr) -> Result<HttpListening<E>, HostError> {
        let failed = |source| HostError::Bind {
            address: format!("http://{address}"),
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if !address.ip().is_loopback() && self.options.credentials.is_none() {
            tracing::warn!(%address, "listening beyond this machine without credentials");
        }
        let sessions = Sessions::new(self.options.max_sessions, self.options.idle_timeout);
        let common = Common {
            extension: self.extension,
            options: self.options,
            counters: Arc::default(),
            sessions,
            clock: ArrivalClock::start(),
        };
        Ok(HttpListening {
            listener,
            address,
            common: Arc::new(common),
        })
    }
}

/// An HTTP server that listens.
pub struct HttpListening<E> {
    listener: TcpListener,
    address: SocketAddr,
    common: Arc<Common<E>>,
}

impl<E: Extension> HttpListening<E> {
    /// Where, with the port that was really taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same for a client on this machine.
    pub fn url(&self) -> HttpUrl {
        let mut address = self.address;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        HttpUrl::of(address)
    }

    /// Reads what is counted, also while the server runs.
    pub fn stats(&self) -> HttpStatsReader {
        HttpStatsReader(Arc::clone(&self.common.counters))
    }

    /// Serves until `shutdown` completes. Then nobody is let in any more, pictures in progress are answered, and what is
    /// still there after the grace period is cut off.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { listener, common, .. } = self;
        let (announce, down) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut sweep = tokio::time::interval(SWEEP);
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                _ = sweep.tick() => common.sessions.forget_idle(Instant::now()),
                accepted = listener.accept() => match accepted {
                    Ok((socket, _)) if connections.len() >= common.options.max_connections => {
                        refuse(&socket, &common.options, &common.counters);
                    }
                    Ok((socket, _)) => {
                        connections.spawn(connection(Arc::clone(&common), socket, down.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "no connection could be taken");
                        tokio::time::sleep(ACCEPT_REST).await;
                    }
                },
            }
        }
        drop(listener);
        announce.send_replace(true);
        let rest = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(common.options.shutdown_grace, rest)
            .await
            .is_err()
        {
            tracing::warn!("connections were cut off: pictures took longer than the grace period");
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
    common: Arc<Common<E>>,
    socket: TcpStream,
    mut down: watch::Receiver<bool>,
) {
    let _ = socket.set_nodelay(true);
    let own = empty_place();
    let idle = common.options.idle_timeout;
    let service = service_fn(move |request| {
        let (common, own) = (Arc::clone(&common), Arc::clone(&own));
        async move { Ok::<_, Infallible>(common.answer(own, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        // Also the time between two requests.
        .header_read_timeout(idle)
        .serve_connection(TokioIo::new(socket), service);
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

/// Says no without waiting for anything; whoever does not read it sees a closed connection.
fn refuse(socket: &TcpStream, options: &HttpServerOptions, counters: &Counters) {
    count(&counters.busy);
    let seconds = retry_after(options);
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: {seconds}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let _: io::Result<usize> = socket.try_write(answer.as_bytes());
}
