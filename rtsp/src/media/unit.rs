//! What comes out of a stream.

use std::time::{Instant, SystemTime};

/// When a packet came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) wall: SystemTime,
    /// RTP packets that came before it on the same connection; 0 for datagrams.
    pub(crate) number: u64,
}

impl Arrival {
    pub(crate) fn now() -> Self {
        Self {
            at: Instant::now(),
            wall: SystemTime::now(),
            number: 0,
        }
    }
}

/// An encoded picture or audio frame.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) data: Vec<u8>,
    /// RTP time, extended to 64 bits.
    pub(crate) ticks: i64,
    /// Of its first packet.
    pub(crate) arrival: Arrival,
    /// Packets lost before it.
    pub(crate) lost: u32,
    pub(crate) keyframe: bool,
    pub(crate) disposable: bool,
    pub(crate) parameters_changed: bool,
}
