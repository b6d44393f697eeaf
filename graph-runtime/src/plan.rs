//! A graph as this runtime carries it out: one camera, extensions that look at its pictures, what they find and whom it
//! reaches, sinks that record.

use lva_framing::FrameRate;
use lva_graph_model::{AssetSink, FileSink, LineCrossing, MotionDetection, OutputSelector, VideoSink};
use lva_inference_schema::Subject;
use lva_recording::GateOptions;
use lva_rtsp::CameraOptions;

use crate::extension::CustomNodePlan;
use crate::seam::extension::ClientPlan;
use crate::seam::picture::PictureForm;

pub(crate) use self::planner::Unsupported;

mod planner;

/// Why a graph cannot be carried out by this runtime though its documents are right. Somebody has to change the
/// topology (or bring a newer runtime); trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the node '{node}' ({kind}) cannot be run: {reason}; {remedy}")]
#[non_exhaustive]
pub struct PlanError {
    /// The node's name.
    pub node: String,
    /// Its type, as documents write it without the prefix; of a program's own types, in full.
    pub kind: String,
    /// What cannot be done.
    pub reason: String,
    /// What to do instead.
    pub remedy: String,
}

/// Everything about an instance, resolved. Nodes name each other by their places in these lists.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) source: Named,
    pub(crate) camera: CameraOptions,
    pub(crate) inputs: Vec<InputPlan>,
    pub(crate) motions: Vec<MotionPlan>,
    /// Each after the one whose frames it takes.
    pub(crate) analyses: Vec<AnalysisPlan>,
    pub(crate) trackers: Vec<TrackerPlan>,
    pub(crate) recordings: Vec<RecordingPlan>,
}

/// A node by its name, and how events call it.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) subject: Subject,
}

/// What a node's results reach.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reach {
    /// Outputs of the message sinks behind it.
    pub(crate) outputs: Vec<Option<String>>,
    /// Places in [`Plan::recordings`] whose gates its results open.
    pub(crate) gates: Vec<usize>,
    /// Places in [`Plan::trackers`].
    pub(crate) trackers: Vec<usize>,
    /// Places in [`Plan::recordings`] that keep its results beside the media.
    pub(crate) recordings: Vec<usize>,
}

/// A message source.
#[derive(Debug)]
pub(crate) struct InputPlan {
    /// The module's input; `None` takes the messages of every input.
    pub(crate) input: Option<String>,
    /// Places in [`Plan::recordings`] whose gates its messages open.
    pub(crate) gates: Vec<usize>,
}

/// A motion node with the filters before it and what its results reach.
#[derive(Debug)]
pub(crate) struct MotionPlan {
    pub(crate) node: Named,
    pub(crate) settings: MotionDetection,
    /// Each lets at most so many pictures through.
    pub(crate) rates: Vec<FrameRate>,
    pub(crate) reach: Reach,
}

/// Where a node's frames come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feed {
    Camera,
    /// Place in [`Plan::motions`] of the node that passes frames with motion only.
    Motion(usize),
    /// Place in [`Plan::analyses`] of the extension that passes all frames, with what it found.
    Extension(usize),
}

/// An extension node, or one of the program's own, with the filters before it and what its results reach.
#[derive(Debug)]
pub(crate) struct AnalysisPlan {
    pub(crate) node: Named,
    pub(crate) feed: Feed,
    /// Filters before it: each lets at most so many of the pictures that reach it through.
    pub(crate) rates: Vec<FrameRate>,
    /// So many of those it shows to the extension (or looks at itself); all of them go on.
    pub(crate) shown: Option<FrameRate>,
    /// It shows only those in which something was found before.
    pub(crate) annotated_only: bool,
    pub(crate) analyzer: Analyzer,
    pub(crate) reach: Reach,
}

/// Who looks at a node's frames.
#[derive(Debug)]
pub(crate) enum Analyzer {
    /// An extension, to which they are sent.
    Extension { form: PictureForm, client: ClientPlan },
    /// A node of the program's own.
    Custom(Box<CustomNodePlan>),
}

/// An object tracker behind an extension, or the tracking that a line crossing without one needs.
#[derive(Debug)]
pub(crate) struct TrackerPlan {
    pub(crate) node: Named,
    pub(crate) reach: Reach,
    pub(crate) lines: Vec<LinePlan>,
}

/// A line-crossing node.
#[derive(Debug)]
pub(crate) struct LinePlan {
    pub(crate) node: Named,
    pub(crate) settings: LineCrossing,
    pub(crate) reach: Reach,
}

/// A sink that records, and the gate before it.
#[derive(Debug)]
pub(crate) struct RecordingPlan {
    /// `None` records all the time.
    pub(crate) gate: Option<GatePlan>,
    pub(crate) sink: Named,
    pub(crate) place: Place,
    pub(crate) media: MediaSelection,
}

impl RecordingPlan {
    /// The node that signals are counted for.
    pub(crate) fn switch(&self) -> &str {
        self.gate.as_ref().map_or(&self.sink.name, |gate| &gate.name)
    }
}

/// What of the camera's media the way to a sink lets pass: all that no selector on it keeps back.
#[derive(Debug, Clone, Default)]
pub(crate) struct MediaSelection(Vec<OutputSelector>);

impl MediaSelection {
    /// `media_type` in full, such as `video/H264`.
    pub(crate) fn passes(&self, media_type: &str) -> bool {
        self.0.iter().all(|selector| selector.selects(media_type))
    }
}

impl<'a> FromIterator<&'a OutputSelector> for MediaSelection {
    fn from_iter<I: IntoIterator<Item = &'a OutputSelector>>(selectors: I) -> Self {
        Self(selectors.into_iter().cloned().collect())
    }
}

/// A gate before a sink.
#[derive(Debug, Clone)]
pub(crate) struct GatePlan {
    pub(crate) name: String,
    pub(crate) options: GateOptions,
}

/// Where recordings go.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Asset(AssetSink),
    Files(FileSink),
    Video(VideoSink),
}

#[cfg(test)]
mod tests;
