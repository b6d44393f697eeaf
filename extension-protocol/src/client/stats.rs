//! Counters of a session. Every dropped frame is counted.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one session since its start.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct SessionStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)*
        }

        impl Counters {
            pub(super) fn snapshot(&self) -> SessionStats {
                SessionStats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Frames sent.
    sent,
    /// Frames answered in time.
    answered,
    /// Inferences in those answers.
    inferences,
    /// Whole-frame copies between the slot and the transport: none with shared memory, one per embedded frame.
    frame_copies,
    /// Frames skipped by the extension: later ones were answered. Reason `unanswered`.
    unanswered,
    /// Frames without an answer when the session ended. Reason `session_ended`.
    abandoned,
    /// Slots refused because the window was full. A caller that keeps the newest frame loses only older ones.
    refused_window_full,
    /// Slots refused because the shared memory had no free range.
    refused_no_space,
    /// Slots refused because the frame is larger than what fits.
    refused_too_large,
    /// Slots refused, and slots that could not be sent, because the session had ended.
    refused_ended,
    /// Answers to frames that were reported as skipped; not delivered.
    late_answers,
    /// Messages that acknowledge no frame (number 0); not delivered.
    zero_acks,
    /// Messages that acknowledge a frame that was never sent; not delivered.
    unknown_acks,
    /// Messages that acknowledge a frame again; not delivered.
    repeated_acks,
    /// Inferences without a value; ignored.
    inferences_without_value,
    /// Boxes outside the frame; delivered unchanged.
    boxes_out_of_range,
    /// Descriptors after the first message; ignored.
    unexpected_descriptors,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn count_many(counter: &AtomicU64, number: u64) {
    if number > 0 {
        counter.fetch_add(number, Ordering::Relaxed);
    }
}
