//! Pairs of UDP ports: an even one for RTP and the next one for RTCP (RFC 3550 section 11).

use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;

/// Attempts to find a free pair; after that the simulator rejects UDP.
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

    /// False if the system rejected the packet: its buffer is full, or the peer is gone.
    pub(crate) fn send_rtp(&self, packet: &[u8], to: SocketAddr) -> bool {
        self.rtp.try_send_to(packet, to).is_ok()
    }

    /// Ignores failures: reports are repeated anyway.
    pub(crate) fn send_rtcp(&self, packet: &[u8], to: SocketAddr) {
        let _ = self.rtcp.try_send_to(packet, to);
    }
}
