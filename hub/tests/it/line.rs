//! The way to a broker, which a test closes and disturbs.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the way does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Ends those that are there, and new ones at once.
    Closed,
    /// Ends each after some bytes, up to so many in both directions.
    Flapping(u64),
    /// Keeps them, and loses what the broker answers.
    Deaf,
}

/// Connections that it takes go on to a broker.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    way: watch::Sender<Way>,
}

impl Line {
    pub(crate) async fn start(broker_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        Self::serve(listener, broker_port)
    }

    /// On this listener, to a broker on loopback.
    pub(crate) fn serve(listener: TcpListener, broker_port: u16) -> Self {
        let address = listener.local_addr().unwrap();
        let (way, ways) = watch::channel(Way::Open);
        tokio::spawn(async move {
            let mut random = Random(u64::from(broker_port));
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let now = *ways.borrow();
                let left = match now {
                    Way::Closed => continue,
                    Way::Flapping(most) => random.below(most),
                    Way::Open | Way::Deaf => u64::MAX,
                };
                tokio::spawn(carry(client, broker_port, left, ways.clone()));
            }
        });
        Self { address, way }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

/// Until either side ends, so many bytes have passed, or the way is closed.
async fn carry(mut client: TcpStream, broker_port: u16, mut left: u64, mut ways: watch::Receiver<Way>) {
    let Ok(mut broker) = TcpStream::connect(("127.0.0.1", broker_port)).await else {
        return;
    };
    let (mut up, mut down) = (vec![0; 4096], vec![0; 4096]);
    loop {
        let now = *ways.borrow_and_update();
        if now == Way::Closed {
            return;
        }
        let passed = tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(count) if count > 0 && broker.write_all(&up[..count]).await.is_ok() => count,
                _ => return,
            },
            read = broker.read(&mut down) => match read {
                Ok(count) if count > 0 && (now == Way::Deaf || client.write_all(&down[..count]).await.is_ok()) => count,
                _ => return,
            },
            changed = ways.changed() => match changed {
                Ok(()) => 0,
                Err(_) => return,
            },
        };
        left = left.saturating_sub(passed as u64);
        if left == 0 {
            return;
        }
    }
}

/// Numbers by chance, the same in each run (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}
