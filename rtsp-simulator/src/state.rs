//! What all connections of a simulator share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::faults::Faults;
use crate::files::Library;
use crate::options::SimulatorOptions;
use crate::tunnel_registry::Tunnels;

/// Monotonic counters of a simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct SimulatorCounters {
    /// Accepted connections.
    pub connections: u64,
    /// Connections closed at once: too many, or [`Simulator::set_refusing`](crate::Simulator::set_refusing).
    pub rejected_connections: u64,
    /// Connections closed to free places for others, or because they asked for nothing in time.
    pub evicted_connections: u64,
    /// Requests with wrong credentials.
    pub rejected_credentials: u64,
    /// Sessions that started to play.
    pub plays: u64,
    /// Sessions that clients ended by TEARDOWN.
    pub teardowns: u64,
    /// Sent units (pictures and audio frames).
    pub units: u64,
    /// Sent RTP packets.
    pub packets: u64,
    /// RTP packets dropped by [`Simulator::drop_packets`](crate::Simulator::drop_packets) or [`Faults::with_loss`], or
    /// rejected by the system (UDP only).
    pub dropped_packets: u64,
}

/// Commands to all connections.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Control {
    pub(crate) shutdown: bool,
    pub(crate) refusing: bool,
    pub(crate) stalled: bool,
    /// Connections of an older epoch end.
    pub(crate) epoch: u64,
    /// How often RTP time was reset.
    pub(crate) resets: u64,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: SimulatorOptions,
    pub(crate) library: Library,
    pub(crate) tunnels: Tunnels,
    faults: Mutex<Faults>,
    counters: Mutex<SimulatorCounters>,
    to_drop: AtomicU64,
}

impl Shared {
    pub(crate) fn new(options: SimulatorOptions, library: Library) -> Self {
        Self {
            library,
            tunnels: Tunnels::default(),
            faults: Mutex::new(options.faults.clone()),
            counters: Mutex::default(),
            to_drop: AtomicU64::new(0),
            options,
        }
    }

    pub(crate) fn faults(&self) -> Faults {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    pub(crate) fn counters(&self) -> SimulatorCounters {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut SimulatorCounters)) {
        change(&mut self.counters.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Drops the next `count` packets.
    pub(crate) fn drop_packets(&self, count: u64) {
        self.to_drop.fetch_add(count, Ordering::Relaxed);
    }

    /// Whether to drop the current packet.
    pub(crate) fn take_packet_to_drop(&self) -> bool {
        self.to_drop
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }
}
