//! What a server counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts over all streams of a server since it began.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct ServerStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)*
        }

        impl Counters {
            fn snapshot(&self) -> ServerStats {
                ServerStats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Streams that an extension took.
    sessions_opened,
    /// Of those, streams that are over.
    sessions_closed,
    /// Streams that were refused: credentials, limits, descriptors, or by the extension.
    sessions_refused,
    /// Streams that ended with an error of the client's making.
    sessions_failed,
    /// Samples received.
    samples,
    /// Answers given.
    answers,
    /// Inferences in those answers.
    inferences,
    /// Samples on which the extension failed; answered empty.
    process_failures,
    /// Samples for which the extension ended their stream ([`StreamError`](crate::server::StreamError)).
    samples_refused,
    /// Whole-frame copies out of shared memory: one a frame from untrusted peers, none from trusted ones.
    frame_copies,
    /// Samples whose number leaves some out.
    sequence_gaps,
    /// Samples whose number is not above all before.
    sequence_repeats,
    /// Messages with neither descriptor nor sample; ignored.
    empty_messages,
    /// Upstream inferences without a value; left out.
    inferences_without_value,
}

/// Reads a server's counts at any time, also while it runs.
#[derive(Debug, Clone)]
pub struct StatsReader(pub(super) Arc<Counters>);

impl StatsReader {
    /// The counts now.
    pub fn read(&self) -> ServerStats {
        self.0.snapshot()
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn count_many(counter: &AtomicU64, number: u64) {
    if number > 0 {
        counter.fetch_add(number, Ordering::Relaxed);
    }
}
