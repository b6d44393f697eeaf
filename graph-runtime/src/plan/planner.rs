//! From the model's graph to a plan: which node feeds which, and what this runtime does not support.

use std::collections::{BTreeSet, VecDeque};

use lva_graph_model::nodes::{CustomProcessor, ExtensionProcessor, LineCrossing, MotionDetection, Sampling};
use lva_graph_model::{Edge, Flow, Graph, GraphNode, Node, NodeId};
use lva_recording::SignalGate;

use super::{
    AnalysisId, AnalysisPlan, Analyzer, Downstream, FrameSource, GatePlan, InputPlan, LinePlan, MotionId,
    MotionPlan, Plan, PlanError, RecordingId, RecordingPlan, RecordingTarget, SourceId, SourcePlan,
    TrackerPlan,
};
use crate::convert::Unsupported;
use crate::convert::camera::camera_options;
use crate::convert::extension::ClientPlan;
use crate::convert::picture::{FrameSpec, frame_rate};
use crate::convert::recording::{MediaSelection, gate_options};
use crate::event::{NodeRef, SubjectFactory};
use crate::filter::{Filters, is_filter};
use crate::node::{Factories, InProcessPlan, NodeBuildError, NodeBuilder};

impl Unsupported {
    fn at_node(self, node: &GraphNode) -> PlanError {
        let kind = match &node.kind {
            Node::Custom(custom) => custom.type_name(),
            other => {
                let names = other.node_kind().local_names();
                names.first().copied().unwrap_or_default()
            }
        };
        PlanError {
            node: Some(node.name.clone()),
            kind: kind.to_owned(),
            reason: self.reason,
            remedy: self.remedy,
        }
    }
}

impl Plan {
    /// Resolves a graph, and creates its custom nodes. `module` is the module name in subjects of Video Analyzer.
    pub(crate) fn new(graph: &Graph, module: &str, factories: &Factories) -> Result<Self, PlanError> {
        let mut planner = Planner {
            graph,
            factories,
            subjects: SubjectFactory::new(graph, module),
            sources: Vec::new(),
            source_nodes: Vec::new(),
            recordings: Vec::new(),
            sinks: Vec::new(),
            motions: Vec::new(),
            analyses: Vec::new(),
        };
        let order = graph.in_order();
        let nodes: Vec<&GraphNode> = order.iter().filter_map(|id| graph.node(*id)).collect();
        // First where results go, then the nodes that have results, each after the one that feeds it.
        for node in &nodes {
            planner.camera_or_recording(node)?;
        }
        // A resolved graph has a camera.
        if planner.sources.is_empty() {
            return Err(no_camera());
        }
        let mut plan = Self {
            sources: Vec::new(),
            inputs: Vec::new(),
            analyses: Vec::new(),
            recordings: Vec::new(),
        };
        for node in &nodes {
            match &node.kind {
                Node::MessageSource(source) => plan.inputs.push(InputPlan {
                    input: source.hub_input_name.clone(),
                    gates: planner.downstream(node).gates,
                }),
                Node::MotionDetection(settings) => planner.motion(node, settings),
                Node::Extension(extension) => plan.analyses.push(planner.extension(node, extension)?),
                Node::Custom(custom) => plan.analyses.push(planner.custom(node, custom)?),
                Node::ObjectTracking(_) => planner.tracker(node, &mut plan.analyses),
                Node::LineCrossing(settings) => planner.line(node, settings, &mut plan.analyses),
                Node::RtspSource(_)
                | Node::FrameRateFilter(_)
                | Node::SignalGate(_)
                | Node::MessageSink(_)
                | Node::AssetSink(_)
                | Node::FileSink(_)
                | Node::VideoSink(_) => {}
            }
        }
        plan.sources = planner.sources;
        plan.recordings = planner.recordings;
        Ok(plan)
    }
}

