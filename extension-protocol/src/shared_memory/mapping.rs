//! Memory mapping: the only unsafe code of the crate.
//!
//! Rust makes no guarantee about memory that another process shares: the peer may write while this process reads. Three
//! rules keep that safe: only plain bytes are read, for which every value is valid; this process's slices never overlap
//! (the allocator's slots are disjoint and not `Clone`); and a file is mapped for reading only if the caller trusts its
//! owner not to truncate it, because access to a missing page kills the process.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use memmap2::{MmapOptions, MmapRaw};
use parking_lot::{Mutex, MutexGuard};

use crate::slots::{Slot, SlotAllocator, TakeError};

/// A writable mapping with the allocator of its slots.
#[derive(Debug)]
pub(super) struct WritableMapping {
    memory: MmapRaw,
    slots: Mutex<SlotAllocator>,
}

impl WritableMapping {
    /// Maps the first `length` bytes of `file`, which must be allocated, and touches each page.
    pub(super) fn new(file: &File, length: usize) -> io::Result<Self> {
        let memory = MmapOptions::new().len(length).populate().map_raw(file)?;
        let page = rustix::param::page_size();
        for offset in (0..length).step_by(page) {
            // SAFETY: `offset` is inside the mapping of `length` bytes, which has no other references yet. A new file
            // is all zeros, so the write changes only the page table.
            unsafe { memory.as_mut_ptr().add(offset).write_volatile(0) };
        }
        Ok(Self {
            memory,
            slots: Mutex::new(SlotAllocator::new(length)),
        })
    }

    /// A slot of `length` bytes.
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

/// Exclusive bytes of a [`WritableMapping`], released on drop.
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

    /// Releases the end of the slot. `length` is at most the present length.
    pub(super) fn shrink(&mut self, length: usize) {
        if let Some(slot) = &mut self.slot {
            self.mapping.slots().shrink(slot, length);
            self.length = slot.length();
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: offset and length come from the allocator, whose capacity is the length of the mapping; the pages
        // exist, because the file was allocated in full. No other slot in this process overlaps this one.
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
    /// Maps the first `length` bytes. The caller guarantees that the peer does not truncate the file.
    pub(super) fn new(file: &File, length: usize) -> io::Result<Self> {
        Ok(Self {
            memory: MmapOptions::new().len(length).map_raw_read_only(file)?,
        })
    }

    /// Borrowed bytes that keep the mapping alive. `None` if the range exceeds the mapping.
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
    /// Inside the mapping; checked on construction.
    range: Range<usize>,
}

impl AsRef<[u8]> for MappedBytes {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the range is inside the mapping, which lives as long as `self`. `Trust::Peer` means that the file is
        // not truncated. By contract the peer does not write until the acknowledgement; if it does, bytes have no
        // invalid values.
        unsafe {
            std::slice::from_raw_parts(
                self.mapping.memory.as_ptr().add(self.range.start),
                self.range.end - self.range.start,
            )
        }
    }
}
