//! The console over its real interfaces: HTTP and WebSocket, with a camera.
#![allow(clippy::unwrap_used)] // a test may panic

mod access;
mod hostile;
mod live;
mod page;
mod recordings;
mod support;
