//! Mannequins, posters and parked objects: whatever stays at one spot for very long.

use crate::observation::Observation;
use crate::time::{SECOND, ticks_of_ms};

/// Spots remembered at a time; of more, the one seen longest ago is forgotten.
const MAX_SPOTS: usize = 512;

/// A spot occupied for less than this, in ticks, and not recently, was a person walking past.
const PASSING: u64 = 2 * SECOND;

/// Removal of objects that never move, like the container's `remove_stationary_objects`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StationaryOptions {
    /// How far the centre of a box may move within one spot, as a share of the frame's width. Default 5 of 640 pixels.
    /// Larger: people who wait are removed.
    pub distance: f64,
    /// How long spots are remembered, in milliseconds. Default: an hour.
    pub buffer_ms: u64,
    /// Objects that occupy a spot for more than this share of that time are removed. Default 0.2: twelve minutes.
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
struct Spot {
    x: f64,
    y: f64,
    height: f64,
    seen: u64,
    last: u64,
}

/// Spots that are occupied, whatever the track id.
#[derive(Debug, Clone, Default)]
pub(super) struct Spots {
    spots: Vec<Spot>,
}

impl Spots {
    pub(super) fn clear(&mut self) {
        self.spots.clear();
    }

    /// Removes observations at spots that are occupied for too long; returns how many.
    pub(super) fn remove(
        &mut self,
        now: u64,
        options: &StationaryOptions,
        aspect: f64,
        seen: &mut Vec<Observation>,
    ) -> u64 {
        let buffer = ticks_of_ms(options.buffer_ms);
        let limit = (buffer as f64 * options.ratio.clamp(0.0, 1.0)) as u64;
        self.spots.retain(|spot| {
            let away = now.saturating_sub(spot.last);
            away <= if spot.seen < PASSING { PASSING } else { buffer }
        });
        let before = seen.len();
        seen.retain(|observation| {
            let bbox = observation.smoothed;
            let x = f64::from(bbox.left) + f64::from(bbox.width) / 2.0;
            let y = (f64::from(bbox.top) + f64::from(bbox.height) / 2.0) / aspect;
            let height = f64::from(bbox.height) / aspect;
            let near = |spot: &Spot| {
                (spot.x - x).hypot(spot.y - y) <= options.distance
                    && (0.75..=1.33).contains(&(spot.height / height))
            };
            match self.spots.iter_mut().find(|spot| near(spot)) {
                Some(spot) => {
                    // Short gaps count as occupied.
                    spot.seen += now.saturating_sub(spot.last).min(PASSING);
                    spot.last = now;
                    spot.seen <= limit
                }
                None => {
                    let spot = Spot {
                        x,
                        y,
                        height,
                        seen: 0,
                        last: now,
                    };
                    if self.spots.len() < MAX_SPOTS {
                        self.spots.push(spot);
                    } else if let Some(oldest) = self.spots.iter_mut().min_by_key(|spot| spot.last) {
                        *oldest = spot;
                    }
                    true
                }
            }
        });
        (before - seen.len()) as u64
    }
}
