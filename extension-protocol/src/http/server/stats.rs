use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts over all requests of a server. Each request counts as answered or under one of the reasons.
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
    /// Requests whose headers arrived.
    requests,
    /// Answered pictures, with or without inferences.
    answers,
    /// Inferences in those answers.
    inferences,
    /// Sessions that the extension opened.
    sessions_opened,
    /// Of those, sessions that ended.
    sessions_closed,
    /// Requests without the right credentials.
    unauthorized,
    /// Requests without a supported picture: 400, 404, 405 and 408.
    refused,
    /// Requests over the limit of bytes: 413.
    too_large,
    /// Requests and connections beyond a limit: 503.
    busy,
    /// Failures of the extension on a picture or while opening a session: 500.
    failures,
    /// Of the refused requests, those whose client disconnected before the picture was complete.
    left,
}

/// Reads a server's counts, also while it runs.
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
