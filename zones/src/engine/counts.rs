//! How often a line was crossed.

use crate::geometry::Direction;

/// Crossings of a line, by direction and by class.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineCounts {
    /// Sorted by class.
    classes: Vec<(u16, [u64; 2])>,
}

impl LineCounts {
    pub(super) fn add(&mut self, class: u16, direction: Direction) {
        let index = match self.classes.binary_search_by_key(&class, |(class, _)| *class) {
            Ok(index) => index,
            Err(index) => {
                self.classes.insert(index, (class, [0; 2]));
                index
            }
        };
        if let Some((_, counts)) = self.classes.get_mut(index) {
            let [left, right] = counts;
            match direction {
                Direction::Left => *left += 1,
                Direction::Right => *right += 1,
            }
        }
    }

    /// Crossings in a direction, of all classes.
    pub fn of(&self, direction: Direction) -> u64 {
        self.classes
            .iter()
            .map(|(_, counts)| pick(counts, direction))
            .sum()
    }

    /// Crossings in a direction, of one class.
    pub fn of_class(&self, class: u16, direction: Direction) -> u64 {
        let found = self.classes.iter().find(|(known, _)| *known == class);
        found.map_or(0, |(_, counts)| pick(counts, direction))
    }

    /// Crossings in both directions, of all classes.
    pub fn total(&self) -> u64 {
        self.of(Direction::Left) + self.of(Direction::Right)
    }
}

fn pick([left, right]: &[u64; 2], direction: Direction) -> u64 {
    match direction {
        Direction::Left => *left,
        Direction::Right => *right,
    }
}
