//! The extension's side: an author writes what is done with a frame, and gets the protocol with it.
//!
//! | file | what |
//! |---|---|
//! | `extension` | the traits that an author implements, and what they see |
//! | `blocking` | the same for code that blocks: a named thread for each session |
//! | `options` | limits, trust, credentials |
//! | `shared` | one extension behind several servers |
//! | `stream` | one stream from descriptor to end |
//! | `sequence` | numbers of a peer's messages (sans I/O) |
//! | `service` | the gRPC service: who may open a stream |
//! | `host` | sockets and shutdown |
//! | `side_services` | health and reflection |
//! | `stats` | what was counted |

mod blocking;
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
pub use extension::{Extension, ExtensionOpenError, ExtensionSession, Sample, SessionInfo, StreamError};
pub use host::{ExtensionServer, HostError, ListenAddress, Listening};
pub use options::ServerOptions;
pub use stats::{ServerStats, StatsReader};
