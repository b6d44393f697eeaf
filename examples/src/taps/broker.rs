use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use parking_lot::Mutex;
use rumqttc::mqttbytes::v4::Packet;
use serde_json::Value;

use super::Watch;

/// Longest packet that is read.
const MAX_PACKET: usize = 1 << 20;

/// An event that a broker has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// Media time of its frame, in ticks of 1/90000 s since 1970.
    pub timestamp_90k: u64,
    /// When the last byte of its PUBLISH passed.
    pub published: Instant,
    /// When its PUBACK passed.
    pub acknowledged: Instant,
}

/// When the analytics events of a module passed to a plain broker, by MQTT 3.1.1 with QoS 1, and when the broker acknowledged them. Clones
/// share it.
#[derive(Debug, Clone, Default)]
pub struct BrokerLog(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// By packet identifier.
    open: HashMap<u16, (u64, Instant)>,
    done: Vec<Acknowledged>,
}

impl BrokerLog {
    /// Watches what goes to the broker, and what comes from it.
    pub fn watches(&self) -> (impl Watch + use<>, impl Watch + use<>) {
        let direction = |is_from_broker| Direction {
            log: self.clone(),
            input: BytesMut::new(),
            is_from_broker,
        };
        (direction(false), direction(true))
    }

    /// The events so far, in the order of their acknowledgements.
    pub fn events(&self) -> Vec<Acknowledged> {
        self.0.lock().done.clone()
    }
}

struct Direction {
    log: BrokerLog,
    input: BytesMut,
    is_from_broker: bool,
}

impl Watch for Direction {
    fn passed(&mut self, bytes: &[u8], at: Instant) {
        self.input.extend_from_slice(bytes);
        // An error is the beginning of a packet, or something that the other side complains about.
        while let Ok(packet) = Packet::read(&mut self.input, MAX_PACKET) {
            let mut seen = self.log.0.lock();
            match packet {
                Packet::Publish(publish) if !self.is_from_broker => {
                    let event: Value = serde_json::from_slice(&publish.payload).unwrap_or_default();
                    if let Some(time) = event["body"]["timestamp"].as_u64() {
                        seen.open.insert(publish.pkid, (time, at));
                    }
                }
                Packet::PubAck(answer) if self.is_from_broker => {
                    if let Some((timestamp_90k, published)) = seen.open.remove(&answer.pkid) {
                        seen.done.push(Acknowledged {
                            timestamp_90k,
                            published,
                            acknowledged: at,
                        });
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rumqttc::mqttbytes::QoS;
    use rumqttc::mqttbytes::v4::{PubAck, Publish};

    use super::*;

    fn bytes(packet: &Packet) -> BytesMut {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, MAX_PACKET).unwrap();
        bytes
    }

    #[test]
    fn an_event_ends_with_the_acknowledgement_of_its_packet() {
        let log = BrokerLog::default();
        let (mut to, mut from) = log.watches();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for (pkid, body) in [(1, r#"{"body":{"timestamp":90000}}"#), (2, r#"{"body":{}}"#)] {
            let mut publish = Publish::new("lva/m/outputs/out", QoS::AtLeastOnce, body);
            publish.pkid = pkid;
            let bytes = bytes(&Packet::Publish(publish));
            let (first, rest) = bytes.split_at(5);
            to.passed(first, at(1));
            to.passed(rest, at(2));
        }
        for pkid in [2, 1, 1] {
            from.passed(&bytes(&Packet::PubAck(PubAck::new(pkid))), at(3));
        }
        let expected = Acknowledged {
            timestamp_90k: 90_000,
            published: at(2),
            acknowledged: at(3),
        };
        assert_eq!(log.events(), [expected]);
    }
}
