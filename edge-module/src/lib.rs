#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod data;
mod edge_module;
pub mod events;
pub mod http;
mod hub;
mod hub_stats;
pub mod logs;
mod methods;
pub mod metrics;
pub mod service;
mod settings;
mod state;

pub use config::{
    BrokerVersion, Config, ConfigError, EventsConfig, HttpConfig, HubConfig, LogConfig, LogFormat,
    MetricsConfig, ModuleConfig,
};
pub use data::{DataDirectory, DataError};
pub use edge_module::{EdgeModule, EdgeModuleBuilder, StartError};
pub use hub::HubError;
pub use methods::{ANSWER_LIMIT, Answer, Methods};
