use std::error::Error;
use std::fmt;

use async_trait::async_trait;

use crate::sas::SymmetricKey;

/// Signs access tokens: a key that is at hand, the workload API, or another store of keys.
#[async_trait]
pub trait Signer: Send + Sync + fmt::Debug {
    /// HMAC-SHA256 of a string, in base64.
    ///
    /// # Errors
    ///
    /// [`SignError`]; the client tries again with its next connection.
    async fn sign(&self, text: &str) -> Result<String, SignError>;
}

#[async_trait]
impl Signer for SymmetricKey {
    async fn sign(&self, text: &str) -> Result<String, SignError> {
        Ok(Self::sign(self, text))
    }
}

/// Why a token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("the access token cannot be signed: {0}")]
pub struct SignError(Box<dyn Error + Send + Sync>);

impl SignError {
    /// For this reason.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }
}
