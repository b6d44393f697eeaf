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
    schema: u64,
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
        let read = match self.0.read(FILE) {
            Ok(None) => return None,
            Ok(Some(content)) => {
                serde_json::from_slice::<Content>(&content).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let why = match read {
            Ok(saved) if saved.schema == SCHEMA => {
                tracing::info!(
                    version = saved.version,
                    "the last twin is in force until the hub sends it again"
                );
                return Some((saved.version, saved.properties));
            }
            Ok(saved) => format!("it has schema {}, and this version reads {SCHEMA}", saved.schema),
            Err(why) => why,
        };
        match self.0.set_aside(FILE) {
            Ok(aside) => tracing::error!(
                "the last twin cannot be read ({why}); it is kept as {}, and the hub's is awaited",
                aside.display()
            ),
            Err(error) => tracing::error!("the last twin cannot be read ({why}), nor set aside: {error}"),
        }
        None
    }

    /// Saves what the hub has sent. A failure is logged.
    pub(super) async fn save(&self, desired: Desired) {
        let saved = Content {
            schema: SCHEMA,
            version: desired.version,
            properties: desired.properties,
        };
        let data = Arc::clone(&self.0);
        let written = tokio::task::spawn_blocking(move || {
            let content = serde_json::to_vec(&saved).map_err(|error| data.failed("write", FILE, error))?;
            data.replace(FILE, &content)
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("the twin cannot be saved: {error}"),
            Err(error) => tracing::error!("the twin cannot be saved: {error}"),
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
