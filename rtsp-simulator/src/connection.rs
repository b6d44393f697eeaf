//! What a new connection speaks: TLS where that is wanted, and in it RTSP, or HTTP for a tunnel.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

use crate::client::{BoxedReader, BoxedWriter, Client};
use crate::state::{Control, Shared};
use crate::tunnel;

/// How long a client may take to say what it speaks.
const GREETING: Duration = Duration::from_secs(10);

/// Serves a connection until it is over.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>, control: watch::Receiver<Control>) {
    // Media in small writes should leave at once. A socket that cannot be told so works too.
    let _ = stream.set_nodelay(true);
    let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else {
        return;
    };
    let ends = (local.ip(), peer.ip());
    let (mut reader, writer): (BoxedReader, BoxedWriter) = match &shared.tls {
        None => {
            let (reader, writer) = stream.into_split();
            (Box::new(reader), Box::new(writer))
        }
        Some(tls) => match timeout(GREETING, tls.acceptor().accept(stream)).await {
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

    // Four bytes tell HTTP from RTSP; no method of RTSP is shorter.
    let mut buffer = Vec::new();
    while buffer.len() < 4 {
        match timeout(GREETING, reader.read_buf(&mut buffer)).await {
            Ok(Ok(1..)) => {}
            _ => return,
        }
    }
    if buffer.starts_with(b"GET ") || buffer.starts_with(b"POST") {
        return tunnel::serve((reader, writer), buffer, ends, shared, control).await;
    }
    // RTP over UDP would leave the protection of TLS.
    let datagrams = shared.tls.is_none();
    Client::serve((reader, writer), buffer, ends, datagrams, shared, control).await;
}
