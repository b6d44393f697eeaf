//! The latency of a node over the last minute.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::json;

/// The resolution of the last minute.
const STEP: Duration = Duration::from_secs(1);
/// Steps in a minute.
const STEPS: u64 = 60;

/// The latency of one node's frames in the last minute: from the arrival of a frame's first packet to the node's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct NodeLatency {
    /// Frames that left the node in that minute; never 0.
    pub frames: u64,
    /// The mean.
    #[serde(rename = "averageSeconds", serialize_with = "json::seconds")]
    pub average: Duration,
    /// The largest.
    #[serde(rename = "maxSeconds", serialize_with = "json::seconds")]
    pub max: Duration,
}

/// The last minute of one node, in steps of a second. The caller passes the time.
#[derive(Debug, Default)]
pub(crate) struct LastMinute {
    began: Option<Instant>,
    /// Oldest first.
    steps: VecDeque<Step>,
}

#[derive(Debug)]
struct Step {
    number: u64,
    frames: u64,
    sum: Duration,
    max: Duration,
}

impl LastMinute {
    /// A frame has left the node.
    pub(crate) fn add(&mut self, now: Instant, latency: Duration) {
        let number = self.number(now);
        self.steps.retain(|step| is_recent(step.number, number));
        match self.steps.back_mut().filter(|step| step.number == number) {
            Some(step) => {
                step.frames += 1;
                step.sum += latency;
                step.max = step.max.max(latency);
            }
            None => self.steps.push_back(Step {
                number,
                frames: 1,
                sum: latency,
                max: latency,
            }),
        }
    }

    /// `None` without frames in the last minute.
    pub(crate) fn summary(&self, now: Instant) -> Option<NodeLatency> {
        let passed = now.saturating_duration_since(self.began?);
        let number = passed.as_secs() / STEP.as_secs();
        let recent = self.steps.iter().filter(|step| is_recent(step.number, number));
        let mut all = NodeLatency::default();
        let mut sum = Duration::ZERO;
        for step in recent {
            all.frames += step.frames;
            all.max = all.max.max(step.max);
            sum += step.sum;
        }
        let frames = u32::try_from(all.frames).unwrap_or(u32::MAX);
        all.average = sum.checked_div(frames)?;
        Some(all)
    }

    fn number(&mut self, now: Instant) -> u64 {
        let began = *self.began.get_or_insert(now);
        now.saturating_duration_since(began).as_secs() / STEP.as_secs()
    }
}

fn is_recent(step: u64, now: u64) -> bool {
    step + STEPS > now
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_average_and_the_largest_are_of_the_last_minute() {
        let began = Instant::now();
        let mut node = LastMinute::default();
        assert_eq!(node.summary(began), None);
        node.add(began, MS(900));
        node.add(began + MS(1500), MS(100));
        node.add(began + MS(1600), MS(200));
        let all = NodeLatency {
            frames: 3,
            average: MS(400),
            max: MS(900),
        };
        assert_eq!(node.summary(began + MS(59_999)), Some(all));
        let later = NodeLatency {
            frames: 2,
            average: MS(150),
            max: MS(200),
        };
        assert_eq!(node.summary(began + MS(60_000)), Some(later));
        assert_eq!(node.summary(began + MS(61_000)), None, "absent without frames");
    }

    #[test]
    fn a_minute_is_all_that_is_kept() {
        let began = Instant::now();
        let mut node = LastMinute::default();
        for second in 0..1000 {
            for _ in 0..2 {
                node.add(began + Duration::from_secs(second), MS(second));
            }
        }
        let last = node.summary(began + Duration::from_secs(999)).unwrap();
        assert_eq!((last.frames, last.max), (120, MS(999)));
        assert_eq!(node.steps.len(), 60);
    }
}
