//! Clients against the simulator over real sockets: hostile ones, and those of other projects.
#![allow(clippy::unwrap_used, reason = "helpers of tests may, as tests themselves may")]

mod foreign;
mod hostile;
mod support;
