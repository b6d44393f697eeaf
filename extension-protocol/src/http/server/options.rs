use std::time::Duration;

use crate::setters::setters;
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
    setters! {
        /// Clients must send these credentials by Basic; others get 401. Default: no credentials.
        with_credentials(credentials: Credentials) credentials = Some(credentials);
        /// The format of every `image/x-raw` body, which a request does not carry. Default: none, so raw pictures are
        /// rejected. A file format such as JPEG counts as none.
        with_raw_format(format: FrameFormat) raw_format = Some(format);
        /// The configuration string of every session. Over gRPC, the client sends it. Default: empty.
        with_configuration(text: impl Into<String>) configuration = text.into();
        /// The only path, such as `/score`; others get 404. Default: any path.
        with_path(path: impl Into<String>) path = Some(path.into());
        /// Name of the query parameter that names a session. Default `stream`: see
        /// [`HttpExtensionServer`](crate::http::HttpExtensionServer).
        with_stream_parameter(name: impl Into<String>) stream_parameter = name.into();
        /// Most bytes of a body; larger ones get 413. Default 64 MiB, enough for 4096×4096 in four bytes. Worst-case
        /// memory is this times [`with_max_connections`](Self::with_max_connections).
        with_max_frame_bytes(bytes: usize) max_frame_bytes = bytes;
        /// Most open connections, at least 1. Default 64. A further one gets the place of the oldest connection on which no
        /// picture was answered, then of one that has had no request for 30 s; else 503.
        with_max_connections(connections: usize) max_connections = connections;
        /// Most named sessions; further ones get 503 until one is closed. Default 64. Each may hold a thread or a model.
        with_max_sessions(sessions: usize) max_sessions = sessions;
        /// Time for a body to arrive after its headers; after that 408. Default 30 s.
        with_body_timeout(timeout: Duration) body_timeout = timeout;
        /// How long a connection or a named session may be idle before it is closed. Default 120 s. With less than the time
        /// between two pictures of a camera, trackers lose all people each time; with a long time, clients that are gone
        /// keep their sessions.
        with_idle_timeout(timeout: Duration) idle_timeout = timeout;
        /// The `Retry-After` of a 503, rounded down to seconds, at least 1. Default 1 s.
        with_retry_after(wait: Duration) retry_after = wait;
        /// How long a shutdown waits for pictures in progress. Default 10 s.
        with_shutdown_grace(grace: Duration) shutdown_grace = grace;
    }

    /// Descriptors that clients may take at a time: one each connection.
    pub fn most_descriptors(&self) -> u64 {
        self.max_connections as u64
    }
}
