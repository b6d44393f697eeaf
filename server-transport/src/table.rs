//! The connections of a listener, and who makes way: rules without I/O.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::ConnectionLimits;
use crate::connection::State;

/// A connection that is vouched for makes way for a newcomer when it is unused for this long.
const UNUSED: Duration = Duration::from_secs(30);

/// Counts of a listener since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Admitted connections.
    pub admitted: u64,
    /// Connections closed at once: all places were taken by others with more right to them.
    pub refused: u64,
    /// Connections closed to free a place for a newcomer.
    pub evicted: u64,
    /// Connections closed because their first request did not come in time.
    pub without_request: u64,
    /// Connections closed because nothing was in progress for too long.
    pub idle: u64,
    /// Errors of the system on accepting, such as too many open files.
    pub accept_errors: u64,
}

#[derive(Debug, Default)]
struct Counts {
    admitted: AtomicU64,
    refused: AtomicU64,
    evicted: AtomicU64,
    without_request: AtomicU64,
    idle: AtomicU64,
    accept_errors: AtomicU64,
}

/// Reads the counts of a listener at any time.
#[derive(Debug, Clone)]
pub struct ConnectionStatsReader(Arc<Table>);

impl ConnectionStatsReader {
    /// The counts now.
    pub fn read(&self) -> ConnectionStats {
        let counts = &self.0.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ConnectionStats {
            admitted: read(&counts.admitted),
            refused: read(&counts.refused),
            evicted: read(&counts.evicted),
            without_request: read(&counts.without_request),
            idle: read(&counts.idle),
            accept_errors: read(&counts.accept_errors),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    limits: ConnectionLimits,
    open: Mutex<Open>,
    counts: Counts,
}

#[derive(Default)]
struct Open {
    next: u64,
    all: HashMap<u64, Arc<State>>,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open")
            .field("connections", &self.all.len())
            .finish_non_exhaustive()
    }
}

impl Table {
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            open: Mutex::default(),
            counts: Counts::default(),
        }
    }

    pub(crate) fn reader(self: &Arc<Self>) -> ConnectionStatsReader {
        ConnectionStatsReader(Arc::clone(self))
    }

    /// A place, unless all are taken by connections with more right to them.
    pub(crate) fn admit(&self, peer: Option<IpAddr>, now: Instant) -> Option<Arc<State>> {
        let mut open = self.open.lock();
        let max = self.limits.max_connections;
        // Those that are marked as closing still hold a descriptor until their task has noticed.
        let full = open.all.len() >= max.saturating_mul(2)
            || open.all.values().filter(|one| !one.is_closing()).count() >= max && !self.evict(&open, now);
        if full {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.counts.admitted.fetch_add(1, Ordering::Relaxed);
        open.next += 1;
        let number = open.next;
        let state = Arc::new(State::new(number, peer, now));
        open.all.insert(number, Arc::clone(&state));
        Some(state)
    }

    /// An error of `accept`: where descriptors are used up, one is set free.
    pub(crate) fn accept_failed(&self, descriptors_used_up: bool, now: Instant) {
        self.counts.accept_errors.fetch_add(1, Ordering::Relaxed);
        if descriptors_used_up {
            self.evict(&self.open.lock(), now);
        }
    }

    /// Closes the connection with the least right to its place, if there is one.
    fn evict(&self, open: &Open, now: Instant) -> bool {
        let Some(victim) = victim(open.all.values().map(|state| &**state), now) else {
            return false;
        };
        victim.close();
        self.counts.evicted.fetch_add(1, Ordering::Relaxed);
        true
    }

    pub(crate) fn remove(&self, number: u64) {
        self.open.lock().all.remove(&number);
    }

    /// Closes connections whose time is over.
    pub(crate) fn close_overdue(&self, now: Instant) {
        for one in self.open.lock().all.values().filter(|one| !one.is_closing()) {
            let Some(since) = one.unused_since() else { continue };
            let unused = now.saturating_duration_since(since);
            let (limit, count) = match one.has_begun() {
                false => (self.limits.first_request, &self.counts.without_request),
                true => (self.limits.idle, &self.counts.idle),
            };
            if unused >= limit {
                one.close();
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The connection that makes way.
fn victim<'a>(open: impl Iterator<Item = &'a State> + Clone, now: Instant) -> Option<&'a State> {
    let open = open.filter(|one| !one.is_closing());
    let mut held: HashMap<Option<IpAddr>, usize> = HashMap::new();
    for one in open.clone().filter(|one| !one.is_vouched()) {
        *held.entry(one.peer).or_default() += 1;
    }
    let unknown = open
        .clone()
        .filter(|one| !one.is_vouched())
        .max_by_key(|one| (held.get(&one.peer), std::cmp::Reverse(one.number)));
    unknown.or_else(|| {
        open.filter_map(|one| Some((one.unused_since()?, one)))
            .filter(|(since, _)| now.saturating_duration_since(*since) >= UNUSED)
            .min_by_key(|(since, one)| (*since, one.number))
            .map(|(_, one)| one)
    })
}

#[cfg(test)]
mod tests;
