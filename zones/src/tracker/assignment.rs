//! The cheapest matching of rows to columns.

/// Costs of rows (tracks) and columns (detections); a pair that must not be is infinite. Its memory is used again for the
/// next frame.
#[derive(Debug, Clone, Default)]
pub(crate) struct Costs {
    rows: usize,
    columns: usize,
    cells: Vec<f64>,
    matched: Vec<Option<usize>>,
    grouped: Vec<bool>,
    taken: Vec<bool>,
    group_rows: Vec<usize>,
    group_columns: Vec<usize>,
    solver: Solver,
}

impl Costs {
    /// With memory for so many rows and columns.
    pub(crate) fn with_room(room: usize) -> Self {
        Self {
            cells: Vec::with_capacity(room * room),
            matched: Vec::with_capacity(room),
            grouped: Vec::with_capacity(room),
            taken: Vec::with_capacity(room),
            group_rows: Vec::with_capacity(room),
            group_columns: Vec::with_capacity(room),
            solver: Solver {
                price_small: Vec::with_capacity(room),
                price_large: Vec::with_capacity(room),
                owner: Vec::with_capacity(room),
                reach: Vec::with_capacity(room),
                from: Vec::with_capacity(room),
                done: Vec::with_capacity(room),
            },
            ..Self::default()
        }
    }

    pub(crate) fn fill(&mut self, rows: usize, columns: usize, cost: impl Fn(usize, usize) -> Option<f64>) {
        self.rows = rows;
        self.columns = columns;
        self.cells.clear();
        for row in 0..rows {
            for column in 0..columns {
                self.cells.push(cost(row, column).unwrap_or(f64::INFINITY));
            }
        }
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.cells
            .get(row * self.columns + column)
            .copied()
            .unwrap_or(f64::INFINITY)
    }

    /// Column of each row, as many pairs as are allowed and the cheapest of those; ties go to the lower numbers.
    ///
    /// Rows and columns that no chain of allowed pairs connects have nothing to say to each other, so each connected
    /// group is solved by itself: in a frame with people everywhere the groups stay small.
    pub(crate) fn assign(&mut self) -> &[Option<usize>] {
        reset(&mut self.matched, self.rows, None);
        reset(&mut self.grouped, self.rows, false);
        reset(&mut self.taken, self.columns, false);
        for row in 0..self.rows {
            if self.grouped.get(row) == Some(&false) {
                self.group(row);
                self.assign_group();
            }
        }
        &self.matched
    }

    /// Everything that is connected with a row, in rising order.
    fn group(&mut self, first: usize) {
        let mut rows = std::mem::take(&mut self.group_rows);
        let mut columns = std::mem::take(&mut self.group_columns);
        rows.clear();
        columns.clear();
        rows.push(first);
        if let Some(slot) = self.grouped.get_mut(first) {
            *slot = true;
        }
        let mut next = 0;
        while let Some(&row) = rows.get(next) {
            next += 1;
            for column in 0..self.columns {
                // A column belongs to one group only: what was taken by another is not connected with this one.
                if self.taken.get(column) != Some(&false) || self.at(row, column).is_infinite() {
                    continue;
                }
                if let Some(slot) = self.taken.get_mut(column) {
                    *slot = true;
                }
                columns.push(column);
                for other in 0..self.rows {
                    if self.grouped.get(other) == Some(&false) && self.at(other, column).is_finite() {
                        if let Some(slot) = self.grouped.get_mut(other) {
                            *slot = true;
                        }
                        rows.push(other);
                    }
                }
            }
        }
        rows.sort_unstable();
        columns.sort_unstable();
        self.group_rows = rows;
        self.group_columns = columns;
    }

    fn assign_group(&mut self) {
        let (rows, columns) = (&self.group_rows, &self.group_columns);
        // One of each is decided already.
        if let ([row], [column]) = (&rows[..], &columns[..]) {
            if let Some(slot) = self.matched.get_mut(*row) {
                *slot = Some(*column);
            }
            return;
        }
        // Dearer than any sum of allowed costs, which are at most 1: forbidden pairs are taken last, then dropped.
        let forbidden = (rows.len().min(columns.len()) + 1) as f64 * 2.0;
        let transposed = rows.len() > columns.len();
        let (small, large) = if transposed {
            (columns, rows)
        } else {
            (rows, columns)
        };
        let (cells, width) = (&self.cells, self.columns);
        let at =
            |row: usize, column: usize| cells.get(row * width + column).copied().unwrap_or(f64::INFINITY);
        let cost = |s: usize, l: usize| {
            let (Some(&s), Some(&l)) = (small.get(s), large.get(l)) else {
                return forbidden;
            };
            let cost = if transposed { at(l, s) } else { at(s, l) };
            if cost.is_finite() { cost } else { forbidden }
        };
        // Where everybody's best partner is another one, that is the cheapest matching: the usual case.
        if let Some(owners) = self
            .solver
            .each_the_best(small.len(), large.len(), forbidden, &cost)
        {
            for (l, owner) in owners.iter().enumerate() {
                let partner = owner.checked_sub(1).and_then(|s| small.get(s));
                if let (Some(&l), Some(&s)) = (large.get(l), partner) {
                    let (row, column) = if transposed { (l, s) } else { (s, l) };
                    if let Some(slot) = self.matched.get_mut(row) {
                        *slot = Some(column);
                    }
                }
            }
            return;
        }
        let owners = self.solver.solve(small.len(), large.len(), cost);
        for (l, owner) in owners.iter().enumerate() {
            let partner = owner.checked_sub(1).and_then(|s| small.get(s));
            let (Some(&l), Some(&s)) = (large.get(l), partner) else {
                continue;
            };
            let (row, column) = if transposed { (l, s) } else { (s, l) };
            if at(row, column).is_finite()
                && let Some(slot) = self.matched.get_mut(row)
            {
                *slot = Some(column);
            }
        }
    }
}

