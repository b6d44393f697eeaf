use std::panic::catch_unwind;

use bytes::{Bytes, BytesMut};
use rumqttc::v5::mqttbytes::v5::{
    Connect, ConnectProperties, ConnectReturnCode, Disconnect, DisconnectReasonCode, Filter, LastWill, Login,
    Packet, PingReq, PubAck, PubAckReason, Publish, PublishProperties, Subscribe, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error, QoS};

use super::{
    Accepted, CodecError, Incoming, MAX_INCOMING_BYTES, MAX_PACKET_BYTES, Outgoing, Qos, check_string,
    unexpected,
};

/// How long the broker keeps messages for us while we are away.
const SESSION_EXPIRY_S: u32 = 3600;
const MAX_PACKET: Option<u32> = Some(MAX_PACKET_BYTES as u32);
const MAX_INCOMING: Option<u32> = Some(MAX_INCOMING_BYTES as u32);

pub(super) fn encode(packet: Outgoing, out: &mut BytesMut) -> Result<(), CodecError> {
    let packet = match packet {
        Outgoing::Connect(ours) => {
            for text in [Some(&ours.client_id), ours.username.as_ref()]
                .into_iter()
                .flatten()
            {
                check_string("client id or user name", text)?;
            }
            let mut properties = ConnectProperties::new();
            properties.session_expiry_interval = (!ours.clean_session).then_some(SESSION_EXPIRY_S);
            properties.max_packet_size = MAX_INCOMING;
            let connect = Connect {
                keep_alive: ours.keep_alive_s,
                client_id: ours.client_id,
                clean_start: ours.clean_session,
                properties: Some(properties),
            };
            let login = ours.username.map(|username| {
                let password = ours.password.map(|password| password.expose().to_owned());
                Login::new(username, password.unwrap_or_default())
            });
            let will = ours.will.map(|will| LastWill {
                topic: will.topic.into(),
                message: will.payload,
                qos: qos(will.qos),
                retain: will.retain,
                properties: None,
            });
            Packet::Connect(connect, will, login)
        }
        Outgoing::Subscribe { packet_id, filters } => {
            let filters = filters
                .into_iter()
                .map(|(path, level)| Filter::new(path, qos(level)));
            let mut subscribe = Subscribe::new_many(filters, None);
            subscribe.pkid = packet_id;
            Packet::Subscribe(subscribe)
        }
        Outgoing::Publish(ours) => Packet::Publish(publish(ours)?),
        Outgoing::Acknowledge(packet_id) => Packet::PubAck(PubAck::new(packet_id, None)),
        Outgoing::Ping => Packet::PingReq(PingReq),
        Outgoing::Disconnect => {
            Packet::Disconnect(Disconnect::new(DisconnectReasonCode::NormalDisconnection))
        }
    };
    packet
        .write(out, MAX_PACKET)
        .map(|_| ())
        .map_err(|error| CodecError(error.to_string()))
}

fn publish(ours: super::Publish) -> Result<Publish, CodecError> {
    check_string("topic", &ours.topic)?;
    let super::PublishProperties {
        content_type,
        response_topic,
        correlation_data,
        user,
    } = ours.properties;
    for text in user.iter().flat_map(|(name, value)| [name, value]) {
        check_string("user property", text)?;
    }
    let properties = PublishProperties {
        content_type,
        response_topic,
        correlation_data,
        user_properties: user,
        ..PublishProperties::default()
    };
    let mut publish = Publish::new(ours.topic, qos(ours.qos), ours.payload, Some(properties));
    publish.pkid = ours.packet_id;
    publish.retain = ours.retain;
    publish.dup = ours.duplicate;
    Ok(publish)
}

pub(super) fn decode(bytes: &mut BytesMut) -> Result<Option<Incoming>, CodecError> {
    let length = match rumqttc::v5::mqttbytes::v5::check(bytes.iter(), MAX_INCOMING) {
        Ok(header) => header.frame_length(),
        Err(Error::InsufficientBytes(_)) => return Ok(None),
        Err(error) => return Err(CodecError(error.to_string())),
    };
    let mut frame = bytes.split_to(length);
    // MQTT 5 section 3.14.2.1: a DISCONNECT without more is a normal one; the library misses that.
    if frame.as_ref() == [0xe0, 0] {
        return Ok(Some(Incoming::Disconnected {
            reason: "normal disconnection".to_owned(),
        }));
    }
    // The library's reader panics on some malformed packets.
    let read = catch_unwind(move || Packet::read(&mut frame, MAX_INCOMING));
    let packet = read
        .map_err(|_| CodecError("malformed packet".to_owned()))?
        .map_err(|error| CodecError(error.to_string()))?;
    let incoming = match packet {
        Packet::ConnAck(answer) => match answer.code {
            ConnectReturnCode::Success => {
                let properties = answer.properties.as_ref();
                Incoming::Accepted(Accepted {
                    session_present: answer.session_present,
                    receive_maximum: properties.and_then(|properties| properties.receive_max),
                    keep_alive_s: properties.and_then(|properties| properties.server_keep_alive),
                })
            }
            code => Incoming::Refused {
                is_authorization: matches!(
                    code,
                    ConnectReturnCode::BadUserNamePassword
                        | ConnectReturnCode::NotAuthorized
                        | ConnectReturnCode::BadAuthenticationMethod
                ),
                reason: format!("{code:?}"),
            },
        },
        Packet::SubAck(answer) => {
            let codes = answer.return_codes.iter().enumerate();
            let refused = codes.filter(|(_, code)| !matches!(code, SubscribeReasonCode::Success(_)));
            Incoming::Subscribed {
                packet_id: answer.pkid,
                refused: refused.map(|(index, _)| index).collect(),
            }
        }
        Packet::Publish(publish) => Incoming::Publish(received(publish)?),
        Packet::PubAck(answer) => Incoming::Acknowledged {
            packet_id: answer.pkid,
            refused: match answer.reason {
                PubAckReason::Success | PubAckReason::NoMatchingSubscribers => None,
                reason => Some(format!("{reason:?}")),
            },
        },
        Packet::PingResp(_) => Incoming::Pong,
        Packet::Disconnect(disconnect) => Incoming::Disconnected {
            reason: format!("{:?}", disconnect.reason_code),
        },
        other => return Err(unexpected(&format!("{other:?}"))),
    };
    Ok(Some(incoming))
}

fn received(publish: Publish) -> Result<super::Publish, CodecError> {
    let topic = text(&publish.topic)?;
    let properties = publish.properties.unwrap_or_default();
    Ok(super::Publish {
        qos: match publish.qos {
            QoS::AtMostOnce => Qos::AtMostOnce,
            QoS::AtLeastOnce => Qos::AtLeastOnce,
            QoS::ExactlyOnce => return Err(unexpected("a message with QoS 2")),
        },
        retain: publish.retain,
        duplicate: publish.dup,
        packet_id: publish.pkid,
        properties: super::PublishProperties {
            content_type: properties.content_type,
            response_topic: properties.response_topic,
            correlation_data: properties.correlation_data,
            user: properties.user_properties,
        },
        ..super::Publish::new(topic, Qos::AtMostOnce, publish.payload)
    })
}

fn text(bytes: &Bytes) -> Result<String, CodecError> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| CodecError("the topic of a message is not UTF-8".to_owned()))
}

fn qos(level: Qos) -> QoS {
    match level {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}
