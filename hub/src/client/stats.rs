use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Monotonic counts since a client was started.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct ClientStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> ClientStats {
                ClientStats { $($name: self.$name.0.load(Relaxed),)* }
            }
        }
    };
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

stats! {
    /// Connections that a broker accepted.
    connected,
    /// Attempts that failed.
    connect_failures,
    /// Of these, attempts that the broker refused as not authorized.
    not_authorized,
    /// Connections that ended without being asked to.
    connections_lost,
    /// Connections that were made anew because their token aged.
    tokens_renewed,
    /// Events sent again after a reconnection, with their ids.
    events_resent,
    /// Events that the broker took and refused; they are not sent again.
    events_refused,
    /// Filters that the broker refused.
    subscriptions_refused,
    /// Calls of methods.
    methods_received,
    /// Calls answered with an error by the client: invalid, too large, or too many.
    methods_refused,
    /// Calls that the application did not answer in time.
    methods_late,
    /// Answers that could not be sent while the caller waited.
    answers_dropped,
    /// Messages for inputs.
    inputs_received,
    /// Messages for inputs that the application did not take in time.
    inputs_dropped,
    /// Own events that a plain broker sent back.
    echoes_ignored,
    /// Messages on topics that are not for this identity.
    unknown_messages,
    /// Messages whose topic is malformed, or that are too large.
    malformed_messages,
    /// Reported properties that the hub refused.
    reports_refused,
}
