//! The messages and the service as generated from `proto/`, for programs that use the protocol directly.
//!
//! Nothing here is validated: offsets, sizes and numbers are the peer's. This crate's client and server validate them.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications
)]
#![allow(clippy::all, clippy::unwrap_used)]

/// The contract as a serialised `FileDescriptorSet`, for reflection and tools.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("wire/descriptors.bin");

// Written by `tests/it/generated.rs`, which checks that it is current.
include!("wire/generated.rs");
