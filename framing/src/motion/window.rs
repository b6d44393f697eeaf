//! Aggregates motion over a time window into one event.

use super::MAX_MOTION_REGIONS;
use crate::geometry::FractionBox;
use lva_media_types::MediaTime;
use std::time::Duration;

/// Motion within a window of time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MotionEvent {
    /// Media time of the first frame with motion: ticks of 1/90000 s since 1970.
    pub timestamp_90k: u64,
    /// Media time of the last frame with motion.
    pub last_timestamp_90k: u64,
    /// Frames with motion.
    pub frames: u32,
    /// Moving regions, in fractions of the picture: overlapping boxes of successive frames are merged.
    pub regions: Vec<FractionBox>,
}

/// The effect of a frame on a window.
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use = "an event that is dropped is lost"]
pub struct MotionStep {
    /// An event began with this frame: a gate may open now, although the event follows when its window ends.
    pub began: bool,
    /// The event whose window ended.
    pub event: Option<MotionEvent>,
}

/// Aggregates the motion of successive frames into events; `eventAggregationWindow` of the contract.
///
/// A window opens with the first frame with motion, at its media time, and ends with the first frame at or after its
/// end. The next frame with motion opens another one. With a length of 0 each frame with motion is an event.
#[derive(Debug, Clone)]
pub struct MotionWindow {
    ticks: u64,
    open: Option<MotionEvent>,
}

impl MotionWindow {
    /// Windows of this length; 0 aggregates nothing. More than a day counts as a day.
    pub fn new(length: Duration) -> Self {
        let length = length.min(Duration::from_secs(86_400));
        Self {
            ticks: MediaTime::ticks_in(length),
            open: None,
        }
    }

    /// Adds a frame, with motion or without, in presentation order. A time that goes back closes the window.
    pub fn push(&mut self, regions: &[FractionBox], timestamp_90k: u64) -> MotionStep {
        let over = |open: &MotionEvent| {
            timestamp_90k < open.timestamp_90k || timestamp_90k - open.timestamp_90k >= self.ticks
        };
        let mut event = if self.open.as_ref().is_some_and(over) {
            self.open.take()
        } else {
            None
        };
        if regions.is_empty() {
            return MotionStep { began: false, event };
        }
        let began = self.open.is_none();
        let open = self.open.get_or_insert_with(|| MotionEvent {
            timestamp_90k,
            last_timestamp_90k: timestamp_90k,
            frames: 0,
            regions: Vec::new(),
        });
        open.last_timestamp_90k = timestamp_90k;
        open.frames = open.frames.saturating_add(1);
        for region in regions {
            merge(&mut open.regions, *region);
        }
        if self.ticks == 0 {
            event = self.open.take();
        }
        MotionStep { began, event }
    }

    /// Ends the stream and returns the open event.
    pub fn finish(&mut self) -> Option<MotionEvent> {
        self.open.take()
    }
}

/// Merges a box with all that it overlaps, so that no boxes of the vector overlap.
fn merge(regions: &mut Vec<FractionBox>, mut region: FractionBox) {
    while let Some(place) = regions.iter().position(|known| overlap(known, &region)) {
        let known = regions.swap_remove(place);
        let right = (known.left + known.width).max(region.left + region.width);
        let bottom = (known.top + known.height).max(region.top + region.height);
        region.left = known.left.min(region.left);
        region.top = known.top.min(region.top);
        (region.width, region.height) = (right - region.left, bottom - region.top);
    }
    if regions.len() < MAX_MOTION_REGIONS {
        regions.push(region);
    }
}

fn overlap(a: &FractionBox, b: &FractionBox) -> bool {
    a.left < b.left + b.width
        && b.left < a.left + a.width
        && a.top < b.top + b.height
        && b.top < a.top + a.height
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = MediaTime::TICKS_PER_SECOND;

    fn at(left: f64) -> [FractionBox; 1] {
        [FractionBox::new(left, 0.25, 0.25, 0.5)]
    }

    #[test]
    fn frames_of_a_window_are_one_event_at_the_time_of_the_first() {
        let mut window = MotionWindow::new(Duration::from_secs(1));
        assert_eq!(window.push(&[], 0), MotionStep::default());
        assert!(window.push(&at(0.0), 10 * SECOND).began);
        let step = window.push(&at(0.125), 10 * SECOND + 3000);
        assert_eq!(step, MotionStep::default());
        assert_eq!(window.push(&[], 10 * SECOND + 6000), MotionStep::default());
        let step = window.push(&at(0.75), 11 * SECOND - 1);
        assert!(!step.began && step.event.is_none());
        let step = window.push(&at(0.0), 11 * SECOND);
        let event = step.event.unwrap();
        assert!(step.began, "the next window");
        assert_eq!(
            (event.timestamp_90k, event.last_timestamp_90k),
            (10 * SECOND, 11 * SECOND - 1)
        );
        assert_eq!(event.frames, 3);
        let mut lefts: Vec<(f64, f64)> = event.regions.iter().map(|r| (r.left, r.width)).collect();
        lefts.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert_eq!(lefts, [(0.0, 0.375), (0.75, 0.25)]);
        assert_eq!(window.finish().unwrap().timestamp_90k, 11 * SECOND);
        assert!(window.finish().is_none());
    }

    #[test]
    fn a_window_ends_without_motion_too() {
        let mut window = MotionWindow::new(Duration::from_secs(1));
        let _ = window.push(&at(0.0), 0);
        assert!(window.push(&[], SECOND).event.is_some());
        assert_eq!(window.push(&[], 2 * SECOND), MotionStep::default());
    }

    #[test]
    fn without_a_window_each_frame_is_an_event() {
        let mut window = MotionWindow::new(Duration::ZERO);
        for frame in 0..3 {
            let step = window.push(&at(0.0), frame * 3000);
            assert!(step.began);
            assert_eq!(step.event.unwrap().timestamp_90k, frame * 3000);
        }
    }

    #[test]
    fn a_time_that_goes_back_closes_the_window() {
        let mut window = MotionWindow::new(Duration::from_secs(5));
        let _ = window.push(&at(0.0), 100 * SECOND);
        let step = window.push(&at(0.5), SECOND);
        assert_eq!(step.event.unwrap().timestamp_90k, 100 * SECOND);
        assert!(step.began);
    }
}
