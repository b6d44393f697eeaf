//! Sessions over real sockets: the client against the simulator, and against servers of other projects.
#![allow(clippy::unwrap_used, reason = "helpers of tests may, as tests themselves may")]

mod annex_b;
mod faults;
mod forgiving;
mod formats;
mod hostile;
mod odd_camera;
mod plans;
mod playing;
mod quirks;
mod secured;
mod servers;
mod support;
mod transports;
