use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{debug, info, warn};

use crate::connection;
use crate::faults::Faults;
use crate::files::Library;
use crate::options::SimulatorOptions;
use crate::state::{Control, Counters, Shared, SimulatorCounters};
use crate::tunnel_registry::Tunnels;

/// How long connections may take to end at a shutdown before they are cut.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// After an error of `accept` (no descriptors left, say), which would come back at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
