//! A camera made of files: an RTSP server for tests and demonstrations.

mod auth;
mod client;
mod connection;
mod conversation;
mod describe;
mod faults;
mod files;
mod fragments;
mod matroska;
mod media;
mod packetize;
mod playback;
mod ports;
mod request;
mod tls;
mod tunnel;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{debug, info, warn};

pub use self::auth::AuthScheme;
pub use self::faults::Faults;
use self::files::Library;
pub use self::media::MediaError;
pub use self::tls::{SimulatorTls, SimulatorTlsError};
use self::tunnel::Tunnels;
use crate::Credentials;

/// How long connections may take to end at a shutdown before they are cut.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// After an error of `accept` (no descriptors left, say), which would come back at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where and how to serve.
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    media: PathBuf,
    address: SocketAddr,
    credentials: Option<Credentials>,
    scheme: AuthScheme,
    max_clients: usize,
    udp: bool,
    in_band: bool,
    tls: Option<SimulatorTls>,
    faults: Faults,
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

/// Why a simulator could not begin. The operator's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulatorError {
    /// There is no such folder.
    #[error("the media folder '{}' cannot be opened: does it exist?", path.display())]
    Media {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: is another program listening there?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What a simulator has done; all of them only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SimulatorCounters {
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections that were closed at once: too many, or [`Simulator::set_refusing`].
    pub turned_away: u64,
    /// Requests with wrong credentials.
    pub refused: u64,
    /// Sessions that began to play.
    pub plays: u64,
    /// Sessions that clients ended by TEARDOWN.
    pub teardowns: u64,
    /// Units (pictures and audio frames) that were sent.
    pub units: u64,
    /// RTP packets that were sent.
    pub packets: u64,
    /// RTP packets that were left out by [`Simulator::drop_packets`] or [`Faults::with_loss`], or that the system did
    /// not take (UDP only).
    pub dropped_packets: u64,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    turned_away: AtomicU64,
    refused: AtomicU64,
    plays: AtomicU64,
    teardowns: AtomicU64,
    units: AtomicU64,
    packets: AtomicU64,
    dropped_packets: AtomicU64,
}

/// What the connections have to watch.
#[derive(Debug, Clone, Copy, Default)]
struct Control {
    shutdown: bool,
    refusing: bool,
    stalled: bool,
    /// Connections of an older epoch end.
    epoch: u64,
    /// How often RTP time was made to start over.
    resets: u64,
}

#[derive(Debug)]
struct Shared {
    library: Library,
    credentials: Option<Credentials>,
    scheme: AuthScheme,
    udp: bool,
    in_band: bool,
    tls: Option<SimulatorTls>,
    tunnels: Tunnels,
    faults: Mutex<Faults>,
    to_drop: AtomicU64,
    counters: Counters,
}

impl Shared {
    fn faults(&self) -> Faults {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take_packet_to_drop(&self) -> bool {
        self.to_drop
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }
}

/// A running RTSP server of files. It plays each file to each client from its beginning, in real time and over and
/// over; RTP time goes on at the seam. Dropping the handle ends it, [`shutdown`](Self::shutdown) also waits for that.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    control: Arc<watch::Sender<Control>>,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Begins to serve, in tasks of the current tokio runtime.
    pub async fn start(options: SimulatorOptions) -> Result<Self, SimulatorError> {
        let library = Library::open(&options.media).map_err(|source| SimulatorError::Media {
            path: options.media.clone(),
            source,
        })?;
        let listen = |source| SimulatorError::Listen {
            address: options.address,
            source,
        };
        let listener = TcpListener::bind(options.address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let shared = Arc::new(Shared {
            library,
            credentials: options.credentials,
            scheme: options.scheme,
            udp: options.udp,
            in_band: options.in_band,
            tls: options.tls,
            tunnels: Tunnels::default(),
            faults: Mutex::new(options.faults),
            to_drop: AtomicU64::new(0),
            counters: Counters::default(),
        });
        let control = Arc::new(watch::Sender::new(Control::default()));
        let task = tokio::spawn(listen_for_clients(
            listener,
            Arc::clone(&shared),
            control.subscribe(),
            options.max_clients,
        ));
        info!(%address, media = %options.media.display(), "RTSP simulator listening");
        Ok(Self {
            address,
            control,
            shared,
            task: Some(task),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a file of the media folder, `/` between the parts of its path; `rtsps` where TLS is spoken.
    pub fn url(&self, file: &str) -> String {
        const KEEP: &AsciiSet = &CONTROLS
            .add(b' ')
            .add(b'"')
            .add(b'#')
            .add(b'%')
            .add(b'?')
            .add(b'<')
            .add(b'>');
        format!(
            "{}://{}/media/{}",
            if self.shared.tls.is_some() {
                "rtsps"
            } else {
                "rtsp"
            },
            self.address,
            utf8_percent_encode(file, KEEP)
        )
    }

    /// Fault: closes all connections now, as a camera that reboots. New ones are welcome.
    pub fn close_connections(&self) {
        self.control.send_modify(|control| control.epoch += 1);
    }

    /// Fault: while true, new connections are closed at once. Those that there are go on.
    pub fn set_refusing(&self, refusing: bool) {
        self.control.send_modify(|control| control.refusing = refusing);
    }

    /// Fault: while true, connections stay open and requests are answered, but no media and no reports come, as from
    /// a camera whose encoder hangs. Afterwards media goes on in the present, at a random access point.
    pub fn set_stalled(&self, stalled: bool) {
        self.control.send_modify(|control| control.stalled = stalled);
    }

    /// Fault: RTP time starts over at another place, at once and in all sessions, as after an encoder's restart.
    pub fn reset_timestamps(&self) {
        self.control.send_modify(|control| control.resets += 1);
    }

    /// Faults by plan for connections that begin from now on. Those that there are keep theirs.
    pub fn set_faults(&self, faults: Faults) {
        *self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Fault: leaves out the next `count` RTP packets, whoever they are for. Their sequence numbers are missing.
    pub fn drop_packets(&self, count: u64) {
        self.shared.to_drop.fetch_add(count, Ordering::Relaxed);
    }

    /// What it has done.
    pub fn counters(&self) -> SimulatorCounters {
        let counters = &self.shared.counters;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SimulatorCounters {
            connections: load(&counters.connections),
            turned_away: load(&counters.turned_away),
            refused: load(&counters.refused),
            plays: load(&counters.plays),
            teardowns: load(&counters.teardowns),
            units: load(&counters.units),
            packets: load(&counters.packets),
            dropped_packets: load(&counters.dropped_packets),
        }
    }

    /// Ends all connections and stops listening. Afterwards the same port can be listened on again.
    pub async fn shutdown(mut self) {
        self.control.send_modify(|control| control.shutdown = true);
        if let Some(task) = self.task.take() {
            // An error would be a panic of the task, which is over then too.
            let _ = task.await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.control.send_modify(|control| control.shutdown = true);
    }
}

async fn listen_for_clients(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut control: watch::Receiver<Control>,
    max_clients: usize,
) {
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = control.wait_for(|control| control.shutdown) => break,
            Some(_) = clients.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Control { refusing, epoch, .. } = *control.borrow();
        if refusing || clients.len() >= max_clients {
            shared.counters.turned_away.fetch_add(1, Ordering::Relaxed);
            debug!(%peer, refusing, "connection turned away");
            continue;
        }
        shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        let serve = connection::serve(stream, Arc::clone(&shared), control.clone());
        let mut over = control.clone();
        clients.spawn(async move {
            tokio::select! {
                _ = over.wait_for(|control| control.shutdown || control.epoch != epoch) => {}
                () = serve => {}
            }
            debug!(%peer, "connection over");
        });
    }
    drop(listener);
    let all_over = async { while clients.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, all_over).await.is_err() {
        clients.shutdown().await;
    }
}

/// Reads a file as the simulator would, and tells its samples: for tests that compare what was played with what was
/// served. Each sample is as it lies in the file; H.264 and H.265 come as length-prefixed NAL units.
///
/// Blocks, and takes the whole file into memory.
pub fn video_samples(path: &Path) -> Result<Vec<Vec<u8>>, MediaError> {
    let clip = media::Clip::read(path)?;
    let Some(track) = clip.tracks.iter().find(|track| track.is_video()) else {
        return Err(MediaError::NoUsableTrack);
    };
    Ok(track
        .samples
        .iter()
        .map(|sample| clip.bytes(sample).to_vec())
        .collect())
}

/// See [`crate::fuzzing`].
#[cfg(any(fuzzing, test))]
pub(crate) fn fuzz_requests(data: &[u8]) {
    tunnel::fuzz(data);
    conversation::fuzz(data);
}
