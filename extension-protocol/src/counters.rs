//! Counters as atomics, with a public snapshot.

use std::sync::atomic::{AtomicU64, Ordering};

/// Defines the public struct of a snapshot and the `Counters` behind it.
macro_rules! counters {
    ($(#[$meta:meta])* $stats:ident { $($(#[$doc:meta])* $name:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        #[non_exhaustive]
        pub struct $stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: std::sync::atomic::AtomicU64,)*
        }

        impl Counters {
            pub(super) fn snapshot(&self) -> $stats {
                let read = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
                $stats { $($name: read(&self.$name),)* }
            }
        }
    };
}

pub(crate) use counters;

pub(crate) fn count(counter: &AtomicU64) {
    count_many(counter, 1);
}

pub(crate) fn count_many(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}
