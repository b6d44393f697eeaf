//! The cheapest assignment of rows to columns.

/// Costs of the allowed pairs of rows (tracks) and columns (detections), which are few unless all people stand in one place.
/// The memory is reused from frame to frame.
#[derive(Debug, Clone, Default)]
pub(crate) struct Costs {
    rows: usize,
    columns: usize,
    /// Column and cost of each allowed pair, sorted by row and column.
    pairs: Vec<(usize, f64)>,
    /// Start of each row's pairs, and the end of the last ones.
    pair_starts: Vec<usize>,
    /// Rows of each column, ascending; start of each column's rows, and the end of the last ones.
    rows_of: Vec<usize>,
    row_starts: Vec<usize>,
    matched: Vec<Option<usize>>,
    grouped: Vec<bool>,
    taken: Vec<bool>,
    group_rows: Vec<usize>,
    group_columns: Vec<usize>,
    /// Position of each column in its group.
    positions: Vec<usize>,
    /// All costs of a group.
    cells: Vec<f64>,
    solver: Solver,
}

impl Costs {
    /// Allocates memory for a number of rows and columns.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            pairs: Vec::with_capacity(capacity * capacity),
            pair_starts: Vec::with_capacity(capacity + 1),
            rows_of: Vec::with_capacity(capacity * capacity),
            row_starts: Vec::with_capacity(capacity + 1),
            matched: Vec::with_capacity(capacity),
            grouped: Vec::with_capacity(capacity),
            taken: Vec::with_capacity(capacity),
            group_rows: Vec::with_capacity(capacity),
            group_columns: Vec::with_capacity(capacity),
            positions: Vec::with_capacity(capacity),
            cells: Vec::with_capacity(capacity * capacity),
            solver: Solver {
                price_small: Vec::with_capacity(capacity),
                price_large: Vec::with_capacity(capacity),
                owner: Vec::with_capacity(capacity),
                reach: Vec::with_capacity(capacity),
                from: Vec::with_capacity(capacity),
                done: Vec::with_capacity(capacity),
            },
            ..Self::default()
        }
    }

    /// `add_row` adds the allowed columns of a row, ascending, each with its cost.
    pub(crate) fn fill(
        &mut self,
        rows: usize,
        columns: usize,
        mut add_row: impl FnMut(usize, &mut Vec<(usize, f64)>),
    ) {
        self.rows = rows;
        self.columns = columns;
        self.pairs.clear();
        // For the worst case: a later frame with as many people and more pairs does not allocate.
        self.pairs.reserve(rows * columns);
        self.rows_of.clear();
        self.rows_of.reserve(rows * columns);
        self.cells.clear();
        self.cells.reserve(rows * columns);
        self.pair_starts.clear();
        for row in 0..rows {
            self.pair_starts.push(self.pairs.len());
            add_row(row, &mut self.pairs);
        }
        self.pair_starts.push(self.pairs.len());
        self.list_rows();
    }

    fn list_rows(&mut self) {
        reset(&mut self.row_starts, self.columns + 1, 0);
        for (column, _) in &self.pairs {
            if let Some(count) = self.row_starts.get_mut(*column) {
                *count += 1;
            }
        }
        let mut end = 0;
        for count in &mut self.row_starts {
            end += *count;
            *count = end;
        }
        self.rows_of.resize(self.pairs.len(), 0);
        // From the last row: each end moves down and becomes the start.
        for row in (0..self.rows).rev() {
            for (column, _) in part(&self.pairs, &self.pair_starts, row) {
                if let Some(start) = self.row_starts.get_mut(*column) {
                    *start -= 1;
                    set(&mut self.rows_of, *start, row);
                }
            }
        }
    }

    /// Column of each row: as many pairs as possible, and the cheapest of those; ties go to the lower indices.
    ///
    /// Each connected component of the allowed pairs is solved by itself; they stay small even in a crowded frame.
    pub(crate) fn assign(&mut self) -> &[Option<usize>] {
        reset(&mut self.matched, self.rows, None);
        reset(&mut self.grouped, self.rows, false);
        reset(&mut self.taken, self.columns, false);
        reset(&mut self.positions, self.columns, 0);
        for row in 0..self.rows {
            if self.grouped.get(row) == Some(&false) {
                self.group(row);
                self.assign_group();
            }
        }
        &self.matched
    }

    /// The connected component of a row, ascending.
    fn group(&mut self, first: usize) {
        let (rows, columns) = (&mut self.group_rows, &mut self.group_columns);
        rows.clear();
        columns.clear();
        rows.push(first);
        set(&mut self.grouped, first, true);
        let mut next = 0;
        while let Some(&row) = rows.get(next) {
            next += 1;
            for (column, _) in part(&self.pairs, &self.pair_starts, row) {
                if self.taken.get(*column) != Some(&false) {
                    continue;
                }
                set(&mut self.taken, *column, true);
                columns.push(*column);
                for other in part(&self.rows_of, &self.row_starts, *column) {
                    if self.grouped.get(*other) == Some(&false) {
                        set(&mut self.grouped, *other, true);
                        rows.push(*other);
                    }
                }
            }
        }
        rows.sort_unstable();
        columns.sort_unstable();
    }

    fn assign_group(&mut self) {
        let (rows, columns) = (&self.group_rows, &self.group_columns);
        // A single pair.
        if let ([row], [column]) = (&rows[..], &columns[..]) {
            set(&mut self.matched, *row, Some(*column));
            return;
        }
        // More than any sum of allowed costs, which are at most 1: forbidden pairs are chosen last, then dropped.
        let forbidden = (rows.len().min(columns.len()) + 1) as f64 * 2.0;
        let transposed = rows.len() > columns.len();
        let (small, large) = if transposed {
            (columns, rows)
        } else {
            (rows, columns)
        };
        for (position, column) in columns.iter().enumerate() {
            set(&mut self.positions, *column, position);
        }
        let width = large.len();
        reset(&mut self.cells, small.len() * width, forbidden);
        for (position, row) in rows.iter().enumerate() {
            for (column, cost) in part(&self.pairs, &self.pair_starts, *row) {
                let column = self.positions.get(*column).copied().unwrap_or_default();
                let (s, l) = if transposed {
                    (column, position)
                } else {
                    (position, column)
                };
                set(&mut self.cells, s * width + l, *cost);
            }
        }
        let cells = &self.cells;
        let cost = |s: usize, l: usize| cells.get(s * width + l).copied().unwrap_or(forbidden);
        let (matched, solver) = (&mut self.matched, &mut self.solver);
        // Distinct best partners are the cheapest assignment: the usual case.
        let owners = match solver.each_the_best(small.len(), width, forbidden, &cost) {
            true => &solver.owner,
            false => solver.solve(small.len(), width, cost),
        };
        for (l, owner) in owners.iter().enumerate() {
            let Some(s) = owner.checked_sub(1).filter(|s| cost(*s, l) < forbidden) else {
                continue;
            };
            if let (Some(&l), Some(&s)) = (large.get(l), small.get(s)) {
                let (row, column) = if transposed { (l, s) } else { (s, l) };
                set(matched, row, Some(column));
            }
        }
    }
}

