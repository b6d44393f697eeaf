//! Programs between two others, which note when something passes.

mod broker;
mod camera;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub use broker::{Acknowledged, BrokerLog};
pub use camera::CameraLog;

/// Looks at what passes in one direction of a connection.
pub trait Watch: Send + 'static {
    /// Bytes that arrived at a time, and have been passed on.
    fn passed(&mut self, bytes: &[u8], at: Instant);
}

/// For a direction that does not matter.
impl Watch for () {
    fn passed(&mut self, _bytes: &[u8], _at: Instant) {}
}

/// Forwards connections to a server on this machine. Ends when it is dropped.
#[derive(Debug)]
pub struct Tap {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Tap {
    /// Listens on a free port. `watches` makes those of a connection: to the server, and from it.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn start<T: Watch, F: Watch>(
        server: SocketAddr,
        watches: impl Fn() -> (T, F) + Send + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (to, from) = watches();
                tokio::spawn(async move {
                    // A connection that fails is closed, and its client notices.
                    let _ = forward(client, server, to, from).await;
                });
            }
        });
        Ok(Self { address, task })
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(
    client: TcpStream,
    server: SocketAddr,
    to: impl Watch,
    from: impl Watch,
) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    for socket in [&client, &server] {
        socket.set_nodelay(true)?;
    }
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    tokio::select! {
        ended = copy(client_in, server_out, to) => ended,
        ended = copy(server_in, client_out, from) => ended,
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut watch: impl Watch,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut buffer).await?;
        let at = Instant::now();
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        // First, so that looking takes no time from what is measured.
        to.write_all(bytes).await?;
        watch.passed(bytes, at);
    }
}
