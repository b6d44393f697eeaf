//! From the model's graph to a plan: who feeds whom, and what this runtime does not carry out.

use std::collections::BTreeSet;

use lva_framing::FrameRate;
use lva_graph_model::{
    CustomProcessor, Edge, Extension, Flow, Graph, GraphNode, LineCrossing, MotionDetection, Node, NodeId,
    Sampling,
};
use lva_recording::SignalGate;
use lva_rtsp::CameraOptions;

use super::{
    AnalysisPlan, Analyzer, Feed, GatePlan, InputPlan, LinePlan, MediaSelection, MotionPlan, Named, Place,
    Plan, PlanError, Reach, RecordingPlan, TrackerPlan,
};
use crate::event::Voice;
use crate::extension::{Broken, CustomNodePlan, Maker};
use crate::node::Factories;
use crate::seam::camera::camera_options;
use crate::seam::extension::ClientPlan;
use crate::seam::picture::{PictureForm, frame_rate};
use crate::seam::recording::{RECORDED_VIDEO, gate_options};
use crate::seam::tracking::line_scene;

/// Shape of the pictures by which lines are checked before there is one.
const USUAL_ASPECT: f64 = 16.0 / 9.0;

/// What cannot be done, before it is known where.
#[derive(Debug)]
pub(crate) struct Unsupported {
    reason: String,
    remedy: String,
}

impl Unsupported {
    pub(crate) fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    fn at(self, node: &GraphNode) -> PlanError {
        let kind = match &node.node {
            Node::Custom(own) => own.type_name(),
            other => {
                let names = other.kind().local_names();
                names.first().copied().unwrap_or_default()
            }
        };
        PlanError {
            node: node.name.clone(),
            kind: kind.to_owned(),
            reason: self.reason,
            remedy: self.remedy,
        }
    }
}

impl Plan {
    /// Resolves a graph, and makes its own nodes. `module` is the name that subjects of Video Analyzer hold.
    pub(crate) fn new(graph: &Graph, module: &str, factories: &Factories) -> Result<Self, PlanError> {
        let mut planner = Planner {
            graph,
            factories,
            voice: Voice::new(graph, module),
            source: None,
            recordings: Vec::new(),
            sinks: Vec::new(),
            motions: Vec::new(),
            analyses: Vec::new(),
            trackers: Vec::new(),
        };
        let order = graph.in_order();
        let nodes: Vec<&GraphNode> = order.iter().filter_map(|id| graph.node(*id)).collect();
        // First what results reach, then the nodes that have results, each after the one that feeds it.
        for node in &nodes {
            planner.camera_or_recording(node)?;
        }
        for node in &nodes {
            planner.number(node);
        }
        // A graph has exactly one camera, or it was not resolved.
        let (source, camera) = planner.source.take().ok_or_else(no_camera)?;
        let mut plan = Self {
            source,
            camera,
            inputs: Vec::new(),
            motions: Vec::new(),
            analyses: Vec::new(),
            trackers: Vec::new(),
            recordings: Vec::new(),
        };
        for node in &nodes {
            match &node.node {
                Node::MessageSource(source) => plan.inputs.push(InputPlan {
                    input: source.hub_input_name.clone(),
                    gates: planner.reach(node).gates,
                }),
                Node::MotionDetection(settings) => plan.motions.push(planner.motion(node, settings)?),
                Node::Extension(extension) => plan.analyses.push(planner.extension(node, extension)?),
                Node::Custom(own) => plan.analyses.push(planner.own(node, own)?),
                Node::ObjectTracking(_) => plan.trackers.push(planner.tracker(node)?),
                Node::LineCrossing(settings) => planner.line(node, settings, &mut plan.trackers)?,
                Node::RtspSource(_)
                | Node::FrameRateFilter(_)
                | Node::SignalGate(_)
                | Node::MessageSink(_)
                | Node::AssetSink(_)
                | Node::FileSink(_)
                | Node::VideoSink(_) => {}
            }
        }
        plan.recordings = planner.recordings;
        Ok(plan)
    }
}

fn no_camera() -> PlanError {
    PlanError {
        node: String::new(),
        kind: "RtspSource".to_owned(),
        reason: "the graph has no camera".to_owned(),
        remedy: "add an RtspSource".to_owned(),
    }
}

