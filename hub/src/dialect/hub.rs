use super::{Dialect, Received};
use crate::identity::Identity;
use crate::message::{InputMessage, OutputMessage};
use crate::method::MethodAnswer;
use crate::mqtt::{Publish, Qos};
use crate::topic::{self, HubTopic, TopicError};
use crate::twin::TwinRequest;

/// IoT Hub and edgeHub, and plain brokers on which a test plays them.
pub(crate) struct HubDialect {
    identity: Identity,
    /// Inputs exist where edgeHub routes; IoT Hub itself has none.
    has_inputs: bool,
}

impl HubDialect {
    pub(crate) fn new(identity: Identity, is_gateway: bool) -> Self {
        Self {
            has_inputs: is_gateway && identity.module_id().is_some(),
            identity,
        }
    }
}

impl Dialect for HubDialect {
    fn client_id(&self) -> String {
        self.identity.client_id()
    }

    fn will(&self) -> Option<Publish> {
        None
    }

    /// Requests and notices are of no use after a reconnection, so they are not kept for us (QoS 0): brokers would
    /// deliver calls whose callers have left, and answers to requests of an earlier life.
    fn filters(&self) -> Vec<(String, Qos)> {
        let mut filters = vec![
            (topic::METHODS_FILTER.to_owned(), Qos::AtMostOnce),
            (topic::TWIN_ANSWERS_FILTER.to_owned(), Qos::AtMostOnce),
            (topic::DESIRED_FILTER.to_owned(), Qos::AtMostOnce),
        ];
        if self.has_inputs {
            filters.push((topic::inputs_filter(&self.identity), Qos::AtLeastOnce));
        }
        if self.identity.module_id().is_none() {
            filters.push((topic::cloud_to_device_filter(&self.identity), Qos::AtLeastOnce));
        }
        filters
    }

    fn after_connect(&mut self) -> Vec<Publish> {
        Vec::new()
    }

    fn before_disconnect(&mut self) -> Vec<Publish> {
        Vec::new()
    }

    fn event(&self, event: &OutputMessage) -> Publish {
        let topic = topic::events(&self.identity, event);
        Publish::new(topic, Qos::AtLeastOnce, event.body.clone())
    }

    fn answer(&mut self, answer: &MethodAnswer) -> Publish {
        let topic = topic::method_answer(answer.status, &answer.request_id);
        Publish::new(topic, Qos::AtLeastOnce, answer.body.clone())
    }

    /// The answer acknowledges the request, so QoS 0 is enough.
    fn twin(&mut self, request: &TwinRequest) -> Option<Publish> {
        Some(match request {
            // A hub's desired properties are the cloud's to write.
            TwinRequest::Desired { .. } => return None,
            TwinRequest::Get { request_id } => {
                Publish::new(topic::twin_get(*request_id), Qos::AtMostOnce, "")
            }
            TwinRequest::Report { request_id, body } => {
                Publish::new(topic::twin_report(*request_id), Qos::AtMostOnce, body.clone())
            }
        })
    }

    fn read(&mut self, publish: Publish) -> Result<Received, TopicError> {
        let body = publish.payload;
        let Some(topic) = topic::parse(&self.identity, &publish.topic)? else {
            return Ok(Received::Unknown);
        };
        Ok(match topic {
            HubTopic::Method { name, request_id } => Received::Method {
                name,
                request_id,
                body,
            },
            HubTopic::MalformedMethod { request_id } => Received::MalformedMethod { request_id },
            HubTopic::TwinAnswer {
                status, request_id, ..
            } => Received::TwinAnswer {
                request_id,
                status,
                body,
            },
            HubTopic::Desired { version } => Received::DesiredPatch { version, body },
            HubTopic::Input { input, properties } => {
                Received::Input(InputMessage::new(input, properties, body))
            }
            HubTopic::OwnEvent => Received::OwnEvent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(identity: Identity, is_gateway: bool) -> Vec<String> {
        let dialect = HubDialect::new(identity, is_gateway);
        dialect.filters().into_iter().map(|(filter, _)| filter).collect()
    }

    #[test]
    fn filters_are_the_known_ones_and_at_most_five() {
        let module = Identity::module("h", "d", "m").unwrap();
        let common = [
            "$iothub/methods/POST/#",
            "$iothub/twin/res/#",
            "$iothub/twin/PATCH/properties/desired/#",
        ];
        assert_eq!(filters(module.clone(), false), common);
        let edge = filters(module, true);
        assert_eq!(edge[..3], common);
        assert_eq!(edge[3..], ["devices/d/modules/m/inputs/#"]);
        let device = filters(Identity::device("h", "d").unwrap(), true);
        assert_eq!(device[3..], ["devices/d/messages/devicebound/#"]);
    }
}
