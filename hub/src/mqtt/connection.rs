use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    Accepted, CodecError, Connect, Incoming, MqttVersion, Outgoing, Oversized, Publish, Qos, decode, encode,
    oversized,
};
use crate::dial::MqttStream;

/// How long an answer to a ping may take.
const PONG_TIMEOUT: Duration = Duration::from_secs(20);
/// How long closing may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
const READ_CHUNK: usize = 16 * 1024;

/// An established connection. Never waits for the broker to read before it reads itself.
pub(crate) struct Connection {
    reader: ReadHalf<Box<dyn MqttStream>>,
    writer: WriteHalf<Box<dyn MqttStream>>,
    version: MqttVersion,
    input: BytesMut,
    /// Bytes of a message that is too large, still to come.
    to_skip: usize,
    output: BytesMut,
    is_flushed: bool,
    /// With this, a packet is due so that the broker knows that we live.
    keep_alive: Duration,
    last_sent: Instant,
    pong_due: Option<Instant>,
    last_packet_id: u16,
}

/// Why a broker did not accept a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectFailure {
    #[error("the broker refuses the connection ({reason})")]
    Refused { is_authorization: bool, reason: String },
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error("the broker closed the connection")]
    Closed,
    #[error("the broker ended the connection ({reason})")]
    Disconnected { reason: String },
    #[error("the connection broke ({0})")]
    Io(io::Error),
    #[error("the broker violates the MQTT protocol ({0})")]
    Protocol(CodecError),
    #[error("the broker does not answer pings")]
    Silent,
}

impl Connection {
    /// Sends CONNECT and waits for the broker's answer. The caller bounds the time.
    pub(crate) async fn open(
        stream: Box<dyn MqttStream>,
        version: MqttVersion,
        connect: Connect,
    ) -> Result<(Self, Accepted), ConnectFailure> {
        let (reader, writer) = tokio::io::split(stream);
        let keep_alive = Duration::from_secs(connect.keep_alive_s.into());
        let mut connection = Self {
            reader,
            writer,
            version,
            input: BytesMut::with_capacity(READ_CHUNK),
            to_skip: 0,
            output: BytesMut::new(),
            is_flushed: true,
            keep_alive,
            last_sent: Instant::now(),
            pong_due: None,
            last_packet_id: 0,
        };
        connection
            .send(Outgoing::Connect(connect))
            .map_err(Lost::Protocol)?;
        match connection.next().await? {
            Incoming::Accepted(accepted) => {
                if let Some(seconds) = accepted.keep_alive_s {
                    connection.keep_alive = Duration::from_secs(seconds.into());
                }
                Ok((connection, accepted))
            }
            Incoming::Refused {
                is_authorization,
                reason,
            } => Err(ConnectFailure::Refused {
                is_authorization,
                reason,
            }),
            other => {
                let error = CodecError(format!("{} before it accepted the connection", other.name()));
                Err(Lost::Protocol(error).into())
            }
        }
    }

    /// Queues a packet; [`next`](Self::next) writes it. The caller bounds how much is queued.
    pub(crate) fn send(&mut self, packet: Outgoing) -> Result<(), CodecError> {
        encode(self.version, packet, &mut self.output)?;
        self.last_sent = Instant::now();
        self.is_flushed = false;
        Ok(())
    }

    /// Queues a message, and returns its packet id, 0 with QoS 0.
    pub(crate) fn publish(&mut self, mut publish: Publish) -> Result<u16, CodecError> {
        publish.packet_id = match publish.qos {
            Qos::AtMostOnce => 0,
            Qos::AtLeastOnce => self.packet_id(),
        };
        let packet_id = publish.packet_id;
        self.send(Outgoing::Publish(publish))?;
        Ok(packet_id)
    }

    pub(crate) fn subscribe(&mut self, filters: Vec<(String, Qos)>) -> Result<u16, CodecError> {
        let packet_id = self.packet_id();
        self.send(Outgoing::Subscribe { packet_id, filters })?;
        Ok(packet_id)
    }

    /// 1 to 65,535 in turn: far more than can be under way.
    fn packet_id(&mut self) -> u16 {
        self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
        self.last_packet_id
    }

