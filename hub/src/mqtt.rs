//! MQTT packets, and one connection that carries them. Encoding is rumqttc's; what to send and when is not.

mod connection;
mod v4;
mod v5;

use bytes::{Bytes, BytesMut};
use lva_media_types::SecretString;

pub(crate) use connection::{ConnectFailure, Connection, Lost};

/// Largest packet that is sent: the hub's largest message with its topic.
pub(crate) const MAX_PACKET_BYTES: usize = 400 * 1024;
/// Largest packet that is read into memory. Larger messages are skipped.
const MAX_INCOMING_BYTES: usize = 2 << 20;

/// Version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MqttVersion {
    /// MQTT 3.1.1, as IoT Hub and edgeHub speak it.
    #[default]
    V3_1_1,
    /// MQTT 5.
    V5,
}

/// Quality of service; the hub knows no more than these two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Qos {
    AtMostOnce,
    AtLeastOnce,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Connect {
    pub(crate) client_id: String,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<SecretString>,
    pub(crate) clean_session: bool,
    pub(crate) keep_alive_s: u16,
    pub(crate) will: Option<Publish>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) duplicate: bool,
    /// 0 with [`Qos::AtMostOnce`].
    pub(crate) packet_id: u16,
    /// Carried by MQTT 5 alone.
    pub(crate) properties: PublishProperties,
}

impl Publish {
    pub(crate) fn new(topic: impl Into<String>, qos: Qos, payload: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos,
            retain: false,
            duplicate: false,
            packet_id: 0,
            properties: PublishProperties::default(),
        }
    }

    pub(crate) fn retained(mut self) -> Self {
        self.retain = true;
        self
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PublishProperties {
    pub(crate) content_type: Option<String>,
    pub(crate) response_topic: Option<String>,
    pub(crate) correlation_data: Option<Bytes>,
    pub(crate) user: Vec<(String, String)>,
}

/// A packet to a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outgoing {
    Connect(Connect),
    Subscribe {
        packet_id: u16,
        filters: Vec<(String, Qos)>,
    },
    Publish(Publish),
    Acknowledge(u16),
    Ping,
    Disconnect,
}

/// A packet from a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incoming {
    Accepted(Accepted),
    Refused {
        is_authorization: bool,
        reason: String,
    },
    Subscribed {
        packet_id: u16,
        refused: Vec<usize>,
    },
    Publish(Publish),
    /// A message beyond the limit, which is skipped and acknowledged: the broker would send it again for ever.
    TooLarge,
    Acknowledged {
        packet_id: u16,
        refused: Option<String>,
    },
    Pong,
    Disconnected {
        reason: String,
    },
}

impl Incoming {
    /// The packet's name, without its contents.
    fn name(&self) -> &'static str {
        match self {
            Self::Accepted(_) | Self::Refused { .. } => "CONNACK",
            Self::Subscribed { .. } => "SUBACK",
            Self::Publish(_) | Self::TooLarge => "PUBLISH",
            Self::Acknowledged { .. } => "PUBACK",
            Self::Pong => "PINGRESP",
            Self::Disconnected { .. } => "DISCONNECT",
        }
    }
}

/// The contents of a CONNACK that accepts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Accepted {
    pub(crate) session_present: bool,
    /// Most unacknowledged messages that it takes; MQTT 5.
    pub(crate) receive_maximum: Option<u16>,
    /// The keep-alive that it wants instead of ours; MQTT 5.
    pub(crate) keep_alive_s: Option<u16>,
}

/// Why bytes are not MQTT, or a packet cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct CodecError(pub(crate) String);

pub(crate) fn encode(version: MqttVersion, packet: Outgoing, out: &mut BytesMut) -> Result<(), CodecError> {
    match version {
        MqttVersion::V3_1_1 => v4::encode(packet, out),
        MqttVersion::V5 => v5::encode(packet, out),
    }
}

/// Takes the first packet out of `bytes`; `None` while it is not complete.
pub(crate) fn decode(version: MqttVersion, bytes: &mut BytesMut) -> Result<Option<Incoming>, CodecError> {
    match version {
        MqttVersion::V3_1_1 => v4::decode(bytes),
        MqttVersion::V5 => v5::decode(bytes),
    }
}

/// A message that is too large to be read, by its first bytes.
#[derive(Debug, PartialEq, Eq)]
enum Oversized {
    No,
    /// It is, and its packet id has not arrived yet.
    Incomplete,
    Yes {
        length: usize,
        packet_id: Option<u16>,
    },
}

