//! Everything that can go wrong with a server of KServe's protocol.

use super::RuntimeFailure;

/// Why a server does not serve a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KserveError {
    /// The address is none, or TLS cannot be set up.
    #[error("the server of {address} cannot be used: {cause}")]
    Address {
        /// As given.
        address: String,
        /// What is wrong.
        cause: RuntimeFailure,
    },
    /// The system has no thread for the connection.
    #[error("no thread for the connection to the server: {0}")]
    Thread(std::io::Error),
    /// No server answers there. A retry may help.
    #[error(
        "no inference server is reached for {address}: check its address, its gRPC port (Triton: 8001) and the network ({cause})"
    )]
    Unreachable {
        /// The model's address.
        address: String,
        /// The error of the connection.
        cause: String,
    },
    /// No answer in time. A retry may help.
    #[error("the inference server of {address} gave no answer within {seconds} s")]
    Late {
        /// The model's address.
        address: String,
        /// The limit.
        seconds: f32,
    },
    /// The server has no such model.
    #[error("the inference server has no model for {address}: check its name and version ({cause})")]
    NoModel {
        /// The model's address.
        address: String,
        /// The server's words.
        cause: String,
    },
    /// The model is not loaded, or not yet. A retry may help.
    #[error(
        "the model of {address} is not ready: wait until the server has loaded it, or read the server's log"
    )]
    NotReady {
        /// The model's address.
        address: String,
    },
    /// Any other error of the server.
    #[error("the inference server refused the call for {address}: {code} ({cause})")]
    Refused {
        /// The model's address.
        address: String,
        /// The kind of the error.
        code: String,
        /// The server's words.
        cause: String,
    },
}
