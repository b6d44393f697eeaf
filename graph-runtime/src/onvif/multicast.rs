//! The question for devices on the network: sockets and time, around [`Found`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use lva_graph_model::onvif::DiscoveredDevice;
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::error::OnvifError;
use super::probe::{Found, probe, uuid};

/// Where WS-Discovery listens.
const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 3702);
/// The question is sent three times, as datagrams get lost; devices that hear it again answer again.
const REPEATS: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(1000)];
/// Room for answers that come at once: as many as may be answered with, in what the kernel counts for each.
const RECEIVE_BUFFER: usize = 1024 * 1024;
/// Interfaces asked on: machines that run containers have one for each.
const MAX_INTERFACES: usize = 64;
/// Largest datagram, and answers that may wait to be read.
const DATAGRAM: usize = 64 * 1024;
const WAITING: usize = 16;

/// Asks for devices and collects their answers until the time is over, or as many were found as may be answered with.
pub(super) async fn discover(
    duration: Duration,
    targets: &[SocketAddr],
    random: [u8; 16],
) -> Result<Vec<DiscoveredDevice>, OnvifError> {
    let deadline = Instant::now() + duration;
    let id = uuid(random);
    let question = probe(&id);
    let (answers, mut incoming) = mpsc::channel(WAITING);
    // Ends its tasks when dropped.
    let mut tasks = JoinSet::new();
    for (socket, to) in sockets(targets).await.map_err(OnvifError::NoInterface)? {
        // As far as the system allows; a refusal costs answers, if that, and they are asked for again.
        let _ = SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
        tasks.spawn(converse(socket, to, question.clone(), answers.clone()));
    }
    drop(answers);
    let mut found = Found::new(&id);
    while !found.is_full() {
        match timeout_at(deadline, incoming.recv()).await {
            Ok(Some((datagram, from))) => {
                found.take(&datagram, from);
            }
            // Every socket has failed, or the time is over.
            Ok(None) | Err(_) => break,
        }
    }
    Ok(found.into_devices())
}

/// A socket for each interface, or each target, and where to ask.
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
            "it has none with an IPv4 address",
        )),
        (false, _) => Ok(sockets),
    }
}

/// IPv4 addresses of this machine on networks.
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

/// Asks on one socket, and again, and passes on what comes.
async fn converse(
    socket: UdpSocket,
    to: SocketAddr,
    question: String,
    answers: mpsc::Sender<(Vec<u8>, IpAddr)>,
) {
    let asking = async {
        for pause in [Duration::ZERO].into_iter().chain(REPEATS) {
            sleep(pause).await;
            if let Err(error) = socket.send_to(question.as_bytes(), to).await {
                tracing::debug!(%to, %error, "a question for devices could not be sent");
            }
        }
        std::future::pending::<()>().await;
    };
    let hearing = async {
        let mut buffer = vec![0_u8; DATAGRAM];
        let mut failures = 0;
        loop {
            match socket.recv_from(&mut buffer).await {
                Ok((length, from)) => {
                    let datagram = buffer.get(..length).unwrap_or_default().to_vec();
                    if answers.send((datagram, from.ip())).await.is_err() {
                        return;
                    }
                }
                // A target that refuses is heard of here; a socket that is broken would be for ever.
                Err(error) if failures < REPEATS.len() + 1 => {
                    failures += 1;
                    tracing::debug!(%to, %error, "nobody hears a question for devices");
                }
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = hearing => {}
    }
}
