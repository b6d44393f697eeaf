use std::time::Duration;

use crate::{Credentials, FrameFormat};

/// Limits, credentials and formats of an HTTP server. The defaults suit clients on the same machine.
#[derive(Debug, Clone)]
pub struct HttpServerOptions {
    pub(super) credentials: Option<Credentials>,
    pub(super) raw_format: Option<FrameFormat>,
    pub(super) configuration: String,
    pub(super) path: Option<String>,
    pub(super) stream_parameter: String,
    pub(super) max_frame_bytes: usize,
    pub(super) max_connections: usize,
    pub(super) max_sessions: usize,
    pub(super) body_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) retry_after: Duration,
    pub(super) shutdown_grace: Duration,
}

impl Default for HttpServerOptions {
    fn default() -> Self {
        Self {
            credentials: None,
            raw_format: None,
            configuration: String::new(),
            path: None,
            stream_parameter: "stream".to_owned(),
            max_frame_bytes: 64 << 20,
            max_connections: 64,
            max_sessions: 64,
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            retry_after: Duration::from_secs(1),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

impl HttpServerOptions {
    /// Clients must send these credentials by Basic; others get 401. Default: no credentials.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// The format of every `image/x-raw` body, which a request does not carry. Default: none, so raw pictures are
    /// rejected. A file format such as JPEG counts as none.
    #[must_use]
    pub fn with_raw_format(mut self, format: FrameFormat) -> Self {
        self.raw_format = Some(format);
        self
    }

    /// The configuration string of every session. Over gRPC, the client sends it. Default: empty.
    #[must_use]
    pub fn with_configuration(mut self, text: impl Into<String>) -> Self {
        self.configuration = text.into();
        self
    }

    /// The only path, such as `/score`; others get 404. Default: any path.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Name of the query parameter that names a session. Default `stream`: see
    /// [`HttpExtensionServer`](crate::http::HttpExtensionServer).
    #[must_use]
    pub fn with_stream_parameter(mut self, name: impl Into<String>) -> Self {
        self.stream_parameter = name.into();
        self
    }

    /// Most bytes of a body; larger ones get 413. Default 64 MiB, enough for 4096×4096 in four bytes. Worst-case
    /// memory is this times [`with_max_connections`](Self::with_max_connections).
    #[must_use]
    pub fn with_max_frame_bytes(mut self, bytes: usize) -> Self {
        self.max_frame_bytes = bytes;
        self
    }

    /// Most open connections; further ones get 503. Default 64.
    #[must_use]
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Most named sessions; further ones get 503 until one is closed. Default 64. Each may hold a thread or a model.
    #[must_use]
    pub fn with_max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// Time for a body to arrive after its headers; after that 408. Default 30 s.
    #[must_use]
    pub fn with_body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// How long a connection or a named session may be idle before it is closed. Default 120 s. With less than the time
    /// between two pictures of a camera, trackers lose all people each time; with a long time, clients that are gone
    /// keep their sessions.
    #[must_use]
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// The `Retry-After` of a 503, rounded down to seconds, at least 1. Default 1 s.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = wait;
        self
    }

    /// How long a shutdown waits for pictures in progress. Default 10 s.
    #[must_use]
    pub fn with_shutdown_grace(mut self, grace: Duration) -> Self {
        self.shutdown_grace = grace;
        self
    }
}
