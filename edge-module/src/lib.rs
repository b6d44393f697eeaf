#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod data;
mod edge_module;
pub mod events;
pub mod http;
pub mod logs;
mod methods;
pub mod metrics;
pub mod service;
mod state;

pub use config::{
    Config, ConfigError, EventsConfig, HttpConfig, LogConfig, LogFormat, MetricsConfig, ModuleConfig,
};
pub use data::{DataDirectory, DataError};
pub use edge_module::{EdgeModule, EdgeModuleBuilder, StartError};
pub use methods::{ANSWER_LIMIT, Answer, Methods};
