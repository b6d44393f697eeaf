//! The tunnels that are open, by the cookie that joins their two connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::sync::Mutex as AsyncMutex;

/// Bytes that may wait between the two connections.
const PIPE_BYTES: usize = 16 * 1024;

/// How often a POST looks whether its GET has ended.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Tunnels whose GET is open, by cookie.
#[derive(Debug, Default)]
pub(crate) struct Tunnels(Mutex<HashMap<String, Arc<AsyncMutex<DuplexStream>>>>);

impl Tunnels {
    /// `None` if a tunnel with this cookie is open.
    pub(crate) fn open(&self, cookie: &str) -> Option<DuplexStream> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.contains_key(cookie) {
            return None;
        }
        let (for_post, for_get) = tokio::io::duplex(PIPE_BYTES);
        open.insert(cookie.to_owned(), Arc::new(AsyncMutex::new(for_post)));
        Some(for_get)
    }

    pub(crate) fn find(&self, cookie: &str) -> Option<Arc<AsyncMutex<DuplexStream>>> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(cookie).map(Arc::clone)
    }

    /// Waits until no tunnel has this cookie any more.
    pub(crate) async fn closed(&self, cookie: &str) {
        while self.find(cookie).is_some() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// Removes the tunnel, however its GET ends.
pub(crate) struct OpenTunnel<'a>(pub(crate) &'a Tunnels, pub(crate) &'a str);

impl Drop for OpenTunnel<'_> {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_valid_for_one_tunnel_at_a_time() {
        let tunnels = Tunnels::default();
        let _pipe = tunnels.open("a").unwrap();
        assert!(tunnels.open("a").is_none() && tunnels.find("a").is_some());
        drop(OpenTunnel(&tunnels, "a"));
        assert!(tunnels.find("a").is_none());
    }
}
