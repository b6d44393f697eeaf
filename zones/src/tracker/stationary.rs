//! Mannequins, posters, parked things: what is seen at one place for so long is no visitor.

use crate::observation::{Observation, ticks_of_ms};

/// Places remembered at a time; of more, the one seen longest ago is forgotten.
const MAX_PLACES: usize = 512;

/// A place that was seen for less than this, in ticks, and not lately, was somebody passing.
const PASSING: u64 = 2 * 90_000;

/// Removal of what never moves, as the container's `remove_stationary_objects`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StationaryOptions {
    /// How far the middle of a box may wander and still be at one place, as a share of the frame's width. Default 5 of
    /// 640 pixels. Larger: somebody who waits becomes a mannequin.
    pub distance: f64,
    /// How long places are remembered, in milliseconds. Default an hour.
    pub buffer_ms: u64,
    /// What is seen at a place for more than this share of that time is left out. Default 0.2: twelve minutes.
    pub ratio: f64,
}

impl Default for StationaryOptions {
    fn default() -> Self {
        Self {
            distance: 5.0 / 640.0,
            buffer_ms: 3_600_000,
            ratio: 0.2,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    x: f64,
    y: f64,
    height: f64,
    seen: u64,
    last: u64,
}

/// Places at which something stands still, whatever its number.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    places: Vec<Place>,
}

impl Places {
    pub(super) fn clear(&mut self) {
        self.places.clear();
    }

    /// Removes what has stood at its place for too long; how many that were.
    pub(super) fn remove(
        &mut self,
        now: u64,
        options: &StationaryOptions,
        aspect: f64,
        seen: &mut Vec<Observation>,
    ) -> u64 {
        let buffer = ticks_of_ms(options.buffer_ms);
        let limit = (buffer as f64 * options.ratio.clamp(0.0, 1.0)) as u64;
        self.places.retain(|place| {
            let away = now.saturating_sub(place.last);
            away <= if place.seen < PASSING { PASSING } else { buffer }
        });
        let before = seen.len();
        seen.retain(|observation| {
            let bbox = observation.steady;
            let x = f64::from(bbox.left) + f64::from(bbox.width) / 2.0;
            let y = (f64::from(bbox.top) + f64::from(bbox.height) / 2.0) / aspect;
            let height = f64::from(bbox.height) / aspect;
            let near = |place: &Place| {
                (place.x - x).hypot(place.y - y) <= options.distance
                    && (0.75..=1.33).contains(&(place.height / height))
            };
            match self.places.iter_mut().find(|place| near(place)) {
                Some(place) => {
                    // What is missed for a moment stands there all the same.
                    place.seen += now.saturating_sub(place.last).min(PASSING);
                    place.last = now;
                    place.seen <= limit
                }
                None => {
                    let place = Place {
                        x,
                        y,
                        height,
                        seen: 0,
                        last: now,
                    };
                    if self.places.len() < MAX_PLACES {
                        self.places.push(place);
                    } else if let Some(oldest) = self.places.iter_mut().min_by_key(|place| place.last) {
                        *oldest = place;
                    }
                    true
                }
            }
        });
        (before - seen.len()) as u64
    }
}
