//! The gRPC, shared-memory and HTTP extension contracts of Live Video Analytics, client and server.
//!
//! A media graph shows frames to a program beside it, the *extension*, and gets inferences back. This crate will own
//! both ends of that conversation: the stream of `MediaGraphExtension` over TCP, TLS or a Unix socket, frames in
//! the message or in shared memory, and the HTTP form in which each frame is a request of its own.
//!
//! # What it is not
//!
//! It does not know what a detector is, what a graph is, or what the inferences mean. It decodes no video.
//!
//! # Planned shape
//!
//! On the client's side a sans-I/O slot allocator hands out places in shared memory; a frame is rendered into one, sent by
//! reference, and the place comes back with the acknowledgement. On the server's side an author implements two
//! traits, `Extension` and `ExtensionSession`, and gets handshake, mapping, bounds, order and limits with them.
//! Peers are untrusted unless the caller says otherwise. Every unsafe line will live in the one module that maps
//! memory, with the reason beside it.
//!
//! **Invariant: a result is matched to its frame by the acknowledged sequence number, and by nothing else.**
//!
//! # Missing
//!
//! Everything so far. There is no code here yet; the crate holds its place in the workspace.
#![deny(unsafe_code)] // not `forbid`: the module that will map memory allows it line by line
