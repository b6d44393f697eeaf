use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::discovery::{Component, Discovery};
use super::level::{decode_level, encode_level};
use super::{Dialect, Received};
use crate::message::{InputMessage, OutputMessage};
use crate::method::MethodAnswer;
use crate::mqtt::{Publish, PublishProperties, Qos};
use crate::topic::TopicError;
use crate::twin::{TwinRequest, merge_patch};

/// The topics of a module on a broker that is not a hub. All its topics begin with `{prefix}/{module}/`:
///
/// | topic | retained | payload |
/// |---|---|---|
/// | `status` | yes, also as Will | `online`, `offline` |
/// | `info` | yes | what [`with_info`](Self::with_info) gives |
/// | `outputs/{output}` | no | `{"body", "properties", "systemProperties"}`, or the body alone |
/// | `inputs/{input}` | | the same, either form |
/// | `methods/{name}/request/{rid}` → `…/response/{rid}` | no | `{"payload"}` or the payload → `{"status", "payload"}` |
/// | `twin/desired`, `twin/reported` | yes | the whole document with `$version` |
/// | what [`Client::set_state`](crate::Client::set_state) names | yes | text; empty once deleted |
///
/// With MQTT 5, methods may name a Response Topic and Correlation Data instead of the request id; then they are called at
/// `methods/{name}/request`. Names are percent-encoded where they have `+`, `#`, `/` or `%`.
#[derive(Debug, Clone)]
pub struct PlainOptions {
    prefix: String,
    module: String,
    bare: bool,
    info: Value,
    discovery: Option<Discovery>,
}

impl PlainOptions {
    /// For a module of this name, with the prefix `lva`. The name is also the MQTT client id.
    pub fn new(module: impl Into<String>) -> Self {
        Self {
            prefix: "lva".to_owned(),
            module: module.into(),
            bare: false,
            info: json!({ "product": "lva-hub", "version": env!("CARGO_PKG_VERSION") }),
            discovery: None,
        }
    }

    /// The first levels of all topics. Default `lva`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Events as their bodies alone; with MQTT 5 their properties are user properties, with 3.1.1 they are left out.
    /// Default false.
    #[must_use]
    pub fn with_bare_events(mut self, bare: bool) -> Self {
        self.bare = bare;
        self
    }

    /// What stands at `info`: product, version, versions of interfaces.
    #[must_use]
    pub fn with_info(mut self, info: Value) -> Self {
        self.info = info;
        self
    }

    /// Announces what [`Client::announce`](crate::Client::announce) names to Home Assistant. Default none.
    #[must_use]
    pub fn with_discovery(mut self, discovery: Discovery) -> Self {
        self.discovery = Some(discovery);
        self
    }
}

pub(crate) struct PlainDialect {
    options: PlainOptions,
    root: String,
    reported: Map<String, Value>,
    reported_version: u64,
}

impl PlainDialect {
    pub(crate) fn new(options: PlainOptions) -> Self {
        let root = format!(
            "{}/{}",
            options.prefix.trim_matches('/'),
            encode_level(&options.module)
        );
        Self {
            options,
            root,
            reported: Map::new(),
            reported_version: 0,
        }
    }

    fn topic(&self, rest: &str) -> String {
        format!("{}/{rest}", self.root)
    }

    fn status(&self, text: &'static str) -> Publish {
        Publish::new(self.topic("status"), Qos::AtLeastOnce, text).retained()
    }

    fn reported(&self) -> Publish {
        let mut document = self.reported.clone();
        document.insert("$version".to_owned(), self.reported_version.into());
        let body = Value::Object(document).to_string();
        Publish::new(self.topic("twin/reported"), Qos::AtLeastOnce, body).retained()
    }

    fn read_method(&self, name: &str, rest: Option<&str>, publish: Publish) -> Result<Received, TopicError> {
        // Retained or kept for us, its caller has left.
        if publish.retain {
            return Ok(Received::Unknown);
        }
        let properties = publish.properties;
        let (answer_topic, correlation) = match (rest, properties.response_topic) {
            (_, Some(topic)) => (topic, properties.correlation_data.unwrap_or_default()),
            (Some(id), None) if !id.is_empty() && !id.contains('/') => {
                (self.topic(&format!("methods/{name}/response/{id}")), Bytes::new())
            }
            _ => return Err(TopicError::Incomplete),
        };
        if answer_topic.contains(['+', '#']) {
            return Err(TopicError::Incomplete);
        }
        // NUL cannot stand in a topic.
        let request_id = format!("{answer_topic}\0{}", STANDARD.encode(correlation));
        Ok(match decode_level(name) {
            Ok(name) => Received::Method {
                name,
                request_id,
                body: payload(publish.payload),
            },
            Err(_) => Received::MalformedMethod { request_id },
        })
    }
}