struct Planner<'a> {
    graph: &'a Graph,
    factories: &'a Factories,
    voice: Voice,
    source: Option<(Named, CameraOptions)>,
    recordings: Vec<RecordingPlan>,
    /// For each recording, its gate and its sink.
    sinks: Vec<(Option<NodeId>, NodeId)>,
    /// For each plan of the kind, its node.
    motions: Vec<NodeId>,
    analyses: Vec<NodeId>,
    trackers: Vec<NodeId>,
}

impl Planner<'_> {
    fn named(&self, node: &GraphNode) -> Named {
        Named {
            name: node.name.clone(),
            subject: self.voice.node(node),
        }
    }

    fn camera_or_recording(&mut self, node: &GraphNode) -> Result<(), PlanError> {
        let place = match &node.node {
            Node::RtspSource(source) => {
                let camera = camera_options(source).map_err(|unsupported| unsupported.at(node))?;
                self.source = Some((self.named(node), camera));
                return Ok(());
            }
            Node::AssetSink(asset) => Place::Asset(asset.clone()),
            Node::FileSink(files) => Place::Files(files.clone()),
            Node::VideoSink(video) => Place::Video(video.clone()),
            _ => return Ok(()),
        };
        let edges: Vec<&Edge> = self
            .graph
            .inputs(node.id)
            .filter(|edge| edge.flow == Flow::Media)
            .collect();
        for edge in edges {
            let Some(from) = self.graph.node(edge.from) else {
                continue;
            };
            let before = match &from.node {
                Node::SignalGate(_) => self.graph.inputs(from.id).find(|edge| edge.flow == Flow::Media),
                _ => None,
            };
            let ways = [Some(edge), before].into_iter().flatten();
            let media: MediaSelection = ways.flat_map(|way| &way.selectors).collect();
            // Which of these the camera sends is known when it has answered.
            if !RECORDED_VIDEO.iter().any(|kind| media.passes(kind)) {
                return Err(Unsupported::new(
                    "its selectors let no video pass, and a recording without video is not supported",
                    "select 'video', or remove the selectors",
                )
                .at(node));
            }
            let gate = self.gate(from)?;
            if gate.is_none() && matches!(place, Place::Files(_)) {
                return Err(Unsupported::new(
                    "a continuous recording in one file would grow for ever",
                    "put a SignalGateProcessor before it, or use an asset or a video",
                )
                .at(node));
            }
            self.sinks.push((gate.is_some().then_some(from.id), node.id));
            self.recordings.push(RecordingPlan {
                gate,
                sink: self.named(node),
                place: place.clone(),
                media,
            });
        }
        Ok(())
    }

    fn gate(&self, node: &GraphNode) -> Result<Option<GatePlan>, PlanError> {
        let Node::SignalGate(gate) = &node.node else {
            return Ok(None);
        };
        let options = gate_options(gate);
        SignalGate::new(options)
            .map_err(|error| Unsupported::new(error.to_string(), "change the times of the gate").at(node))?;
        Ok(Some(GatePlan {
            name: node.name.clone(),
            options,
        }))
    }

    fn number(&mut self, node: &GraphNode) {
        match &node.node {
            Node::MotionDetection(_) => self.motions.push(node.id),
            Node::Extension(_) | Node::Custom(_) => self.analyses.push(node.id),
            Node::ObjectTracking(_) => self.trackers.push(node.id),
            // One without a tracker before it brings its own.
            Node::LineCrossing(_) if self.tracker_before(node).is_none() => self.trackers.push(node.id),
            _ => {}
        }
    }

    fn extension(&self, node: &GraphNode, extension: &Extension) -> Result<AnalysisPlan, PlanError> {
        let form = PictureForm::new(&extension.image);
        let client = ClientPlan::new(extension, form.encoding(), self.graph.instance_name(), &node.name);
        let client = client.map_err(|unsupported| unsupported.at(node));
        self.analysis(node, extension.sampling, || {
            client.map(|client| Analyzer::Extension { form, client })
        })
    }

    fn own(&self, node: &GraphNode, own: &CustomProcessor) -> Result<AnalysisPlan, PlanError> {
        // A graph has no other own nodes than those that the registry was told of, with the factories.
        let no_factory =
            || Unsupported::new("nobody makes nodes of this type", "give the runtime its factory").at(node);
        let maker = Maker {
            factory: self.factories.of(own.type_name()).ok_or_else(no_factory)?,
            topology: self.graph.topology_name().to_owned(),
            instance: self.graph.instance_name().to_owned(),
            name: node.name.clone(),
            processor: own.clone(),
        };
        self.analysis(node, own.sampling(), || {
            let made = maker.create().map_err(|broken| not_made(&broken).at(node))?;
            Ok(Analyzer::Custom(Box::new(CustomNodePlan { maker, node: made })))
        })
    }

    /// A node that looks at frames. The analyzer is made when nothing else is wrong with the node.
    fn analysis(
        &self,
        node: &GraphNode,
        sampling: Sampling,
        analyzer: impl FnOnce() -> Result<Analyzer, PlanError>,
    ) -> Result<AnalysisPlan, PlanError> {
        let here = |unsupported: Unsupported| unsupported.at(node);
        let (feed, rates) = self.way_before(node)?;
        // Behind a motion node every frame is annotated, so there is nothing to skip.
        if sampling.skip_samples_without_annotation && feed == Feed::Camera {
            return Err(here(Unsupported::new(
                "skipSamplesWithoutAnnotation is set and no node before it annotates frames, so it would be shown none",
                "put a MotionDetectionProcessor before it, or set it to \"false\"",
            )));
        }
        let shown = match sampling.maximum_rate {
            None => None,
            Some(rate) => Some(frame_rate(rate).ok_or_else(|| here(odd_rate()))?),
        };
        Ok(AnalysisPlan {
            node: self.named(node),
            feed,
            rates,
            shown,
            annotated_only: sampling.skip_samples_without_annotation,
            analyzer: analyzer()?,
            reach: self.reach(node),
        })
    }

    fn motion(&self, node: &GraphNode, settings: &MotionDetection) -> Result<MotionPlan, PlanError> {
        let (feed, rates) = self.way_before(node)?;
        if feed != Feed::Camera {
            return Err(Unsupported::new(
                "motion detection behind motion detection or an extension is not supported",
                "connect it to the camera",
            )
            .at(node));
        }
        Ok(MotionPlan {
            node: self.named(node),
            settings: settings.clone(),
            rates,
            reach: self.reach(node),
        })
    }

    fn tracker(&self, node: &GraphNode) -> Result<TrackerPlan, PlanError> {
        self.follows_an_extension(node)?;
        Ok(TrackerPlan {
            node: self.named(node),
            reach: self.reach(node),
            lines: Vec::new(),
        })
    }

    /// Trackers come before the line crossings behind them, for nodes are in order.
    fn line(
        &self,
        node: &GraphNode,
        settings: &LineCrossing,
        trackers: &mut Vec<TrackerPlan>,
    ) -> Result<(), PlanError> {
        line_scene(settings, USUAL_ASPECT)
            .map_err(|reason| Unsupported::new(reason, "correct the node's lines").at(node))?;
        let line = LinePlan {
            node: self.named(node),
            settings: settings.clone(),
            reach: self.reach(node),
        };
        let Some(before) = self.tracker_before(node) else {
            self.follows_an_extension(node)?;
            trackers.push(TrackerPlan {
                node: self.named(node),
                reach: Reach::default(),
                lines: vec![line],
            });
            return Ok(());
        };
        self.one_input(node)?;
        let place = self.trackers.iter().position(|tracker| *tracker == before);
        if let Some(tracker) = place.and_then(|place| trackers.get_mut(place)) {
            tracker.lines.push(line);
        }
        Ok(())
    }

    fn tracker_before(&self, node: &GraphNode) -> Option<NodeId> {
        let feeds = self
            .graph
            .inputs(node.id)
            .filter_map(|edge| self.graph.node(edge.from));
        let mut trackers = feeds.filter(|feed| matches!(feed.node, Node::ObjectTracking(_)));
        trackers.next().map(|tracker| tracker.id)
    }

    fn one_input(&self, node: &GraphNode) -> Result<(), PlanError> {
        if self.graph.inputs(node.id).count() > 1 {
            return Err(several_inputs().at(node));
        }
        Ok(())
    }

    fn follows_an_extension(&self, node: &GraphNode) -> Result<(), PlanError> {
        self.one_input(node)?;
        let feeds = self
            .graph
            .inputs(node.id)
            .filter_map(|edge| self.graph.node(edge.from));
        for feed in feeds {
            if !feed.node.kind().looks_at_frames() {
                return Err(Unsupported::new(
                    format!("it follows what '{}' finds, which finds no objects", feed.name),
                    "connect it to an extension that detects objects",
                )
                .at(node));
            }
        }
        Ok(())
    }

    /// What a node's results reach.
    fn reach(&self, node: &GraphNode) -> Reach {
        let mut reach = Reach::default();
        for edge in self.graph.outputs(node.id) {
            let Some(to) = self.graph.node(edge.to) else {
                continue;
            };
            let recordings = |of: fn(&(Option<NodeId>, NodeId)) -> Option<NodeId>| {
                let numbered = self.sinks.iter().enumerate();
                let own = numbered.filter(move |(_, sink)| of(sink) == Some(to.id));
                own.map(|(place, _)| place)
            };
            match &to.node {
                Node::MessageSink(sink) => reach.outputs.push(sink.hub_output_name.clone()),
                Node::SignalGate(_) if edge.flow == Flow::Signals => {
                    reach.gates.extend(recordings(|(gate, _)| *gate));
                }
                Node::VideoSink(_) if edge.flow == Flow::Messages => {
                    reach.recordings.extend(recordings(|(_, sink)| Some(*sink)));
                }
                Node::ObjectTracking(_) | Node::LineCrossing(_) => {
                    reach
                        .trackers
                        .extend(self.trackers.iter().position(|id| *id == to.id));
                }
                _ => {}
            }
        }
        reach
    }

    /// Follows the frames from a node back to the one that they come from, and collects the limits on the way.
    fn way_before(&self, node: &GraphNode) -> Result<(Feed, Vec<FrameRate>), PlanError> {
        let mut rates = Vec::new();
        let mut at = node;
        let mut seen = BTreeSet::new();
        while seen.insert(at.id) {
            let mut feeds = self.graph.inputs(at.id).filter(|edge| edge.flow == Flow::Frames);
            let (feed, more) = (feeds.next(), feeds.next());
            if more.is_some() {
                return Err(several_inputs().at(at));
            }
            let Some(feed) = feed.and_then(|edge| self.graph.node(edge.from)) else {
                break;
            };
            let place = |nodes: &[NodeId]| nodes.iter().position(|id| *id == feed.id).unwrap_or_default();
            match &feed.node {
                Node::FrameRateFilter(filter) => {
                    if let Some(rate) = filter.maximum_fps {
                        rates.push(frame_rate(rate).ok_or_else(|| odd_rate().at(feed))?);
                    }
                }
                Node::MotionDetection(_) => return Ok((Feed::Motion(place(&self.motions)), rates)),
                Node::Extension(_) | Node::Custom(_) => {
                    return Ok((Feed::Extension(place(&self.analyses)), rates));
                }
                Node::RtspSource(_) => break,
                _ => {
                    return Err(Unsupported::new(
                        format!("frames from behind '{}' are not supported", feed.name),
                        "connect it to the camera, a frame rate filter or an extension",
                    )
                    .at(node));
                }
            }
            at = feed;
        }
        Ok((Feed::Camera, rates))
    }
}

fn not_made(broken: &Broken) -> Unsupported {
    match broken {
        Broken::Failed(error) => Unsupported::new(
            error.reason(),
            error.remedy().unwrap_or("correct the node's own members"),
        ),
        Broken::Panicked(panicked) => {
            tracing::error!(panic = panicked.words(), "a node's factory panicked");
            Unsupported::new(
                "its factory panicked",
                "see the log, and tell whoever wrote the node",
            )
        }
    }
}

fn several_inputs() -> Unsupported {
    Unsupported::new(
        "frames from more than one node are not supported",
        "connect one node with frames",
    )
}

fn odd_rate() -> Unsupported {
    Unsupported::new(
        "the frame rate has too many digits",
        "write it with nine digits at most",
    )
}
