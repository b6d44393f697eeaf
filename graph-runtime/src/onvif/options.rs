//! How patiently devices are looked for and asked.

use std::net::SocketAddr;
use std::time::Duration;

/// How `onvifDeviceDiscover` and `onvifDeviceGet` are carried out.
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
    /// How long a device may take to answer one question, connecting included; default 10 s. Small devices take
    /// seconds for TLS; during a long time nothing is heard of one that hangs.
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long `onvifDeviceGet` may take altogether; default 25 s, because callers of a hub usually wait for 30. A recorder
    /// with hundreds of profiles may need more, as each is one more question.
    #[must_use]
    pub fn with_total_timeout(mut self, timeout: Duration) -> Self {
        self.total_timeout = timeout;
        self
    }

    /// Whom `onvifDeviceDiscover` asks in place of everybody: for networks without multicast, as those of containers
    /// mostly are, devices and discovery proxies by their addresses (UDP, port 3702). Default: none, that is, the multicast
    /// group 239.255.255.250 on every IPv4 interface.
    #[must_use]
    pub fn with_discovery_targets(mut self, targets: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.targets = targets.into_iter().collect();
        self
    }
}
