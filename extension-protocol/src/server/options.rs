//! Options of a server.

use std::path::PathBuf;
use std::time::Duration;

use crate::setters::setters;
use crate::shared_memory::DEFAULT_DIRECTORY;
use crate::{Credentials, ServerTls, Trust};

/// Limits, trust and credentials of a server. The defaults suit untrusted clients on the same machine.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    pub(crate) trust: Trust,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) tls: Option<ServerTls>,
    pub(crate) health: bool,
    pub(crate) reflection: bool,
    pub(crate) max_sessions: usize,
    pub(crate) max_connections: usize,
    pub(crate) max_frame_bytes: usize,
    pub(crate) max_region_bytes: u64,
    pub(crate) handshake_timeout: Duration,
    pub(crate) answer_timeout: Duration,
    pub(crate) shutdown_grace: Duration,
    pub(crate) directory: PathBuf,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            trust: Trust::Untrusted,
            credentials: None,
            tls: None,
            health: true,
            reflection: true,
            max_sessions: 64,
            max_connections: 256,
            max_frame_bytes: 64 << 20,
            max_region_bytes: 2 << 30,
            handshake_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(60),
            shutdown_grace: Duration::from_secs(10),
            directory: DEFAULT_DIRECTORY.into(),
        }
    }
}

impl ServerOptions {
    setters! {
        /// Whether clients that share memory are trusted. Default: [`Trust::Untrusted`], one copy per frame.
        with_trust(trust: Trust) trust = trust;
        /// Serves only clients with these credentials. Default: all clients.
        with_credentials(credentials: Credentials) credentials = Some(credentials);
        /// Serves only TLS, with this certificate. Default: no TLS. Not for Unix sockets.
        with_tls(tls: ServerTls) tls = Some(tls);
        /// Whether the health service (`grpc.health.v1`) answers on the same port. Default: yes. It requires no
        /// credentials and reports two names: the whole server (empty) and the contract's service; both are `NOT_SERVING` once
        /// a shutdown starts.
        with_health(health: bool) health = health;
        /// Whether the reflection service (`grpc.reflection.v1` and `v1alpha`) answers on the same port, so that tools can
        /// list and call the service without its `.proto` files. Default: yes. It requires the credentials, where there are
        /// some, and describes only the published contract.
        with_reflection(reflection: bool) reflection = reflection;
        /// Most concurrent streams; further ones are refused. Default 64. Worst-case memory is this times
        /// [`with_max_frame_bytes`](Self::with_max_frame_bytes), twice that for embedded frames.
        with_max_sessions(sessions: usize) max_sessions = sessions;
        /// Most connections, at least 1. Default 256. When all are taken, a newcomer gets the place of the oldest connection
        /// without an accepted stream, then of one that has had no request for 30 s; else it is refused. A connection has the
        /// time of [`with_handshake_timeout`](Self::with_handshake_timeout) for its first request, and closes after five
        /// minutes without one; clients open it again. Each takes a descriptor.
        with_max_connections(connections: usize) max_connections = connections;
        /// Largest frame in bytes, of any encoding. Default 64 MiB, enough for 4096×4096 in four bytes.
        with_max_frame_bytes(bytes: usize) max_frame_bytes = bytes;
        /// Largest shared memory region that a client may announce. Default 2 GiB. It takes address space for trusted peers
        /// only, and no memory.
        with_max_region_bytes(bytes: u64) max_region_bytes = bytes;
        /// Time for a client to send its descriptor, and, where it is over 5 s, from a connection to its first
        /// request. Default 10 s.
        with_handshake_timeout(timeout: Duration) handshake_timeout = timeout;
        /// Time for a client to read an answer before its stream is ended. Default 60 s.
        with_answer_timeout(timeout: Duration) answer_timeout = timeout;
        /// Time that a shutdown waits for frames in progress. Default 10 s.
        with_shutdown_grace(grace: Duration) shutdown_grace = grace;
        /// Directory of the clients' shared memory. Default `/dev/shm`.
        with_shared_memory_directory(directory: impl Into<PathBuf>) directory = directory.into();
    }

    /// Descriptors that clients may take at a time: one each connection, and one each stream with shared memory.
    pub fn most_descriptors(&self) -> u64 {
        (self.max_connections as u64).saturating_add(self.max_sessions as u64)
    }
}
