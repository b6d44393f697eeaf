//! Pairs of UDP ports: an even one for RTP and the next one for RTCP (RFC 3550 section 11).

use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;

/// Free pairs are found by trying; on a machine where this often fails, UDP is refused.
const TRIES: usize = 32;

#[derive(Debug)]
pub(crate) struct PortPair {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    numbers: (u16, u16),
}

impl PortPair {
    /// Two free ports on this address.
    pub(crate) async fn bind(local: IpAddr) -> Option<Self> {
        for _ in 0..TRIES {
            let rtp = UdpSocket::bind((local, 0)).await.ok()?;
            let first = rtp.local_addr().ok()?.port();
            if first % 2 != 0 {
                continue;
            }
            let Some(second) = first.checked_add(1) else {
                continue;
            };
            if let Ok(rtcp) = UdpSocket::bind((local, second)).await {
                return Some(Self {
                    rtp,
                    rtcp,
                    numbers: (first, second),
                });
            }
        }
        None
    }

    /// The ports of RTP and RTCP.
    pub(crate) fn numbers(&self) -> (u16, u16) {
        self.numbers
    }

    /// False if the system did not take the packet: its buffer is full, or the peer is gone.
    pub(crate) fn send_rtp(&self, packet: &[u8], to: SocketAddr) -> bool {
        self.rtp.try_send_to(packet, to).is_ok()
    }

    /// Reports are sent again anyway, so one that is not taken does not matter.
    pub(crate) fn send_rtcp(&self, packet: &[u8], to: SocketAddr) {
        let _ = self.rtcp.try_send_to(packet, to);
    }
}
