//! Where people are, and between which zones they go: sums over any time.

use crate::event::{EventKind, SpatialEvent};
use crate::ground::footprint;
use crate::observation::{Observation, TrackId};
use std::collections::BTreeMap;

/// Most columns or rows of a [`HeatMap`].
pub const MAX_HEAT_CELLS: usize = 512;

/// Longest time between two sights that counts, in ticks: of who was lost meanwhile nobody knows where they were.
const LONGEST_STEP: u64 = 2 * 90_000;

/// Seconds that people's feet spent in each cell of a grid over the frame.
///
/// Times, not sights: the sum does not depend on the frame rate.
#[derive(Debug, Clone)]
pub struct HeatMap {
    columns: usize,
    rows: usize,
    seconds: Vec<f64>,
    last: BTreeMap<TrackId, u64>,
}

impl HeatMap {
    /// An empty map; columns and rows are cut to 1 and [`MAX_HEAT_CELLS`].
    pub fn new(columns: usize, rows: usize) -> Self {
        let (columns, rows) = (columns.clamp(1, MAX_HEAT_CELLS), rows.clamp(1, MAX_HEAT_CELLS));
        Self {
            columns,
            rows,
            seconds: vec![0.0; columns * rows],
            last: BTreeMap::new(),
        }
    }

    /// Takes the confirmed people of a frame; who stands outside it counts nowhere.
    pub fn add(&mut self, timestamp_90k: u64, people: &[Observation]) {
        for person in people.iter().filter(|person| person.confirmed) {
            let before = self.last.insert(person.track, timestamp_90k);
            let step = before.map_or(0, |before| timestamp_90k.saturating_sub(before));
            let step = if step <= LONGEST_STEP { step } else { 0 };
            let foot = footprint(&person.steady);
            if (0.0..1.0).contains(&foot.x) && (0.0..1.0).contains(&foot.y) {
                let column = (foot.x * self.columns as f64) as usize;
                let row = (foot.y * self.rows as f64) as usize;
                if let Some(cell) = self.seconds.get_mut(row * self.columns + column) {
                    *cell += step as f64 / 90_000.0;
                }
            }
        }
        self.last
            .retain(|_, last| timestamp_90k.saturating_sub(*last) <= LONGEST_STEP);
    }

    /// Columns of the grid.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows of the grid.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Seconds in each cell, row by row from the top left.
    pub fn seconds(&self) -> &[f64] {
        &self.seconds
    }

    /// Seconds in the cell with most.
    pub fn most(&self) -> f64 {
        self.seconds.iter().copied().fold(0.0, f64::max)
    }

    /// All to 0.
    pub fn clear(&mut self) {
        self.seconds.fill(0.0);
    }
}

/// Most people whose last zone a [`FlowMatrix`] remembers; of more, the one who left longest ago is forgotten.
pub const MAX_FLOWING: usize = 4096;

/// How often people went from one zone to another, by the zones that they entered one after the other.
///
/// Somebody who leaves `A` and next enters `B` has gone from `A` to `B`, however long that took while they were known.
/// Zones that overlap count in the order of entering. Re-entering the same zone is a way from it to itself.
#[derive(Debug, Clone, Default)]
pub struct FlowMatrix {
    ways: BTreeMap<(String, String), u64>,
    last: BTreeMap<TrackId, (u64, String)>,
}

impl FlowMatrix {
    /// An empty matrix.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the events of a frame.
    pub fn add(&mut self, events: &[SpatialEvent]) {
        for event in events {
            let (EventKind::Enter { .. }, Some(track)) = (event.kind, event.track()) else {
                continue;
            };
            let entered = event.name.to_string();
            if let Some((_, left)) = self.last.insert(track, (event.time_90k, entered.clone())) {
                *self.ways.entry((left, entered)).or_default() += 1;
            }
            if self.last.len() > MAX_FLOWING {
                let oldest = self
                    .last
                    .iter()
                    .min_by_key(|(_, (time, _))| *time)
                    .map(|(track, _)| *track);
                if let Some(oldest) = oldest {
                    self.last.remove(&oldest);
                }
            }
        }
    }

    /// How often somebody went from one zone to another.
    pub fn count(&self, from: &str, to: &str) -> u64 {
        self.ways
            .get(&(from.to_owned(), to.to_owned()))
            .copied()
            .unwrap_or(0)
    }

    /// Every way that was gone, with its count, in the order of the names.
    pub fn ways(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.ways
            .iter()
            .map(|((from, to), count)| (from.as_str(), to.as_str(), *count))
    }
}
