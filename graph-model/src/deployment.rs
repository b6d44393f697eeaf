//! Deployment manifests of IoT Edge: from a template, its variables and its modules to what is deployed.
//!
//! The contract is the published behaviour of the editor extension that people used for this, without its trap:
//! values are put into parsed texts, so that none can break the JSON around it.

mod environment;
mod expand;
mod manifest;
mod module_file;
mod settings;
mod template;

pub use environment::EnvironmentFile;
pub use manifest::{CREATE_OPTIONS_PART, Manifest, ManifestModule};
pub use module_file::{ModuleFile, ModuleSource};
pub use settings::AppSettings;
pub use template::{DeploymentTemplate, GeneratedManifest, ManifestOptions, manifest_file_name};
