//! One extension for several servers.

use std::sync::Arc;

use async_trait::async_trait;

use super::extension::{Extension, ExtensionOpenError, ExtensionSession, SessionInfo};

/// A shared extension: clone the [`Arc`] for each server, so that one value serves TCP, a Unix socket and HTTP.
#[async_trait]
impl<E: Extension + ?Sized> Extension for Arc<E> {
    fn identifier(&self) -> &str {
        (**self).identifier()
    }

    async fn open(&self, session: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        (**self).open(session).await
    }
}
