//! Connections of real sockets.
#![allow(clippy::unwrap_used)] // for helpers, which are not test functions

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::time::Duration;

use lva_server_transport::{ConnectionLimits, GuardedListener, bind_unix};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// Echoes one byte for each byte. An `a` authenticates.
async fn serving(limits: ConnectionLimits) -> std::net::SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let mut listener = GuardedListener::new(socket, limits);
    tokio::spawn(async move {
        loop {
            let mut stream = listener.accept().await;
            tokio::spawn(async move {
                let connection = stream.connection().clone();
                let mut byte = [0];
                while stream.read_exact(&mut byte).await.is_ok() {
                    let _in_progress = connection.begin_request();
                    if &byte == b"a" {
                        connection.vouch();
                    }
                    if stream.write_all(&byte).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

async fn ask(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"a").await?;
    let mut byte = [0];
    stream.read_exact(&mut byte).await.map(|_| ())
}

async fn ended(stream: &mut TcpStream) -> bool {
    !matches!(stream.read(&mut [0]).await, Ok(1..))
}

#[tokio::test]
async fn a_good_client_comes_in_while_silent_ones_hold_every_place() {
    let address = serving(ConnectionLimits::default().with_max_connections(4)).await;
    let mut good = TcpStream::connect(address).await.unwrap();
    ask(&mut good).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut late = TcpStream::connect(address).await.unwrap();
    ask(&mut late).await.unwrap();
    ask(&mut good).await.unwrap();
    for one in &mut silent[..17] {
        assert!(ended(one).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_disconnected_in_time() {
    let address = serving(ConnectionLimits::default()).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(30), ended(&mut silent)).await;
    assert_eq!(closed, Ok(true));
}

#[tokio::test]
async fn a_unix_socket_is_private_replaces_a_stale_one_and_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let (listener, file) = bind_unix(&path).await.unwrap();
    let found = std::fs::symlink_metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    let (accepted, connected) = tokio::join!(listener.accept(), UnixStream::connect(&path));
    accepted.unwrap();
    connected.unwrap();
    assert!(
        bind_unix(&path)
            .await
            .unwrap_err()
            .to_string()
            .contains("another program"),
    );
    drop(file);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_never_replaced_or_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    std::fs::write(&path, "kept").unwrap();
    let error = bind_unix(&path).await.unwrap_err();
    assert!(error.to_string().contains("not a socket"), "{error}");
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(bind_unix(&link).await.is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");

    // What took the place of a socket stays too.
    let socket = directory.path().join("socket");
    let (_listener, file) = bind_unix(&socket).await.unwrap();
    std::fs::remove_file(&socket).unwrap();
    std::fs::write(&socket, "new").unwrap();
    drop(file);
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "new");
}
