//! The background of each cell: its brightness when nothing moves there.

use super::Thresholds;
use super::grid::Grid;

/// Time constants of the averages, in seconds.
const SLOW: f32 = 8.0;
const SLOW_COVERED: f32 = 30.0;
const FAST: f32 = 0.5;
const SPREAD: f32 = 10.0;
const SPREAD_COVERED: f32 = 60.0;

/// How long a scene is learnt before anything moves, in seconds and frames.
const WARM_UP: f32 = 1.0;
const RELEARN: f32 = 0.5;
const WARM_UP_FRAMES: u32 = 3;

/// No median of three for frames further apart than this: an object may cross a cell within one frame.
const MEDIAN_UP_TO: f32 = 0.125;

/// Side of a tile that shares its light, in cells.
const TILE: usize = 16;

/// Below this brightness changes count as absolute ones.
const DARK: f32 = 24.0;

/// An offset of the slow average over a whole tile, up to this share, is a missed change of light; it is corrected at
/// this rate a second.
const MISSED_LIGHT: f32 = 0.05;
const MISSED_LIGHT_RATE: f32 = 3.0;

/// Largest change of light from frame to frame that does not count as an object.
const LIGHT: f32 = 0.08;

/// Behind something, the spread learns from differences up to this, so that one object does not desensitise a cell.
const SPREAD_LIMIT: f32 = 12.0;

/// Share of the threshold from which a cell belongs to a region whose other cells move.
const BELONGS: f32 = 0.6;

/// Unchanged; belongs to a region that moves next to it; moves.
pub(super) const STILL: u8 = 0;
pub(super) const CHANGED: u8 = 1;
pub(super) const MOVES: u8 = 2;

#[derive(Debug, Default)]
pub(super) struct Model {
    columns: usize,
    rows: usize,
    /// The two frames before the newest.
    before: [Vec<f32>; 2],
    /// The newest frame, its flicker removed, and the one before it.
    now: Vec<f32>,
    last: Vec<f32>,
    slow: Vec<f32>,
    fast: Vec<f32>,
    /// Variance of the brightness, flicker included: the median leaves rain only where streaks meet, and the variance is
    /// high there already.
    spread: Vec<f32>,
    state: Vec<u8>,
    changes: Vec<f32>,
    /// How the light of each tile changed, and of the tiles across one row of cells.
    light: Vec<f32>,
    light_across: Vec<f32>,
    changed_share: f32,
    frames: u32,
    /// Seconds of learning that are left.
    learning: f32,
}

impl Model {
    /// Allocates the buffers; nothing else allocates.
    pub(super) fn fit(&mut self, columns: usize, rows: usize) {
        let cells = columns * rows;
        let empty = || vec![0.0; cells];
        *self = Self {
            columns,
            rows,
            before: [empty(), empty()],
            now: empty(),
            last: empty(),
            slow: empty(),
            fast: empty(),
            spread: empty(),
            state: vec![STILL; cells],
            changes: Vec::with_capacity(TILE * TILE),
            light: vec![1.0; columns.div_ceil(TILE) * rows.div_ceil(TILE)],
            light_across: vec![1.0; columns.div_ceil(TILE)],
            changed_share: 0.0,
            frames: 0,
            learning: WARM_UP,
        };
    }

    pub(super) fn forget(&mut self) {
        self.frames = 0;
        self.learning = WARM_UP;
        self.changed_share = 0.0;
    }

    /// Replaces the scene by the newest frame.
    pub(super) fn relearn(&mut self) {
        self.slow.copy_from_slice(&self.now);
        self.fast.copy_from_slice(&self.now);
        self.frames = 1;
        self.learning = RELEARN;
    }

    pub(super) fn state(&self) -> &[u8] {
        &self.state
    }

    /// Share of the cells that differ from the scene.
    pub(super) fn changed_share(&self) -> f32 {
        self.changed_share
    }

