//! What was counted in a session. Nothing is dropped uncounted.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts of one session, all since its beginning.
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
    /// Whole-frame copies between the slot and the transport: none with shared memory, one a frame when embedded
    /// (into the message).
    frame_copies,
    /// Frames given up because no answer came while later ones were answered. Reason `unanswered`.
    unanswered,
    /// Frames without an answer when the session ended. Reason `session_ended`.
    abandoned,
    /// Slots refused because the window was full. A caller who keeps the newest frame loses only older ones.
    refused_window_full,
    /// Slots refused because the shared memory had no gap.
    refused_no_space,
    /// Slots refused because the frame is larger than what fits.
    refused_too_large,
    /// Slots refused, and slots that could not be sent, because the session was over.
    refused_ended,
    /// Answers for frames that were given up before; not delivered.
    late_answers,
    /// Messages that acknowledge nothing (number 0); not delivered.
    zero_acks,
    /// Messages that acknowledge what was never sent; not delivered.
    unknown_acks,
    /// Messages that acknowledge again; not delivered.
    repeated_acks,
    /// Inferences without a value; left out.
    inferences_without_value,
    /// Boxes that reach out of the picture; delivered as they are.
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
