//! The file of the desired properties.

use lva_hub::twin::Desired;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Shared, TwinOwner};
use crate::data::DataError;

const FILE: &str = "twin.json";
/// Format of the file; a higher number is of a newer version.
const SCHEMA: u64 = 1;

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u64,
    properties: Map<String, Value>,
    /// Where a plain broker does not have them yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unpublished: Option<Unpublished>,
}

#[derive(Serialize, Deserialize)]
struct Unpublished {
    /// What the broker had before.
    replaced: Option<Replaced>,
}

#[derive(Serialize, Deserialize)]
struct Replaced {
    version: u64,
    properties: Map<String, Value>,
}

/// What a file had.
pub(super) struct Loaded {
    pub(super) desired: Desired,
    pub(super) unpublished: Option<Option<Desired>>,
}

impl Shared {
    /// `None` where there is no file that can be read; such a file is set aside.
    pub(super) fn load(&self) -> Option<Loaded> {
        let saved: Saved = self.data.load(FILE, SCHEMA, "the last twin")?;
        let version = saved.version;
        match &self.owner {
            TwinOwner::Hub(_) => {
                tracing::info!(version, "the last twin is in force until the hub sends it again");
            }
            _ => tracing::info!(version, "the desired properties of the last run are in force"),
        }
        Some(Loaded {
            desired: Desired::new(saved.properties, version),
            unpublished: saved.unpublished.map(|unpublished| {
                let replaced = unpublished.replaced;
                replaced.map(|replaced| Desired::new(replaced.properties, replaced.version))
            }),
        })
    }

    /// Replaces the file.
    pub(super) async fn save(
        &self,
        desired: Desired,
        unpublished: Option<Option<Desired>>,
    ) -> Result<(), DataError> {
        let saved = Saved {
            version: desired.version,
            properties: desired.properties,
            unpublished: unpublished.map(|replaced| Unpublished {
                replaced: replaced.map(|desired| Replaced {
                    version: desired.version,
                    properties: desired.properties,
                }),
            }),
        };
        self.data.store(FILE, SCHEMA, saved).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::EventsConfig;
    use crate::data::DataDirectory;
    use crate::settings::LiveSettings;
    use crate::twin::ModuleTwin;

    #[test]
    fn a_twin_that_cannot_be_read_is_kept_aside() {
        let directory = tempfile::tempdir().unwrap();
        let data = Arc::new(DataDirectory::open(directory.path()).unwrap());
        let restore = || {
            let settings = LiveSettings::new(&EventsConfig::default());
            ModuleTwin::restored(Arc::clone(&data), settings, None, TwinOwner::Hub("h".into()))
        };
        for (number, content) in [
            (1, "{\"schema\":1"),
            (2, r#"{"schema":2,"version":1,"properties":{}}"#),
        ] {
            std::fs::write(data.file(FILE), content).unwrap();
            assert!(restore().view().is_none());
            let aside = data.file(&format!("{FILE}.unreadable-{number}"));
            assert_eq!(std::fs::read_to_string(aside).unwrap(), content);
        }
        std::fs::create_dir(data.file(FILE)).unwrap();
        restore();
        assert!(data.file(&format!("{FILE}.unreadable-3")).is_dir());
    }

    #[tokio::test]
    async fn what_a_broker_does_not_have_yet_is_known_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let data = Arc::new(DataDirectory::open(directory.path()).unwrap());
        let restored = || {
            let settings = LiveSettings::new(&EventsConfig::default());
            ModuleTwin::restored(Arc::clone(&data), settings, None, TwinOwner::Broker)
        };
        let desired = |version| Desired::new(Map::from_iter([("a".to_owned(), 1.into())]), version);
        for unpublished in [None, Some(None), Some(Some(desired(4)))] {
            restored()
                .shared
                .save(desired(5), unpublished.clone())
                .await
                .unwrap();
            let loaded = restored().shared.load().unwrap();
            assert_eq!((loaded.desired, loaded.unpublished), (desired(5), unpublished));
        }
    }
}
