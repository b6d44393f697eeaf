//! The extension's side: serves an `Extension` over HTTP.
//!
//! | file | what |
//! |---|---|
//! | `options` | limits, credentials, the format of raw pictures |
//! | `service` | one request: authorization, picture, answer |
//! | `sessions` | which session a request belongs to |
//! | `host` | sockets and shutdown |
//! | `stats` | counters |

mod host;
mod options;
mod service;
mod sessions;
mod stats;

pub use host::{HttpExtensionServer, HttpListening};
pub use options::HttpServerOptions;
pub use stats::{HttpServerStats, HttpStatsReader};
