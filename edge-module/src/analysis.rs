//! The module `spatialAnalysis`: the spatial-analysis extension as a server, with its operations, model and counts, by itself or
//! at a hub whose twin has the operations.
//!
//! `lva-edge spatial-analysis` is this with a log and signals. [`AnalysisArgs`] are its flags, for programs of yours that take
//! the same ones.

mod args;
mod counts;
mod health;
mod live;
mod metrics;
mod model;
mod module;
mod operations;
mod runtime;
mod saved;
mod server;
mod twin;

pub use args::AnalysisArgs;
pub use counts::AnalysisCounts;
pub use model::{ChannelOrderArg, ChosenModel, FitArg, ModelArgs, ModelArgsError, ModelSource};
pub use module::AnalysisModule;
pub use operations::OperationSet;
pub use runtime::{Backend, RuntimeArgs, RuntimeArgsError};
pub use server::{AnalysisServer, AnalysisServerError};
