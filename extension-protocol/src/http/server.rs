//! The extension's side: the same [`Extension`] that a gRPC server hosts, behind HTTP.
//!
//! | file | what |
//! |---|---|
//! | `options` | limits, credentials, what was agreed on |
//! | `service` | one request: who may, what came, what is answered |
//! | `sessions` | which session a request belongs to |
//! | `host` | sockets and shutdown |
//! | `stats` | what was counted |

mod host;
mod options;
mod service;
mod sessions;
mod stats;

pub use host::{HttpExtensionServer, HttpListening};
pub use options::HttpServerOptions;
pub use stats::{HttpServerStats, HttpStatsReader};