    /// Processes a frame, `elapsed` seconds after the one before; true while the scene is being learnt.
    pub(super) fn learn(&mut self, grid: &Grid, elapsed: f32, thresholds: &Thresholds) -> bool {
        let mean = grid.mean();
        if self.frames == 0 {
            for cells in [&mut self.slow, &mut self.fast, &mut self.now, &mut self.last] {
                cells.copy_from_slice(mean);
            }
            for cells in &mut self.before {
                cells.copy_from_slice(mean);
            }
            self.spread
                .fill((thresholds.least / thresholds.deviations).powi(2));
            self.frames = 1;
            return true;
        }
        std::mem::swap(&mut self.now, &mut self.last);
        self.remove_flicker(mean, elapsed);
        self.follow_light(elapsed);
        self.frames = self.frames.saturating_add(1);
        if self.learning > 0.0 || self.frames <= WARM_UP_FRAMES {
            self.learning -= elapsed;
            self.average_all(mean);
            if self.learning <= 0.0 {
                self.share_spread();
            }
            return true;
        }
        self.classify(grid, elapsed, thresholds);
        false
    }

    /// Median of three frames: removes what is in one frame only.
    fn remove_flicker(&mut self, mean: &[f32], elapsed: f32) {
        let [older, old] = &mut self.before;
        if elapsed > 0.0 && elapsed <= MEDIAN_UP_TO {
            let cells = self.now.iter_mut().zip(mean).zip(older.iter().zip(old.iter()));
            for ((now, new), (older, old)) in cells {
                *now = new.min(*old).max(new.max(*old).min(*older));
            }
        } else {
            self.now.copy_from_slice(mean);
        }
        std::mem::swap(older, old);
        old.copy_from_slice(mean);
    }

    /// Applies the change of light to both averages: by the tiles' medians, interpolated between the centres of tiles.
    fn follow_light(&mut self, elapsed: f32) {
        let tiles = self.light_across.len();
        for tile in 0..self.light.len() {
            let (left, top) = (tile % tiles.max(1) * TILE, tile / tiles.max(1) * TILE);
            let right = (left + TILE).min(self.columns);
            let rows = top..(top + TILE).min(self.rows);
            let mut median_change_since = |before: &[f32]| {
                self.changes.clear();
                for y in rows.clone() {
                    let row = y * self.columns + left..y * self.columns + right;
                    let now = self.now.get(row.clone()).unwrap_or_default();
                    let changes = now.iter().zip(before.get(row).unwrap_or_default());
                    self.changes
                        .extend(changes.map(|(now, before)| (now - before) / before.max(DARK)));
                }
                let middle = self.changes.len() / 2;
                match self.changes.len() {
                    0 => 0.0,
                    _ => *self.changes.select_nth_unstable_by(middle, f32::total_cmp).1,
                }
            };
            let change = median_change_since(&self.last).clamp(-LIGHT, LIGHT);
            let off = median_change_since(&self.slow);
            let missed = if (off - change).abs() <= MISSED_LIGHT {
                (off - change) * (MISSED_LIGHT_RATE * elapsed).min(1.0)
            } else {
                0.0
            };
            if let Some(light) = self.light.get_mut(tile) {
                *light = 1.0 + change + missed;
            }
        }
        let rows = self.slow.chunks_exact_mut(self.columns.max(1));
        let rows = rows.zip(self.fast.chunks_exact_mut(self.columns.max(1)));
        for (y, (slow, fast)) in rows.enumerate() {
            let (upper, share) = between(y, self.light.len() / tiles.max(1));
            let row = |tile: usize| {
                self.light
                    .get(tile * tiles..(tile + 1) * tiles)
                    .unwrap_or_default()
            };
            let pairs = row(upper)
                .iter()
                .zip(if share > 0.0 { row(upper + 1) } else { row(upper) });
            for (light, (upper, lower)) in self.light_across.iter_mut().zip(pairs) {
                *light = upper + share * (lower - upper);
            }
            for (x, (slow, fast)) in slow.iter_mut().zip(fast).enumerate() {
                let (left, share) = between(x, tiles);
                let left_light = self.light_across.get(left).copied().unwrap_or(1.0);
                let right_light = self.light_across.get(left + 1).copied().unwrap_or(left_light);
                let light = left_light + share * (right_light - left_light);
                *slow *= light;
                *fast *= light;
            }
        }
    }

