//! Which classes a line, a zone or a rule is for.

use std::sync::Arc;

/// Classes of a detector, by index: all of them by default.
///
/// ```
/// use lva_zones::Classes;
///
/// let vehicles = Classes::only([2, 5, 7]);
/// assert!(vehicles.contains(5) && !vehicles.contains(0));
/// assert!(Classes::default().contains(0));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classes(Option<Arc<[u16]>>);

impl Classes {
    /// These classes alone; of an empty list, none.
    pub fn only(classes: impl IntoIterator<Item = u16>) -> Self {
        let mut classes: Vec<u16> = classes.into_iter().collect();
        classes.sort_unstable();
        classes.dedup();
        Self(Some(classes.into()))
    }

    /// Whether a class is one of them.
    pub fn contains(&self, class: u16) -> bool {
        match &self.0 {
            None => true,
            Some(classes) => classes.contains(&class),
        }
    }

    /// The classes in ascending order; `None`: all.
    pub fn as_slice(&self) -> Option<&[u16]> {
        self.0.as_deref()
    }
}
