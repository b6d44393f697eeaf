//! A limit for the encoded media that an instance holds in memory, over all its queues and pre-rolls.
//!
//! A unit is reserved once, when it comes from the camera, however many queues hold it afterwards: the reservation belongs to
//! the unit's bytes, and ends with their last clone. **The media in memory never exceed the budget**, because a unit that does not
//! fit is dropped. Load is shed before that happens: above seven eighths of the budget, units for analysis are dropped, and
//! pre-rolls evict their oldest groups of pictures until a sixteenth below that is free, so that analysis continues.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use lva_recording::{ClipStore, Recorder};

use crate::stats::MemoryStats;

/// The budget of one instance. Clones are the same budget.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Account>);

#[derive(Debug)]
struct Account {
    limit: usize,
    used: AtomicUsize,
    highest: AtomicUsize,
    /// The high mark was passed, and the low one is not yet reached again.
    shedding: AtomicBool,
}

/// A unit's bytes, which count until they are dropped.
struct Reservation {
    data: Bytes,
    account: Arc<Account>,
}

impl AsRef<[u8]> for Reservation {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.account.used.fetch_sub(self.data.len(), Ordering::Relaxed);
    }
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Account {
            limit,
            used: AtomicUsize::new(0),
            highest: AtomicUsize::new(0),
            shedding: AtomicBool::new(false),
        }))
    }

    /// Reserves a unit's bytes. The same bytes come back with their reservation; `None` where they do not fit.
    pub(crate) fn reserve(&self, data: Bytes) -> Option<Bytes> {
        let account = &self.0;
        let with = |used: usize| used.checked_add(data.len()).filter(|sum| *sum <= account.limit);
        let reserved = account
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, with);
        let Ok(before) = reserved else {
            account.shedding.store(true, Ordering::Relaxed);
            return None;
        };
        let used = before + data.len();
        account.highest.fetch_max(used, Ordering::Relaxed);
        if used > self.high_mark() {
            account.shedding.store(true, Ordering::Relaxed);
        }
        let account = Arc::clone(account);
        Some(Bytes::from_owner(Reservation { data, account }))
    }

    /// Whether units for analysis are dropped.
    pub(crate) fn is_high(&self) -> bool {
        self.used() > self.high_mark()
    }

    /// Whether pre-rolls have to shrink.
    fn sheds_pre_rolls(&self) -> bool {
        // Above what one stalled disk can hold, so that the mark is reached in spite of it.
        let low_mark = self.0.limit / 16 * 13;
        if self.used() <= low_mark {
            self.0.shedding.store(false, Ordering::Relaxed);
        }
        self.0.shedding.load(Ordering::Relaxed)
    }

    /// Evicts the oldest groups of a pre-roll for as long as needed, all but the newest; returns the number of units.
    /// Groups that other queues still hold free nothing, and are evicted as well: the groups after them do.
    pub(crate) fn shrink_pre_roll<S: ClipStore>(&self, recorder: &mut Recorder<S>) -> u64 {
        let mut evicted = 0;
        while self.sheds_pre_rolls() {
            match recorder.shrink_pre_roll() {
                0 => break,
                units => evicted += units,
            }
        }
        evicted
    }

    /// The limit of one pre-roll: half of the budget remains for the queues.
    pub(crate) fn pre_roll_bytes(&self, cap: usize) -> usize {
        cap.min(self.0.limit / 2)
    }

    /// The limit of the queue to one disk: with a full pre-roll behind it, a stalled disk leaves a quarter to others.
    pub(crate) fn queue_bytes(&self, cap: usize) -> usize {
        cap.min(self.0.limit / 4)
    }

    pub(crate) fn stats(&self) -> MemoryStats {
        MemoryStats {
            budget_bytes: self.0.limit as u64,
            used_bytes: self.used() as u64,
            highest_bytes: self.0.highest.load(Ordering::Relaxed) as u64,
        }
    }

    fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    fn high_mark(&self) -> usize {
        self.0.limit / 8 * 7
    }
}
