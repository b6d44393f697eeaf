//! What stands retained on a plain broker.

use std::collections::{BTreeMap, BTreeSet};

use crate::dialect::{Component, state_path};

/// Most states, and most announced components.
const MAX_STATES: usize = 4096;

/// The last value of each state, and what the broker does not have yet.
#[derive(Debug, Default)]
pub(super) struct States {
    /// `None` is deleted, and stays until the broker has that too.
    values: BTreeMap<String, Option<String>>,
    changed: BTreeSet<String>,
    components: BTreeMap<String, Option<Component>>,
    is_announcement_due: bool,
}

impl States {
    pub(super) fn set(&mut self, path: &[&str], value: Option<&str>) -> Result<(), StateError> {
        let path = state_path(path);
        if path.is_empty() || path.len() > 1000 {
            return Err(StateError::Path);
        }
        if !self.values.contains_key(&path) {
            if value.is_none() {
                return Ok(());
            }
            if self.values.len() >= MAX_STATES {
                return Err(StateError::TooMany);
            }
        }
        let value = value.map(str::to_owned);
        if self.values.get(&path) != Some(&value) {
            self.values.insert(path.clone(), value);
            self.changed.insert(path);
        }
        Ok(())
    }

    pub(super) fn announce(&mut self, component: Component) -> Result<(), StateError> {
        let object_id = component.object_id();
        if !self.components.contains_key(&object_id) && self.components.len() >= MAX_STATES {
            return Err(StateError::TooMany);
        }
        self.components.insert(object_id, Some(component));
        self.is_announcement_due = true;
        Ok(())
    }

    pub(super) fn withdraw(&mut self, path: &[&str]) {
        let path = state_path(path);
        for component in self.components.values_mut() {
            if component.as_ref().is_some_and(|component| component.path == path) {
                *component = None;
                self.is_announcement_due = true;
            }
        }
    }

    /// After a connection was made: the broker may have lost everything.
    pub(super) fn refresh(&mut self) {
        self.changed = self.values.keys().cloned().collect();
        self.announce_again();
    }

    pub(super) fn announce_again(&mut self) {
        self.is_announcement_due = !self.components.is_empty();
    }

    /// The next state to publish.
    pub(super) fn take_changed(&mut self) -> Option<(String, Option<String>)> {
        let path = self.changed.pop_first()?;
        let value = self.values.get(&path)?.clone();
        Some((path, value))
    }

    /// The broker has this state.
    pub(super) fn on_published(&mut self, path: &str) {
        if !self.changed.contains(path) && self.values.get(path) == Some(&None) {
            self.values.remove(path);
        }
    }

    /// The components to announce, when that is due.
    pub(super) fn take_announcement(&mut self) -> Option<BTreeMap<String, Option<Component>>> {
        if !std::mem::take(&mut self.is_announcement_due) {
            return None;
        }
        Some(self.components.clone())
    }

    /// The broker has the announcement: what it withdraws is not repeated.
    pub(super) fn on_announced(&mut self) {
        if !self.is_announcement_due {
            self.components.retain(|_, component| component.is_some());
        }
    }
}

/// Why a state is not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A topic that is empty or too long.
    #[error("the path of a state must not be empty, nor longer than 1,000 bytes")]
    Path,
    /// Beyond the limit.
    #[error("there are {MAX_STATES} states already: delete some")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::ComponentKind;

    #[test]
    fn a_state_is_published_when_it_changes_and_after_a_reconnection() {
        let mut states = States::default();
        states.set(&["a", "b/c"], Some("1")).unwrap();
        assert_eq!(
            states.take_changed(),
            Some(("a/b%2Fc".to_owned(), Some("1".to_owned())))
        );
        states.set(&["a", "b/c"], Some("1")).unwrap();
        assert_eq!(states.take_changed(), None);
        states.refresh();
        assert!(states.take_changed().is_some());
    }

    #[test]
    fn a_deleted_state_is_remembered_until_the_broker_knows() {
        let mut states = States::default();
        states.set(&["never"], None).unwrap();
        states.set(&["a"], Some("1")).unwrap();
        states.set(&["a"], None).unwrap();
        assert_eq!(states.take_changed(), Some(("a".to_owned(), None)));
        states.refresh();
        assert_eq!(states.take_changed(), Some(("a".to_owned(), None)));
        states.on_published("a");
        states.refresh();
        assert_eq!(states.take_changed(), None);
    }

    #[test]
    fn states_are_bounded() {
        let mut states = States::default();
        for number in 0..MAX_STATES {
            states.set(&[&number.to_string()], Some("1")).unwrap();
        }
        assert_eq!(states.set(&["more"], Some("1")), Err(StateError::TooMany));
        states.set(&["1"], Some("2")).unwrap();
        assert_eq!(states.set(&[], Some("1")), Err(StateError::Path));
    }

    #[test]
    fn a_withdrawn_component_is_announced_once_more() {
        let mut states = States::default();
        states
            .announce(Component::new(ComponentKind::BinarySensor, &["a"], "A"))
            .unwrap();
        assert_eq!(states.take_announcement().unwrap().len(), 1);
        assert!(states.take_announcement().is_none());
        states.withdraw(&["a"]);
        assert_eq!(states.take_announcement().unwrap()["a"], None);
        states.on_announced();
        states.announce_again();
        assert!(states.take_announcement().is_none());
    }
}
