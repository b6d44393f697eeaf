//! What an HTTP server counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts over all requests of a server since it began. Each request is answered, or ends under one of the
        /// reasons.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct HttpServerStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)*
        }

        impl Counters {
            fn snapshot(&self) -> HttpServerStats {
                HttpServerStats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Requests whose headers came.
    requests,
    /// Pictures that were answered, with or without inferences.
    answers,
    /// Inferences in those answers.
    inferences,
    /// Sessions that the extension opened.
    sessions_opened,
    /// Of those, sessions that are over.
    sessions_closed,
    /// Requests without the right credentials.
    unauthorized,
    /// Requests that are no picture, or one that the extension does not take: 400, and 404, 405 and 408 among them.
    refused,
    /// Requests over the limit of bytes: 413.
    too_large,
    /// Requests and connections refused for want of a place: 503.
    busy,
    /// Pictures on which the extension failed, and sessions that it could not open: 500.
    failures,
    /// Of the refused requests, those whose client left before the picture had arrived.
    left,
}

/// Reads a server's counts at any time, also while it runs.
#[derive(Debug, Clone)]
pub struct HttpStatsReader(pub(super) Arc<Counters>);

impl HttpStatsReader {
    /// The counts now.
    pub fn read(&self) -> HttpServerStats {
        self.0.snapshot()
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn count_many(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}
