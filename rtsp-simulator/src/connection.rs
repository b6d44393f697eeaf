//! A new connection: the TLS handshake if configured, then RTSP, or HTTP for a tunnel.

use std::sync::Arc;
use std::time::Duration;

use lva_server_transport::GuardedStream;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

use crate::client::{BoxedReader, BoxedWriter, Client, Ends};
use crate::state::{Control, Shared};
use crate::tunnel;

/// How long a client may take for the TLS handshake and for its first bytes.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves a connection until it ends.
pub(crate) async fn serve(
    stream: GuardedStream<TcpStream>,
    shared: Arc<Shared>,
    control: watch::Receiver<Control>,
) {
    let socket = stream.socket();
    let (Ok(local), Ok(peer)) = (socket.local_addr(), socket.peer_addr()) else {
        return;
    };
    let ends = Ends {
        local: local.ip(),
        peer: peer.ip(),
        connection: stream.connection().clone(),
    };
    let (mut reader, writer): (BoxedReader, BoxedWriter) = match &shared.options.tls {
        None => {
            let (reader, writer) = tokio::io::split(stream);
            (Box::new(reader), Box::new(writer))
        }
        Some(tls) => match timeout(FIRST_BYTES_TIMEOUT, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => {
                let (reader, writer) = tokio::io::split(stream);
                (Box::new(reader), Box::new(writer))
            }
            Ok(Err(error)) => {
                debug!(%peer, %error, "TLS handshake failed");
                return;
            }
            Err(_) => return,
        },
    };

    // Four bytes distinguish HTTP from RTSP; no RTSP method is shorter.
    let mut buffer = Vec::new();
    while buffer.len() < 4 {
        match timeout(FIRST_BYTES_TIMEOUT, reader.read_buf(&mut buffer)).await {
            Ok(Ok(1..)) => {}
            _ => return,
        }
    }
    if buffer.starts_with(b"GET ") || buffer.starts_with(b"POST") {
        return tunnel::serve((reader, writer), buffer, ends, shared, control).await;
    }
    // TLS does not protect RTP over UDP.
    let datagrams = shared.options.tls.is_none();
    Client::serve((reader, writer), buffer, ends, datagrams, shared, control).await;
}
