//! The gRPC, shared-memory and HTTP extension contracts of Live Video Analytics, client and server.
#![deny(unsafe_code)]

mod address;
mod backoff;
mod client;
mod convert;
mod credentials;
mod format;
mod server;
mod shared_memory;
mod slots;
pub mod wire;

pub use address::{ExtensionUrl, UrlError};
pub use backoff::{Backoff, BackoffPolicy};
pub use client::{
    Answer, Answers, ClientOptions, ConnectError, DEFAULT_WINDOW, FrameSender, FrameSlot, GraphIdentity,
    MAX_WINDOW, MIN_WINDOW, NoSlot, PeerDescription, PeerStatus, SendError, Session, SessionError,
    SessionEvent, SessionStats, Transfer, Unanswered, connect,
};
pub use credentials::Credentials;
pub use format::{FormatError, FrameEncoding, FrameFormat, MAX_SIDE, PixelFormat};
pub use server::{
    BlockingExtension, BlockingSession, BoxError, Extension, ExtensionServer, ExtensionSession, HostError,
    ListenAddress, Listening, OnThreads, OpenError, Sample, ServerOptions, ServerStats, SessionInfo,
    StatsReader,
};
pub use shared_memory::{
    SharedMemoryError, SharedMemoryOptions, Trust, remove_stale_regions, required_shared_memory_bytes,
};
/// The status codes of gRPC, as extensions end streams with them.
pub use tonic::Code;