/// The slice that belongs to an index.
fn part<'a, T>(list: &'a [T], starts: &[usize], number: usize) -> &'a [T] {
    let (Some(start), Some(end)) = (starts.get(number), starts.get(number + 1)) else {
        return &[];
    };
    list.get(*start..*end).unwrap_or_default()
}

fn set<T>(list: &mut [T], index: usize, value: T) {
    if let Some(slot) = list.get_mut(index) {
        *slot = value;
    }
}

fn reset<T: Clone>(list: &mut Vec<T>, length: usize, value: T) {
    list.clear();
    list.resize(length, value);
}

/// Memory of the Hungarian method.
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
    /// Assigns the cheapest partner to each element of the small side, in `owner`; false if two have the same partner.
    fn each_the_best(
        &mut self,
        small: usize,
        large: usize,
        forbidden: f64,
        cost: &impl Fn(usize, usize) -> f64,
    ) -> bool {
        reset(&mut self.owner, large, 0);
        (0..small).all(|s| {
            let mut best = (forbidden, None);
            for l in 0..large {
                let cost = cost(s, l);
                if cost < best.0 {
                    best = (cost, Some(l));
                }
            }
            match best.1.and_then(|l| self.owner.get_mut(l)) {
                Some(slot) if *slot == 0 => {
                    *slot = s + 1;
                    true
                }
                _ => false,
            }
        })
    }

    /// For each element of the `large` side its partner of the `small` side, counted from 1, or 0. All of the small side get
    /// one.
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
        // Index 0 is the unmatched start of each path, as usual in this method; elements count from 1.
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

    fn fill(costs: &mut Costs, rows: usize, columns: usize, cost: impl Fn(usize, usize) -> Option<f64>) {
        costs.fill(rows, columns, |row, pairs| {
            pairs.extend((0..columns).filter_map(|column| Some((column, cost(row, column)?))));
        });
    }

    fn allowed(costs: &Costs, row: usize, column: usize) -> Option<f64> {
        let pairs = part(&costs.pairs, &costs.pair_starts, row);
        pairs.iter().find(|pair| pair.0 == column).map(|pair| pair.1)
    }

    fn best(costs: &Costs, row: usize, free: &mut Vec<bool>) -> (usize, f64) {
        let at = |column| allowed(costs, row, column);
        if row == costs.rows {
            return (0, 0.0);
        }
        let mut best_here = best(costs, row + 1, free);
        for column in 0..costs.columns {
            if let Some(cost) = at(column).filter(|_| free[column]) {
                free[column] = false;
                let (pairs, sum) = best(costs, row + 1, free);
                free[column] = true;
                let candidate = (pairs + 1, sum + cost);
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
            // The previous frame must not matter.
            fill(&mut costs, 4, 5, |r, c| cells[24 - r * 5 - c]);
            costs.assign();
            fill(&mut costs, rows, columns, |r, c| cells[r * 5 + c]);
            let matched = costs.assign().to_vec();
            let pairs: Vec<_> = matched.iter().enumerate().filter_map(|(r, c)| c.map(|c| (r, c))).collect();
            let columns_used: std::collections::BTreeSet<_> = pairs.iter().map(|p| p.1).collect();
            prop_assert_eq!(columns_used.len(), pairs.len());
            let sum: f64 = pairs.iter().map(|(r, c)| allowed(&costs, *r, *c).expect("an allowed pair")).sum();
            let (count, least) = best(&costs, 0, &mut vec![true; columns]);
            prop_assert_eq!(pairs.len(), count);
            prop_assert!((sum - least).abs() < 1e-9);
        }
    }

    #[test]
    fn nothing_matches_nothing() {
        let mut costs = Costs::default();
        fill(&mut costs, 2, 0, |_, _| Some(0.0));
        assert_eq!(costs.assign(), [None, None]);
        fill(&mut costs, 0, 2, |_, _| Some(0.0));
        assert!(costs.assign().is_empty());
        fill(&mut costs, 1, 1, |_, _| None);
        assert_eq!(costs.assign(), [None]);
    }
}
