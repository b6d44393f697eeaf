#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "spatial-analysis")]
pub mod analysis;
mod config;
mod data;
mod descriptors;
mod edge_module;
pub mod events;
pub mod flags;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
mod hub;
mod hub_stats;
pub mod logs;
mod methods;
pub mod metrics;
pub mod operations;
pub mod readable;
mod rotating_file;
pub mod service;
mod settings;
mod sinks;
mod state;
mod twin;

pub use config::{
    BrokerVersion, CamerasConfig, Config, ConfigError, ConsoleConfig, DecodingConfig, EventsConfig,
    HttpConfig, HubConfig, KafkaConfig, LogConfig, LogFormat, MetricsConfig, ModuleConfig, NatsConfig,
    WebhookConfig,
};
pub use data::{DataDirectory, DataError};
pub use edge_module::{EdgeModule, EdgeModuleBuilder, StartError};
pub use hub::HubError;
pub use methods::{ANSWER_LIMIT, MethodResponse, Methods};
pub use sinks::EventSinkError;
