//! The module `spatialAnalysis`: the spatial-analysis extension as a server, with its operations, model and counts.
//!
//! `lva-edge spatial-analysis` is this with a log and signals. [`AnalysisArgs`] are its flags, for programs of yours that take
//! the same ones.

mod args;
mod counts;
mod model;
mod operations;
mod server;

pub use args::AnalysisArgs;
pub use counts::AnalysisCounts;
pub use model::{Backend, ModelArgs, ModelArgsError, ModelFamilyArg};
pub use operations::{OperationSet, OperationSetError};
pub use server::{AnalysisServer, AnalysisServerError};
