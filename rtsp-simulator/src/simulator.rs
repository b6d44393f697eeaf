use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lva_server_transport::{ConnectionLimits, ConnectionStatsReader, GuardedListener};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{debug, info};

use crate::connection;
use crate::faults::Faults;
use crate::files::Library;
use crate::options::SimulatorOptions;
use crate::state::{Control, Shared, SimulatorCounters};

/// Time for a client's first request, and for the next one while it does not play.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(60);
/// How long connections may take to end at a shutdown before they are closed.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a simulator cannot start; for the operator to fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulatorError {
    /// The media directory does not exist or cannot be opened.
    #[error("cannot open the media directory '{}' ({cause}): check that it exists and is readable", path.display())]
    Media {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// The address is in use, or not one of this machine's.
    #[error(
        "cannot listen on {address} ({cause}): check that it is an address of this machine and no other program uses the port"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        cause: std::io::Error,
    },
}

/// A running RTSP server of files. It plays each file to each client from its beginning, in real time and in an endless
/// loop; RTP time continues from round to round. Dropping the handle ends it, [`shutdown`](Self::shutdown) also waits.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    control: Arc<watch::Sender<Control>>,
    shared: Arc<Shared>,
    connections: ConnectionStatsReader,
    task: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Starts to serve in tasks of the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn start(options: SimulatorOptions) -> Result<Self, SimulatorError> {
        let library = Library::open(&options.media).map_err(|cause| SimulatorError::Media {
            path: options.media.clone(),
            cause,
        })?;
        let wanted = options.address;
        let listen = |cause| SimulatorError::Listen {
            address: wanted,
            cause,
        };
        let listener = TcpListener::bind(wanted).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let limits = ConnectionLimits::default()
            .with_max_connections(options.max_clients)
            .with_first_request(FIRST_REQUEST)
            .with_idle(IDLE);
        let listener = GuardedListener::new(listener, limits);
        let connections = listener.stats();
        let shared = Arc::new(Shared::new(options, library));
        let control = Arc::new(watch::Sender::new(Control::default()));
        let task = tokio::spawn(listen_for_clients(
            listener,
            Arc::clone(&shared),
            control.subscribe(),
        ));
        info!(%address, media = %shared.options.media.display(), "RTSP simulator listening");
        Ok(Self {
            address,
            control,
            shared,
            connections,
            task: Some(task),
        })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a file, by its path relative to the media directory with `/` as separator; `rtsps` with TLS.
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
            if self.shared.options.tls.is_some() {
                "rtsps"
            } else {
                "rtsp"
            },
            self.address,
            utf8_percent_encode(file, KEEP)
        )
    }

    /// Fault: closes all connections, like a camera that reboots, and accepts new ones.
    pub fn close_connections(&self) {
        self.control.send_modify(|control| control.epoch += 1);
    }

    /// Fault: while true, new connections are closed at once. Existing ones continue.
    pub fn set_refusing(&self, refusing: bool) {
        self.control.send_modify(|control| control.refusing = refusing);
    }

    /// Fault: while true, connections stay open and requests are answered, but neither media nor reports are sent, like a
    /// camera whose encoder hangs. Afterwards media continues with the present, at a keyframe.
    pub fn set_stalled(&self, stalled: bool) {
        self.control.send_modify(|control| control.stalled = stalled);
    }

    /// Fault: RTP time restarts at another value, at once and in all sessions, as after a restart of the encoder.
    pub fn reset_timestamps(&self) {
        self.control.send_modify(|control| control.resets += 1);
    }

    /// Sets the planned faults of new connections. Existing ones keep theirs.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.set_faults(faults);
    }

    /// Fault: does not send the next `count` RTP packets of all sessions together. Their sequence numbers are missing.
    pub fn drop_packets(&self, count: u64) {
        self.shared.drop_packets(count);
    }

    /// The counters so far.
    pub fn counters(&self) -> SimulatorCounters {
        let mut counters = self.shared.counters();
        let connections = self.connections.read();
        counters.rejected_connections += connections.refused;
        counters.evicted_connections = connections.evicted + connections.without_request + connections.idle;
        counters
    }

    /// Ends all connections and stops listening. Afterwards the port is free again.
    pub async fn shutdown(mut self) {
        self.control.send_modify(|control| control.shutdown = true);
        if let Some(task) = self.task.take() {
            // An error would be a panic of the task, which has ended then too.
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
    mut listener: GuardedListener<TcpListener>,
    shared: Arc<Shared>,
    mut control: watch::Receiver<Control>,
) {
    let mut clients = JoinSet::new();
    loop {
        let stream = tokio::select! {
            biased;
            _ = control.wait_for(|control| control.shutdown) => break,
            Some(_) = clients.join_next() => continue,
            stream = listener.accept() => stream,
        };
        let Control { refusing, epoch, .. } = *control.borrow();
        if refusing {
            shared.count(|counters| counters.rejected_connections += 1);
            debug!("connection rejected, as it is asked for");
            continue;
        }
        shared.count(|counters| counters.connections += 1);
        let serve = connection::serve(stream, Arc::clone(&shared), control.clone());
        let mut ended = control.clone();
        clients.spawn(async move {
            tokio::select! {
                _ = ended.wait_for(|control| control.shutdown || control.epoch != epoch) => {}
                () = serve => {}
            }
            debug!("connection ended");
        });
    }
    drop(listener);
    let all_ended = async { while clients.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, all_ended).await.is_err() {
        clients.shutdown().await;
    }
}
