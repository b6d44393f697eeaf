//! Settings of a camera.

use std::fmt;
use std::str::FromStr;

use lva_client_transport::ClientTls;
use lva_media_types::{BasicAuthentication, Credentials};

use crate::{CameraUrl, CameraUrlError, ClockOptions, ReconnectPolicy, Timeouts, WallClock};

/// The transport of RTP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Transport {
    /// [`Tcp`](Self::Tcp); where the camera refuses that, [`Udp`](Self::Udp), then [`Multicast`](Self::Multicast); and TCP
    /// again when nothing comes by these.
    #[default]
    Auto,
    /// Interleaved in the RTSP connection (RFC 2326 section 10.12): passes firewalls, loses no packets.
    Tcp,
    /// UDP datagrams, for a LAN. No receiver reports are sent.
    Udp,
    /// UDP datagrams to a group that the camera names (RFC 2326 section 12.39): one stream for any number of receivers of
    /// its network. Datagrams of others than the camera are ignored.
    Multicast,
    /// Interleaved, in a tunnel of two HTTP connections ("Tunnelling RTSP and RTP through HTTP"): for cameras behind a
    /// proxy, or whose RTSP port is closed. The address names the HTTP port, by default 80, or 443 with TLS.
    Http,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Tcp => "tcp",
            Self::Multicast => "multicast",
            Self::Udp => "udp",
            Self::Http => "http",
        })
    }
}

/// A string that does not name a transport.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a supported RTSP transport: use 'auto', 'tcp', 'udp', 'multicast' or 'http'")]
pub struct TransportError(String);

impl FromStr for Transport {
    type Err = TransportError;

    fn from_str(word: &str) -> Result<Self, TransportError> {
        match word.trim().to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "tcp" => Ok(Self::Tcp),
            "multicast" => Ok(Self::Multicast),
            "udp" => Ok(Self::Udp),
            "http" => Ok(Self::Http),
            _ => Err(TransportError(word.to_owned())),
        }
    }
}

/// Bounds of the queue between the camera's task and [`Camera::next`](crate::Camera::next).
///
/// A unit that does not fit is dropped and counted, and video continues at the next keyframe. Reading from
/// the camera never stops, so a slow consumer neither slows the camera nor increases the delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueLimits {
    /// Queued units, at least 1. Default 512, about 17 s at 30 frames/s: enough for a consumer that sometimes waits for a
    /// disk. Smaller drops sooner, larger hides a consumer that is too slow.
    pub units: usize,
    /// Queued bytes. Default 64 MiB. The worst-case memory is this plus the largest single unit.
    pub bytes: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            units: 512,
            bytes: 64 << 20,
        }
    }
}

impl QueueLimits {
    /// Sets [`units`](Self::units).
    pub fn with_units(mut self, units: usize) -> Self {
        self.units = units;
        self
    }

    /// Sets [`bytes`](Self::bytes).
    pub fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }
}

/// Settings for [`Camera::connect`](crate::Camera::connect). Only the address has no default.
#[derive(Debug, Clone)]
pub struct CameraOptions {
    pub(crate) url: CameraUrl,
    pub(crate) credentials: Option<Credentials>,
    basic: BasicAuthentication,
    pub(crate) transport: Transport,
    pub(crate) timeouts: Timeouts,
    pub(crate) reconnect: ReconnectPolicy,
    pub(crate) clock: ClockOptions,
    pub(crate) queue: QueueLimits,
    pub(crate) audio: bool,
    pub(crate) metadata: bool,
    pub(crate) tls: Option<ClientTls>,
    pub(crate) wall: WallClock,
}

impl CameraOptions {
    /// Options with defaults for the camera at `url`.
    pub fn new(url: CameraUrl) -> Self {
        Self {
            url,
            credentials: None,
            basic: BasicAuthentication::default(),
            transport: Transport::default(),
            timeouts: Timeouts::default(),
            reconnect: ReconnectPolicy::default(),
            clock: ClockOptions::default(),
            queue: QueueLimits::default(),
            audio: true,
            metadata: false,
            tls: None,
            wall: WallClock::default(),
        }
    }

    /// Options with defaults for the camera at an address as people write it, with user name and password in it:
    /// `rtsp://viewer:secret@192.168.1.20:554/stream1`.
    ///
    /// # Errors
    ///
    /// As for [`CameraUrl::parse`].
    pub fn parse(address: &str) -> Result<Self, CameraUrlError> {
        let (url, credentials) = CameraUrl::parse_with_credentials(address)?;
        Ok(Self::new(url).with_credentials(credentials))
    }

    /// User name and password. Sent only when the camera asks for them, and hashed if it supports digest authentication.
    pub fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// When the password may be sent as it is, to a camera that offers Basic alone. Default
    /// [`BasicAuthentication::Allowed`]: many cameras know nothing else, and most have no TLS. A camera that has offered Digest
    /// gets no Basic, whatever this says.
    pub fn with_basic_authentication(mut self, basic: BasicAuthentication) -> Self {
        self.basic = basic;
        self
    }

    /// Whether it may on the connection that these options make.
    pub(crate) fn allows_basic(&self) -> bool {
        self.basic.allows(self.tls.is_some() || self.url.is_tls())
    }

    /// The transport of RTP packets. Default [`Transport::Auto`].
    pub fn with_transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Uses TLS for `rtsp://` addresses too, and sets how the camera's certificate is verified. Default `None`: TLS for
    /// `rtsps://` addresses, with [`ClientTls::platform`].
    pub fn with_tls(mut self, tls: Option<ClientTls>) -> Self {
        self.tls = tls;
        self
    }

    /// Time limits.
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// How to reconnect after a loss.
    pub fn with_reconnect(mut self, reconnect: ReconnectPolicy) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// When to trust the camera's clock.
    pub fn with_clock(mut self, clock: ClockOptions) -> Self {
        self.clock = clock;
        self
    }

    /// Bounds of the queue of units.
    pub fn with_queue(mut self, queue: QueueLimits) -> Self {
        self.queue = queue;
        self
    }

    /// Whether to receive audio if the camera offers it. Default true.
    pub fn with_audio(mut self, audio: bool) -> Self {
        self.audio = audio;
        self
    }

    /// Whether to receive ONVIF metadata if the camera offers it: units are XML documents of at most 1 MiB. Default false.
    pub fn with_metadata(mut self, metadata: bool) -> Self {
        self.metadata = metadata;
        self
    }

    /// The clock that times the arrival of units. Default: the system's; others are for tests.
    pub fn with_wall_clock(mut self, wall: WallClock) -> Self {
        self.wall = wall;
        self
    }

    /// The address, without user info.
    pub fn url(&self) -> &CameraUrl {
        &self.url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_in_debug() {
        let options = CameraOptions::new(CameraUrl::parse("rtsp://h/").unwrap())
            .with_credentials(Some(Credentials::new("root", "geheim")));
        let text = format!("{options:?}");
        assert!(!text.contains("geheim") && !text.contains("root"), "{text}");
    }

    #[test]
    fn transports_are_parsed_in_any_case() {
        assert_eq!("Tcp".parse(), Ok(Transport::Tcp));
        for transport in [Transport::Auto, Transport::Udp, Transport::Multicast] {
            assert_eq!(transport.to_string().parse(), Ok(transport));
        }
        assert!(
            "srtp"
                .parse::<Transport>()
                .unwrap_err()
                .to_string()
                .contains("'srtp'")
        );
        assert_eq!(" HTTP ".parse(), Ok(Transport::Http));
    }
}
