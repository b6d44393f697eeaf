//! When a batch is full: a rule with time as a parameter.
//!
//! A stream has one sample with the extension at a time: it waits for the answer before it shows the next one. So once
//! every open stream has a sample in the batch, nobody is left to wait for.

use std::time::{Duration, Instant};

/// How samples are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Most samples in a batch, at least 1. Default 8. More than the model takes at once makes it split them; each
    /// keeps its frame in memory.
    pub samples: usize,
    /// How long the first sample of a batch waits for others. Default 10 ms. Nought batches only what is there already;
    /// much more than a frame's time in the model makes results late without filling batches.
    pub wait: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            samples: 8,
            wait: Duration::from_millis(10),
        }
    }
}

/// Why a batch was not waited for any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// As many samples as it may have.
    Full,
    /// Every open stream has one in it.
    AllStreams,
    /// The first sample has waited long enough.
    Waited,
}

/// Gathers samples, each with the time at which it came.
#[derive(Debug)]
pub(super) struct Collector<T> {
    limits: BatchLimits,
    streams: usize,
    waiting: Vec<T>,
    first_at: Option<Instant>,
}

impl<T> Collector<T> {
    pub(super) fn new(limits: BatchLimits) -> Self {
        Self {
            limits: BatchLimits {
                samples: limits.samples.max(1),
                ..limits
            },
            streams: 0,
            waiting: Vec::new(),
            first_at: None,
        }
    }

    pub(super) fn stream_opened(&mut self) {
        self.streams += 1;
    }

    pub(super) fn stream_closed(&mut self) {
        self.streams = self.streams.saturating_sub(1);
    }

    pub(super) fn push(&mut self, sample: T, came_at: Instant) {
        self.waiting.push(sample);
        self.first_at = Some(self.first_at.map_or(came_at, |first| first.min(came_at)));
    }

    /// Whether a batch is to be taken now, and why.
    pub(super) fn due(&self, now: Instant) -> Option<Reason> {
        let first_at = self.first_at?;
        if self.waiting.len() >= self.limits.samples {
            Some(Reason::Full)
        } else if self.waiting.len() >= self.streams {
            Some(Reason::AllStreams)
        } else {
            (now.saturating_duration_since(first_at) >= self.limits.wait).then_some(Reason::Waited)
        }
    }

    /// When to ask again if nothing comes; `None` while nothing waits.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.first_at.map(|first| first + self.limits.wait)
    }

    /// The oldest samples, as many as a batch may have. What is left waits as long as the first one did, so nobody
    /// waits twice.
    pub(super) fn take(&mut self) -> Vec<T> {
        let taken = self.waiting.len().min(self.limits.samples);
        let rest = self.waiting.split_off(taken);
        if rest.is_empty() {
            self.first_at = None;
        }
        std::mem::replace(&mut self.waiting, rest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        samples: 3,
        wait: Duration::from_millis(10),
    };

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn collector(streams: usize) -> (Collector<u32>, Instant) {
        let mut collector = Collector::new(LIMITS);
        (0..streams).for_each(|_| collector.stream_opened());
        (collector, Instant::now())
    }

    #[test]
    fn nothing_is_due_while_nothing_waits() {
        let (collector, now) = collector(2);
        assert_eq!((collector.due(now + ms(1000)), collector.wake_at()), (None, None));
    }

    #[test]
    fn a_full_batch_is_due_at_once_and_the_rest_stays() {
        let (mut collector, now) = collector(9);
        for sample in 1..=4 {
            collector.push(sample, now);
        }
        assert_eq!(collector.due(now), Some(Reason::Full));
        assert_eq!(collector.take(), [1, 2, 3]);
        assert_eq!(collector.due(now + ms(9)), None);
        assert_eq!(collector.due(now + ms(10)), Some(Reason::Waited));
        assert_eq!(collector.take(), [4]);
        assert_eq!(collector.wake_at(), None);
    }

    #[test]
    fn one_sample_of_every_open_stream_is_all_there_can_be() {
        let (mut collector, now) = collector(2);
        collector.push(1, now);
        assert_eq!(collector.due(now), None);
        collector.push(2, now);
        assert_eq!(collector.due(now), Some(Reason::AllStreams));
        collector.take();
        collector.push(3, now);
        assert_eq!(collector.due(now), None);
        collector.stream_closed();
        assert_eq!(collector.due(now), Some(Reason::AllStreams));
    }

    #[test]
    fn the_first_sample_waits_no_longer_than_allowed() {
        let (mut collector, now) = collector(9);
        collector.push(1, now);
        collector.push(2, now + ms(9));
        assert_eq!(collector.wake_at(), Some(now + ms(10)));
        assert_eq!(collector.due(now + ms(9)), None);
        assert_eq!(collector.due(now + ms(10)), Some(Reason::Waited));
        assert_eq!(collector.take(), [1, 2]);
    }

    #[test]
    fn a_limit_of_no_samples_counts_as_one() {
        let mut collector = Collector::new(BatchLimits { samples: 0, ..LIMITS });
        collector.stream_opened();
        collector.stream_opened();
        collector.push(1, Instant::now());
        assert_eq!(collector.due(Instant::now()), Some(Reason::Full));
        assert_eq!(collector.take(), [1]);
    }

    proptest! {
        #[test]
        fn every_sample_is_taken_once_in_order_and_none_waits_too_long(
            steps in proptest::collection::vec((0u64..8, any::<bool>()), 1..200),
            streams in 1usize..12,
        ) {
            let (mut collector, begin) = collector(streams);
            let (mut now, mut pushed, mut came, mut taken) = (begin, 0u32, Vec::new(), Vec::new());
            for (later, push) in steps {
                now += ms(later);
                if push && came.len() - taken.len() < streams {
                    collector.push(pushed, now);
                    came.push(now);
                    pushed += 1;
                }
                while collector.due(now).is_some() {
                    let batch = collector.take();
                    prop_assert!((1..=LIMITS.samples).contains(&batch.len()));
                    taken.extend(batch);
                }
                // Steps are at most 7 ms long, and due samples are taken at each.
                prop_assert!(came[taken.len()..].iter().all(|at| now - *at < LIMITS.wait + ms(8)));
            }
            prop_assert_eq!(taken.clone(), (0..taken.len() as u32).collect::<Vec<_>>());
        }
    }
}
