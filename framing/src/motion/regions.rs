//! Connected cells as boxes.

use super::grid::Grid;
use super::model::{MOVES, STILL};
use super::{MAX_MOTION_REGIONS, Thresholds};
use crate::geometry::FractionBox;

/// Fewest cells of a region, however small the picture is.
const FEWEST_CELLS: u32 = 3;

/// Boxes this close to each other, in cells, are merged: a head and a body, two legs.
const GAP: usize = 2;

/// How fast an object may cross the picture and still be the same, in widths a second.
const SPEED: f32 = 0.3;

/// Seconds up to which the age of a region is counted.
const MAX_AGE: f32 = 1.0;

/// Columns and rows of cells, last ones included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cells {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
    count: u32,
}

impl Cells {
    fn one(x: usize, y: usize) -> Self {
        Self {
            left: x,
            top: y,
            right: x,
            bottom: y,
            count: 0,
        }
    }

    fn join(&mut self, other: Self) {
        self.left = self.left.min(other.left);
        self.top = self.top.min(other.top);
        self.right = self.right.max(other.right);
        self.bottom = self.bottom.max(other.bottom);
        self.count += other.count;
    }

    fn is_near(&self, other: &Self) -> bool {
        self.left <= other.right + GAP
            && other.left <= self.right + GAP
            && self.top <= other.bottom + GAP
            && other.top <= self.bottom + GAP
    }
}

#[derive(Debug, Default)]
pub(super) struct Regions {
    columns: usize,
    rows: usize,
    visited: Vec<bool>,
    stack: Vec<usize>,
    members: Vec<usize>,
    /// How long, in seconds, a region has been at each cell; of this frame and of the one before.
    age: Vec<f32>,
    age_before: Vec<f32>,
    found: Vec<Cells>,
    boxes: Vec<FractionBox>,
}

impl Regions {
    /// Allocates the buffers; nothing else allocates.
    pub(super) fn fit(&mut self, columns: usize, rows: usize) {
        let cells = columns * rows;
        *self = Self {
            columns,
            rows,
            visited: vec![false; cells],
            stack: Vec::with_capacity(cells),
            members: Vec::with_capacity(cells),
            age: vec![0.0; cells],
            age_before: vec![0.0; cells],
            found: Vec::with_capacity(MAX_MOTION_REGIONS),
            boxes: Vec::with_capacity(MAX_MOTION_REGIONS),
        };
    }

    pub(super) fn forget(&mut self) {
        self.age.fill(0.0);
        self.boxes.clear();
    }

    /// The boxes of moving regions, the largest first.
    pub(super) fn find(
        &mut self,
        grid: &Grid,
        state: &[u8],
        elapsed: f32,
        thresholds: &Thresholds,
    ) -> &[FractionBox] {
        std::mem::swap(&mut self.age, &mut self.age_before);
        self.age.fill(0.0);
        self.visited.fill(false);
        self.found.clear();
        let least = ((thresholds.area * state.len() as f32) as u32).max(FEWEST_CELLS);
        // One cell more than the distance that an object covers since the last frame.
        let reach = 1 + (SPEED * elapsed * self.columns as f32).ceil() as usize;
        for start in 0..state.len() {
            if state.get(start) != Some(&MOVES) || self.visited.get(start) != Some(&false) {
                continue;
            }
            let (bounds, seeds) = self.collect(start, state);
            if seeds < thresholds.seeds || bounds.count < least {
                continue;
            }
            let age = (self.oldest_near(&bounds, reach) + elapsed.max(0.001)).min(MAX_AGE);
            for member in &self.members {
                if let Some(cell) = self.age.get_mut(*member) {
                    *cell = age;
                }
            }
            // A region counts from its second frame on at the earliest.
            if age > thresholds.seconds && age > elapsed {
                self.add(bounds);
            }
        }
        self.merge();
        self.found
            .sort_unstable_by_key(|cells| std::cmp::Reverse(cells.count));
        self.boxes.clear();
        let (width, height, cell) = grid.pixels();
        let edge = |cells: usize, side: u32| (cells as f64 * f64::from(cell) / f64::from(side)).min(1.0);
        self.boxes.extend(self.found.iter().map(|found| {
            let (left, top) = (edge(found.left, width), edge(found.top, height));
            let (right, bottom) = (edge(found.right + 1, width), edge(found.bottom + 1, height));
            FractionBox::new(left, top, right - left, bottom - top)
        }));
        &self.boxes
    }

    /// The cells connected to one, including diagonally, and how many of them move.
    fn collect(&mut self, start: usize, state: &[u8]) -> (Cells, u32) {
        self.members.clear();
        self.stack.clear();
        self.stack.push(start);
        if let Some(visited) = self.visited.get_mut(start) {
            *visited = true;
        }
        let columns = self.columns.max(1);
        let mut bounds = Cells::one(start % columns, start / columns);
        let mut seeds = 0;
        while let Some(index) = self.stack.pop() {
            let (x, y) = (index % columns, index / columns);
            self.members.push(index);
            seeds += u32::from(state.get(index) == Some(&MOVES));
            let mut here = Cells::one(x, y);
            here.count = 1;
            bounds.join(here);
            for near_y in y.saturating_sub(1)..(y + 2).min(self.rows) {
                for near_x in x.saturating_sub(1)..(x + 2).min(columns) {
                    let near = near_y * columns + near_x;
                    if state.get(near).is_some_and(|state| *state != STILL)
                        && let Some(visited) = self.visited.get_mut(near)
                        && !*visited
                    {
                        *visited = true;
                        self.stack.push(near);
                    }
                }
            }
        }
        (bounds, seeds)
    }

    fn oldest_near(&self, bounds: &Cells, reach: usize) -> f32 {
        let columns = bounds.left.saturating_sub(reach)..(bounds.right + reach + 1).min(self.columns);
        let rows = bounds.top.saturating_sub(reach)..(bounds.bottom + reach + 1).min(self.rows);
        rows.map(|y| {
            let row = y * self.columns + columns.start..y * self.columns + columns.end;
            self.age_before
                .get(row)
                .unwrap_or_default()
                .iter()
                .copied()
                .fold(0.0, f32::max)
        })
        .fold(0.0, f32::max)
    }

    /// Adds a region or merges it with a close one; if there are too many, replaces the smallest.
    fn add(&mut self, bounds: Cells) {
        if let Some(near) = self.found.iter_mut().find(|found| found.is_near(&bounds)) {
            near.join(bounds);
        } else if self.found.len() < MAX_MOTION_REGIONS {
            self.found.push(bounds);
        } else if let Some(smallest) = self.found.iter_mut().min_by_key(|found| found.count)
            && smallest.count < bounds.count
        {
            *smallest = bounds;
        }
    }

    /// Merges boxes until none is close to another.
    fn merge(&mut self) {
        let mut at = 0;
        while at < self.found.len() {
            let Some(one) = self.found.get(at).copied() else {
                return;
            };
            let near = self
                .found
                .iter()
                .skip(at + 1)
                .position(|other| one.is_near(other));
            match near {
                None => at += 1,
                Some(place) => {
                    let other = self.found.swap_remove(at + 1 + place);
                    if let Some(one) = self.found.get_mut(at) {
                        one.join(other);
                    }
                    // The larger box may be close to an earlier one.
                    at = 0;
                }
            }
        }
    }
}
