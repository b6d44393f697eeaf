//! The topics of IoT Hub and edgeHub, written and read.

use crate::identity::Identity;
use crate::message::OutputMessage;
use crate::properties::{PropertiesError, PropertyList, decode, decode_bag, encode_bag};

/// Requests for direct methods.
pub const METHODS_FILTER: &str = "$iothub/methods/POST/#";
/// Answers to twin requests.
pub const TWIN_ANSWERS_FILTER: &str = "$iothub/twin/res/#";
/// Changes of desired properties.
pub const DESIRED_FILTER: &str = "$iothub/twin/PATCH/properties/desired/#";

const METHODS: &str = "$iothub/methods/POST/";
const TWIN_ANSWERS: &str = "$iothub/twin/res/";
const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/";

/// Messages routed to inputs of a module, in the form that edgeHub knows.
pub fn inputs_filter(identity: &Identity) -> String {
    format!("{}/inputs/#", identity.path())
}

/// Messages from the cloud to a device.
pub fn cloud_to_device_filter(identity: &Identity) -> String {
    format!("{}/messages/devicebound/#", identity.path())
}

/// Where an event goes: its properties are part of the topic.
///
/// ```
/// use lva_hub::{OutputMessage, Identity, topic};
///
/// let module = Identity::module("h", "dev1", "lva")?;
/// let mut event = OutputMessage::json("out", "{}");
/// event.content_encoding = None;
/// let topic = topic::events(&module, &event);
/// assert_eq!(topic, "devices/dev1/modules/lva/messages/events/%24.on=out&%24.ct=application%2Fjson");
/// # Ok::<(), lva_hub::IdentityError>(())
/// ```
pub fn events(identity: &Identity, event: &OutputMessage) -> String {
    let properties = event
        .wire_properties()
        .into_iter()
        .map(|(name, value)| (name, Some(value)));
    format!("{}/messages/events/{}", identity.path(), encode_bag(properties))
}

/// Where the answer to a method request goes. The request id is repeated byte by byte.
pub fn method_answer(status: i32, request_id: &str) -> String {
    format!("$iothub/methods/res/{status}/?$rid={request_id}")
}

/// Where the twin is asked for.
pub fn twin_get(request_id: u64) -> String {
    format!("$iothub/twin/GET/?$rid={request_id}")
}

/// Where a change of reported properties goes.
pub fn twin_report(request_id: u64) -> String {
    format!("$iothub/twin/PATCH/properties/reported/?$rid={request_id}")
}

/// What a message from the hub is, by its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HubTopic {
    /// A direct method is called.
    Method {
        /// Its name, percent-decoded.
        name: String,
        /// The request id as received, to be repeated in the answer.
        request_id: String,
    },
    /// A direct method is called by a name that is empty, or not UTF-8 in percent-encoding.
    MalformedMethod {
        /// The request id as received, to be repeated in the answer.
        request_id: String,
    },
    /// An answer to a twin request.
    TwinAnswer {
        /// Status as in HTTP.
        status: u16,
        /// The id of the request.
        request_id: String,
        /// The version of the reported properties after a change.
        version: Option<u64>,
    },
    /// Desired properties have changed.
    Desired {
        /// Their version after the change.
        version: Option<u64>,
    },
    /// A message for an input; without a name, from the cloud to a device.
    Input {
        /// Name of the input.
        input: Option<String>,
        /// The message's properties.
        properties: PropertyList,
    },
    /// One of our own events, as brokers that are not a hub send it back.
    OwnEvent,
}

/// Reads the topic of a message from the hub; `None` for a topic that is not for this identity.
///
/// # Errors
///
/// [`TopicError`] for one that is, and is malformed.
pub fn parse(identity: &Identity, topic: &str) -> Result<Option<HubTopic>, TopicError> {
    if let Some(rest) = topic.strip_prefix(METHODS) {
        let (name, query) = rest.split_once("/?").ok_or(TopicError::Incomplete)?;
        let request_id = query_value(query, "$rid").ok_or(TopicError::Incomplete)?;
        if request_id.is_empty() {
            return Err(TopicError::Incomplete);
        }
        let request_id = request_id.to_owned();
        return Ok(Some(match decode(name) {
            Ok(name) if !name.is_empty() => HubTopic::Method {
                name: name.into_owned(),
                request_id,
            },
            _ => HubTopic::MalformedMethod { request_id },
        }));
    }
    if let Some(rest) = topic.strip_prefix(TWIN_ANSWERS) {
        let (status, query) = rest.split_once("/?").ok_or(TopicError::Incomplete)?;
        return Ok(Some(HubTopic::TwinAnswer {
            status: status.parse().map_err(|_| TopicError::Incomplete)?,
            request_id: query_value(query, "$rid")
                .ok_or(TopicError::Incomplete)?
                .to_owned(),
            version: query_value(query, "$version").and_then(|version| version.parse().ok()),
        }));
    }
    if let Some(rest) = topic.strip_prefix(DESIRED) {
        let query = rest.strip_prefix('?').unwrap_or(rest);
        return Ok(Some(HubTopic::Desired {
            version: query_value(query, "$version").and_then(|version| version.parse().ok()),
        }));
    }
    let path = identity.path();
    let Some(rest) = topic.strip_prefix(&path).and_then(|rest| rest.strip_prefix('/')) else {
        return Ok(None);
    };
    if let Some(rest) = rest.strip_prefix("inputs/") {
        let (name, bag) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() {
            return Err(TopicError::Incomplete);
        }
        return Ok(Some(HubTopic::Input {
            input: Some(decode(name)?.into_owned()),
            properties: decode_bag(bag)?,
        }));
    }
    if let Some(bag) = rest.strip_prefix("messages/devicebound/") {
        return Ok(Some(HubTopic::Input {
            input: None,
            properties: decode_bag(bag)?,
        }));
    }
    if rest.starts_with("messages/events") {
        return Ok(Some(HubTopic::OwnEvent));
    }
    Ok(None)
}

