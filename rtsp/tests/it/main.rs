//! Sessions over real sockets: the client against the simulator, and foreign programs against both.
#![cfg(feature = "simulator")]

mod faults;
mod foreign;
mod hostile;
mod playing;
mod support;
