//! The server, on the extension's side: implement [`Extension`], and [`ExtensionServer`] hosts it.
//!
//! | file | what |
//! |---|---|
//! | `extension` | the traits to implement, and what they receive |
//! | `blocking` | the same for blocking code: a named thread per stream |
//! | `options` | limits, trust, credentials |
//! | `shared` | one extension for several servers |
//! | `stream` | one stream from descriptor to end |
//! | `sequence` | sequence numbers of a peer's messages (sans I/O) |
//! | `service` | the gRPC service: admission of streams |
//! | `host` | sockets and shutdown |
//! | `connection` | connections within limits, and the requests on them |
//! | `side_services` | health and reflection |
//! | `stats` | counters |

mod blocking;
mod connection;
mod extension;
mod host;
mod options;
mod sequence;
mod service;
mod shared;
mod side_services;
mod stats;
mod stream;

#[cfg(any(test, fuzzing))]
pub(crate) use stream::fuzzing::{directory as fuzzing_directory, run as fuzz};

pub use blocking::{BlockingExtension, BlockingSession, ThreadPerStream};
#[cfg(feature = "http")]
pub(crate) use extension::next_number;
pub use extension::{Extension, ExtensionOpenError, ExtensionSession, Sample, SessionInfo, StreamError};
pub use host::{ExtensionServer, HostError, ListenAddress, Listening};
pub use options::ServerOptions;
pub use stats::{ServerStats, StatsReader};
