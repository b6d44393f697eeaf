//! What an operator can say about a camera.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use lva_media_types::Credentials;

use crate::{CameraUrl, ClockOptions, ReconnectPolicy, TlsOptions, WallClock};

/// How RTP travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Transport {
    /// Interleaved in the RTSP connection (RFC 2326 section 10.12): passes firewalls, loses nothing.
    #[default]
    Tcp,
    /// In UDP datagrams. For a LAN: packets that overtake each other are dropped, and no receiver reports are sent.
    Udp,
    /// Interleaved, and all of it in two HTTP connections ("Tunnelling RTSP and RTP through HTTP"): for cameras behind a
    /// proxy, or whose RTSP port is closed. The port in the address is that of HTTP, 80 where none is written, 443 with
    /// TLS.
    Http,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Http => "http",
        })
    }
}

/// A word that names no transport of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no RTSP transport that is supported: use 'tcp', 'udp' or 'http'")]
pub struct TransportError(String);

impl FromStr for Transport {
    type Err = TransportError;

    fn from_str(word: &str) -> Result<Self, TransportError> {
        match word.trim().to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "http" => Ok(Self::Http),
            _ => Err(TransportError(word.to_owned())),
        }
    }
}

/// How long to be patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// A session that gives no unit for this long is lost. Default 10 s. Shorter than the camera's slowest frame
    /// interval it kills good sessions; longer it only delays the restart.
    pub stall: Duration,
    /// One attempt, from the first packet of the TCP connection to the answer to PLAY. Default 10 s. Too short it
    /// never reaches slow cameras, too long it sits on dead addresses.
    pub attempt: Duration,
    /// After this long without a healthy session the camera is given up for good. Default `None`: never.
    pub give_up: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(10),
            attempt: Duration::from_secs(10),
            give_up: None,
        }
    }
}

impl Timeouts {
    /// The same with another [`stall`](Self::stall).
    pub fn with_stall(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }

    /// The same with another [`attempt`](Self::attempt).
    pub fn with_attempt(mut self, attempt: Duration) -> Self {
        self.attempt = attempt;
        self
    }

    /// The same with another [`give_up`](Self::give_up).
    pub fn with_give_up(mut self, give_up: Option<Duration>) -> Self {
        self.give_up = give_up;
        self
    }
}

/// Bounds of the queue between the camera's task and [`Camera::next`](crate::Camera::next).
///
/// A unit that finds it full is dropped and counted, and video goes on at the next random access point: reading
/// never stops, so the camera is never slowed and the delay never grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueLimits {
    /// Units that may wait, at least 1. Default 512, about 17 s of 30 frames/s: enough for a consumer that now and
    /// then waits for a disk. Smaller drops sooner, larger hides a consumer that is too slow.
    pub units: usize,
    /// Bytes that may wait. Default 64 MiB. This is the worst case of memory, plus the largest single unit.
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
    /// The same with other [`units`](Self::units).
    pub fn with_units(mut self, units: usize) -> Self {
        self.units = units;
        self
    }

    /// The same with other [`bytes`](Self::bytes).
    pub fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }
}

/// Everything that [`Camera::connect`](crate::Camera::connect) needs to know. Only the address has no default.
#[derive(Debug, Clone)]
pub struct CameraOptions {
    pub(crate) url: CameraUrl,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) transport: Transport,
    pub(crate) timeouts: Timeouts,
    pub(crate) reconnect: ReconnectPolicy,
    pub(crate) clock: ClockOptions,
    pub(crate) queue: QueueLimits,
    pub(crate) audio: bool,
    pub(crate) tls: Option<TlsOptions>,
    pub(crate) wall: WallClock,
}

impl CameraOptions {
    /// Options with defaults for the camera at `url`.
    pub fn new(url: CameraUrl) -> Self {
        Self {
            url,
            credentials: None,
            transport: Transport::default(),
            timeouts: Timeouts::default(),
            reconnect: ReconnectPolicy::default(),
            clock: ClockOptions::default(),
            queue: QueueLimits::default(),
            audio: true,
            tls: None,
            wall: WallClock::default(),
        }
    }

    /// User name and password. Sent only when the camera asks, hashed when it knows digest authentication.
    pub fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// How RTP travels. Default [`Transport::Tcp`].
    pub fn with_transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Speaks TLS also where the address begins with `rtsp://`, and says how the camera's certificate is judged. Default
    /// `None`: TLS where the address begins with `rtsps://`, judged as [`TlsOptions::default`] does.
    pub fn with_tls(mut self, tls: Option<TlsOptions>) -> Self {
        self.tls = tls;
        self
    }

    /// How long to be patient.
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// How to come back after a loss.
    pub fn with_reconnect(mut self, reconnect: ReconnectPolicy) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// When to believe the camera's clock.
    pub fn with_clock(mut self, clock: ClockOptions) -> Self {
        self.clock = clock;
        self
    }

    /// Bounds of the queue of units.
    pub fn with_queue(mut self, queue: QueueLimits) -> Self {
        self.queue = queue;
        self
    }

    /// Whether audio is received where it is offered. Default true.
    pub fn with_audio(mut self, audio: bool) -> Self {
        self.audio = audio;
        self
    }

    /// The clock by which units arrive. Default: this machine's; another one is for tests.
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
    fn transports_are_read_in_any_case() {
        assert_eq!("Tcp".parse(), Ok(Transport::Tcp));
        assert_eq!(Transport::Udp.to_string().parse(), Ok(Transport::Udp));
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