    /// Bytes that the broker has not taken yet.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.output.len()
    }

    /// Reads, writes and pings until a packet is there. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Incoming, Lost> {
        loop {
            match self.take_packet()? {
                Some(Incoming::Pong) => {
                    self.pong_due = None;
                    continue;
                }
                Some(Incoming::Disconnected { reason }) => return Err(Lost::Disconnected { reason }),
                Some(incoming) => return Ok(incoming),
                None => {}
            }
            let has_output = !self.output.is_empty();
            let must_flush = !has_output && !self.is_flushed;
            let ping_at = self.last_sent + self.keep_alive.mul_f64(0.75);
            let wakeup = self.pong_due.unwrap_or(ping_at);
            self.input.reserve(READ_CHUNK);
            tokio::select! {
                read = self.reader.read_buf(&mut self.input) => match read? {
                    0 => return Err(Lost::Closed),
                    // Whatever it is, the broker lives.
                    _ => self.pong_due = self.pong_due.map(|_| Instant::now() + PONG_TIMEOUT),
                },
                written = write_some(&mut self.writer, &mut self.output), if has_output || must_flush => {
                    self.is_flushed = !written?;
                }
                () = sleep_until(wakeup), if self.pong_due.is_some() || !self.keep_alive.is_zero() => {
                    if self.pong_due.is_some() {
                        return Err(Lost::Silent);
                    }
                    self.send(Outgoing::Ping)?;
                    self.pong_due = Some(Instant::now() + PONG_TIMEOUT);
                }
            }
        }
    }

    /// The next packet of what was read; `None` while it is not complete.
    fn take_packet(&mut self) -> Result<Option<Incoming>, CodecError> {
        let skipped = self.to_skip.min(self.input.len());
        self.input.advance(skipped);
        self.to_skip -= skipped;
        if self.to_skip > 0 {
            return Ok(None);
        }
        match oversized(&self.input) {
            Oversized::No => decode(self.version, &mut self.input),
            Oversized::Incomplete => Ok(None),
            Oversized::Yes { length, packet_id } => {
                self.to_skip = length;
                if let Some(packet_id) = packet_id {
                    self.send(Outgoing::Acknowledge(packet_id))?;
                }
                Ok(Some(Incoming::TooLarge))
            }
        }
    }

    /// Writes what is queued, sends DISCONNECT, and closes.
    pub(crate) async fn close(mut self) {
        if self.send(Outgoing::Disconnect).is_err() {
            return;
        }
        let close = async {
            self.writer.write_all_buf(&mut self.output).await?;
            self.writer.flush().await?;
            self.writer.shutdown().await
        };
        match timeout(CLOSE_TIMEOUT, close).await {
            Ok(Ok(())) => {}
            // The broker notices by itself.
            Ok(Err(error)) => tracing::debug!(%error, "the connection broke while it was closed"),
            Err(_) => tracing::debug!("the broker did not take the DISCONNECT in time"),
        }
    }
}

/// Writes a part of the output, and returns true; flushes and returns false when there is none. Cancel safe.
async fn write_some(writer: &mut WriteHalf<Box<dyn MqttStream>>, output: &mut BytesMut) -> io::Result<bool> {
    if output.is_empty() {
        writer.flush().await?;
        return Ok(false);
    }
    match writer.write_buf(output).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(true),
    }
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<CodecError> for Lost {
    fn from(error: CodecError) -> Self {
        Self::Protocol(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::MAX_INCOMING_BYTES;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// PUBLISH of 3.1.1 with QoS 1.
    fn publish(packet_id: u16, body: usize) -> Vec<u8> {
        let mut remaining = 2 + 1 + 2 + body;
        let mut bytes = vec![0x32];
        loop {
            let digit = (remaining & 0x7f) as u8;
            remaining >>= 7;
            bytes.push(if remaining > 0 { digit | 0x80 } else { digit });
            if remaining == 0 {
                break;
            }
        }
        bytes.extend_from_slice(b"\0\x01t");
        bytes.extend_from_slice(&packet_id.to_be_bytes());
        bytes.resize(bytes.len() + body, b'x');
        bytes
    }

    #[tokio::test]
    async fn a_message_before_connack_is_refused_and_not_quoted() {
        let (ours, mut broker) = tokio::io::duplex(1000);
        broker.write_all(&publish(7, 10)).await.unwrap();
        let connect = Connect {
            client_id: "m".to_owned(),
            keep_alive_s: 60,
            ..Connect::default()
        };
        let opened = Connection::open(Box::new(ours), MqttVersion::V3_1_1, connect);
        let Err(failure) = timeout(PATIENCE, opened).await.unwrap() else {
            panic!("connected without CONNACK");
        };
        let text = failure.to_string();
        assert!(text.contains("PUBLISH before"), "{text}");
        assert!(!text.contains("xx"), "{text}");
    }

    #[tokio::test]
    async fn a_message_that_is_too_large_is_skipped_and_acknowledged() {
        let (ours, mut broker) = tokio::io::duplex(1000);
        let broker = tokio::spawn(async move {
            broker.write_all(&[0x20, 2, 0, 0]).await.unwrap();
            broker
                .write_all(&publish(7, MAX_INCOMING_BYTES + 1))
                .await
                .unwrap();
            broker.write_all(&publish(8, 10)).await.unwrap();
            let mut received = BytesMut::new();
            while !received.windows(4).any(|packet| packet == [0x40, 2, 0, 7]) {
                assert_ne!(broker.read_buf(&mut received).await.unwrap(), 0, "{received:?}");
            }
        });
        let connect = Connect {
            client_id: "m".to_owned(),
            keep_alive_s: 60,
            ..Connect::default()
        };
        let exchange = async {
            let opened = Connection::open(Box::new(ours), MqttVersion::V3_1_1, connect).await;
            let (mut connection, _) = opened.unwrap();
            assert_eq!(connection.next().await.unwrap(), Incoming::TooLarge);
            let Incoming::Publish(publish) = connection.next().await.unwrap() else {
                panic!("not the next message");
            };
            assert_eq!((publish.packet_id, publish.payload.len()), (8, 10));
            assert!(connection.input.capacity() < MAX_INCOMING_BYTES);
            connection.close().await;
        };
        timeout(PATIENCE, exchange).await.unwrap();
        timeout(PATIENCE, broker).await.unwrap().unwrap();
    }
}
