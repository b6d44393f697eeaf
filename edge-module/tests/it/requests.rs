//! Bytes to the module's HTTP server, as they are. Also used by the fuzz target.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends bytes over a connection, ends the sending, and reads until the server closes. Returns what it answered.
pub(crate) async fn send(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    // The server may close before it has read all.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answers = Vec::new();
    let _ = stream.read_to_end(&mut answers).await;
    answers
}

#[cfg(not(fuzzing))]
mod tests {
    use crate::support::{config, started};

    use super::*;

    #[tokio::test]
    async fn the_corpus_of_requests_is_answered_or_refused_and_a_good_one_still_served() {
        let directory = tempfile::tempdir().unwrap();
        let module = started(config(directory.path())).await;
        let address = module.http_address().unwrap();
        let mut count = 0;
        for seed in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/requests")).unwrap() {
            let bytes = std::fs::read(seed.unwrap().path()).unwrap();
            crate::within("an answer or an end", send(address, &bytes)).await;
            count += 1;
        }
        assert!(count > 0);
        let good = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let answer = crate::within("an answer", send(address, good.as_bytes())).await;
        assert!(
            answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        module.stop().await;
    }
}
