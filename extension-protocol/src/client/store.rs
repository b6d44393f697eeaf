//! Memory of frames: a region of shared memory, or reused buffers.

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use crate::shared_memory::{Region, RegionSlot};
use crate::slots::TakeError;
use crate::wire;
use crate::wire::media_sample::Content;

/// Memory of frames.
#[derive(Debug)]
pub(super) enum Store {
    /// For samples without frames.
    Nothing,
    Shared(Region),
    /// Released buffers for reuse.
    Embedded(Mutex<Vec<BytesMut>>),
}

impl Store {
    pub(super) fn embedded() -> Self {
        Self::Embedded(Mutex::default())
    }

    pub(super) fn shared(region: Region) -> Self {
        Self::Shared(region)
    }

    pub(super) fn is_shared(&self) -> bool {
        self.region().is_some()
    }

    pub(super) fn region(&self) -> Option<&Region> {
        match self {
            Self::Shared(region) => Some(region),
            Self::Embedded(_) | Self::Nothing => None,
        }
    }

    /// Most frames in flight: the requested number, or fewer if the region is too small.
    pub(super) fn window(&self, asked: usize, frame_bytes: Option<usize>) -> usize {
        match (self.region(), frame_bytes) {
            (Some(region), Some(frame_bytes)) => asked.min(region.frames(frame_bytes)).max(1),
            _ => asked,
        }
    }

    pub(super) fn take(&self, bytes: usize) -> Result<Memory, TakeError> {
        match self {
            Self::Nothing => Ok(Memory::Nothing),
            Self::Shared(region) => region.take(bytes).map(Memory::Shared),
            Self::Embedded(pool) => {
                let mut buffer = pool.lock().pop().unwrap_or_default();
                buffer.resize(bytes, 0);
                Ok(Memory::Embedded(buffer))
            }
        }
    }

    pub(super) fn release(&self, memory: SentMemory) {
        if let (Self::Embedded(pool), SentMemory::Embedded(bytes)) = (self, memory)
            && let Ok(buffer) = bytes.try_into_mut()
        {
            pool.lock().push(buffer);
        }
    }
}

/// Memory that the caller renders into.
#[derive(Debug)]
pub(super) enum Memory {
    Nothing,
    Shared(RegionSlot),
    Embedded(BytesMut),
}

impl Memory {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Shared(slot) => slot,
            Self::Embedded(buffer) => buffer,
        }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Nothing => &mut [],
            Self::Shared(slot) => slot,
            Self::Embedded(buffer) => buffer,
        }
    }

    /// Keeps the first bytes; at least one.
    pub(super) fn truncate(&mut self, bytes: usize) {
        match self {
            Self::Nothing => {}
            Self::Shared(slot) => slot.shrink(bytes),
            Self::Embedded(buffer) => buffer.truncate(bytes.max(1)),
        }
    }

    /// The content of the message, and the memory to keep until the acknowledgement.
    pub(super) fn into_sent(self) -> (Option<Content>, SentMemory) {
        match self {
            Self::Nothing => (None, SentMemory::Nothing),
            Self::Shared(slot) => {
                let reference = wire::ContentReference {
                    address_offset: slot.offset() as u64,
                    length_bytes: slot.length() as u64,
                };
                (
                    Some(Content::ContentReference(reference)),
                    SentMemory::Shared { _slot: slot },
                )
            }
            Self::Embedded(buffer) => {
                let bytes = buffer.freeze();
                let content = wire::ContentBytes { bytes: bytes.clone() };
                (Some(Content::ContentBytes(content)), SentMemory::Embedded(bytes))
            }
        }
    }
}

/// Memory that the server may read.
#[derive(Debug)]
pub(super) enum SentMemory {
    Nothing,
    Shared { _slot: RegionSlot },
    Embedded(Bytes),
}
