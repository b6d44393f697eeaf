//! What a listener allows.

use std::time::Duration;

/// Limits of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    pub(crate) max_connections: usize,
    pub(crate) first_request: Duration,
    pub(crate) idle: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_connections: 256,
            first_request: Duration::from_secs(10),
            idle: Duration::from_secs(300),
        }
    }
}

impl ConnectionLimits {
    /// Connections at a time, at least 1. Default 256. Each takes a descriptor, and what its protocol buffers.
    #[must_use]
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// Time from the connection to the head of its first request, the TLS handshake included. Default 10 s.
    #[must_use]
    pub fn with_first_request(mut self, timeout: Duration) -> Self {
        self.first_request = timeout;
        self
    }

    /// How long a connection may be without a request in progress. Default 300 s.
    #[must_use]
    pub fn with_idle(mut self, timeout: Duration) -> Self {
        self.idle = timeout;
        self
    }
}
