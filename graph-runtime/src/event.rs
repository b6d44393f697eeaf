//! What a running graph says.

use std::time::{SystemTime, UNIX_EPOCH};

use lva_graph_model::{Family, Graph, GraphNode, Role};
use lva_inference_schema::body::EventBody;
use lva_inference_schema::{
    AnalyticsBody, Envelope, EventClass, EventName, Inference, InferenceKind, JsonStyle, NodeRole,
    ProductFamily, Subject,
};

/// Something that a running graph says: results of nodes, trouble, recordings.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GraphEvent {
    /// What happened.
    pub name: EventName,
    /// The instance, or the node of it, that says so.
    pub subject: Subject,
    /// When, in ticks of 1/90000 s since 1970: the media time of the frame for [`EventName::Inference`], the wall
    /// clock for everything else. The envelope's `eventTime` is the same in milliseconds.
    pub timestamp_90k: u64,
    /// `hubOutputName` of the message sink that an inference leaves by; `None` for diagnostics and operational events,
    /// whose output the program around the module chooses, and where the topology names none.
    pub output: Option<String>,
    /// What is said.
    pub body: EventBody,
}

impl GraphEvent {
    /// By which kind of output it leaves.
    pub fn class(&self) -> EventClass {
        self.name.class()
    }

    /// In the contract's envelope. `topic` is the name of the account; see
    /// [`default_topic`](lva_inference_schema::default_topic).
    pub fn envelope(&self, topic: &str) -> Envelope {
        let style = match self.subject.family() {
            // Motion was never written with empty members and `valueCase`.
            ProductFamily::Lva if !self.is_motion() => JsonStyle::Lva,
            ProductFamily::Lva | ProductFamily::VideoAnalyzer => JsonStyle::VideoAnalyzer,
        };
        Envelope::new(self.name, topic, &self.subject, self.timestamp_90k).with_body(&self.body, style)
    }
}

impl GraphEvent {
    fn is_motion(&self) -> bool {
        let EventBody::Analytics(body) = &self.body else {
            return false;
        };
        !body.inferences.is_empty()
            && body
                .inferences
                .iter()
                .all(|found| found.kind() == InferenceKind::Motion)
    }
}

/// Makes the events of one instance.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    instance: Subject,
}

impl Voice {
    /// The voice of a graph; `module` is the name that subjects of Video Analyzer hold.
    pub(crate) fn new(graph: &Graph, module: &str) -> Self {
        let name = graph.instance_name();
        let instance = match graph.generation().family() {
            Family::Lva => Subject::graph_instance(name),
            Family::VideoAnalyzer => Subject::live_pipeline(module, name),
        };
        Self { instance }
    }

    /// The subject of the instance itself.
    pub(crate) fn instance(&self) -> &Subject {
        &self.instance
    }

    /// The subject of a node.
    pub(crate) fn node(&self, node: &GraphNode) -> Subject {
        let role = match node.node.kind().role() {
            Role::Source => NodeRole::Source,
            Role::Processor => NodeRole::Processor,
            Role::Sink => NodeRole::Sink,
        };
        self.instance.node(role, node.name.clone())
    }
}

/// What a node found on a frame.
pub(crate) fn inference_event(
    subject: &Subject,
    output: Option<String>,
    timestamp_90k: u64,
    inferences: Vec<Inference>,
) -> GraphEvent {
    GraphEvent {
        name: EventName::Inference,
        subject: subject.clone(),
        timestamp_90k,
        output,
        body: EventBody::Analytics(AnalyticsBody::new(timestamp_90k, inferences)),
    }
}

/// Anything that happens now.
pub(crate) fn event_now(name: EventName, subject: &Subject, body: EventBody) -> GraphEvent {
    GraphEvent {
        name,
        subject: subject.clone(),
        timestamp_90k: now_90k(),
        output: None,
        body,
    }
}

/// The wall clock as media time. A clock before 1970 counts as 1970.
pub(crate) fn now_90k() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let ticks = since.as_nanos().saturating_mul(9) / 100_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use lva_inference_schema::{Event, default_topic, event_time};

    use super::*;

    #[test]
    fn event_time_is_the_media_time_of_the_frame() {
        let subject = Subject::graph_instance("i").node(NodeRole::Processor, "ext");
        let found = vec![Inference::new(Event::new("personZoneEvent"))];
        let event = inference_event(&subject, None, 143_810_610_210_091, found);
        let json = event.envelope(&default_topic(ProductFamily::Lva)).to_string();
        assert!(json.contains(r#""timestamp":143810610210091"#), "{json}");
        assert!(
            json.contains(r#""eventTime":"2020-08-20T03:54:29.001Z""#),
            "{json}"
        );
        assert!(json.contains(r#""valueCase":"event""#), "{json}");
        assert_eq!(event.class(), EventClass::Analytics);
    }

    #[test]
    fn motion_is_written_as_published() {
        let subject = Subject::graph_instance("i").node(NodeRole::Processor, "md");
        let region = lva_framing::FractionBox::new(0.48954, 0.140741, 0.075, 0.058824);
        let found = vec![crate::seam::motion::inference(Some(region))];
        let event = inference_event(&subject, None, 143_039_375_044_290, found);
        let json: serde_json::Value = serde_json::from_str(&event.envelope("/t").to_string()).unwrap();
        let published = r#"{"timestamp":143039375044290,"inferences":[{"type":"motion","motion":{"box":{"l":0.48954,"t":0.140741,"w":0.075,"h":0.058824}}}]}"#;
        assert_eq!(
            json["body"].to_string(),
            serde_json::from_str::<serde_json::Value>(published)
                .unwrap()
                .to_string()
        );
    }

    #[test]
    fn now_is_now() {
        assert!(event_time(now_90k()).starts_with("20"));
    }
}
