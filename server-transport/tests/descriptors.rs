//! A process without descriptors left. It has a process to itself.

use lva_server_transport::{ConnectionLimits, GuardedListener};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test(start_paused = true)]
async fn without_descriptors_the_listener_rests_and_goes_on_when_there_are_some() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let limit = Rlimit {
        current: Some(64),
        ..getrlimit(Resource::Nofile)
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut clients = Vec::new();
    while let Ok(client) = TcpStream::connect(address).await {
        clients.push(client);
    }
    let mut listener = GuardedListener::new(socket, ConnectionLimits::default());
    let stats = listener.stats();
    let waiting = tokio::time::timeout(std::time::Duration::from_secs(5), listener.accept()).await;
    assert!(waiting.is_err());
    // It rests for a tenth of a second each time.
    let errors = stats.read().accept_errors;
    assert!((10..=60).contains(&errors), "{errors}");
    clients.truncate(clients.len() / 3);
    let accepted = listener.accept().await;
    assert!(accepted.socket().peer_addr().is_ok());
}