impl Dialect for PlainDialect {
    fn client_id(&self) -> String {
        self.options.module.clone()
    }

    fn will(&self) -> Option<Publish> {
        Some(self.status("offline"))
    }

    /// Requests are of no use to a caller that has left, so they are not kept for us (QoS 0).
    fn filters(&self) -> Vec<(String, Qos)> {
        let mut filters = vec![
            (self.topic("methods/+/request/#"), Qos::AtMostOnce),
            (self.topic("inputs/+"), Qos::AtLeastOnce),
            (self.topic("twin/desired"), Qos::AtLeastOnce),
        ];
        if let Some(discovery) = &self.options.discovery {
            filters.push((discovery.status_topic(), Qos::AtMostOnce));
        }
        filters
    }

    fn after_connect(&mut self) -> Vec<Publish> {
        let info = Publish::new(
            self.topic("info"),
            Qos::AtLeastOnce,
            self.options.info.to_string(),
        )
        .retained();
        let mut after_connect = vec![self.status("online"), info];
        if self.reported_version > 0 {
            after_connect.push(self.reported());
        }
        after_connect
    }

    fn before_disconnect(&mut self) -> Vec<Publish> {
        vec![self.status("offline")]
    }

    fn event(&self, event: &OutputMessage) -> Publish {
        let topic = match &event.output {
            Some(output) => self.topic(&format!("outputs/{}", encode_level(output))),
            None => self.topic("events"),
        };
        if !self.options.bare {
            return Publish::new(topic, Qos::AtLeastOnce, wrap(event));
        }
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut publish = Publish::new(topic, Qos::AtLeastOnce, event.body.clone());
        publish.properties = PublishProperties {
            content_type: event.content_type.clone(),
            user: event.wire_properties().into_iter().map(own).collect(),
            ..PublishProperties::default()
        };
        publish
    }

