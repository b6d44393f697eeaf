//! Mapping memory: the only unsafe code of the crate, and the little that must be right for it to be sound.
//!
//! Memory shared with another process lies outside of what the language can promise: the peer may write while we
//! read. Three rules keep that harmless: what is read here are plain bytes, for which every value is valid; our own
//! slices never overlap (the allocator's slots are not `Clone` and disjoint); and no file is mapped for reading
//! unless the caller trusts its owner not to cut it short, because touching a page that is gone kills the process.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use memmap2::{MmapOptions, MmapRaw};
use parking_lot::{Mutex, MutexGuard};

use crate::slots::{Slot, SlotAllocator, TakeError};

/// A writable mapping together with the allocator that says whose each byte is.
#[derive(Debug)]
pub(super) struct WritableMapping {
    memory: MmapRaw,
    slots: Mutex<SlotAllocator>,
}

impl WritableMapping {
    /// Maps the first `length` bytes of `file`, which must have real pages behind them, and touches each page.
    pub(super) fn new(file: &File, length: usize) -> io::Result<Self> {
        let memory = MmapOptions::new().len(length).populate().map_raw(file)?;
        let page = rustix::param::page_size();
        for offset in (0..length).step_by(page) {
            // SAFETY: `offset` lies inside the mapping of `length` bytes, which nobody else refers to yet. A fresh
            // file is all zeros, so the write changes nothing but the page table.
            unsafe { memory.as_mut_ptr().add(offset).write_volatile(0) };
        }
        Ok(Self {
            memory,
            slots: Mutex::new(SlotAllocator::new(length)),
        })
    }

    /// A place of `length` bytes.
    pub(super) fn take(self: &Arc<Self>, length: usize) -> Result<MappedSlot, TakeError> {
        let slot = self.slots().take(length)?;
        Ok(MappedSlot {
            mapping: Arc::clone(self),
            slot: Some(slot),
            offset: 0,
            length: 0,
        }
        .describe())
    }

    fn slots(&self) -> MutexGuard<'_, SlotAllocator> {
        self.slots.lock()
    }
}

/// Exclusive bytes of a [`WritableMapping`], given back at drop.
#[derive(Debug)]
pub(super) struct MappedSlot {
    mapping: Arc<WritableMapping>,
    /// `None` only while dropping.
    slot: Option<Slot>,
    offset: usize,
    length: usize,
}

impl MappedSlot {
    fn describe(mut self) -> Self {
        (self.offset, self.length) = self
            .slot
            .as_ref()
            .map_or((0, 0), |slot| (slot.offset(), slot.length()));
        self
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Gives the end of the place back. No more than the present length.
    pub(super) fn shrink(&mut self, length: usize) {
        if let Some(slot) = &mut self.slot {
            self.mapping.slots().shrink(slot, length);
            self.length = slot.length();
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: offset and length come from the allocator, whose capacity is the length of the mapping; the pages
        // exist, because the file was allocated in full. The place is ours alone inside this process.
        unsafe { std::slice::from_raw_parts(self.mapping.memory.as_mut_ptr().add(self.offset), self.length) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; and `&mut self` on the only owner of the slot makes the slice exclusive.
        unsafe {
            std::slice::from_raw_parts_mut(self.mapping.memory.as_mut_ptr().add(self.offset), self.length)
        }
    }
}

impl Drop for MappedSlot {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.mapping.slots().release(slot);
        }
    }
}

/// A read-only mapping of a trusted peer's file.
#[derive(Debug)]
pub(super) struct ReadableMapping {
    memory: MmapRaw,
}

impl ReadableMapping {
    /// Maps the first `length` bytes. The caller vouches that the peer keeps the file at that size.
    pub(super) fn new(file: &File, length: usize) -> io::Result<Self> {
        Ok(Self {
            memory: MmapOptions::new().len(length).map_raw_read_only(file)?,
        })
    }

    /// Borrowed bytes that keep the mapping alive. `None` when the range leaves the mapping.
    pub(super) fn bytes(self: &Arc<Self>, range: Range<usize>) -> Option<Bytes> {
        if range.start > range.end || range.end > self.memory.len() {
            return None;
        }
        Some(Bytes::from_owner(MappedBytes {
            mapping: Arc::clone(self),
            range,
        }))
    }
}

struct MappedBytes {
    mapping: Arc<ReadableMapping>,
    /// Inside the mapping: checked where this is made.
    range: Range<usize>,
}

impl AsRef<[u8]> for MappedBytes {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the range lies inside the mapping, which lives as long as `self`. That the file behind it is not
        // cut short is what `Trust::Peer` means; that the peer does not write until the acknowledgement is the
        // contract, and bytes have no invalid values if it does.
        unsafe {
            std::slice::from_raw_parts(
                self.mapping.memory.as_ptr().add(self.range.start),
                self.range.end - self.range.start,
            )
        }
    }
}
