//! Sessions over real sockets: the client against the simulator, and foreign programs against both.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may, as tests themselves may")]

mod faults;
mod foreign;
mod formats;
mod hostile;
mod plans;
mod playing;
mod secured;
mod servers;
mod support;
