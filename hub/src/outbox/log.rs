//! The outbox on disk: a directory of segments, appended at one end and removed at the other. Blocking; the clock is a
//! parameter.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::clock::{Boot, ClockSteps, Now};
use super::counters::{Counters, OutboxDropReason};
use super::record::{StoredEvent, encode};
use super::segment::{self, MAGIC, Reader, SegmentFile, private_file};
use super::{OutboxError, OutboxOptions};
use crate::message::OutputMessage;

/// A record's worst case beyond a segment's nominal size.
const MAX_RECORD_BYTES: usize = 1024 * 1024 + 64;
const CURSOR: &str = "cursor";
const CLOCK: &str = "clock";
const LOCK: &str = "lock";
const LOCK_ATTEMPTS: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// 2020-01-01: an event with an earlier time was made before the machine's clock was set, and its age is unknown.
const PLAUSIBLE_MS: u64 = 1_577_836_800_000;

/// **What was appended and synchronised is handed out in order until it is acknowledged**, evicted by a bound, or expired;
/// the latter two are counted.
#[derive(Debug)]
pub(super) struct Log {
    directory: PathBuf,
    options: OutboxOptions,
    /// Held as long as the log is open.
    _lock: File,
    /// All files in order; the last may be the one that is appended to.
    segments: VecDeque<SegmentFile>,
    active: Option<Active>,
    /// The segment that is being read, where that is not the active one.
    loaded: Option<(u64, Vec<u8>)>,
    reader: Option<Reader>,
    /// The number of the next event.
    next_sequence: u64,
    /// The first event that is neither acknowledged nor dropped.
    cursor: u64,
    saved_cursor: u64,
    /// The next event to hand out.
    next_out: u64,
    /// Acknowledged out of order, beyond the cursor.
    acknowledged: BTreeSet<u64>,
    is_dirty: bool,
    clock: ClockSteps,
}

/// The file that is appended to, with its contents.
#[derive(Debug)]
struct Active {
    first: u64,
    file: File,
    raw: Vec<u8>,
}

impl Log {
    /// Opens or creates the directory. Records that a crash cut off at the end are removed.
    pub(super) fn open(
        directory: &Path,
        options: OutboxOptions,
        counters: &Counters,
    ) -> Result<Self, OutboxError> {
        let failed = |cause| OutboxError::Io {
            path: directory.to_owned(),
            cause,
        };
        // Events hold who was where: other users must not read them.
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(directory);
        made.map_err(failed)?;
        let mut lock = private_file();
        let lock = lock.write(true).create(true).truncate(false);
        let lock = lock.open(directory.join(LOCK)).map_err(failed)?;
        take_lock(&lock, directory)?;
        let mut log = Self {
            segments: segment::list(directory).map_err(failed)?.into(),
            saved_cursor: read_cursor(directory),
            directory: directory.to_owned(),
            options,
            _lock: lock,
            active: None,
            loaded: None,
            reader: None,
            next_sequence: 0,
            cursor: 0,
            next_out: 0,
            acknowledged: BTreeSet::new(),
            is_dirty: false,
            clock: ClockSteps::default(),
        };
        log.recover(counters).map_err(failed)?;
        Ok(log)
    }

    fn recover(&mut self, counters: &Counters) -> io::Result<()> {
        self.next_sequence = self.saved_cursor;
        if let Some(last) = self.segments.back().cloned() {
            let raw = segment::load(&self.directory, &last, self.load_limit())?;
            let (whole, next) = segment::scan(&raw, last.first);
            self.next_sequence = self.next_sequence.max(next);
            if !last.is_sealed {
                self.reopen(last, raw, whole, next, counters)?;
            }
        }
        let first = self
            .segments
            .front()
            .map_or(self.next_sequence, |file| file.first);
        self.cursor = self.saved_cursor.max(first).min(self.next_sequence);
        self.next_out = self.cursor;
        self.remove_finished()
    }

