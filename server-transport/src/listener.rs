//! Accepting.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep};

use crate::connection::Connection;
use crate::table::{ConnectionStatsReader, Table};
use crate::{ConnectionLimits, GuardedStream};

/// Wait after an error of `accept`, such as too many open descriptors, which would repeat at once.
const REST: Duration = Duration::from_millis(100);
/// How often connections are looked through for those whose time is over.
const SWEEP: Duration = Duration::from_secs(1);
/// How often an error that repeats is logged.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// A socket that accepts connections.
pub trait Acceptable {
    /// A connection.
    type Stream;
    /// Waits for one. Cancel safe.
    fn accept_one(&self) -> impl Future<Output = io::Result<(Self::Stream, Option<SocketAddr>)>> + Send;
}

impl Acceptable for TcpListener {
    type Stream = TcpStream;

    async fn accept_one(&self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        let (stream, peer) = self.accept().await?;
        // Answers are small and should leave at once; a connection works without this option too.
        let _ = stream.set_nodelay(true);
        Ok((stream, Some(peer)))
    }
}

impl Acceptable for UnixListener {
    type Stream = UnixStream;

    async fn accept_one(&self) -> io::Result<(UnixStream, Option<SocketAddr>)> {
        Ok((self.accept().await?.0, None))
    }
}

/// A listener with [`ConnectionLimits`].
#[derive(Debug)]
pub struct GuardedListener<L> {
    socket: L,
    table: Arc<Table>,
    sweep: Interval,
    reported: Option<Instant>,
}

impl<L: Acceptable> GuardedListener<L> {
    /// Guards a socket.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time.
    pub fn new(socket: L, limits: ConnectionLimits) -> Self {
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self {
            socket,
            table: Arc::new(Table::new(limits)),
            sweep,
            reported: None,
        }
    }

    /// The counts.
    pub fn stats(&self) -> ConnectionStatsReader {
        self.table.reader()
    }

    /// Waits for the next connection, and closes those whose time is over meanwhile: call it all the time. Cancel safe.
    pub async fn accept(&mut self) -> GuardedStream<L::Stream> {
        self.accept_or_reject(|_| {}).await
    }

    /// The same; what is refused is handed to `reject` before it is closed, for a last answer that does not wait.
    pub async fn accept_or_reject(&mut self, reject: impl Fn(&L::Stream) + Send) -> GuardedStream<L::Stream> {
        loop {
            let accepted = tokio::select! {
                _ = self.sweep.tick() => {
                    self.table.close_overdue(Instant::now().into_std());
                    continue;
                }
                accepted = self.socket.accept_one() => accepted,
            };
            let now = Instant::now();
            match accepted {
                Ok((stream, peer)) => {
                    let from: Option<IpAddr> = peer.map(|peer| peer.ip());
                    match self.table.admit(from, now.into_std()) {
                        Some(state) => {
                            return GuardedStream::new(stream, Connection(state), Arc::clone(&self.table));
                        }
                        None => {
                            reject(&stream);
                            tracing::debug!(?peer, "connection refused: all places are taken");
                        }
                    }
                }
                Err(error) => {
                    self.table.accept_failed(is_used_up(&error), now.into_std());
                    if self
                        .reported
                        .is_none_or(|reported| now - reported >= REPORT_INTERVAL)
                    {
                        self.reported = Some(now);
                        tracing::warn!(%error, "cannot accept connections; reported once a minute while it lasts");
                    }
                    sleep(REST).await;
                }
            }
        }
    }
}

/// Whether the process or the machine has no descriptors left.
fn is_used_up(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE))
}
