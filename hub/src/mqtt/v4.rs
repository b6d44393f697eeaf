use std::panic::catch_unwind;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{
    Connect, ConnectReturnCode, LastWill, Login, Packet, PubAck, Publish, Subscribe, SubscribeFilter,
    SubscribeReasonCode,
};
use rumqttc::mqttbytes::{Error, QoS, check};

use super::{
    Accepted, CodecError, Incoming, MAX_INCOMING_BYTES, MAX_PACKET_BYTES, Outgoing, Qos, check_string,
    unexpected,
};

pub(super) fn encode(packet: Outgoing, out: &mut BytesMut) -> Result<(), CodecError> {
    let packet = match packet {
        Outgoing::Connect(ours) => {
            for text in [Some(&ours.client_id), ours.username.as_ref()]
                .into_iter()
                .flatten()
            {
                check_string("client id or user name", text)?;
            }
            let mut connect = Connect::new(ours.client_id);
            connect.keep_alive = ours.keep_alive_s;
            connect.clean_session = ours.clean_session;
            connect.login = ours.username.map(|username| Login {
                username,
                password: ours
                    .password
                    .map(|password| password.expose().to_owned())
                    .unwrap_or_default(),
            });
            connect.last_will = ours.will.map(|will| LastWill {
                topic: will.topic,
                message: will.payload,
                qos: qos(will.qos),
                retain: will.retain,
            });
            Packet::Connect(connect)
        }
        Outgoing::Subscribe { packet_id, filters } => {
            let filters = filters
                .into_iter()
                .map(|(path, level)| SubscribeFilter::new(path, qos(level)));
            let mut subscribe = Subscribe::new_many(filters);
            subscribe.pkid = packet_id;
            Packet::Subscribe(subscribe)
        }
        Outgoing::Publish(ours) => {
            check_string("topic", &ours.topic)?;
            let mut publish = Publish::from_bytes(ours.topic, qos(ours.qos), ours.payload);
            publish.pkid = ours.packet_id;
            publish.retain = ours.retain;
            publish.dup = ours.duplicate;
            Packet::Publish(publish)
        }
        Outgoing::Acknowledge(packet_id) => Packet::PubAck(PubAck::new(packet_id)),
        Outgoing::Ping => Packet::PingReq,
        Outgoing::Disconnect => Packet::Disconnect,
    };
    packet
        .write(out, MAX_PACKET_BYTES)
        .map(|_| ())
        .map_err(|error| CodecError(error.to_string()))
}

pub(super) fn decode(bytes: &mut BytesMut) -> Result<Option<Incoming>, CodecError> {
    let length = match check(bytes.iter(), MAX_INCOMING_BYTES) {
        Ok(header) => header.frame_length(),
        Err(Error::InsufficientBytes(_)) => return Ok(None),
        Err(error) => return Err(CodecError(error.to_string())),
    };
    let mut frame = bytes.split_to(length);
    // The library's reader panics on some malformed packets.
    let read = catch_unwind(move || Packet::read(&mut frame, MAX_INCOMING_BYTES));
    let packet = read
        .map_err(|_| CodecError("malformed packet".to_owned()))?
        .map_err(|error| CodecError(error.to_string()))?;
    let incoming = match packet {
        Packet::ConnAck(answer) => match answer.code {
            ConnectReturnCode::Success => Incoming::Accepted(Accepted {
                session_present: answer.session_present,
                ..Accepted::default()
            }),
            code => Incoming::Refused {
                is_authorization: matches!(
                    code,
                    ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized
                ),
                reason: format!("{code:?}"),
            },
        },
        Packet::SubAck(answer) => {
            let codes = answer.return_codes.iter().enumerate();
            let refused = codes.filter(|(_, code)| matches!(code, SubscribeReasonCode::Failure));
            Incoming::Subscribed {
                packet_id: answer.pkid,
                refused: refused.map(|(index, _)| index).collect(),
            }
        }
        Packet::Publish(publish) => Incoming::Publish(super::Publish {
            qos: match publish.qos {
                QoS::AtMostOnce => Qos::AtMostOnce,
                QoS::AtLeastOnce => Qos::AtLeastOnce,
                QoS::ExactlyOnce => return Err(unexpected("a message with QoS 2")),
            },
            retain: publish.retain,
            duplicate: publish.dup,
            packet_id: publish.pkid,
            ..super::Publish::new(publish.topic, Qos::AtMostOnce, publish.payload)
        }),
        Packet::PubAck(answer) => Incoming::Acknowledged {
            packet_id: answer.pkid,
            refused: None,
        },
        Packet::PingResp => Incoming::Pong,
        other => return Err(unexpected(&format!("{other:?}"))),
    };
    Ok(Some(incoming))
}

fn qos(level: Qos) -> QoS {
    match level {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}
