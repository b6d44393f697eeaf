//! What all connections of a simulator share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use lva_media_types::Credentials;

use crate::auth::AuthScheme;
use crate::faults::Faults;
use crate::files::Library;
use crate::tls::SimulatorTls;
use crate::tunnel_registry::Tunnels;

/// What a simulator has done; all of them only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SimulatorCounters {
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections that were closed at once: too many, or [`Simulator::set_refusing`].
    pub turned_away: u64,
    /// Requests with wrong credentials.
    pub refused: u64,
    /// Sessions that began to play.
    pub plays: u64,
    /// Sessions that clients ended by TEARDOWN.
    pub teardowns: u64,
    /// Units (pictures and audio frames) that were sent.
    pub units: u64,
    /// RTP packets that were sent.
    pub packets: u64,
    /// RTP packets that were left out by [`Simulator::drop_packets`] or [`Faults::with_loss`], or that the system did
    /// not take (UDP only).
    pub dropped_packets: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) turned_away: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) plays: AtomicU64,
    pub(crate) teardowns: AtomicU64,
    pub(crate) units: AtomicU64,
    pub(crate) packets: AtomicU64,
    pub(crate) dropped_packets: AtomicU64,
}

/// What the connections have to watch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Control {
    pub(crate) shutdown: bool,
    pub(crate) refusing: bool,
    pub(crate) stalled: bool,
    /// Connections of an older epoch end.
    pub(crate) epoch: u64,
    /// How often RTP time was made to start over.
    pub(crate) resets: u64,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) library: Library,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) scheme: AuthScheme,
    pub(crate) udp: bool,
    pub(crate) in_band: bool,
    pub(crate) tls: Option<SimulatorTls>,
    pub(crate) tunnels: Tunnels,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) to_drop: AtomicU64,
    pub(crate) counters: Counters,
}

impl Shared {
    pub(crate) fn faults(&self) -> Faults {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn take_packet_to_drop(&self) -> bool {
        self.to_drop
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }
}
