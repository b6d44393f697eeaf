//! Deployment manifests of IoT Edge, generated from a template, its variables and its module files.
//!
//! The contract is the published behaviour of the editor extension for this task. One thing differs: values are inserted into
//! parsed strings, so no value can break the JSON around it.

mod environment;
mod expand;
mod form;
mod manifest;
mod module_file;
mod settings;
mod template;

pub use environment::EnvironmentFile;
pub use manifest::{CREATE_OPTIONS_PART, Manifest, ManifestModule};
pub use module_file::{ModuleFile, ModuleSource};
pub use settings::AppSettings;
pub use template::{DeploymentTemplate, GeneratedManifest, ManifestOptions, manifest_file_name};
