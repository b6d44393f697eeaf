//! A graph, resolved for this runtime: the streams of one camera, the nodes that process their pictures, where results go, and
//! sinks that record.

use lva_framing::FrameRate;
use lva_graph_model::nodes::{AssetSink, FileSink, LineCrossing, MotionDetection, VideoSink};
use lva_recording::GateOptions;
use lva_rtsp::CameraOptions;

use crate::convert::extension::ClientPlan;
use crate::convert::picture::FrameSpec;
use crate::convert::recording::MediaSelection;
use crate::event::NodeRef;
use crate::filter::Filters;
use crate::node::InProcessPlan;

mod planner;

/// Why this runtime cannot run a graph whose documents are valid. Retrying does not help: the topology must change, or the
/// runtime must be newer. Its text leaves the node to the error around it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} cannot run: {reason}; {remedy}")]
pub(crate) struct PlanError {
    /// The node's name; `None` where a node is missing.
    pub(crate) node: Option<String>,
    /// Its type: without the prefix for types of the contract, in full for custom types.
    pub(crate) kind: String,
    /// What is not possible.
    pub(crate) reason: String,
    /// What to do instead.
    pub(crate) remedy: String,
}

/// The index of a source in [`Plan::sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceId(pub(crate) usize);

/// The index of a motion node in [`SourcePlan::motions`] of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MotionId(pub(crate) usize);

/// The index of an analysis node in [`Plan::analyses`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AnalysisId(pub(crate) usize);

/// The index of a recording in [`Plan::recordings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordingId(pub(crate) usize);

/// Everything about an instance, resolved.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The streams of the camera, in the order of the topology; at least one.
    pub(crate) sources: Vec<SourcePlan>,
    pub(crate) inputs: Vec<InputPlan>,
    /// Each after the one whose frames it takes.
    pub(crate) analyses: Vec<AnalysisPlan>,
    pub(crate) recordings: Vec<RecordingPlan>,
}

/// A stream of the camera, and the motion nodes that examine it.
#[derive(Debug)]
pub(crate) struct SourcePlan {
    pub(crate) node: NodeRef,
    pub(crate) camera: CameraOptions,
    pub(crate) motions: Vec<MotionPlan>,
}

/// Where a node's results go.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Downstream {
    /// Outputs of the message sinks behind it.
    pub(crate) outputs: Vec<Option<String>>,
    /// Recordings whose gates its results open.
    pub(crate) gates: Vec<RecordingId>,
    /// Recordings that keep its results in sidecars.
    pub(crate) recordings: Vec<RecordingId>,
}

/// A message source.
#[derive(Debug)]
pub(crate) struct InputPlan {
    /// The module's input; `None` takes the messages of every input.
    pub(crate) input: Option<String>,
    /// Recordings whose gates its messages open.
    pub(crate) gates: Vec<RecordingId>,
}

/// A motion node with the filters before it.
#[derive(Debug)]
pub(crate) struct MotionPlan {
    pub(crate) node: NodeRef,
    pub(crate) settings: MotionDetection,
    pub(crate) filters: Filters,
    pub(crate) downstream: Downstream,
}

/// Where a node gets its frames from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameSource {
    Camera,
    /// The motion node, which passes frames with motion only.
    Motion(MotionId),
    /// The analysis node, which passes all frames, with its results.
    Analysis(AnalysisId),
}

/// An analysis node (an extension, or a node in this process) with the filters before it and the trackers behind it.
#[derive(Debug)]
pub(crate) struct AnalysisPlan {
    pub(crate) node: NodeRef,
    /// Of which its frames are pictures.
    pub(crate) source: SourceId,
    pub(crate) frames: FrameSource,
    pub(crate) filters: Filters,
    /// The node's own limit: frames beyond it go on without its results.
    pub(crate) own_limit: Option<FrameRate>,
    /// It takes only frames with results from upstream.
    pub(crate) annotated_only: bool,
    pub(crate) analyzer: Analyzer,
    pub(crate) trackers: Vec<TrackerPlan>,
    pub(crate) downstream: Downstream,
}

/// What processes a node's frames.
#[derive(Debug)]
pub(crate) enum Analyzer {
    /// An extension, to which they are sent.
    Extension { spec: FrameSpec, client: ClientPlan },
    /// A node in this process: a custom one, or one of the contract that implements
    /// [`CustomNode`](crate::CustomNode) too.
    InProcess(Box<InProcessPlan>),
}

/// An object tracker behind an extension, or the tracking that a line crossing without one needs.
#[derive(Debug)]
pub(crate) struct TrackerPlan {
    pub(crate) node: NodeRef,
    /// It stands in the topology, and is not a part of its line crossing.
    pub(crate) is_node: bool,
    pub(crate) downstream: Downstream,
    pub(crate) lines: Vec<LinePlan>,
}

/// A line-crossing node.
#[derive(Debug)]
pub(crate) struct LinePlan {
    pub(crate) node: NodeRef,
    pub(crate) settings: LineCrossing,
    pub(crate) downstream: Downstream,
}

/// A sink that records, and the gate before it.
#[derive(Debug)]
pub(crate) struct RecordingPlan {
    pub(crate) source: SourceId,
    /// `None` records all the time.
    pub(crate) gate: Option<GatePlan>,
    pub(crate) sink: NodeRef,
    pub(crate) target: RecordingTarget,
    pub(crate) media: MediaSelection,
}

impl RecordingPlan {
    /// The node that signals are counted for.
    pub(crate) fn gate_or_sink_name(&self) -> &str {
        self.gate.as_ref().map_or(&self.sink.name, |gate| &gate.name)
    }
}

/// A gate before a sink.
#[derive(Debug, Clone)]
pub(crate) struct GatePlan {
    pub(crate) name: String,
    pub(crate) options: GateOptions,
}

/// The kind of sink that a recording is written by.
#[derive(Debug, Clone)]
pub(crate) enum RecordingTarget {
    Asset(AssetSink),
    Files(FileSink),
    Video(VideoSink),
}

#[cfg(test)]
mod tests;
