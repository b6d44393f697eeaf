use std::io;
use std::time::Duration;

/// Why an exchange fails. The connection is closed; the next request opens a new one.
///
/// No text names the server or holds what was sent: the caller knows both, and adds what may be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpTransportError {
    /// No server at this address, or none that accepts a connection in time. A retry may help.
    #[error("no connection ({0})")]
    Unreachable(io::Error),
    /// The TLS handshake failed, or the server's certificate was rejected. A retry does not help.
    #[error("TLS failed ({0})")]
    Untrusted(io::Error),
    /// The connection closed in the middle of a response, or the response is not HTTP.
    #[error("the connection broke ({0})")]
    Broken(hyper::Error),
    /// The response's body is longer than the limit.
    #[error("the response is longer than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The server sends provisional answers (1xx) again and again. The server is at fault.
    #[error("the server sends more than {limit} provisional answers (1xx)")]
    Provisional {
        /// The limit.
        limit: usize,
    },
    /// No complete response in time. A retry may help.
    #[error("no response within {} s", waited.as_secs_f32())]
    TimedOut {
        /// How long the client waited.
        waited: Duration,
    },
}
