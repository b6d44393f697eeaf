//! Clients and servers over real sockets and real shared memory; peers that behave as real ones do, and worse.
#![allow(clippy::unwrap_used)] // helpers are no test functions

mod death;
mod hostile_client;
mod hostile_server;
#[cfg(feature = "http")]
mod http;
mod interop;
mod peer_table;
mod quirks_of_clients;
mod quirks_of_servers;
mod round_trip;
mod services;
mod support;
mod tls;
