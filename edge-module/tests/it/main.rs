//! The module over its real interfaces: HTTP, files, signals.
#![allow(clippy::unwrap_used)] // a test may panic

mod hostile;
mod methods;
mod program;
mod restart;
mod support;
