//! `module.json`: the name of a module's image.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use crate::document::{DocumentError, json_from_slice, members_of, required, scalar_string};

const WHAT: &str = "a module file";

/// A `module.json`. Its strings may contain variables, which have the same values as those of the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleFile {
    /// `image.repository`
    pub repository: String,
    /// `image.tag.version`
    pub version: String,
    /// The names in `image.tag.platforms`, such as `amd64` and `amd64.debug`.
    pub platforms: BTreeSet<String>,
}

impl ModuleFile {
    /// Reads a file's content.
    ///
    /// # Errors
    ///
    /// [`DocumentError`] when it is not JSON, or lacks repository, version or platforms.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, DocumentError> {
        let value = json_from_slice(bytes)?;
        let map = members_of(&value, WHAT, "with 'image'")?;
        let image = object(map, "image")?;
        let tag = object(image, "tag")?;
        Ok(Self {
            repository: text(image, "repository")?,
            version: text(tag, "version")?,
            platforms: object(tag, "platforms")?.keys().cloned().collect(),
        })
    }

    /// The image's name for a platform, variables as written; `None` when the module has no such platform.
    pub fn image(&self, platform: &str) -> Option<String> {
        let Self {
            repository,
            version,
            platforms,
        } = self;
        platforms
            .contains(platform)
            .then(|| format!("{repository}:{version}-{platform}"))
    }
}

fn object<'m>(
    map: &'m Map<String, Value>,
    name: &'static str,
) -> Result<&'m Map<String, Value>, DocumentError> {
    required(map, name, WHAT, "an object", Value::as_object)
}

fn text(map: &Map<String, Value>, name: &'static str) -> Result<String, DocumentError> {
    required(map, name, WHAT, "a string", scalar_string)
}

/// A template's reference to a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ModuleSource {
    /// `${MODULES.name}`: the directory `modules/name` next to the template.
    Name(String),
    /// `${MODULEDIR<path>}`: a directory, relative to the template's.
    Directory(String),
}

impl ModuleSource {
    /// The path of its module file, relative to the template's directory. It is not checked: it may lead outside of that
    /// directory.
    pub fn path(&self) -> String {
        match self {
            Self::Name(name) => format!("modules/{name}/module.json"),
            Self::Directory(directory) => format!("{}/module.json", directory.trim_end_matches('/')),
        }
    }
}

impl fmt::Display for ModuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "MODULES.{name}"),
            Self::Directory(directory) => write!(f, "MODULEDIR<{directory}>"),
        }
    }
}