    /// While learning, every frame counts the same.
    fn average_all(&mut self, mean: &[f32]) {
        let share = 1.0 / self.frames as f32;
        let averages = self.slow.iter_mut().zip(&mut self.fast).zip(&mut self.spread);
        for (((slow, fast), spread), (now, raw)) in averages.zip(self.now.iter().zip(mean)) {
            *spread += share * ((raw - *slow).powi(2) - *spread);
            *slow += share * (now - *slow);
            *fast = *slow;
        }
        self.state.fill(STILL);
        self.changed_share = 0.0;
    }

    /// Averages the variance among neighbours: a second of rain does not reach every cell.
    fn share_spread(&mut self) {
        let (columns, rows) = (self.columns, self.rows);
        // The frame before the last one is not needed any more.
        let scratch = &mut self.last;
        for (index, to) in scratch.iter_mut().enumerate() {
            let (x, y) = (index % columns.max(1), index / columns.max(1));
            let (mut sum, mut count) = (0.0, 0.0_f32);
            for near in y.saturating_sub(2)..(y + 3).min(rows) {
                let row = near * columns + x.saturating_sub(2)..near * columns + (x + 3).min(columns);
                let row = self.spread.get(row).unwrap_or_default();
                sum += row.iter().sum::<f32>();
                count += row.len() as f32;
            }
            *to = sum / count.max(1.0);
        }
        self.spread.copy_from_slice(scratch);
    }

    fn classify(&mut self, grid: &Grid, elapsed: f32, thresholds: &Thresholds) {
        let rate = |seconds: f32| 1.0 - (-elapsed / seconds).exp();
        let (slow_rate, slow_covered) = (rate(SLOW), rate(SLOW_COVERED));
        let (spread_rate, spread_covered) = (rate(SPREAD), rate(SPREAD_COVERED));
        let fast_rate = rate(FAST);

        let mut changed = 0_usize;
        let averages = self.slow.iter_mut().zip(&mut self.fast).zip(&mut self.spread);
        let frame = self.now.iter().zip(grid.mean());
        let cells = averages.zip(frame).zip(&mut self.state);
        for ((((slow, fast), spread), (now, raw)), state) in cells {
            let (from_slow, from_fast) = (now - *slow, now - *fast);
            let threshold = thresholds.least.max(thresholds.deviations * spread.sqrt());
            let away = from_slow.abs();
            let covered = away > BELONGS * threshold;
            *state = match (covered, away > threshold && from_fast.abs() > threshold) {
                (false, _) => STILL,
                (true, false) => CHANGED,
                (true, true) => MOVES,
            };
            changed += usize::from(*state != STILL);
            let (average, learn, square) = if covered {
                (slow_covered, spread_covered, away.min(SPREAD_LIMIT).powi(2))
            } else {
                (slow_rate, spread_rate, (raw - *slow).powi(2))
            };
            *slow += average * from_slow;
            *spread += learn * (square - *spread);
            *fast += fast_rate * from_fast;
        }
        self.changed_share = changed as f32 / self.state.len().max(1) as f32;
    }
}

/// The tile whose centre is at or before a cell, and the cell's position between it and the next centre, 0 to 1.
fn between(cell: usize, tiles: usize) -> (usize, f32) {
    let place = (cell as f32 + 0.5) / TILE as f32 - 0.5;
    let last = tiles.saturating_sub(1);
    let tile = (place.max(0.0) as usize).min(last);
    if tile == last {
        return (tile, 0.0);
    }
    (tile, (place - tile as f32).clamp(0.0, 1.0))
}
