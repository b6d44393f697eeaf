//! The resolved form of a topology and an instance, which a runtime runs.

// What is public in these is public in `nodes`.
pub(crate) mod custom;
pub(crate) mod endpoint;
pub(crate) mod image;
pub(crate) mod processor;
pub(crate) mod sink;
pub(crate) mod source;

pub(crate) use self::custom::*;
pub(crate) use self::endpoint::*;
pub(crate) use self::image::*;
pub(crate) use self::processor::*;
pub(crate) use self::sink::*;
pub(crate) use self::source::*;

use crate::generation::Generation;
use crate::kind::NodeKind;

/// A topology with the values of an instance: typed nodes with their defaults, and edges between them.
///
/// Only [`resolve`](crate::resolve) returns graphs, so every graph has passed every check: its edges connect existing nodes
/// without cycles, and both ends of an edge support what flows along it.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    pub(crate) instance_name: String,
    pub(crate) topology_name: String,
    pub(crate) generation: Generation,
    pub(crate) nodes: Vec<GraphNode>,
    pub(crate) edges: Vec<Edge>,
}

/// Identifies a node in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) usize);

impl NodeId {
    /// The index in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// A node of a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphNode {
    /// Its id.
    pub id: NodeId,
    /// Its name, unique in the graph. Subjects of events contain it.
    pub name: String,
    /// JSON pointer to it in the topology.
    pub pointer: String,
    /// Its type and settings.
    pub kind: Node,
}

/// The type of a node, with its settings.
#[derive(Debug, Clone, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "a graph has a handful of nodes, and matching on them should stay plain"
)]
pub enum Node {
    /// A camera.
    RtspSource(RtspSource),
    /// Messages that open gates.
    MessageSource(MessageSource),
    /// Passes frames with motion, and reports the regions that move.
    MotionDetection(MotionDetection),
    /// Limits the frame rate.
    FrameRateFilter(FrameRateFilter),
    /// Sends frames to an extension.
    Extension(ExtensionProcessor),
    /// Passes media around events.
    SignalGate(SignalGateProcessor),
    /// Tracks the objects that an extension detects.
    ObjectTracking(ObjectTracking),
    /// Reports when a tracked object crosses a line.
    LineCrossing(LineCrossing),
    /// A custom node of the program.
    Custom(CustomProcessor),
    /// Emits events.
    MessageSink(HubMessageSink),
    /// Records into an asset.
    AssetSink(AssetSink),
    /// Records into files.
    FileSink(FileSink),
    /// Records into a video.
    VideoSink(VideoSink),
}

impl Node {
    /// The endpoint that it connects to; `None` for a node that connects to none.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::RtspSource(source) => Some(&source.endpoint),
            Self::Extension(extension) => Some(&extension.endpoint),
            Self::MessageSource(_)
            | Self::MotionDetection(_)
            | Self::FrameRateFilter(_)
            | Self::SignalGate(_)
            | Self::ObjectTracking(_)
            | Self::LineCrossing(_)
            | Self::Custom(_)
            | Self::MessageSink(_)
            | Self::AssetSink(_)
            | Self::FileSink(_)
            | Self::VideoSink(_) => None,
        }
    }

    /// Its kind, as in documents.
    pub fn node_kind(&self) -> NodeKind {
        match self {
            Self::RtspSource(_) => NodeKind::RtspSource,
            Self::MessageSource(_) => NodeKind::MessageSource,
            Self::MotionDetection(_) => NodeKind::MotionDetection,
            Self::FrameRateFilter(_) => NodeKind::FrameRateFilter,
            Self::Extension(extension) => match extension.protocol {
                ExtensionProtocol::Http => NodeKind::HttpExtension,
                ExtensionProtocol::Grpc { .. } => NodeKind::GrpcExtension,
                ExtensionProtocol::ComputerVision { .. } => NodeKind::ComputerVision,
            },
            Self::SignalGate(_) => NodeKind::SignalGate,
            Self::ObjectTracking(_) => NodeKind::ObjectTracking,
            Self::LineCrossing(_) => NodeKind::LineCrossing,
            Self::Custom(_) => NodeKind::Custom,
            Self::MessageSink(_) => NodeKind::MessageSink,
            Self::AssetSink(_) => NodeKind::AssetSink,
            Self::FileSink(_) => NodeKind::FileSink,
            Self::VideoSink(_) => NodeKind::VideoSink,
        }
    }
}

