//! Counters of a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters over all streams of a server since its start.
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
    /// Streams that the extension accepted.
    sessions_opened,
    /// Of those, streams that have ended.
    sessions_closed,
    /// Streams that were refused: credentials, limits, descriptors, or by the extension.
    sessions_refused,
    /// Streams that the client ended by an error.
    sessions_failed,
    /// Samples received.
    samples,
    /// Answers sent.
    answers,
    /// Inferences in those answers.
    inferences,
    /// Samples on which the extension failed; answered without inferences.
    process_failures,
    /// Samples on which the extension ended the stream ([`StreamError`](crate::server::StreamError)).
    samples_refused,
    /// Whole-frame copies out of shared memory: one per frame of untrusted peers, none of trusted ones.
    frame_copies,
    /// Samples after missing numbers.
    sequence_gaps,
    /// Samples whose number is not above all previous ones.
    sequence_repeats,
    /// Messages with neither descriptor nor sample; ignored.
    empty_messages,
    /// Upstream inferences without a value; ignored.
    inferences_without_value,
}

/// Reads a server's counters at any time, also while it runs.
#[derive(Debug, Clone)]
pub struct StatsReader(pub(super) Arc<Counters>);

impl StatsReader {
    /// The counters now.
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
