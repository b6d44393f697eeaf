use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use lva_media_types::Credentials;

use crate::auth::AuthScheme;
use crate::faults::Faults;
use crate::tls::SimulatorTls;

/// Where and how to serve.
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
    /// Serves the MP4 and Matroska files of a folder, on a free port of loopback, to everybody.
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

    /// Speaks TLS, and nothing else: RTSPS, and RTSP in HTTPS. Default `None`: plain RTSP and HTTP.
    pub fn with_tls(mut self, tls: Option<SimulatorTls>) -> Self {
        self.tls = tls;
        self
    }

    /// Faults that every connection has by plan. Default none.
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Address to listen on. Default `127.0.0.1` and port 0, which takes a free port; [`Simulator::address`] tells
    /// which. Anything but loopback shows the folder's videos to the network.
    pub fn with_address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// User name and password that clients must know. Default none.
    pub fn with_credentials(mut self, credentials: Option<Credentials>) -> Self {
        self.credentials = credentials;
        self
    }

    /// How they prove it. Default [`AuthScheme::Digest`].
    pub fn with_auth_scheme(mut self, scheme: AuthScheme) -> Self {
        self.scheme = scheme;
        self
    }

    /// Whether RTP is also sent in UDP datagrams, to clients that ask for it: only ever to the address that their
    /// requests come from. Default true; otherwise they are answered 461.
    pub fn with_udp(mut self, udp: bool) -> Self {
        self.udp = udp;
        self
    }

    /// Quirk: the parameter sets of H.264 are left out of the session description and sent before each key frame
    /// instead, as many cameras do. Default false.
    pub fn with_parameter_sets_in_band(mut self, in_band: bool) -> Self {
        self.in_band = in_band;
        self
    }

    /// Connections at a time; one more is closed at once, and counted. Default 64; each takes some 100 KiB.
    pub fn with_max_clients(mut self, clients: usize) -> Self {
        self.max_clients = clients.max(1);
        self
    }
}
