//! Options of a server.

use std::path::PathBuf;
use std::time::Duration;

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
    /// Whether clients that share memory are trusted. Default: [`Trust::Untrusted`], one copy per frame.
    #[must_use]
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Serves only clients with these credentials. Default: all clients.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Serves only TLS, with this certificate. Default: no TLS. Not for Unix sockets.
    #[must_use]
    pub fn with_tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Whether the health service (`grpc.health.v1`) answers on the same port. Default: yes. It requires no
    /// credentials and reports two names: the whole server (empty) and the contract's service; both are `NOT_SERVING` once
    /// a shutdown starts.
    #[must_use]
    pub fn with_health(mut self, health: bool) -> Self {
        self.health = health;
        self
    }

    /// Whether the reflection service (`grpc.reflection.v1` and `v1alpha`) answers on the same port, so that tools can
    /// list and call the service without its `.proto` files. Default: yes. It requires no credentials and
    /// describes only the published contract.
    #[must_use]
    pub fn with_reflection(mut self, reflection: bool) -> Self {
        self.reflection = reflection;
        self
    }

    /// Most concurrent streams; further ones are refused. Default 64. Worst-case memory is this times
    /// [`with_max_frame_bytes`](Self::with_max_frame_bytes), twice that for embedded frames.
    #[must_use]
    pub fn with_max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// Largest frame in bytes, of any encoding. Default 64 MiB, enough for 4096×4096 in four bytes.
    #[must_use]
    pub fn with_max_frame_bytes(mut self, bytes: usize) -> Self {
        self.max_frame_bytes = bytes;
        self
    }

    /// Largest shared memory region that a client may announce. Default 2 GiB. It takes address space for trusted peers
    /// only, and no memory.
    #[must_use]
    pub fn with_max_region_bytes(mut self, bytes: u64) -> Self {
        self.max_region_bytes = bytes;
        self
    }

    /// Time for a client to send its descriptor. Default 10 s.
    #[must_use]
    pub fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Time for a client to read an answer before its stream is ended. Default 60 s.
    #[must_use]
    pub fn with_answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// Time that a shutdown waits for frames in progress. Default 10 s.
    #[must_use]
    pub fn with_shutdown_grace(mut self, grace: Duration) -> Self {
        self.shutdown_grace = grace;
        self
    }

    /// Directory of the clients' shared memory. Default `/dev/shm`.
    #[must_use]
    pub fn with_shared_memory_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }
}
