use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ConfigError, range};

/// The web page over the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct ConsoleConfig {
    /// Whether it is served.
    pub enabled: bool,
    /// File with the token of people who may only look; empty for none.
    pub viewer_token_file: PathBuf,
    /// The cameras that they may look at; empty for all.
    pub viewer_cameras: Vec<String>,
    /// Live pictures that are watched at the same time.
    pub max_viewers: usize,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            viewer_token_file: PathBuf::new(),
            viewer_cameras: Vec::new(),
            max_viewers: 128,
        }
    }
}

impl ConsoleConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        range("console.max-viewers", self.max_viewers as u64, 1, 10_000)
    }
}
