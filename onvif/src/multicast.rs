//! The probe on the network: sockets and time around [`Matches`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::description::FoundDevice;
use crate::discovery::{Matches, probe};
use crate::error::OnvifError;

/// Where WS-Discovery listens.
const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 3702);
/// The probe is sent three times, because datagrams get lost. Devices answer each.
const REPEATS: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(1000)];
/// Bytes for answers that arrive at once: 200 of them, with what the kernel counts for each.
const RECEIVE_BUFFER: usize = 1024 * 1024;
/// Most interfaces: machines that run containers have one for each.
const MAX_INTERFACES: usize = 64;
/// Largest datagram.
const MAX_DATAGRAM_BYTES: usize = 64 * 1024;
/// Datagrams that wait to be parsed.
const QUEUE_LENGTH: usize = 16;

/// Probes and collects devices until the time is over or the maximum is reached.
pub(crate) async fn discover(
    duration: Duration,
    targets: &[SocketAddr],
    random: [u8; 16],
) -> Result<Vec<FoundDevice>, OnvifError> {
    let deadline = Instant::now() + duration;
    let id = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
    let message = probe(&id);
    let (answers, mut incoming) = mpsc::channel(QUEUE_LENGTH);
    // Ends its tasks when dropped.
    let mut tasks = JoinSet::new();
    for (socket, to) in sockets(targets).await.map_err(OnvifError::NoInterface)? {
        // Best effort: with a smaller buffer some answers are lost, and the probe is repeated.
        let _ = SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
        tasks.spawn(run(socket, to, message.clone(), answers.clone()));
    }
    drop(answers);
    let mut found = Matches::new(&id);
    while !found.is_full() {
        match timeout_at(deadline, incoming.recv()).await {
            Ok(Some((datagram, from))) => {
                found.on_datagram(&datagram, from);
            }
            // All sockets failed, or the time is over.
            Ok(None) | Err(_) => break,
        }
    }
    Ok(found.into_devices())
}

/// A socket for each interface, or for each target, and where it sends.
async fn sockets(targets: &[SocketAddr]) -> io::Result<Vec<(UdpSocket, SocketAddr)>> {
    let mut sockets = Vec::new();
    let mut failure = None;
    let mut keep = |socket: io::Result<UdpSocket>, to| match socket {
        Ok(socket) => sockets.push((socket, to)),
        Err(error) => failure = Some(error),
    };
    for target in targets {
        let any: IpAddr = match target {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        keep(UdpSocket::bind((any, 0)).await, *target);
    }
    if targets.is_empty() {
        for address in interfaces()? {
            keep(on_interface(address).await, GROUP.into());
        }
    }
    match (sockets.is_empty(), failure) {
        (true, Some(error)) => Err(error),
        (true, None) => Err(io::Error::new(
            io::ErrorKind::NetworkUnreachable,
            "no interface has an IPv4 address",
        )),
        (false, _) => Ok(sockets),
    }
}

/// IPv4 addresses of this machine other than loopback.
fn interfaces() -> io::Result<Vec<Ipv4Addr>> {
    let all = if_addrs::get_if_addrs()?.into_iter();
    let addresses = all.filter_map(|interface| match interface.ip() {
        IpAddr::V4(address) if !address.is_loopback() => Some(address),
        _ => None,
    });
    Ok(addresses.take(MAX_INTERFACES).collect())
}

async fn on_interface(address: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((address, 0)).await?;
    SockRef::from(&socket).set_multicast_if_v4(&address)?;
    Ok(socket)
}

/// Sends the probe on one socket, repeats it, and forwards the answers.
async fn run(socket: UdpSocket, to: SocketAddr, message: String, answers: mpsc::Sender<(Vec<u8>, IpAddr)>) {
    let send = async {
        for pause in [Duration::ZERO].into_iter().chain(REPEATS) {
            sleep(pause).await;
            if let Err(error) = socket.send_to(message.as_bytes(), to).await {
                tracing::debug!(%to, %error, "could not send a discovery probe");
            }
        }
        std::future::pending::<()>().await;
    };
    let receive = async {
        let mut buffer = vec![0_u8; MAX_DATAGRAM_BYTES];
        let mut failures = 0;
        loop {
            match socket.recv_from(&mut buffer).await {
                Ok((length, from)) => {
                    let datagram = buffer.get(..length).unwrap_or_default().to_vec();
                    if answers.send((datagram, from.ip())).await.is_err() {
                        return;
                    }
                }
                // A target without a listener causes an error here once per probe; more mean a broken socket.
                Err(error) if failures < REPEATS.len() + 1 => {
                    failures += 1;
                    tracing::debug!(%to, %error, "a discovery target is not listening");
                }
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        () = send => {}
        () = receive => {}
    }
}
