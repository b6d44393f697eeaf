//! The cheapest matching of rows to columns.

/// Costs of rows (tracks) and columns (detections); a pair that must not be is infinite.
#[derive(Debug, Default)]
pub(crate) struct Costs {
    rows: usize,
    columns: usize,
    cells: Vec<f64>,
}

impl Costs {
    pub(crate) fn new(rows: usize, columns: usize, cost: impl Fn(usize, usize) -> Option<f64>) -> Self {
        let cells = (0..rows)
            .flat_map(|row| (0..columns).map(move |column| (row, column)))
            .map(|(row, column)| cost(row, column).unwrap_or(f64::INFINITY))
            .collect();
        Self { rows, columns, cells }
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
    pub(crate) fn assign(&self) -> Vec<Option<usize>> {
        let mut result = vec![None; self.rows];
        let mut grouped = vec![false; self.rows];
        for row in 0..self.rows {
            if grouped.get(row) == Some(&false) {
                let (rows, columns) = self.group(row, &mut grouped);
                self.assign_group(&rows, &columns, &mut result);
            }
        }
        result
    }

    /// Everything that is connected with a row, in rising order.
    fn group(&self, first: usize, grouped: &mut [bool]) -> (Vec<usize>, Vec<usize>) {
        let mut rows = vec![first];
        let mut columns = Vec::new();
        let mut taken = vec![false; self.columns];
        let mut next = 0;
        while let Some(&row) = rows.get(next) {
            next += 1;
            if let Some(slot) = grouped.get_mut(row) {
                *slot = true;
            }
            for (column, slot) in taken.iter_mut().enumerate() {
                if *slot || self.at(row, column).is_infinite() {
                    continue;
                }
                *slot = true;
                columns.push(column);
                for other in 0..self.rows {
                    if grouped.get(other) == Some(&false) && self.at(other, column).is_finite() {
                        if let Some(slot) = grouped.get_mut(other) {
                            *slot = true;
                        }
                        rows.push(other);
                    }
                }
            }
        }
        rows.sort_unstable();
        columns.sort_unstable();
        (rows, columns)
    }

    fn assign_group(&self, rows: &[usize], columns: &[usize], result: &mut [Option<usize>]) {
        // Dearer than any sum of allowed costs, which are at most 1: forbidden pairs are taken last, then dropped.
        let forbidden = (rows.len().min(columns.len()) + 1) as f64 * 2.0;
        let transposed = rows.len() > columns.len();
        let (small, large) = if transposed {
            (columns, rows)
        } else {
            (rows, columns)
        };
        let cost = |s: usize, l: usize| {
            let (Some(&s), Some(&l)) = (small.get(s), large.get(l)) else {
                return forbidden;
            };
            let cost = if transposed { self.at(l, s) } else { self.at(s, l) };
            if cost.is_finite() { cost } else { forbidden }
        };
        for (l, s) in solve(small.len(), large.len(), cost).into_iter().enumerate() {
            let (Some(&l), Some(&s)) = (large.get(l), s.and_then(|s| small.get(s))) else {
                continue;
            };
            let (row, column) = if transposed { (l, s) } else { (s, l) };
            if self.at(row, column).is_finite()
                && let Some(slot) = result.get_mut(row)
            {
                *slot = Some(column);
            }
        }
    }
}

/// For each of the `large` side its partner of the `small` side, all of which get one.
///
/// Shortest augmenting paths over the prices of both sides (the Hungarian method), in small² × large steps.
#[allow(clippy::indexing_slicing)] // All indices come from the loops over the vectors' own lengths.
fn solve(small: usize, large: usize, cost: impl Fn(usize, usize) -> f64) -> Vec<Option<usize>> {
    // Place 0 is the unmatched start of each path, as usual in this method; real ones count from 1.
    let mut price_small = vec![0.0; small + 1];
    let mut price_large = vec![0.0; large + 1];
    let mut owner = vec![0; large + 1];
    for start in 1..=small {
        owner[0] = start;
        let mut reach = vec![f64::INFINITY; large + 1];
        let mut from = vec![0; large + 1];
        let mut done = vec![false; large + 1];
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
    owner
        .into_iter()
        .skip(1)
        .map(|row: usize| row.checked_sub(1))
        .collect()
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
            let costs = Costs::new(rows, columns, |r, c| cells[r * 5 + c]);
            let matched = costs.assign();
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
        assert_eq!(Costs::new(2, 0, |_, _| Some(0.0)).assign(), [None, None]);
        assert!(Costs::new(0, 2, |_, _| Some(0.0)).assign().is_empty());
        assert_eq!(Costs::new(1, 1, |_, _| None).assign(), [None]);
    }
}