/// Looks at the fixed header (MQTT 3.1.1 section 2.2), the topic and the packet id.
fn oversized(bytes: &[u8]) -> Oversized {
    let Some((first, rest)) = bytes.split_first() else {
        return Oversized::No;
    };
    let Some(last) = rest.iter().take(4).position(|byte| byte & 0x80 == 0) else {
        return Oversized::No;
    };
    let digits = rest.iter().take(last + 1).rev();
    let remaining = digits.fold(0, |sum, digit| (sum << 7) | usize::from(digit & 0x7f));
    if first >> 4 != 3 || remaining <= MAX_INCOMING_BYTES {
        return Oversized::No;
    }
    let number = |at: usize| {
        let two = rest.get(at..)?.first_chunk::<2>()?;
        Some(u16::from_be_bytes(*two))
    };
    let body = last + 1;
    let packet_id = number(body).and_then(|topic| number(body + 2 + usize::from(topic)));
    match packet_id {
        None => Oversized::Incomplete,
        Some(packet_id) => Oversized::Yes {
            length: 1 + body + remaining,
            packet_id: ((first >> 1) & 3 == 1).then_some(packet_id),
        },
    }
}

/// A string as MQTT can carry it: at most 65,535 bytes, without NUL.
fn check_string(what: &str, text: &str) -> Result<(), CodecError> {
    if text.len() > usize::from(u16::MAX) || text.contains('\0') {
        return Err(CodecError(format!(
            "the {what} is longer than 65,535 bytes, or contains NUL"
        )));
    }
    Ok(())
}

fn unexpected(packet: &str) -> CodecError {
    CodecError(format!("the broker sent {packet}, which a broker must not send"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VERSIONS: [MqttVersion; 2] = [MqttVersion::V3_1_1, MqttVersion::V5];

    #[test]
    fn a_publish_comes_back_in_pieces_and_whole() {
        for version in VERSIONS {
            let mut publish = Publish::new("devices/d/x", Qos::AtLeastOnce, "body").retained();
            publish.packet_id = 7;
            if version == MqttVersion::V5 {
                publish.properties.user = vec![("name".into(), "value".into())];
                publish.properties.correlation_data = Some(Bytes::from_static(b"c"));
            }
            let mut bytes = BytesMut::new();
            encode(version, Outgoing::Publish(publish.clone()), &mut bytes).unwrap();
            let whole = bytes.clone();
            for cut in 0..whole.len() {
                let mut part = BytesMut::from(&whole[..cut]);
                assert_eq!(decode(version, &mut part), Ok(None), "{version:?} cut at {cut}");
                assert_eq!(part.len(), cut);
            }
            assert_eq!(decode(version, &mut bytes), Ok(Some(Incoming::Publish(publish))));
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn too_long_strings_and_packets_are_refused() {
        for version in VERSIONS {
            let long = Publish::new("t".repeat(70_000), Qos::AtMostOnce, "");
            assert!(encode(version, Outgoing::Publish(long), &mut BytesMut::new()).is_err());
            let big = Publish::new("t", Qos::AtMostOnce, vec![0; MAX_PACKET_BYTES + 1]);
            assert!(encode(version, Outgoing::Publish(big), &mut BytesMut::new()).is_err());
            // A length of 256 MiB.
            let mut hostile = BytesMut::from(&[0x30, 0xff, 0xff, 0xff, 0x7f][..]);
            assert!(decode(version, &mut hostile).is_err());
        }
    }

    #[test]
    fn refusals_name_their_reason() {
        let mut bytes = BytesMut::from(&[0x20, 2, 0, 5][..]);
        let Ok(Some(Incoming::Refused { is_authorization, .. })) = decode(MqttVersion::V3_1_1, &mut bytes)
        else {
            panic!("not refused");
        };
        assert!(is_authorization);
        let mut bytes = BytesMut::from(&[0x20, 3, 0, 0x87, 0][..]);
        let Ok(Some(Incoming::Refused {
            is_authorization,
            reason,
        })) = decode(MqttVersion::V5, &mut bytes)
        else {
            panic!("not refused");
        };
        assert!(is_authorization, "{reason}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(first in any::<u8>(), rest in proptest::collection::vec(any::<u8>(), 0..48)) {
            for version in VERSIONS {
                let mut bytes = BytesMut::from(&[&[first, rest.len() as u8][..], &rest].concat()[..]);
                let before = bytes.len();
                if let Ok(Some(_)) = decode(version, &mut bytes) {
                    prop_assert!(bytes.len() < before);
                }
            }
        }
    }
}