    fn answer(&mut self, answer: &MethodAnswer) -> Publish {
        let (topic, correlation) = answer
            .request_id
            .split_once('\0')
            .unwrap_or((&answer.request_id, ""));
        // The body is JSON already, and stays as it is.
        let payload = if answer.body.is_empty() {
            b"null"
        } else {
            &answer.body[..]
        };
        let mut body = format!(r#"{{"status":{},"payload":"#, answer.status).into_bytes();
        body.extend_from_slice(payload);
        body.push(b'}');
        let mut publish = Publish::new(topic, Qos::AtLeastOnce, body);
        let correlation = STANDARD.decode(correlation).unwrap_or_default();
        publish.properties.correlation_data = (!correlation.is_empty()).then(|| correlation.into());
        publish
    }

    /// Desired properties come and go as a retained message; reported ones are published as a whole.
    fn twin(&mut self, request: &TwinRequest) -> Option<Publish> {
        match request {
            TwinRequest::Report { body, .. } => {
                let patch: Map<String, Value> = serde_json::from_slice(body).ok()?;
                merge_patch(&mut self.reported, &patch);
                self.reported_version += 1;
                Some(self.reported())
            }
            TwinRequest::Desired { body } => {
                Some(Publish::new(self.topic("twin/desired"), Qos::AtLeastOnce, body.clone()).retained())
            }
            TwinRequest::Get { .. } => None,
        }
    }

    fn is_twin_answered(&self) -> bool {
        false
    }

    fn state(&self, path: &str, value: Option<&str>) -> Option<Publish> {
        let value = value.unwrap_or_default().to_owned();
        Some(Publish::new(self.topic(path), Qos::AtLeastOnce, value).retained())
    }

    fn announcement(
        &self,
        components: &mut dyn Iterator<Item = (&str, Option<&Component>)>,
    ) -> Option<Publish> {
        let discovery = self.options.discovery.as_ref()?;
        Some(discovery.announcement(&self.root, components))
    }

    fn read(&mut self, publish: Publish) -> Result<Received, TopicError> {
        if let Some(discovery) = &self.options.discovery
            && publish.topic == discovery.status_topic()
        {
            return Ok(match &publish.payload[..] {
                b"online" => Received::Reannounce,
                _ => Received::Unknown,
            });
        }
        let rest = publish
            .topic
            .strip_prefix(&self.root)
            .and_then(|rest| rest.strip_prefix('/'));
        let Some(rest) = rest.map(str::to_owned) else {
            return Ok(Received::Unknown);
        };
        if rest == "twin/desired" {
            return Ok(Received::DesiredDocument {
                body: publish.payload,
            });
        }
        if let Some(input) = rest.strip_prefix("inputs/") {
            return Ok(Received::Input(unwrap(decode_level(input)?, publish)));
        }
        match rest
            .strip_prefix("methods/")
            .and_then(|rest| rest.split_once("/request"))
        {
            Some((name, "")) if !name.is_empty() => self.read_method(name, None, publish),
            Some((name, id)) if !name.is_empty() && id.starts_with('/') => {
                self.read_method(name, id.get(1..), publish)
            }
            _ => Ok(Received::Unknown),
        }
    }
}

/// The payload of `{"payload": …}`, or all of another body.
fn payload(body: Bytes) -> Bytes {
    match serde_json::from_slice(&body) {
        Ok(Value::Object(mut object)) if object.len() == 1 => match object.remove("payload") {
            Some(payload) => payload.to_string().into(),
            None => body,
        },
        _ => body,
    }
}

/// An event as the monitors of a hub show it.
fn wrap(event: &OutputMessage) -> String {
    let mut system = Map::new();
    for (name, value) in [
        ("messageId", &event.message_id),
        ("correlationId", &event.correlation_id),
        ("contentType", &event.content_type),
        ("contentEncoding", &event.content_encoding),
    ] {
        if let Some(value) = value {
            system.insert(name.to_owned(), value.as_str().into());
        }
    }
    let text = std::str::from_utf8(&event.body).ok();
    let json = text.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    let body = match (json, text) {
        (Some(json), _) => json.get().to_owned(),
        (None, Some(text)) => Value::from(text).to_string(),
        (None, None) => {
            system.insert("contentTransferEncoding".to_owned(), "base64".into());
            Value::from(STANDARD.encode(&event.body)).to_string()
        }
    };
    let properties = json!(event.properties);
    format!(
        r#"{{"body":{body},"properties":{properties},"systemProperties":{}}}"#,
        Value::Object(system)
    )
}

/// The reverse of [`wrap`], and bare bodies.
fn unwrap(input: String, publish: Publish) -> InputMessage {
    let PublishProperties {
        content_type, user, ..
    } = publish.properties;
    let wrapped = match serde_json::from_slice(&publish.payload) {
        Ok(Value::Object(object)) if is_wrapped(&object) => object,
        _ => {
            let bag = user
                .into_iter()
                .map(|(name, value)| (name, Some(value)))
                .collect();
            let mut message = InputMessage::new(Some(input), bag, publish.payload);
            message.content_type = message.content_type.or(content_type);
            return message;
        }
    };
    let strings = |member: &str| -> Vec<(String, Option<String>)> {
        let object = wrapped.get(member).and_then(Value::as_object);
        let pairs = object.into_iter().flatten();
        let text = |value: &Value| match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        pairs.map(|(name, value)| (name.clone(), text(value))).collect()
    };
    let mut bag = strings("properties");
    bag.extend(strings("applicationProperties"));
    bag.extend(
        strings("systemProperties")
            .into_iter()
            .filter_map(|(name, value)| {
                let short = match name.as_str() {
                    "messageId" => "$.mid",
                    "correlationId" => "$.cid",
                    "contentType" => "$.ct",
                    "contentEncoding" => "$.ce",
                    _ => return None,
                };
                Some((short.to_owned(), value))
            }),
    );
    let body = match wrapped.get("body") {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    InputMessage::new(Some(input), bag, body.into())
}

fn is_wrapped(object: &Map<String, Value>) -> bool {
    let known = ["body", "properties", "applicationProperties", "systemProperties"];
    object.contains_key("body") && object.keys().all(|key| known.contains(&key.as_str()))
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