fn reset<T: Clone>(list: &mut Vec<T>, length: usize, value: T) {
    list.clear();
    list.resize(length, value);
}

/// The method's own memory.
#[derive(Debug, Clone, Default)]
struct Solver {
    price_small: Vec<f64>,
    price_large: Vec<f64>,
    owner: Vec<usize>,
    reach: Vec<f64>,
    from: Vec<usize>,
    done: Vec<bool>,
}

impl Solver {
    /// The matching that gives everybody of the small side their cheapest partner, if no two have the same.
    fn each_the_best(
        &mut self,
        small: usize,
        large: usize,
        forbidden: f64,
        cost: &impl Fn(usize, usize) -> f64,
    ) -> Option<&[usize]> {
        reset(&mut self.owner, large, 0);
        for s in 0..small {
            let mut best = (forbidden, None);
            for l in 0..large {
                let cost = cost(s, l);
                if cost < best.0 {
                    best = (cost, Some(l));
                }
            }
            let slot = self.owner.get_mut(best.1?)?;
            if *slot != 0 {
                return None;
            }
            *slot = s + 1;
        }
        Some(&self.owner)
    }

    /// For each of the `large` side the number of its partner of the `small` side, counted from 1, or 0; all of the small
    /// side get one.
    ///
    /// Shortest augmenting paths over the prices of both sides (the Hungarian method), in small² × large steps.
    #[allow(clippy::indexing_slicing)] // All indices come from the loops over the vectors' own lengths.
    fn solve(&mut self, small: usize, large: usize, cost: impl Fn(usize, usize) -> f64) -> &[usize] {
        let Self {
            price_small,
            price_large,
            owner,
            reach,
            from,
            done,
        } = self;
        // Place 0 is the unmatched start of each path, as usual in this method; real ones count from 1.
        reset(price_small, small + 1, 0.0);
        reset(price_large, large + 1, 0.0);
        reset(owner, large + 1, 0);
        for start in 1..=small {
            owner[0] = start;
            reset(reach, large + 1, f64::INFINITY);
            reset(from, large + 1, 0);
            reset(done, large + 1, false);
            let mut here = 0;
            while owner[here] != 0 {
                done[here] = true;
                let row = owner[here];
                let (mut step, mut next) = (f64::INFINITY, 0);
                for column in 1..=large {
                    if done[column] {
                        continue;
                    }
                    let reduced = cost(row - 1, column - 1) - price_small[row] - price_large[column];
                    if reduced < reach[column] {
                        reach[column] = reduced;
                        from[column] = here;
                    }
                    if reach[column] < step {
                        step = reach[column];
                        next = column;
                    }
                }
                for column in 0..=large {
                    if done[column] {
                        price_small[owner[column]] += step;
                        price_large[column] -= step;
                    } else {
                        reach[column] -= step;
                    }
                }
                here = next;
            }
            while here != 0 {
                owner[here] = owner[from[here]];
                here = from[here];
            }
        }
        owner.get(1..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn best(costs: &Costs, row: usize, free: &mut Vec<bool>) -> (usize, f64) {
        if row == costs.rows {
            return (0, 0.0);
        }
        let mut best_here = best(costs, row + 1, free);
        for column in 0..costs.columns {
            if free[column] && costs.at(row, column).is_finite() {
                free[column] = false;
                let (pairs, sum) = best(costs, row + 1, free);
                free[column] = true;
                let candidate = (pairs + 1, sum + costs.at(row, column));
                if candidate.0 > best_here.0 || (candidate.0 == best_here.0 && candidate.1 < best_here.1) {
                    best_here = candidate;
                }
            }
        }
        best_here
    }

    proptest! {
        #[test]
        fn as_good_as_trying_everything(rows in 0usize..5, columns in 0usize..5, cells in prop::collection::vec(prop::option::weighted(0.7, 0.0..1.0f64), 25)) {
            let mut costs = Costs::default();
            // Memory of another frame must not matter.
            costs.fill(4, 5, |r, c| cells[24 - r * 5 - c]);
            costs.assign();
            costs.fill(rows, columns, |r, c| cells[r * 5 + c]);
            let matched = costs.assign().to_vec();
            let pairs: Vec<_> = matched.iter().enumerate().filter_map(|(r, c)| c.map(|c| (r, c))).collect();
            let columns_used: std::collections::BTreeSet<_> = pairs.iter().map(|p| p.1).collect();
            prop_assert_eq!(columns_used.len(), pairs.len());
            let sum: f64 = pairs.iter().map(|(r, c)| costs.at(*r, *c)).sum();
            let (count, least) = best(&costs, 0, &mut vec![true; columns]);
            prop_assert_eq!(pairs.len(), count);
            prop_assert!((sum - least).abs() < 1e-9);
        }
    }

    #[test]
    fn nothing_matches_nothing() {
        let mut costs = Costs::default();
        costs.fill(2, 0, |_, _| Some(0.0));
        assert_eq!(costs.assign(), [None, None]);
        costs.fill(0, 2, |_, _| Some(0.0));
        assert!(costs.assign().is_empty());
        costs.fill(1, 1, |_, _| None);
        assert_eq!(costs.assign(), [None]);
    }
}
