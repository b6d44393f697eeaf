//! Changes of the desired properties by callers of the module itself.

use std::sync::Arc;

use lva_hub::twin::{Desired, TwinLimitError, check_properties, merge_patch};
use serde_json::{Map, Value};

use super::view::tag;
use super::{ModuleTwin, Shared, TwinOwner, publish};
use crate::data::DataError;

/// Most changes that may be on their way to a broker and back.
const MAX_SUPERSEDED: usize = 16;

/// What is to become of the desired properties.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DesiredChange {
    /// A merge patch: null deletes.
    Merge(Map<String, Value>),
    /// These instead.
    Replace(Map<String, Value>),
}

/// The desired properties that a caller means to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// Whatever they are.
    Any,
    /// Those with one of these entity tags.
    Tags(Vec<String>),
}

/// Why desired properties stay as they are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TwinChangeError {
    #[error(
        "the desired properties of this module belong to its hub {hub}: change them there, and they come here"
    )]
    OwnedByHub { hub: String },
    #[error("the twin has changed since it was read (If-Match): read it again, or send If-Match: *")]
    Changed,
    #[error("{0}")]
    Limit(TwinLimitError),
    #[error("nothing is changed, since it cannot be saved: {0}")]
    Save(DataError),
    #[error("a fault of this program interrupted the change; see the log")]
    Interrupted,
}

impl ModuleTwin {
    /// Changes the desired properties: saved when this returns, in force, and on their way to a plain broker. Dropping the
    /// future does not interrupt it.
    pub(crate) async fn change(
        &self,
        precondition: Precondition,
        change: DesiredChange,
    ) -> Result<(), TwinChangeError> {
        let shared = Arc::clone(&self.shared);
        let changing = tokio::spawn(async move { shared.change(precondition, change).await });
        changing.await.unwrap_or(Err(TwinChangeError::Interrupted))
    }
}

impl Shared {
    async fn change(&self, precondition: Precondition, change: DesiredChange) -> Result<(), TwinChangeError> {
        if let TwinOwner::Hub(hub) = &self.owner {
            return Err(TwinChangeError::OwnedByHub { hub: hub.clone() });
        }
        let _one = self.changing.lock().await;
        let (before, unpublished) = {
            let known = self.known.lock();
            (
                known.desired.clone().unwrap_or_default(),
                known.unpublished.clone(),
            )
        };
        if let Precondition::Tags(tags) = precondition
            && !tags.contains(&tag(&before))
        {
            return Err(TwinChangeError::Changed);
        }
        let (mut properties, change) = match change {
            DesiredChange::Merge(patch) => (before.properties.clone(), patch),
            DesiredChange::Replace(all) => (Map::new(), all),
        };
        merge_patch(&mut properties, &change);
        check_properties(&properties).map_err(TwinChangeError::Limit)?;
        let desired = Desired::new(properties, before.version.saturating_add(1));
        let unpublished = match self.owner {
            // What the broker has is what it had when it last took ours, or sent its own.
            TwinOwner::Broker => Some(unpublished.unwrap_or(Some(before))),
            _ => None,
        };
        self.save(desired.clone(), unpublished.clone())
            .await
            .map_err(TwinChangeError::Save)?;
        self.put_into_force(&desired);
        {
            let mut known = self.known.lock();
            let before = known.desired.replace(desired.clone());
            if known.unpublished.is_some() {
                known.superseded.extend(before);
                if known.superseded.len() > MAX_SUPERSEDED {
                    known.superseded.pop_front();
                }
            }
            known.unpublished.clone_from(&unpublished);
        }
        if let (Some(client), Some(replaced)) = (self.client.get(), unpublished) {
            publish(client, desired, replaced);
        }
        self.report_state();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EventsConfig;
    use crate::data::DataDirectory;
    use crate::settings::LiveSettings;

    fn properties(value: u64) -> Map<String, Value> {
        Map::from_iter([("a".to_owned(), value.into())])
    }

    #[tokio::test]
    async fn a_change_that_comes_back_from_the_broker_late_does_not_undo_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let data = Arc::new(DataDirectory::open(directory.path()).unwrap());
        let settings = LiveSettings::new(&EventsConfig::default());
        let twin = ModuleTwin::restored(data, settings, None, TwinOwner::Broker);
        let change = async |value| {
            let change = DesiredChange::Merge(properties(value));
            twin.change(Precondition::Any, change).await.unwrap();
            twin.view().unwrap().desired
        };
        let first = change(1).await;
        let second = change(2).await;
        twin.shared.take(first.clone()).await;
        assert_eq!(twin.view().unwrap().desired, second);
        // The newest comes back, and then another client writes, were it the same as before.
        twin.shared.take(second).await;
        twin.shared.take(first.clone()).await;
        assert_eq!(twin.view().unwrap().desired, first);
    }
}
