//! The tutorial's console: calls the methods of an operations file on a module, by the service API of IoT Hub.
//!
//! | file | what |
//! |---|---|
//! | `settings` | `appsettings.json`: which module, and the service's connection string |
//! | `service` | one method call over HTTP |
//! | `documents` | topologies in files and behind addresses |
//! | `transcript` | what is printed, without secrets |
//! | `play` | the steps in their order |

mod documents;
mod play;
mod service;
mod settings;
mod transcript;

pub use documents::{DocumentsError, TopologyFiles};
pub use play::{PlayError, Played, play};
pub use service::{Service, ServiceError, ServiceResponse, ServiceUrl, ServiceUrlError};
pub use settings::{ServiceConnectionString, ServiceConnectionStringError, Settings, SettingsError};
pub use transcript::Transcript;
