//! Clients and servers over real sockets and shared memory; peers that behave like real ones, and hostile ones.
#![allow(clippy::unwrap_used)] // for helpers, which are not test functions

mod death;
mod floods;
mod generated;
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
