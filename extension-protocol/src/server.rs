//! The extension's side: an author writes what is done with a frame, and gets the protocol with it.
//!
//! | file | what |
//! |---|---|
//! | `extension` | the traits that an author implements, and what they see |
//! | `blocking` | the same for code that blocks: a named thread for each session |
//! | `options` | limits, trust, credentials |
//! | `stream` | one stream from descriptor to end |
//! | `sequence` | numbers of a peer's messages (sans I/O) |
//! | `service` | the gRPC service: who may open a stream |
//! | `host` | sockets and shutdown |
//! | `stats` | what was counted |

mod blocking;
mod extension;
mod host;
mod options;
mod sequence;
mod service;
mod stats;
mod stream;

pub use blocking::{BlockingExtension, BlockingSession, OnThreads};
pub use extension::{BoxError, EndStream, Extension, ExtensionSession, OpenError, Sample, SessionInfo};
pub use host::{ExtensionServer, HostError, ListenAddress, Listening};
pub use options::ServerOptions;
pub use stats::{ServerStats, StatsReader};
