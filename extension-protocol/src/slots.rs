//! The allocator of a region's slots, for frames of any size (sans I/O).
//!
//! Slots are released in any order. Allocation moves round the region, and the slot that was released last is avoided
//! while another range fits: a known server reads an acknowledged frame again when the next one arrives.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

use std::collections::BTreeMap;
use std::ops::Range;

/// Slots start at multiples of this: a cache line, so that two frames share none.
pub(crate) const ALIGNMENT: usize = 64;

/// A range of bytes with one owner. Not `Clone`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    offset: usize,
    length: usize,
}

impl Slot {
    /// Bytes from the start of the region.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Length in bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

/// Why no slot is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TakeError {
    /// Larger than the whole region.
    TooLarge,
    /// Other slots must be released first.
    NoSpace,
}

/// Allocates the slots of one region.
#[derive(Debug)]
pub(crate) struct SlotAllocator {
    capacity: usize,
    /// Offset to end of every slot in use; disjoint, and inside the capacity.
    taken: BTreeMap<usize, usize>,
    /// Where the search starts: after the slot allocated last.
    cursor: usize,
    /// The slot released last.
    resting: Option<Range<usize>>,
}

impl SlotAllocator {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            taken: BTreeMap::new(),
            cursor: 0,
            resting: None,
        }
    }

    /// Allocates a slot of `length` bytes (0 counts as 1).
    pub(crate) fn take(&mut self, length: usize) -> Result<Slot, TakeError> {
        let length = length.max(1);
        if length > self.capacity {
            return Err(TakeError::TooLarge);
        }
        let resting = self.resting.clone();
        let offset = match resting.and_then(|rest| self.find(length, Some(rest))) {
            Some(offset) => offset,
            None => self.find(length, None).ok_or(TakeError::NoSpace)?,
        };
        let end = offset + length;
        self.taken.insert(offset, end);
        self.cursor = end.next_multiple_of(ALIGNMENT);
        if self
            .resting
            .as_ref()
            .is_some_and(|rest| offset < rest.end && rest.start < end)
        {
            self.resting = None;
        }
        Ok(Slot { offset, length })
    }

    /// Shrinks a slot to the size of its frame.
    pub(crate) fn shrink(&mut self, slot: &mut Slot, length: usize) {
        slot.length = length.clamp(1, slot.length);
        let end = slot.offset + slot.length;
        if let Some(taken) = self.taken.get_mut(&slot.offset) {
            if self.cursor == taken.next_multiple_of(ALIGNMENT) {
                self.cursor = end.next_multiple_of(ALIGNMENT);
            }
            *taken = end;
        }
    }

    /// Releases a slot.
    #[expect(clippy::needless_pass_by_value, reason = "the owner gives up the slot")]
    pub(crate) fn release(&mut self, slot: Slot) {
        if let Some(end) = self.taken.remove(&slot.offset) {
            self.resting = Some(slot.offset..end);
        }
    }

    /// The first free range at or after the cursor, else the first one of all, outside of `avoid`.
    fn find(&self, length: usize, avoid: Option<Range<usize>>) -> Option<usize> {
        let from = |start: usize| {
            let mut offset = start;
            // A slot before the start may extend beyond it.
            let before = self
                .taken
                .range(..start)
                .next_back()
                .map(|(offset, end)| (*offset, *end));
            let after = self.taken.range(start..).map(|(offset, end)| (*offset, *end));
            let mut busy: Vec<(usize, usize)> = before.into_iter().chain(after).collect();
            if let Some(avoid) = &avoid {
                let at = busy.partition_point(|(offset, _)| *offset < avoid.start);
                busy.insert(at, (avoid.start, avoid.end));
            }
            for (busy_start, busy_end) in busy {
                if busy_start >= offset && busy_start - offset >= length {
                    break;
                }
                offset = offset.max(busy_end.next_multiple_of(ALIGNMENT));
            }
            (offset <= self.capacity && self.capacity - offset >= length).then_some(offset)
        };
        from(self.cursor.min(self.capacity)).or_else(|| from(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_frames_fill_the_region_exactly() {
        let mut slots = SlotAllocator::new(4 * 128);
        let taken: Vec<Slot> = (0..4).map(|_| slots.take(100).unwrap()).collect();
        assert_eq!(
            taken.iter().map(Slot::offset).collect::<Vec<_>>(),
            [0, 128, 256, 384]
        );
        assert_eq!(slots.take(100), Err(TakeError::NoSpace));
        assert_eq!(slots.take(513), Err(TakeError::TooLarge));
    }

    #[test]
    fn slots_are_released_in_any_order() {
        let mut slots = SlotAllocator::new(4 * 128);
        let mut taken: Vec<Slot> = (0..4).map(|_| slots.take(128).unwrap()).collect();
        let second = taken.remove(1);
        slots.release(second);
        assert_eq!(slots.take(128).unwrap().offset(), 128);
        slots.release(taken.remove(2));
        slots.release(taken.remove(0));
        assert!(slots.take(129).is_err(), "the two free slots are not adjacent");
        assert_eq!(
            slots.take(128).unwrap().offset(),
            384,
            "the one that was released earlier"
        );
        assert_eq!(slots.take(128).unwrap().offset(), 0);
    }

    #[test]
    fn the_slot_released_last_is_avoided_while_another_fits() {
        let mut slots = SlotAllocator::new(3 * 64);
        let first = slots.take(64).unwrap();
        let second = slots.take(64).unwrap();
        let third = slots.take(64).unwrap();
        slots.release(third);
        slots.release(first);
        let next = slots.take(64).unwrap();
        assert_eq!(next.offset(), 128);
        assert_eq!(slots.take(64).unwrap().offset(), 0, "nothing else is left");
        slots.release(second);
    }

    #[test]
    fn shrinking_frees_the_rest() {
        let mut slots = SlotAllocator::new(256);
        let mut all = slots.take(256).unwrap();
        slots.shrink(&mut all, 60);
        assert_eq!(all.length(), 60);
        assert_eq!(slots.take(192).unwrap().offset(), 64);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Take(usize),
        Shrink(usize, usize),
        Release(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0usize..3000).prop_map(Step::Take),
            (any::<usize>(), 0usize..3000).prop_map(|(which, length)| Step::Shrink(which, length)),
            any::<usize>().prop_map(Step::Release),
        ];
        proptest::collection::vec(step, 1..200)
    }

    proptest! {
        #[test]
        fn slots_never_overlap_and_are_found_while_they_fit(
            capacity in 1usize..8192,
            steps in steps(),
        ) {
            let mut slots = SlotAllocator::new(capacity);
            let mut held: Vec<Slot> = Vec::new();
            let mut released: Option<Range<usize>> = None;
            for step in steps {
                match step {
                    Step::Take(length) => match slots.take(length) {
                        Ok(slot) => {
                            prop_assert_eq!(slot.length(), length.max(1));
                            let range = slot.offset()..slot.offset() + slot.length();
                            if let Some(rest) = released.take() {
                                if range.start < rest.end && rest.start < range.end {
                                    prop_assert!(!fits(capacity, &held, Some(&rest), slot.length()));
                                } else {
                                    released = Some(rest);
                                }
                            }
                            held.push(slot);
                        }
                        Err(TakeError::TooLarge) => prop_assert!(length > capacity),
                        Err(TakeError::NoSpace) => {
                            prop_assert!(!fits(capacity, &held, None, length.max(1)));
                        }
                    },
                    Step::Shrink(which, length) if !held.is_empty() => {
                        let at = which % held.len();
                        slots.shrink(&mut held[at], length);
                    }
                    Step::Release(which) if !held.is_empty() => {
                        let slot = held.swap_remove(which % held.len());
                        released = Some(slot.offset()..slot.offset() + slot.length());
                        slots.release(slot);
                    }
                    Step::Shrink(..) | Step::Release(_) => {}
                }
                held.sort_by_key(Slot::offset);
                for slot in &held {
                    prop_assert_eq!(slot.offset() % ALIGNMENT, 0);
                    prop_assert!(slot.offset() + slot.length() <= capacity);
                }
                for pair in held.windows(2) {
                    prop_assert!(pair[0].offset() + pair[0].length() <= pair[1].offset());
                }
                prop_assert_eq!(slots.taken.len(), held.len());
            }
            while let Some(slot) = held.pop() {
                slots.release(slot);
            }
            prop_assert!(slots.take(capacity).is_ok(), "everything was released");
        }
    }

    /// By brute force: does `length` fit anywhere between the held slots?
    fn fits(capacity: usize, held: &[Slot], avoid: Option<&Range<usize>>, length: usize) -> bool {
        (0..capacity).step_by(ALIGNMENT).any(|offset| {
            let end = offset + length;
            let clear = |start: usize, stop: usize| end <= start || stop <= offset;
            end <= capacity
                && held
                    .iter()
                    .all(|slot| clear(slot.offset(), slot.offset() + slot.length()))
                && avoid.is_none_or(|rest| clear(rest.start, rest.end))
        })
    }
}
