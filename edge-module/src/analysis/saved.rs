//! The last twin on disk, in force at a start until the hub sends it again.

use std::sync::Arc;

use lva_hub::twin::Desired;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::data::DataDirectory;

const FILE: &str = "twin.json";
/// Format of the file; a higher number is of a newer version.
const SCHEMA: u64 = 1;

#[derive(Serialize, Deserialize)]
struct Content {
    version: u64,
    properties: Map<String, Value>,
}

/// The desired properties in the data directory.
#[derive(Debug, Clone)]
pub(super) struct SavedTwin(Arc<DataDirectory>);

impl SavedTwin {
    pub(super) fn new(data: Arc<DataDirectory>) -> Self {
        Self(data)
    }

    /// The saved properties with their version. Those that cannot be read are set aside, and never stop a start. Blocks.
    pub(super) fn restore(&self) -> Option<(u64, Map<String, Value>)> {
        let saved: Content = self.0.load(FILE, SCHEMA, "the last twin")?;
        tracing::info!(
            version = saved.version,
            "the last twin is in force until the hub sends it again"
        );
        Some((saved.version, saved.properties))
    }

    /// Saves what the hub has sent. A failure is logged.
    pub(super) async fn save(&self, desired: Desired) {
        let saved = Content {
            version: desired.version,
            properties: desired.properties,
        };
        if let Err(error) = self.0.store(FILE, SCHEMA, saved).await {
            tracing::error!("the twin cannot be saved: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twin_that_cannot_be_read_is_kept_aside() {
        let directory = tempfile::tempdir().unwrap();
        let data = Arc::new(DataDirectory::open(directory.path()).unwrap());
        let twin = SavedTwin::new(Arc::clone(&data));
        for (number, content) in [
            (1, "{\"schema\":1"),
            (2, r#"{"schema":2,"version":1,"properties":{}}"#),
        ] {
            std::fs::write(data.file(FILE), content).unwrap();
            assert_eq!(twin.restore(), None);
            let aside = data.file(&format!("{FILE}.unreadable-{number}"));
            assert_eq!(std::fs::read_to_string(aside).unwrap(), content);
        }
        std::fs::create_dir(data.file(FILE)).unwrap();
        assert_eq!(twin.restore(), None);
        assert!(data.file(&format!("{FILE}.unreadable-3")).is_dir());
    }
}
