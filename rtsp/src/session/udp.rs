//! Pairs of UDP sockets for RTP and RTCP.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

pub(super) const MAX_DATAGRAM: usize = 65_536;
/// Attempts to find two free ports beside each other.
const MAX_ATTEMPTS: usize = 32;
/// A receiver report and an empty RTP packet: they open the way through a firewall.
const OPENER_RTP: [u8; 12] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const OPENER_RTCP: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 0];

/// The sockets of all streams of a session.
#[derive(Debug, Default)]
pub(super) struct UdpPorts {
    pairs: Vec<Pair>,
    /// Where to look next, so that no stream starves another.
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Pair {
    stream: usize,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    /// The peer of the connection, and the address from which the camera announces to send. Datagrams of others are ignored.
    camera: Option<IpAddr>,
    source: Option<IpAddr>,
}

impl UdpPorts {
    /// Takes a pair of ports for a stream, and returns the first.
    pub(super) async fn add(
        &mut self,
        stream: usize,
        local: IpAddr,
        camera: Option<IpAddr>,
    ) -> std::io::Result<u16> {
        for _ in 0..MAX_ATTEMPTS {
            let rtp = UdpSocket::bind((local, 0)).await?;
            let port = rtp.local_addr()?.port();
            // RTP has the even port (RFC 3550 section 11).
            let (even, odd) = (port & !1, port | 1);
            let other = if port == even { odd } else { even };
            let Ok(second) = UdpSocket::bind((local, other)).await else {
                continue;
            };
            let (rtp, rtcp) = if port == even {
                (rtp, second)
            } else {
                (second, rtp)
            };
            self.pairs.push(Pair {
                stream,
                rtp,
                rtcp,
                camera,
                source: None,
            });
            return Ok(even);
        }
        Err(std::io::ErrorKind::AddrInUse.into())
    }

    /// Joins the group of a stream.
    pub(super) fn join(
        &mut self,
        stream: usize,
        (group, port): (IpAddr, u16),
        local: Option<IpAddr>,
        camera: Option<IpAddr>,
        source: Option<IpAddr>,
    ) -> std::io::Result<()> {
        let bind = |port: u16| -> std::io::Result<UdpSocket> {
            let address = SocketAddr::new(group, port);
            let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
            // Several cameras may use one port, and several programs watch one camera.
            socket.set_reuse_address(true)?;
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            match group {
                IpAddr::V4(group) => {
                    let interface = match local.map(|local| local.to_canonical()) {
                        Some(IpAddr::V4(local)) => local,
                        _ => Ipv4Addr::UNSPECIFIED,
                    };
                    socket.join_multicast_v4(&group, &interface)?;
                }
                IpAddr::V6(group) => socket.join_multicast_v6(&group, 0)?,
            }
            UdpSocket::from_std(socket.into())
        };
        let (rtp, rtcp) = (bind(port)?, bind(port.saturating_add(1))?);
        self.pairs.push(Pair {
            stream,
            rtp,
            rtcp,
            camera,
            source,
        });
        Ok(())
    }

    /// What the camera answered for the last stream.
    pub(super) async fn answered(&mut self, source: Option<IpAddr>, server_port: Option<u16>) {
        let Some(pair) = self.pairs.last_mut() else { return };
        // An address of its own network may be behind a router: that of the connection counts too.
        pair.source = source.filter(|source| Some(*source) != pair.camera);
        if let Some(source) = pair.source {
            tracing::debug!(%source, "the camera sends from another address");
        }
        let Some(port) = server_port else { return };
        for address in [pair.camera, pair.source].into_iter().flatten() {
            // Without it media may come nevertheless.
            let _ = pair.rtp.send_to(&OPENER_RTP, (address, port)).await;
            let _ = pair
                .rtcp
                .send_to(&OPENER_RTCP, (address, port.saturating_add(1)))
                .await;
        }
    }

    /// Forgets the last stream: the camera refused it.
    pub(super) fn forget_last(&mut self) {
        self.pairs.pop();
    }

    /// The stream, whether it is RTCP, and the length of the next datagram. Cancel safe.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> (usize, bool, usize) {
        poll_fn(|context| {
            for (pair, rtcp) in self.in_turn() {
                let socket = if rtcp { &pair.rtcp } else { &pair.rtp };
                loop {
                    let mut read = ReadBuf::new(buffer);
                    match socket.poll_recv_from(context, &mut read) {
                        Poll::Ready(Ok(from)) if pair.is_camera(from) => {
                            return Poll::Ready((pair.stream, rtcp, read.filled().len()));
                        }
                        // Of others, or an ICMP error that an opener brought back.
                        Poll::Ready(_) => {}
                        Poll::Pending => break,
                    }
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The same if one has come already.
    pub(super) fn try_receive(&self, buffer: &mut [u8]) -> Option<(usize, bool, usize)> {
        for (pair, rtcp) in self.in_turn() {
            let socket = if rtcp { &pair.rtcp } else { &pair.rtp };
            if let Ok((len, from)) = socket.try_recv_from(buffer)
                && pair.is_camera(from)
            {
                return Some((pair.stream, rtcp, len));
            }
        }
        None
    }

    fn in_turn(&self) -> impl Iterator<Item = (&Pair, bool)> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let len = self.pairs.len().max(1);
        let pairs = self.pairs.iter().cycle().skip(turn % len).take(self.pairs.len());
        pairs.flat_map(|pair| [(pair, true), (pair, false)])
    }
}

impl Pair {
    fn is_camera(&self, from: SocketAddr) -> bool {
        let known = [self.camera, self.source];
        known
            .iter()
            .flatten()
            .any(|known| known.to_canonical() == from.ip().to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn datagrams_count_only_from_the_peer_and_the_source_that_it_names() {
        let [peer, source, other] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|ip| ip.parse().unwrap());
        let mut ports = UdpPorts::default();
        ports.add(0, peer, Some(peer)).await.unwrap();
        for (named, allowed) in [(None, [true, false, false]), (Some(source), [true, true, false])] {
            ports.answered(named, None).await;
            let taken = [peer, source, other].map(|ip| ports.pairs[0].is_camera((ip, 9).into()));
            assert_eq!(taken, allowed, "{named:?}");
        }
    }
}