/// The raw value of a name in a query: request ids are opaque.
fn query_value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

/// Why a topic cannot be read. The sender is at fault; the message is ignored and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// A part that its kind of topic must have.
    #[error("a part of the topic is missing or malformed")]
    Incomplete,
    /// Properties that cannot be read.
    #[error(transparent)]
    Properties(#[from] PropertiesError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn module() -> Identity {
        Identity::module("h", "dev1", "lva").unwrap()
    }

    fn read(topic: &str) -> HubTopic {
        parse(&module(), topic).unwrap().unwrap()
    }

    /// The topic that the contract gives for its fixture.
    #[test]
    fn events_carry_their_properties_encoded_and_in_order() {
        let event = OutputMessage {
            message_id: Some("m 1".to_owned()),
            ..OutputMessage::json("inferenceOutput", "{}")
        }
        .with_property("subject", "/graphInstances/Sample-Graph-1/sinks/x")
        .with_property("eventTime", "2024-01-01T00:00:00Z");
        assert_eq!(
            events(&module(), &event),
            "devices/dev1/modules/lva/messages/events/%24.on=inferenceOutput&%24.mid=m%201&%24.ct=application%2Fjson\
             &%24.ce=utf-8&eventTime=2024-01-01T00%3A00%3A00Z&subject=%2FgraphInstances%2FSample-Graph-1%2Fsinks%2Fx"
        );
    }

    #[test]
    fn request_ids_of_methods_are_repeated_byte_by_byte() {
        let request_id = "5f%2Fe=:ü";
        let topic = format!("$iothub/methods/POST/Graph%20Set/?$rid={request_id}");
        let expected = HubTopic::Method {
            name: "Graph Set".to_owned(),
            request_id: request_id.to_owned(),
        };
        assert_eq!(read(&topic), expected);
        assert_eq!(
            method_answer(200, request_id),
            format!("$iothub/methods/res/200/?$rid={request_id}")
        );
    }

    #[test]
    fn a_method_whose_name_cannot_be_read_can_be_answered() {
        for name in ["", "a%ff"] {
            let request_id = "1".to_owned();
            let topic = format!("$iothub/methods/POST/{name}/?$rid=1");
            assert_eq!(read(&topic), HubTopic::MalformedMethod { request_id });
        }
    }

    #[test]
    fn twin_topics_carry_status_request_and_version() {
        assert_eq!(
            read("$iothub/twin/res/204/?$rid=7&$version=12"),
            HubTopic::TwinAnswer {
                status: 204,
                request_id: "7".to_owned(),
                version: Some(12)
            }
        );
        assert_eq!(
            read("$iothub/twin/PATCH/properties/desired/?$version=3"),
            HubTopic::Desired { version: Some(3) }
        );
    }

    #[test]
    fn inputs_may_lack_their_last_level() {
        for topic in [
            "devices/dev1/modules/lva/inputs/recordingTrigger",
            "devices/dev1/modules/lva/inputs/recordingTrigger/",
        ] {
            let input = Some("recordingTrigger".to_owned());
            assert_eq!(
                read(topic),
                HubTopic::Input {
                    input,
                    properties: vec![]
                }
            );
        }
        let HubTopic::Input { input, properties } =
            read("devices/dev1/modules/lva/inputs/a%2Fb/%24.cdid=dev1&x=1")
        else {
            panic!("not an input");
        };
        assert_eq!(input.as_deref(), Some("a/b"));
        assert_eq!(properties[0], ("$.cdid".to_owned(), Some("dev1".to_owned())));
    }

    #[test]
    fn own_events_and_topics_of_others_are_told_apart() {
        let echo = "devices/dev1/modules/lva/messages/events/%24.on=o";
        assert_eq!(read(echo), HubTopic::OwnEvent);
        for other in [
            "devices/dev1/modules/lva2/inputs/i/",
            "devices/dev2/modules/lva/inputs/i/",
            "x",
            "",
        ] {
            assert_eq!(parse(&module(), other), Ok(None), "{other}");
        }
    }

    #[test]
    fn malformed_topics_are_errors() {
        for topic in [
            "$iothub/methods/POST/name",
            "$iothub/methods/POST/name/?rid=1",
            "$iothub/methods/POST/name/?$rid=",
            "$iothub/twin/res/ok/?$rid=1",
            "$iothub/twin/res/200/",
            "devices/dev1/modules/lva/inputs/",
            "devices/dev1/modules/lva/inputs/i/a=%ff",
        ] {
            assert!(parse(&module(), topic).is_err(), "{topic}");
        }
    }

    #[test]
    fn filters_are_those_that_edge_hub_knows() {
        assert_eq!(inputs_filter(&module()), "devices/dev1/modules/lva/inputs/#");
        let device = Identity::device("h", "dev1").unwrap();
        assert_eq!(
            cloud_to_device_filter(&device),
            "devices/dev1/messages/devicebound/#"
        );
    }

    proptest! {
        #[test]
        fn any_topic_is_read_or_refused(topic in "(\\$iothub/(methods/POST/|twin/res/|twin/PATCH/properties/desired/)|devices/dev1/modules/lva/(inputs/)?)?.{0,40}") {
            let _ = parse(&module(), &topic);
        }
    }
}
