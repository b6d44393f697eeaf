//! Any sequence of operations on the allocator, with its invariants checked after each.

use super::{ALIGNMENT, Slot, SlotAllocator, TakeError};

/// Runs the operations that these bytes encode.
///
/// # Panics
///
/// An invariant is violated.
pub(crate) fn run(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let Some(capacity) = bytes.next() else { return };
    let capacity = usize::from(capacity) * 37 + 1;
    let mut slots = SlotAllocator::new(capacity);
    let mut held: Vec<Slot> = Vec::new();
    while let (Some(operation), Some(value)) = (bytes.next(), bytes.next()) {
        let length = usize::from(value) * 11;
        match operation % 4 {
            0 | 1 => match slots.take(length) {
                Ok(slot) => {
                    assert_eq!(slot.length(), length.max(1));
                    held.push(slot);
                }
                Err(TakeError::TooLarge) => assert!(length > capacity),
                Err(TakeError::NoSpace) => assert!(!fits(capacity, &held, length.max(1))),
            },
            2 if !held.is_empty() => {
                let at = usize::from(operation / 4) % held.len();
                slots.release(held.swap_remove(at));
            }
            3 if !held.is_empty() => {
                let at = usize::from(operation / 4) % held.len();
                slots.shrink(&mut held[at], length);
            }
            _ => {}
        }
        held.sort_by_key(Slot::offset);
        let mut free_from = 0;
        for slot in &held {
            assert!(slot.offset() >= free_from, "two slots overlap");
            assert_eq!(slot.offset() % ALIGNMENT, 0);
            free_from = slot.offset() + slot.length();
        }
        assert!(free_from <= capacity, "a slot exceeds the region");
        assert_eq!(slots.taken.len(), held.len());
    }
    held.drain(..).for_each(|slot| slots.release(slot));
    assert!(slots.take(capacity).is_ok(), "everything was released");
}

/// Checks each gap: does `length` fit between the held slots, which are sorted?
fn fits(capacity: usize, held: &[Slot], length: usize) -> bool {
    let mut from = 0;
    let ends = held
        .iter()
        .map(|slot| (slot.offset(), slot.offset() + slot.length()));
    for (start, end) in ends.chain([(capacity, capacity)]) {
        if start.saturating_sub(from) >= length {
            return true;
        }
        from = end.next_multiple_of(ALIGNMENT);
    }
    false
}
