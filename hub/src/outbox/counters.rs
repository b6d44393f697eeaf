use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::watch;

/// Why an event is not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum OutboxDropReason {
    /// The receiver refused it, or would: too large, or with a name or id that it does not accept.
    Refused,
    /// It came faster than the disk takes events.
    Overload,
    /// The disk did not take it.
    Storage,
    /// The outbox was at its bound of bytes, and this was among the oldest.
    Full,
    /// The disk was full, and this was among the oldest.
    StorageFull,
    /// It waited longer than the bound of age.
    TooOld,
    /// Its file was damaged or lost.
    Damaged,
}

impl OutboxDropReason {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::Refused,
        Self::Overload,
        Self::Storage,
        Self::Full,
        Self::StorageFull,
        Self::TooOld,
        Self::Damaged,
    ];

    /// Its name for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Overload => "overload",
            Self::Storage => "storage",
            Self::Full => "full",
            Self::StorageFull => "storage_full",
            Self::TooOld => "too_old",
            Self::Damaged => "damaged",
        }
    }
}

impl fmt::Display for OutboxDropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Monotonic counts since the outbox was opened, and its present size.
#[derive(Debug, Default)]
pub(super) struct Counters {
    dropped: [AtomicU64; OutboxDropReason::ALL.len()],
    accepted: AtomicU64,
    delivered: AtomicU64,
    cut_bytes: AtomicU64,
    waiting: watch::Sender<u64>,
    bytes: AtomicU64,
}

impl Counters {
    pub(super) fn add(&self, reason: OutboxDropReason, events: u64) {
        self.dropped[reason as usize].fetch_add(events, Relaxed);
    }

    pub(super) fn add_cut_bytes(&self, bytes: u64) {
        self.cut_bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn add_accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    pub(super) fn add_delivered(&self) {
        self.delivered.fetch_add(1, Relaxed);
    }

    pub(super) fn set_size(&self, waiting: u64, bytes: u64) {
        self.bytes.store(bytes, Relaxed);
        self.waiting
            .send_if_modified(|own| std::mem::replace(own, waiting) != waiting);
    }

    /// Events that wait, and changes of their number.
    pub(super) fn waiting(&self) -> watch::Receiver<u64> {
        self.waiting.subscribe()
    }

    pub(super) fn snapshot(&self) -> OutboxStats {
        OutboxStats {
            dropped: OutboxDropReason::ALL
                .map(|reason| (reason, self.dropped[reason as usize].load(Relaxed))),
            accepted: self.accepted.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            cut_bytes: self.cut_bytes.load(Relaxed),
            waiting: *self.waiting.borrow(),
            bytes: self.bytes.load(Relaxed),
        }
    }
}

/// What an outbox holds, and what became of its events since it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxStats {
    /// Events that were not delivered, by reason.
    pub dropped: [(OutboxDropReason, u64); OutboxDropReason::ALL.len()],
    /// Events taken in.
    pub accepted: u64,
    /// Events that the receiver acknowledged.
    pub delivered: u64,
    /// Bytes that a crash had cut off at the end, removed at the start.
    pub cut_bytes: u64,
    /// Events on disk that are not acknowledged.
    pub waiting: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

impl OutboxStats {
    /// Events dropped for a reason.
    pub fn dropped_for(&self, reason: OutboxDropReason) -> u64 {
        self.dropped
            .iter()
            .filter(|(own, _)| *own == reason)
            .map(|(_, count)| count)
            .sum()
    }

    /// Events dropped for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_count_and_name() {
        let counters = Counters::default();
        for (index, reason) in OutboxDropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            counters.add(reason, index as u64 + 1);
        }
        let stats = counters.snapshot();
        assert_eq!(stats.dropped_total(), (1..=7_u64).sum::<u64>());
        assert_eq!(stats.dropped_for(OutboxDropReason::Full), 4);
        let mut names: Vec<_> = OutboxDropReason::ALL
            .iter()
            .map(|reason| reason.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OutboxDropReason::ALL.len());
    }
}