fn no_camera() -> PlanError {
    PlanError {
        node: None,
        kind: "RtspSource".to_owned(),
        reason: "the graph has no camera".to_owned(),
        remedy: "add an RtspSource".to_owned(),
    }
}

struct Planner<'a> {
    graph: &'a Graph,
    factories: &'a Factories,
    subjects: SubjectFactory,
    sources: Vec<SourcePlan>,
    /// For each source, its node.
    source_nodes: Vec<NodeId>,
    recordings: Vec<RecordingPlan>,
    /// For each recording, its gate and its sink.
    sinks: Vec<(Option<NodeId>, NodeId)>,
    motions: Vec<(NodeId, SourceId, MotionId)>,
    /// For each plan that is made, its node: the index is the plan's id.
    analyses: Vec<(NodeId, SourceId)>,
}

impl Planner<'_> {
    fn node_ref(&self, node: &GraphNode) -> NodeRef {
        NodeRef {
            name: node.name.clone(),
            subject: self.subjects.node(node),
        }
    }

    /// The nodes directly upstream.
    fn sources(&self, node: &GraphNode) -> impl Iterator<Item = &GraphNode> {
        let edges = self.graph.inputs(node.id);
        edges.filter_map(|edge| self.graph.node(edge.from))
    }

    fn camera_or_recording(&mut self, node: &GraphNode) -> Result<(), PlanError> {
        let target = match &node.kind {
            Node::RtspSource(source) => {
                let camera = camera_options(source).map_err(|unsupported| unsupported.at_node(node))?;
                self.source_nodes.push(node.id);
                self.sources.push(SourcePlan {
                    node: self.node_ref(node),
                    camera,
                    motions: Vec::new(),
                });
                return Ok(());
            }
            Node::AssetSink(asset) => RecordingTarget::Asset(asset.clone()),
            Node::FileSink(files) => RecordingTarget::Files(files.clone()),
            Node::VideoSink(video) => RecordingTarget::Video(video.clone()),
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
            let before = match &from.kind {
                Node::SignalGate(_) => self.graph.inputs(from.id).find(|edge| edge.flow == Flow::Media),
                _ => None,
            };
            let path = [Some(edge), before].into_iter().flatten();
            let media: MediaSelection = path.flat_map(|edge| &edge.selectors).collect();
            let source = self.source_id(before.unwrap_or(edge).from);
            let gate = self.gate(from)?;
            self.sinks.push((gate.is_some().then_some(from.id), node.id));
            self.recordings.push(RecordingPlan {
                source,
                gate,
                sink: self.node_ref(node),
                target: target.clone(),
                media,
            });
        }
        Ok(())
    }

    fn source_id(&self, node: NodeId) -> SourceId {
        let index = self.source_nodes.iter().position(|source| *source == node);
        SourceId(index.unwrap_or_default())
    }

    fn gate(&self, node: &GraphNode) -> Result<Option<GatePlan>, PlanError> {
        let Node::SignalGate(gate) = &node.kind else {
            return Ok(None);
        };
        let options = gate_options(gate);
        SignalGate::new(options).map_err(|error| {
            Unsupported::new(error.to_string(), "change the times of the gate").at_node(node)
        })?;
        Ok(Some(GatePlan {
            name: node.name.clone(),
            options,
        }))
    }

    fn extension(
        &mut self,
        node: &GraphNode,
        extension: &ExtensionProcessor,
    ) -> Result<AnalysisPlan, PlanError> {
        let spec = FrameSpec::new(&extension.image);
        let client = ClientPlan::new(extension, spec.encoding(), self.graph.instance_name(), &node.name);
        let client = client.map_err(|unsupported| unsupported.at_node(node));
        self.analysis(node, extension.sampling, || {
            client.map(|client| Analyzer::Extension { spec, client })
        })
    }

    fn custom(&mut self, node: &GraphNode, custom: &CustomProcessor) -> Result<AnalysisPlan, PlanError> {
        // The registry accepts no other custom types than those of the factories.
        let no_factory = || {
            Unsupported::new(
                "no factory creates nodes of this type",
                "add its factory with RuntimeOptions::with_node_factory",
            )
        };
        let factory = self.factories.of(custom.type_name());
        let factory = factory.ok_or_else(|| no_factory().at_node(node))?;
        let builder = NodeBuilder::custom(factory, self.graph, &node.name, custom.clone());
        self.in_process(node, custom.sampling(), builder)
    }

    /// A node that processes frames on a thread of its own in this process. A node of the contract gets its builder by
    /// [`NodeBuilder::new`].
    fn in_process(
        &mut self,
        node: &GraphNode,
        sampling: Sampling,
        builder: NodeBuilder,
    ) -> Result<AnalysisPlan, PlanError> {
        self.analysis(node, sampling, || {
            let created = builder
                .create()
                .map_err(|error| build_failed(&error).at_node(node))?;
            Ok(Analyzer::InProcess(Box::new(InProcessPlan {
                builder,
                node: created,
            })))
        })
    }

    /// A node that processes frames. The analyzer is created after everything else about the node is checked.
    fn analysis(
        &mut self,
        node: &GraphNode,
        sampling: Sampling,
        analyzer: impl FnOnce() -> Result<Analyzer, PlanError>,
    ) -> Result<AnalysisPlan, PlanError> {
        let (source, frames, filters) = self.upstream_path(node);
        let own_limit = sampling.maximum_rate.map(frame_rate);
        self.analyses.push((node.id, source));
        Ok(AnalysisPlan {
            node: self.node_ref(node),
            source,
            frames,
            filters,
            own_limit,
            annotated_only: sampling.skip_samples_without_annotation,
            analyzer: analyzer()?,
            trackers: Vec::new(),
            downstream: self.downstream(node),
        })
    }

    fn motion(&mut self, node: &GraphNode, settings: &MotionDetection) {
        let (source, _, filters) = self.upstream_path(node);
        let motion = MotionPlan {
            node: self.node_ref(node),
            settings: settings.clone(),
            filters,
            downstream: self.downstream(node),
        };
        if let Some(plan) = self.sources.get_mut(source.0) {
            self.motions.push((node.id, source, MotionId(plan.motions.len())));
            plan.motions.push(motion);
        }
    }

    /// Adds a tracker to the extension before it, which precedes it because nodes are in order.
    fn tracker(&self, node: &GraphNode, analyses: &mut [AnalysisPlan]) {
        self.add_tracker(
            self.node_before(node),
            analyses,
            TrackerPlan {
                node: self.node_ref(node),
                is_node: true,
                downstream: self.downstream(node),
                lines: Vec::new(),
            },
        );
    }

    fn add_tracker(&self, extension: Option<NodeId>, analyses: &mut [AnalysisPlan], tracker: TrackerPlan) {
        let index = self.analyses.iter().position(|(id, _)| Some(*id) == extension);
        if let Some(analysis) = index.and_then(|index| analyses.get_mut(index)) {
            analysis.trackers.push(tracker);
        }
    }

    /// Adds a line crossing to the tracker before it, or with a tracker of its own to the extension before it.
    fn line(&self, node: &GraphNode, settings: &LineCrossing, analyses: &mut [AnalysisPlan]) {
        let line = LinePlan {
            node: self.node_ref(node),
            settings: settings.clone(),
            downstream: self.downstream(node),
        };
        let before = self
            .sources(node)
            .find(|from| matches!(from.kind, Node::ObjectTracking(_)));
        let Some(before) = before else {
            let tracker = TrackerPlan {
                node: self.node_ref(node),
                is_node: false,
                downstream: Downstream::default(),
                lines: vec![line],
            };
            return self.add_tracker(self.node_before(node), analyses, tracker);
        };
        let trackers = analyses.iter_mut().flat_map(|analysis| &mut analysis.trackers);
        if let Some(tracker) = trackers
            .into_iter()
            .find(|of| of.is_node && of.node.name == before.name)
        {
            tracker.lines.push(line);
        }
    }

    /// The one node that feeds a tracker, or a line without one: an extension, by the checks of the model.
    fn node_before(&self, node: &GraphNode) -> Option<NodeId> {
        self.sources(node).next().map(|source| source.id)
    }

    /// Where a node's results go. They pass filters, which drop frames alone.
    fn downstream(&self, node: &GraphNode) -> Downstream {
        let mut downstream = Downstream::default();
        let mut edges: VecDeque<&Edge> = self.graph.outputs(node.id).collect();
        let mut seen = BTreeSet::new();
        while let Some(edge) = edges.pop_front() {
            let Some(to) = self.graph.node(edge.to) else {
                continue;
            };
            if !seen.insert(to.id) {
                continue;
            }
            if is_filter(&to.kind) {
                edges.extend(self.graph.outputs(to.id));
            }
            let recordings = |of: fn(&(Option<NodeId>, NodeId)) -> Option<NodeId>| {
                let numbered = self.sinks.iter().enumerate();
                let own = numbered.filter(move |(_, sink)| of(sink) == Some(to.id));
                own.map(|(index, _)| RecordingId(index))
            };
            match &to.kind {
                Node::MessageSink(sink) => downstream.outputs.push(sink.hub_output_name.clone()),
                Node::SignalGate(_) if edge.flow == Flow::Signals => {
                    downstream.gates.extend(recordings(|(gate, _)| *gate));
                }
                Node::VideoSink(_) if edge.flow == Flow::Messages => {
                    downstream.recordings.extend(recordings(|(_, sink)| Some(*sink)));
                }
                _ => {}
            }
        }
        downstream
    }

    /// Follows the frames from a node back to the one that they come from, and collects the filters and selectors on the
    /// path. A graph has one input of frames at each node, and an end that frames come from.
    fn upstream_path(&self, node: &GraphNode) -> (SourceId, FrameSource, Filters) {
        let mut filters = Filters::default();
        let mut selectors = Vec::new();
        let (mut source, mut frames) = (SourceId(0), FrameSource::Camera);
        let mut at = node;
        loop {
            let edge = self.graph.inputs(at.id).find(|edge| edge.flow == Flow::Frames);
            let Some((edge, from)) = edge.and_then(|edge| Some((edge, self.graph.node(edge.from)?))) else {
                break;
            };
            selectors.extend(&edge.selectors);
            match &from.kind {
                kind if filters.add_upstream(kind) => {}
                Node::MotionDetection(_) => {
                    let mut motions = self.motions.iter();
                    if let Some((_, its_source, motion)) = motions.find(|(id, ..)| *id == from.id) {
                        (source, frames) = (*its_source, FrameSource::Motion(*motion));
                    }
                    break;
                }
                Node::Extension(_) | Node::Custom(_) => {
                    let mut analyses = self.analyses.iter().enumerate();
                    if let Some((index, (_, its_source))) = analyses.find(|(_, (id, _))| *id == from.id) {
                        (source, frames) = (*its_source, FrameSource::Analysis(AnalysisId(index)));
                    }
                    break;
                }
                _ => {
                    source = self.source_id(from.id);
                    break;
                }
            }
            at = from;
        }
        filters.select(selectors.into_iter().collect());
        (source, frames, filters)
    }
}

fn build_failed(error: &NodeBuildError) -> Unsupported {
    match error {
        NodeBuildError::Failed(error) => Unsupported::new(
            error.reason(),
            error.remedy().unwrap_or("correct the node's own members"),
        ),
        NodeBuildError::Panicked(panicked) => {
            tracing::error!(panic = panicked.message(), "a node's factory panicked");
            Unsupported::new(
                "its factory panicked",
                "read the log, and report it to the author of the node",
            )
        }
    }
}