/// What flows along an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flow {
    /// Media as the camera sent it: into gates and recording sinks.
    Media,
    /// Frames with the results from upstream: into motion detection, rate filters, extensions, trackers, line crossings and
    /// custom nodes.
    Frames,
    /// Inferences or messages that open a gate.
    Signals,
    /// Inferences that are emitted, or recorded next to the media.
    Messages,
}

/// A connection between two nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// The node that it starts at.
    pub from: NodeId,
    /// The node that it ends at.
    pub to: NodeId,
    /// What flows along it.
    pub flow: Flow,
    /// Conditions on the streams that pass, which must all hold. Without any, every stream passes.
    pub selectors: Vec<OutputSelector>,
}

impl Edge {
    /// Whether a stream passes all selectors; see [`OutputSelector::selects`].
    pub fn selects(&self, media_type: &str) -> bool {
        self.selectors.iter().all(|selector| selector.selects(media_type))
    }
}

/// The types of the video that nodes look at and sinks record.
pub const VIDEO_MEDIA_TYPES: [&str; 3] = ["video/H264", "video/H265", "video/JPEG"];

/// A condition on a stream's media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSelector {
    /// Whether streams of the type pass (`is`), or all others (`isNot`).
    pub is: bool,
    /// `video`, `audio`, `application`, or a full media type such as `video/H264`.
    pub value: String,
}

impl OutputSelector {
    /// Whether a stream of this media type passes: a full type (`video/H264`) or its first part.
    pub fn selects(&self, media_type: &str) -> bool {
        let first = media_type.split('/').next().unwrap_or_default();
        let matches = self.value.eq_ignore_ascii_case(media_type) || self.value.eq_ignore_ascii_case(first);
        matches == self.is
    }
}

impl Graph {
    /// The name of the instance. Subjects of events contain it.
    pub fn instance_name(&self) -> &str {
        &self.instance_name
    }

    /// The name of the topology.
    pub fn topology_name(&self) -> &str {
        &self.topology_name
    }

    /// The generation of the topology, which determines the spelling and form of events.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// All nodes: sources, then processors, then sinks, in the order of the document.
    pub fn nodes(&self) -> &[GraphNode] {
        &self.nodes
    }

    /// A node of this graph by its id; `None` for an id of a larger graph.
    pub fn node(&self, id: NodeId) -> Option<&GraphNode> {
        self.nodes.get(id.0)
    }

    /// A node by its name.
    pub fn node_named(&self, name: &str) -> Option<&GraphNode> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// All edges, sorted by the node that they end at, then in the order of the document.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The edges that end at a node.
    pub fn inputs(&self, id: NodeId) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.to == id)
    }

    /// The edges that begin at a node.
    pub fn outputs(&self, id: NodeId) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.from == id)
    }

    /// All nodes, each after those that feed it.
    pub fn in_order(&self) -> Vec<NodeId> {
        let mut waiting: Vec<usize> = self.nodes.iter().map(|n| self.inputs(n.id).count()).collect();
        let mut order: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        order.extend(
            self.nodes
                .iter()
                .map(|n| n.id)
                .filter(|id| waiting.get(id.0) == Some(&0)),
        );
        let mut next = 0;
        while let Some(id) = order.get(next).copied() {
            next += 1;
            for edge in self.outputs(id) {
                if let Some(count) = waiting.get_mut(edge.to.0) {
                    *count -= 1;
                    if *count == 0 {
                        order.push(edge.to);
                    }
                }
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_look_at_the_whole_type_or_its_first_word() {
        let selector = |is, value: &str| OutputSelector {
            is,
            value: value.into(),
        };
        assert!(selector(true, "video").selects("video/H264"));
        assert!(selector(true, "Video/h264").selects("video/H264"));
        assert!(!selector(true, "video/H265").selects("video/H264"));
        assert!(selector(false, "application").selects("audio"));
        assert!(!selector(false, "audio").selects("audio/AAC"));
    }
}
