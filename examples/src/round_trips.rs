//! The results of a run with an extension, as one line.

use std::fmt;
use std::time::{Duration, Instant};

/// Round trips of answered frames, and dropped frames.
#[derive(Debug, Default)]
pub struct RoundTrips {
    times: Vec<Duration>,
    span: Option<(Instant, Instant)>,
    /// Frames sent.
    pub sent: u64,
    /// Frames without an answer, by reason.
    pub dropped: Vec<(&'static str, u64)>,
}

impl RoundTrips {
    /// Records an answer with its arrival and round trip.
    pub fn add(&mut self, now: Instant, round_trip: Duration) {
        let first = now.checked_sub(round_trip).unwrap_or(now);
        let began = self.span.map_or(first, |(began, _)| began);
        self.span = Some((began, now));
        self.times.push(round_trip);
    }

    /// Number of answered frames.
    pub fn answered(&self) -> usize {
        self.times.len()
    }

    fn rate(&self) -> f64 {
        let seconds = self
            .span
            .map_or(0.0, |(began, ended)| (ended - began).as_secs_f64());
        if seconds > 0.0 {
            self.times.len() as f64 / seconds
        } else {
            0.0
        }
    }

    /// Percentile of the round trips, by nearest rank.
    fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }
}

impl fmt::Display for RoundTrips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dropped: u64 = self.dropped.iter().map(|(_, count)| count).sum();
        write!(
            f,
            "sent {}, answered {}, dropped {dropped}",
            self.sent,
            self.answered()
        )?;
        let reasons = self.dropped.iter().filter(|(_, count)| *count > 0);
        let reasons: Vec<String> = reasons
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        if !reasons.is_empty() {
            write!(f, " ({})", reasons.join(", "))?;
        }
        let ms = |percent| self.percentile(percent).as_secs_f64() * 1000.0;
        write!(
            f,
            ", {:.1} frames/s, round trip p50 {:.2} ms, p99 {:.2} ms",
            self.rate(),
            ms(50),
            ms(99)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_has_all_results() {
        let start = Instant::now();
        let mut trips = RoundTrips {
            sent: 103,
            ..RoundTrips::default()
        };
        for n in 1..=100_u64 {
            trips.add(start + Duration::from_millis(20 * n), Duration::from_millis(n));
        }
        trips.dropped = vec![("unanswered", 3), ("replacedByNewer", 0)];
        let line = trips.to_string();
        assert!(
            line.starts_with("sent 103, answered 100, dropped 3 (unanswered 3), 50."),
            "{line}"
        );
        assert!(line.ends_with("p50 50.00 ms, p99 99.00 ms"), "{line}");
    }

    #[test]
    fn no_frames_are_a_line_too() {
        assert_eq!(
            RoundTrips::default().to_string(),
            "sent 0, answered 0, dropped 0, 0.0 frames/s, round trip p50 0.00 ms, p99 0.00 ms"
        );
    }
}
