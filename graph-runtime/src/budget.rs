//! How much encoded media an instance holds in memory: one account for all its queues and pre-rolls.
//!
//! A unit is entered once, when it comes from the camera, however many queues it lies in afterwards: the entry is in its
//! handle, and goes with the last of its clones. **What is held never exceeds the budget**, because a unit that finds no room
//! is not taken. Before that happens, others give way: above seven eighths units for analysis are dropped, and pre-rolls let
//! go their oldest groups of pictures until a sixteenth is free below that, so that analysis goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use lva_recording::{ClipStore, Recorder};
use lva_rtsp::{AccessUnit, MediaKind};

use crate::decode::DecoderInput;
use crate::record::RecorderInput;
use crate::stats::MemoryStats;

/// The account of one instance. Clones are the same account.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Account>);

#[derive(Debug)]
struct Account {
    limit: usize,
    used: AtomicUsize,
    highest: AtomicUsize,
    /// The high mark was passed, and the low one is not yet reached again.
    pressed: AtomicBool,
}

/// A unit's bytes and its entry in the account.
struct Entry {
    data: Bytes,
    account: Arc<Account>,
}

impl AsRef<[u8]> for Entry {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Entry {
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
            pressed: AtomicBool::new(false),
        }))
    }

    /// Enters a unit's bytes. The same bytes come back with their entry; `None` where there is no room for them.
    pub(crate) fn enter(&self, data: Bytes) -> Option<Bytes> {
        let account = &self.0;
        let with = |used: usize| used.checked_add(data.len()).filter(|sum| *sum <= account.limit);
        let entered = account
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, with);
        let Ok(before) = entered else {
            account.pressed.store(true, Ordering::Relaxed);
            return None;
        };
        let used = before + data.len();
        account.highest.fetch_max(used, Ordering::Relaxed);
        if used > self.high_mark() {
            account.pressed.store(true, Ordering::Relaxed);
        }
        let account = Arc::clone(account);
        Some(Bytes::from_owner(Entry { data, account }))
    }

    /// Whether analysis gets nothing more for now.
    fn is_high(&self) -> bool {
        self.used() > self.high_mark()
    }

    /// Whether pre-rolls have to give way.
    fn asks_pre_rolls(&self) -> bool {
        // Above what one disk that stands still can hold, so that it is reached all the same.
        let low_mark = self.0.limit / 16 * 13;
        if self.used() <= low_mark {
            self.0.pressed.store(false, Ordering::Relaxed);
        }
        self.0.pressed.load(Ordering::Relaxed)
    }

    /// Lets go the oldest groups of a pre-roll for as long as that is asked for, all but the newest; how many units went.
    /// What others hold too frees nothing, and goes all the same: behind it lies what does.
    pub(crate) fn shrink_pre_roll<S: ClipStore>(&self, recorder: &mut Recorder<S>) -> u64 {
        let mut gone = 0;
        while self.asks_pre_rolls() {
            match recorder.shrink_pre_roll() {
                0 => break,
                units => gone += units,
            }
        }
        gone
    }

    /// Bytes that one pre-roll may have: so much that half of the budget is left for what is on its way.
    pub(crate) fn pre_roll_bytes(&self, cap: usize) -> usize {
        cap.min(self.0.limit / 2)
    }

    /// Bytes that may wait for one disk: with a full pre-roll behind it, a disk that stands still leaves a quarter to others.
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

/// Gives a unit to everybody who wants it, as far as there is room: to recorders before analysis.
pub(crate) fn hand_out(
    budget: &Budget,
    mut unit: AccessUnit,
    media: MediaKind,
    recorders: &mut [RecorderInput],
    decoder: Option<(&mut DecoderInput, u64)>,
) {
    let stream = unit.stream;
    let wanted = |recorder: &&mut RecorderInput| recorder.wants(stream, media);
    let recorders = recorders.iter_mut().filter(wanted);
    let Some(data) = budget.enter(unit.data) else {
        recorders.for_each(RecorderInput::refuse);
        if let Some((decoder, _)) = decoder {
            decoder.refuse();
        }
        return;
    };
    unit.data = data;
    for recorder in recorders {
        recorder.unit(&unit, media);
    }
    match decoder {
        Some((decoder, _)) if budget.is_high() => decoder.refuse(),
        Some((decoder, epoch)) => decoder.unit(unit, epoch),
        None => {}
    }
}

#[cfg(test)]
mod tests;
