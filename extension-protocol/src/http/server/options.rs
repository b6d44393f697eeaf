//! What an HTTP server allows.

use std::time::Duration;

use crate::{Credentials, FrameFormat};

/// Limits, credentials and agreements of an HTTP server. The defaults suit clients on the same machine.
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
    /// Only clients with these credentials are served, by Basic; others get 401. Default: all are served.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// What every `image/x-raw` body looks like: HTTP does not say it. Default: none are taken. A format of files
    /// (JPEG, …) means none either.
    #[must_use]
    pub fn with_raw_format(mut self, format: FrameFormat) -> Self {
        self.raw_format = Some(format);
        self
    }

    /// The configuration text that every session is opened with, which a gRPC client sends itself. Default: empty.
    #[must_use]
    pub fn with_configuration(mut self, text: impl Into<String>) -> Self {
        self.configuration = text.into();
        self
    }

    /// The one path that is served, such as `/score`; others get 404. Default: any.
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

    /// Largest body in bytes; larger ones get 413. Default 64 MiB, enough for 4096×4096 in four bytes. Worst-case
    /// memory is this times [`with_max_connections`](Self::with_max_connections).
    #[must_use]
    pub fn with_max_frame_bytes(mut self, bytes: usize) -> Self {
        self.max_frame_bytes = bytes;
        self
    }

    /// Connections at once; more get 503 at once. Default 64.
    #[must_use]
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Named sessions at once; more get 503 until one is forgotten. Default 64. Each may hold a thread or a model.
    #[must_use]
    pub fn with_max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// Time for a picture to arrive once its headers have; after that 408. Default 30 s.
    #[must_use]
    pub fn with_body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// How long a connection may be silent before it is closed, and a named session before it is forgotten. Default
    /// 120 s. Shorter than the time between two pictures of a camera, it makes trackers forget everybody each time;
    /// long ones keep places for clients that are gone.
    #[must_use]
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// What a 503 says in `Retry-After`, in whole seconds, at least one. Default 1 s.
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
