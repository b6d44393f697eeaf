//! One connection: what its peer has shown, and whether it must close.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Instant;

use futures_util::task::AtomicWaker;
use tokio::time::Instant as Clock;

/// Requests on a connection that is not vouched for, after which it closes: probes of health come each few seconds.
const UNKNOWN_REQUESTS: u64 = 1000;
/// Requests with wrong credentials after which a connection closes.
const REFUSED_REQUESTS: u64 = 16;

/// A handle of a connection, for the protocol above it.
#[derive(Clone)]
pub struct Connection(pub(crate) Arc<State>);

pub(crate) struct State {
    pub(crate) number: u64,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) opened: Instant,
    requests: AtomicU64,
    refused: AtomicU64,
    in_progress: AtomicUsize,
    /// Milliseconds after `opened` when the last request ended.
    unused_since_ms: AtomicU64,
    vouched: AtomicBool,
    closing: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl State {
    pub(crate) fn new(number: u64, peer: Option<IpAddr>, opened: Instant) -> Self {
        Self {
            number,
            peer,
            opened,
            requests: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            in_progress: AtomicUsize::new(0),
            unused_since_ms: AtomicU64::new(0),
            vouched: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        }
    }

    pub(crate) fn is_vouched(&self) -> bool {
        self.vouched.load(Ordering::Relaxed)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// Since when no request is in progress.
    pub(crate) fn unused_since(&self) -> Option<Instant> {
        let idle = self.in_progress.load(Ordering::Acquire) == 0;
        let after = std::time::Duration::from_millis(self.unused_since_ms.load(Ordering::Acquire));
        idle.then(|| self.opened + after)
    }

    pub(crate) fn begin(&self) {
        self.in_progress.fetch_add(1, Ordering::AcqRel);
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        if before >= UNKNOWN_REQUESTS && !self.is_vouched() {
            self.close();
        }
    }

    /// Whether the next request closes the connection.
    fn is_used_up(&self) -> bool {
        self.requests.load(Ordering::Relaxed) >= UNKNOWN_REQUESTS && !self.is_vouched()
    }

    pub(crate) fn end(&self, now: Instant) {
        let after = now.saturating_duration_since(self.opened).as_millis();
        self.unused_since_ms
            .store(u64::try_from(after).unwrap_or(u64::MAX), Ordering::Release);
        self.in_progress.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.reader.wake();
        self.writer.wake();
    }

    /// Whether to close; otherwise wakes the reader when that is so.
    pub(crate) fn poll_reader(&self, waker: &Waker) -> bool {
        self.reader.register(waker);
        self.is_closing()
    }

    pub(crate) fn poll_writer(&self, waker: &Waker) -> bool {
        self.writer.register(waker);
        self.is_closing()
    }
}

impl Connection {
    /// A request begins, and lasts until the value is dropped. While one lasts, the connection is not idle.
    pub fn begin_request(&self) -> RequestInProgress {
        self.0.begin();
        RequestInProgress(self.clone())
    }

    /// The peer is one to serve: it has sent the credentials, or a valid request where there are none.
    pub fn vouch(&self) {
        if !self.0.is_vouched() {
            self.0.vouched.store(true, Ordering::Relaxed);
        }
    }

    /// A request had no or wrong credentials. After 16 of those the connection closes, unless it is vouched for.
    pub fn refuse(&self) {
        let before = self.0.refused.fetch_add(1, Ordering::Relaxed);
        if before + 1 >= REFUSED_REQUESTS && !self.0.is_vouched() {
            self.0.close();
        }
    }

    /// Ends the connection: its stream reports an error at once.
    pub fn close(&self) {
        self.0.close();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("number", &self.0.number)
            .field("peer", &self.0.peer)
            .field("vouched", &self.0.is_vouched())
            .finish_non_exhaustive()
    }
}

/// A request that is being served.
#[derive(Debug)]
pub struct RequestInProgress(Connection);

impl RequestInProgress {
    /// Whether the connection closes at the next request. An answer over HTTP/1 then has `Connection: close` (RFC 9112
    /// section 9.6), so that the peer loses no request.
    pub fn is_last(&self) -> bool {
        self.0.0.is_used_up()
    }
}

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        self.0.0.end(Clock::now().into_std());
    }
}