    /// Continues the open file at the end of its whole records, before the event `next`.
    fn reopen(
        &mut self,
        last: SegmentFile,
        mut raw: Vec<u8>,
        whole: usize,
        next: u64,
        counters: &Counters,
    ) -> io::Result<()> {
        let cut = raw.len() - whole;
        if cut > 0 && raw.len() > MAGIC.len() {
            counters.add_cut_bytes(cut as u64);
            tracing::warn!(
                bytes = cut,
                "the outbox ended in the middle of an event; that part is removed"
            );
        }
        if whole == 0 || self.saved_cursor > next {
            // Nothing in it is of use, and what follows would not fit behind it.
            segment::remove(&self.directory, &last)?;
            self.segments.pop_back();
            return Ok(());
        }
        raw.truncate(whole);
        let file = private_file()
            .append(true)
            .open(segment::open_path(&self.directory, last.first))?;
        if cut > 0 {
            file.set_len(whole as u64)?;
            file.sync_all()?;
        }
        if let Some(file) = self.segments.back_mut() {
            file.bytes = whole as u64;
        }
        self.active = Some(Active {
            first: last.first,
            file,
            raw,
        });
        Ok(())
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|file| file.bytes).sum()
    }

    /// Its directory's last name, which distinguishes it from the other outboxes of a program.
    pub(super) fn name(&self) -> &str {
        self.directory
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
    }

    /// Events that are neither acknowledged nor dropped.
    pub(super) fn waiting(&self) -> u64 {
        self.next_sequence - self.cursor
    }

    /// Whether [`take_next`](Self::take_next) has something to look at.
    pub(super) fn has_next(&self) -> bool {
        self.next_out < self.next_sequence
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.is_dirty || self.cursor != self.saved_cursor
    }

    /// Continues with the ages that the last process knew.
    pub(super) fn resume_clock(&mut self, now: Now, boot: Option<&Boot>) {
        // Without it, ages are those of the clock.
        let saved = fs::read(self.directory.join(CLOCK)).ok();
        self.clock
            .resume(saved.as_deref(), now, boot, self.cursor, self.next_sequence);
    }

    /// Saves what the next process has to know of the clock. It is of use while events wait.
    pub(super) fn save_clock(&mut self, now: Now, boot: Option<Boot>) -> io::Result<()> {
        let saved = self.clock.save(now, boot);
        replace(&self.directory, CLOCK, &saved)
    }

    /// Whether the clock was set since it was saved.
    pub(super) fn is_clock_changed(&self) -> bool {
        self.clock.is_changed()
    }

    /// Looks whether the machine's clock was set.
    pub(super) fn observe_clock(&mut self, now: Now) {
        self.clock.observe(now, self.cursor, self.next_sequence);
    }

    /// Appends an event. It survives the end of this process from now on, and a loss of power from the next
    /// [`sync`](Self::sync) on.
    pub(super) fn append(&mut self, event: OutputMessage, now: Now, counters: &Counters) -> io::Result<()> {
        self.observe_clock(now);
        let stored = StoredEvent {
            sequence: self.next_sequence,
            created_ms: now.unix_ms,
            event,
        };
        let mut record = Vec::new();
        encode(&stored, &mut record)?;
        self.make_room(record.len() as u64, counters)?;
        match self.write(&record) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull && self.segments.len() > 1 => {
                // New events are worth more than old ones, here as at the bound.
                self.evict(OutboxDropReason::StorageFull, counters)?;
                self.write(&record)
            }
            result => result,
        }?;
        self.next_sequence += 1;
        self.is_dirty = true;
        Ok(())
    }

    fn write(&mut self, record: &[u8]) -> io::Result<()> {
        let limit = self.options.segment_bytes();
        let is_full =
            |active: &Active| active.raw.len() > MAGIC.len() && active.raw.len() + record.len() > limit;
        if self.active.as_ref().is_some_and(is_full) {
            self.roll()?;
        }
        let active = match &mut self.active {
            Some(active) => active,
            empty => empty.insert(create(&self.directory, self.next_sequence, &mut self.segments)?),
        };
        if let Err(error) = active.file.write_all(record) {
            // A part of the record may be there: cut it off, or begin another file.
            if active.file.set_len(active.raw.len() as u64).is_err() {
                self.active = None;
            }
            return Err(error);
        }
        active.raw.extend_from_slice(record);
        if let Some(file) = self.segments.back_mut() {
            file.bytes = active.raw.len() as u64;
        }
        Ok(())
    }

    /// Ends the file that is appended to; the next event begins another.
    fn roll(&mut self) -> io::Result<()> {
        let Some(active) = self.active.take() else {
            return Ok(());
        };
        if self.cursor == self.next_sequence {
            // All of it is delivered: not worth compressing.
            return self.remove_finished();
        }
        active.file.sync_data()?;
        let sealed = segment::seal(&self.directory, active.first, &active.raw);
        if self
            .reader
            .as_ref()
            .is_some_and(|reader| reader.first == active.first)
        {
            self.loaded = Some((active.first, active.raw));
        }
        if let Some(file) = self.segments.back_mut() {
            // Uncompressed it is as good, only larger.
            match sealed {
                Ok(bytes) => (file.is_sealed, file.bytes) = (true, bytes),
                Err(error) => tracing::warn!(%error, "a file of the outbox could not be compressed"),
            }
        }
        Ok(())
    }

    /// Evicts the oldest events until `more` bytes fit below the bound.
    fn make_room(&mut self, more: u64, counters: &Counters) -> io::Result<()> {
        while !self.segments.is_empty() && self.bytes() + more > self.options.max_bytes {
            if self.segments.len() == 1 {
                self.roll()?;
            }
            if self.bytes() + more > self.options.max_bytes && !self.segments.is_empty() {
                self.evict(OutboxDropReason::Full, counters)?;
            }
        }
        Ok(())
    }

    /// Removes the oldest file, and counts the events in it that were not handed out.
    fn evict(&mut self, reason: OutboxDropReason, counters: &Counters) -> io::Result<()> {
        let Some(oldest) = self.segments.front().cloned() else {
            return Ok(());
        };
        let end = self.end_of_front();
        segment::remove(&self.directory, &oldest)?;
        self.segments.pop_front();
        counters.add(reason, end.saturating_sub(self.next_out.max(oldest.first)));
        self.skip_to(end);
        if self.segments.is_empty() {
            self.active = None;
        }
        Ok(())
    }

    /// The number after the last event of the oldest file.
    fn end_of_front(&self) -> u64 {
        self.segments.get(1).map_or(self.next_sequence, |file| file.first)
    }

    /// Everything before `sequence` is gone.
    fn skip_to(&mut self, sequence: u64) {
        self.next_out = self.next_out.max(sequence);
        self.cursor = self.cursor.max(sequence);
        self.acknowledged = self.acknowledged.split_off(&self.cursor);
        self.advance_cursor();
        if self
            .reader
            .as_ref()
            .is_some_and(|reader| reader.next_sequence() < self.next_out)
        {
            self.reader = None;
            self.loaded = None;
        }
    }

    /// The next event to send; `None` when all are handed out. Expired ones are dropped on the way.
    pub(super) fn take_next(&mut self, now: Now, counters: &Counters) -> io::Result<Option<StoredEvent>> {
        self.observe_clock(now);
        while let Some((stored, length)) = self.peek(counters)? {
            if let Some(reader) = &mut self.reader {
                reader.advance(length);
            }
            self.next_out = stored.sequence + 1;
            if !self.is_expired(&stored, now) {
                return Ok(Some(stored));
            }
            counters.add(OutboxDropReason::TooOld, 1);
            self.acknowledge(stored.sequence)?;
        }
        Ok(None)
    }

    /// Drops the events at the front that are too old to send.
    pub(super) fn expire(&mut self, now: Now, counters: &Counters) -> io::Result<()> {
        self.observe_clock(now);
        while let Some((stored, length)) = self.peek(counters)? {
            if !self.is_expired(&stored, now) {
                break;
            }
            if let Some(reader) = &mut self.reader {
                reader.advance(length);
            }
            self.next_out = stored.sequence + 1;
            counters.add(OutboxDropReason::TooOld, 1);
            self.acknowledge(stored.sequence)?;
        }
        Ok(())
    }

    fn is_expired(&self, stored: &StoredEvent, now: Now) -> bool {
        let max_age_ms = i128::try_from(self.options.max_age.as_millis()).unwrap_or(i128::MAX);
        stored.created_ms >= PLAUSIBLE_MS
            && self.clock.age_ms(stored.sequence, stored.created_ms, now) > max_age_ms
    }

    /// The record at `next_out`. Damaged parts are counted and skipped.
    fn peek(&mut self, counters: &Counters) -> io::Result<Option<(StoredEvent, usize)>> {
        while self.next_out < self.next_sequence {
            let after = self.segments.partition_point(|file| file.first <= self.next_out);
            let end = self
                .segments
                .get(after)
                .map_or(self.next_sequence, |file| file.first);
            let Some(file) = after.checked_sub(1).and_then(|at| self.segments.get(at)).cloned() else {
                // The directory lost a file.
                counters.add(OutboxDropReason::Damaged, end - self.next_out);
                self.skip_to(end);
                continue;
            };
            if self
                .reader
                .as_ref()
                .is_none_or(|reader| reader.first != file.first)
            {
                self.reader = Some(Reader::new(file.first));
                self.loaded = None;
            }
            let is_active = self
                .active
                .as_ref()
                .is_some_and(|active| active.first == file.first);
            if !is_active && self.loaded.as_ref().is_none_or(|(first, _)| *first != file.first) {
                let raw = match segment::load(&self.directory, &file, self.load_limit()) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                    result => result?,
                };
                self.loaded = Some((file.first, raw));
            }
            let raw = match (&self.active, &self.loaded) {
                (Some(active), _) if is_active => &active.raw[..],
                (_, Some((_, raw))) => raw,
                _ => &[],
            };
            let Some(reader) = &mut self.reader else { break };
            while reader.next_sequence() < self.next_out
                && let Some((_, length)) = reader.peek(raw)
            {
                reader.advance(length);
            }
            match reader.peek(raw) {
                Some(found) if found.0.sequence == self.next_out && self.next_out < end => {
                    return Ok(Some(found));
                }
                _ => {
                    counters.add(OutboxDropReason::Damaged, end - self.next_out);
                    tracing::error!(events = end - self.next_out, "a file of the outbox is damaged");
                    self.skip_to(end);
                    self.remove_finished()?;
                }
            }
        }
        Ok(None)
    }

    /// An event has arrived at the hub.
    pub(super) fn acknowledge(&mut self, sequence: u64) -> io::Result<()> {
        if sequence < self.cursor || sequence >= self.next_out {
            return Ok(());
        }
        self.acknowledged.insert(sequence);
        self.advance_cursor();
        self.remove_finished()
    }

    fn advance_cursor(&mut self) {
        while self.acknowledged.first() == Some(&self.cursor) {
            self.acknowledged.pop_first();
            self.cursor += 1;
        }
    }

    /// Removes files whose events are all gone, but for the one that is appended to.
    fn remove_finished(&mut self) -> io::Result<()> {
        while let Some(oldest) = self.segments.front().cloned() {
            let is_active = self
                .active
                .as_ref()
                .is_some_and(|active| active.first == oldest.first);
            if is_active || self.end_of_front() > self.cursor {
                break;
            }
            segment::remove(&self.directory, &oldest)?;
            self.segments.pop_front();
            if self
                .loaded
                .as_ref()
                .is_some_and(|(first, _)| *first == oldest.first)
            {
                self.loaded = None;
                self.reader = None;
            }
        }
        Ok(())
    }

    /// Makes what was appended survive a loss of power, and remembers what was acknowledged.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.is_dirty {
            if let Some(active) = &self.active {
                active.file.sync_data()?;
            }
            self.is_dirty = false;
        }
        if self.cursor != self.saved_cursor {
            write_cursor(&self.directory, self.cursor)?;
            self.saved_cursor = self.cursor;
        }
        Ok(())
    }

    fn load_limit(&self) -> usize {
        self.options.segment_bytes().saturating_add(MAX_RECORD_BYTES)
    }
}

