use std::net::SocketAddr;
use std::time::Duration;

/// How long devices may take, and where they are looked for.
#[derive(Debug, Clone)]
pub struct OnvifOptions {
    pub(crate) request_timeout: Duration,
    pub(crate) total_timeout: Duration,
    pub(crate) targets: Vec<SocketAddr>,
}

impl Default for OnvifOptions {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(25),
            targets: Vec::new(),
        }
    }
}

impl OnvifOptions {
    /// How long a device may take for one request, connecting included. Default 10 s: small devices take seconds for TLS.
    /// A device that stalls goes unnoticed for as long.
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long all requests of one [`describe`](crate::describe) may take. Default 25 s, because callers of a hub usually
    /// wait for 30 s. A recorder with hundreds of profiles may need more: each profile is one more request.
    #[must_use]
    pub fn with_total_timeout(mut self, timeout: Duration) -> Self {
        self.total_timeout = timeout;
        self
    }

    /// Devices and discovery proxies to ask by their addresses (UDP, port 3702) instead of by multicast, which most
    /// container networks do not carry. Default: none, that is, the multicast group 239.255.255.250 on every IPv4
    /// interface.
    #[must_use]
    pub fn with_discovery_targets(mut self, targets: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.targets = targets.into_iter().collect();
        self
    }
}
