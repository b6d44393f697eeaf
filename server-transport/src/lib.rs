//! What every listener of this workspace needs before it serves untrusted peers: a bounded number of connections, time limits,
//! and a place for a newcomer while others hold connections that they do not use.
//!
//! | type | what |
//! |---|---|
//! | [`GuardedListener`] | accepts, rests after an error of the system, admits or refuses |
//! | [`GuardedStream`] | an accepted connection, which ends when it is marked as closing |
//! | [`Connection`] | where the protocol reports what its peer did: began a request, authenticated, was refused |
//! | [`ConnectionLimits`] | connections at a time, time to the first request, time between two |
//! | [`bind_unix`] | a Unix socket with its mode from the start, which replaces a stale socket and nothing else |
//!
//! **A peer that has shown nothing cannot keep a peer that has out.** When all places are taken, a newcomer gets the place of
//! the oldest connection that is not [vouched for](Connection::vouch), of the address that holds most of those; if all are
//! vouched for, the place of the one that is unused the longest, from 30 s on; otherwise the newcomer is refused.
//!
//! ```no_run
//! use lva_server_transport::{ConnectionLimits, GuardedListener};
//! use tokio::net::TcpListener;
//!
//! # async fn serve() -> std::io::Result<()> {
//! let mut listener = GuardedListener::new(TcpListener::bind("127.0.0.1:0").await?, ConnectionLimits::default());
//! loop {
//!     let stream = listener.accept().await;
//!     let connection = stream.connection().clone();
//!     tokio::spawn(async move {
//!         let _in_use = connection.begin_request();
//!         // Read the request, check its credentials, then:
//!         connection.vouch();
//!         drop(stream);
//!     });
//! }
//! # }
//! ```
//!
//! # Limits
//!
//! Linux, tokio. No TLS and no protocol: those stand above the stream.
#![forbid(unsafe_code)]

mod connection;
mod limits;
mod listener;
mod stream;
mod table;
mod unix;

pub use connection::{Connection, RequestInProgress};
pub use limits::ConnectionLimits;
pub use listener::{Acceptable, GuardedListener};
pub use stream::GuardedStream;
pub use table::{ConnectionStats, ConnectionStatsReader};
pub use unix::{UnixSocketFile, bind_unix};