/// Tries for a moment: a child process that was just forked holds the locks of its parent until it runs its own program.
fn take_lock(lock: &File, directory: &Path) -> Result<(), OutboxError> {
    let path = directory.to_owned();
    for _ in 0..LOCK_ATTEMPTS {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(cause)) => return Err(OutboxError::Io { path, cause }),
        }
    }
    Err(OutboxError::InUse { path })
}

fn create(directory: &Path, first: u64, segments: &mut VecDeque<SegmentFile>) -> io::Result<Active> {
    let path = segment::open_path(directory, first);
    let mut file = private_file().append(true).create_new(true).open(&path)?;
    if let Err(error) = file.write_all(MAGIC) {
        // Without its beginning, nothing in it could be read.
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    segment::sync_directory(directory)?;
    segments.push_back(SegmentFile {
        first,
        is_sealed: false,
        bytes: MAGIC.len() as u64,
    });
    Ok(Active {
        first,
        file,
        raw: MAGIC.to_vec(),
    })
}

/// The number of the first event that was not acknowledged when the file was written; 0 where it cannot be read, which
/// leads to duplicates with equal ids and to nothing worse.
fn read_cursor(directory: &Path) -> u64 {
    let Ok(bytes) = fs::read(directory.join(CURSOR)) else {
        return 0;
    };
    match bytes.split_first_chunk::<8>() {
        Some((cursor, checksum)) if checksum == crc32fast::hash(cursor).to_le_bytes() => {
            u64::from_le_bytes(*cursor)
        }
        _ => 0,
    }
}

fn write_cursor(directory: &Path, cursor: u64) -> io::Result<()> {
    let cursor = cursor.to_le_bytes();
    let mut bytes = cursor.to_vec();
    bytes.extend_from_slice(&crc32fast::hash(&cursor).to_le_bytes());
    replace(directory, CURSOR, &bytes)
}

/// Replaces a small file as a whole. What an interrupted attempt leaves is removed at the next start.
fn replace(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!("{name}.tmp"));
    let mut file = private_file();
    let file = file.write(true).create(true).truncate(true);
    file.open(&temporary)?.write_all(bytes)?;
    fs::rename(temporary, directory.join(name))
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
