use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use lva_media_types::Credentials;

use crate::auth::AuthScheme;
use crate::faults::Faults;
use crate::tls::SimulatorTls;

/// Settings of a [`Simulator`](crate::Simulator).
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    pub(crate) media: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) scheme: AuthScheme,
    pub(crate) max_clients: usize,
    pub(crate) udp: bool,
    pub(crate) in_band: bool,
    pub(crate) tls: Option<SimulatorTls>,
    pub(crate) faults: Faults,
}

impl SimulatorOptions {
    /// Serves the MP4 and Matroska files of a directory on a free port of loopback, without authentication.
    pub fn new(media: impl Into<PathBuf>) -> Self {
        Self {
            media: media.into(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            credentials: None,
            scheme: AuthScheme::default(),
            max_clients: 64,
            udp: true,
            in_band: false,
            tls: None,
            faults: Faults::default(),
        }
    }

    /// Accepts TLS connections only: RTSPS, and RTSP in HTTPS. Default `None`: plain RTSP and HTTP.
    pub fn with_tls(mut self, tls: Option<SimulatorTls>) -> Self {
        self.tls = tls;
        self
    }

    /// Planned faults of every connection. Default none.
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Address to listen on. Default `127.0.0.1` and port 0, which selects a free port, see
    /// [`Simulator::address`](crate::Simulator::address). Any address but loopback exposes the videos to the network.
    pub fn with_address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Required user name and password. Default none.
    pub fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// How clients authenticate. Default [`AuthScheme::Digest`].
    pub fn with_auth_scheme(mut self, scheme: AuthScheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// Whether to send RTP over UDP to clients that ask for it, always to the address that their requests come from.
    /// Default true; otherwise they get status 461.
    pub fn with_udp(mut self, udp: bool) -> Self {
        self.udp = udp;
        self
    }

    /// Omits the parameter sets from the session description and sends them before each keyframe instead, as many
    /// cameras do. Default false.
    pub fn with_parameter_sets_in_band(mut self, in_band: bool) -> Self {
        self.in_band = in_band;
        self
    }

    /// Most concurrent connections. A further one gets the place of the oldest on which no request has succeeded, then of
    /// one that has been unused for 30 s; else it is closed at once and counted. Default 64; each takes about 100 KiB.
    pub fn with_max_clients(mut self, clients: usize) -> Self {
        self.max_clients = clients.max(1);
        self
    }
}
