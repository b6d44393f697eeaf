//! The events of a running graph, and the subjects that name their origin.

use lva_graph_model::{Family, Graph, GraphNode, Role};
use lva_inference_schema::body::EventBody;
use lva_inference_schema::{
    Envelope, EventClass, EventName, InferenceKind, JsonStyle, NodeRole, ProductFamily, Subject,
};

/// An event of a running graph: results of nodes, failures, recordings.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GraphEvent {
    /// What happened.
    pub name: EventName,
    /// The instance or the node that emits it.
    pub subject: Subject,
    /// When, in ticks of 1/90000 s since 1970: the media time of the frame for [`EventName::Inference`], the wall
    /// clock for everything else. The envelope's `eventTime` is the same in milliseconds.
    pub timestamp_90k: u64,
    /// `hubOutputName` of the message sink for an inference. `None` where the topology names no output, and for diagnostics
    /// and operational events, whose output the program around the module chooses.
    pub output: Option<String>,
    /// The body.
    pub body: EventBody,
}

impl GraphEvent {
    /// An event without an output, for tests of code that takes events.
    pub fn new(name: EventName, subject: Subject, timestamp_90k: u64, body: EventBody) -> Self {
        Self {
            name,
            subject,
            timestamp_90k,
            output: None,
            body,
        }
    }

    /// The class of its name, which decides the output.
    pub fn class(&self) -> EventClass {
        self.name.class()
    }

    /// In the contract's envelope. `topic` is the name of the account; see
    /// [`default_topic`](lva_inference_schema::default_topic).
    pub fn envelope(&self, topic: &str) -> Envelope {
        let style = match self.subject.family() {
            // Motion has neither empty members nor `valueCase`, as published.
            ProductFamily::Lva if !self.is_motion() => JsonStyle::Lva,
            ProductFamily::Lva | ProductFamily::VideoAnalyzer => JsonStyle::VideoAnalyzer,
        };
        Envelope::new(self.name, topic, &self.subject, self.timestamp_90k).with_body(&self.body, style)
    }

    fn is_motion(&self) -> bool {
        let EventBody::Analytics(body) = &self.body else {
            return false;
        };
        let motion = |kind| kind == InferenceKind::Motion;
        !body.inferences.is_empty() && body.inferences.iter().all(|found| motion(found.kind()))
    }
}

/// A node by its name, and its subject in events.
#[derive(Debug, Clone)]
pub(crate) struct NodeRef {
    pub(crate) name: String,
    pub(crate) subject: Subject,
}

/// Makes the subjects of one instance.
#[derive(Debug, Clone)]
pub(crate) struct SubjectFactory {
    instance: Subject,
}

impl SubjectFactory {
    /// `module` is the module name in subjects of Video Analyzer.
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
        let role = match node.kind.node_kind().role() {
            Role::Source => NodeRole::Source,
            Role::Processor => NodeRole::Processor,
            Role::Sink => NodeRole::Sink,
        };
        self.instance.node(role, node.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use lva_inference_schema::{AnalyticsBody, Event, Inference, default_topic};

    use super::*;

    fn inference_event(node: &str, timestamp_90k: u64, found: Vec<Inference>) -> GraphEvent {
        GraphEvent {
            name: EventName::Inference,
            subject: Subject::graph_instance("i").node(NodeRole::Processor, node),
            timestamp_90k,
            output: None,
            body: EventBody::Analytics(AnalyticsBody::new(timestamp_90k, found)),
        }
    }

    #[test]
    fn event_time_is_the_media_time_of_the_frame() {
        let found = vec![Inference::new(Event::new("personZoneEvent"))];
        let event = inference_event("ext", 143_810_610_210_091, found);
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
        let region = lva_framing::FractionBox::new(0.48954, 0.140741, 0.075, 0.058824);
        let found = vec![crate::convert::motion::inference(Some(region))];
        let event = inference_event("md", 143_039_375_044_290, found);
        let json: serde_json::Value = serde_json::from_str(&event.envelope("/t").to_string()).unwrap();
        let published = r#"{"timestamp":143039375044290,"inferences":[{"type":"motion","motion":{"box":{"l":0.48954,"t":0.140741,"w":0.075,"h":0.058824}}}]}"#;
        assert_eq!(
            json["body"].to_string(),
            serde_json::from_str::<serde_json::Value>(published)
                .unwrap()
                .to_string()
        );
    }
}
