//! A graph as this runtime carries it out: one camera, extensions that look at its pictures, gates that record it.

use std::collections::BTreeSet;

use lva_extension_protocol::{
    ClientOptions, Credentials, ExtensionUrl, FrameFormat, GraphIdentity, SharedMemoryOptions, Transfer,
};
use lva_framing::FrameRate;
use lva_graph_model::{
    AssetSink, Credentials as ModelCredentials, DataTransfer, Edge, Endpoint, Extension, ExtensionProtocol,
    FileSink, Flow, Graph, GraphNode, MotionDetection, Node, NodeId, Operation, VideoSink,
};
use lva_inference_schema::Subject;
use lva_recording::{GateOptions, SignalGate};
use lva_rtsp::CameraOptions;

use crate::event::Voice;
use crate::seam::camera::camera_options;
use crate::seam::picture::{PictureForm, frame_rate};
use crate::seam::recording::gate_options;

/// Why a graph cannot be carried out by this runtime though its documents are right. Somebody has to change the
/// topology (or bring a newer runtime); trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the node '{node}' ({kind}) cannot be run: {reason}; {remedy}")]
#[non_exhaustive]
pub struct PlanError {
    /// The node's name.
    pub node: String,
    /// Its type, as documents write it without the prefix.
    pub kind: String,
    /// What cannot be done.
    pub reason: String,
    /// What to do instead.
    pub remedy: String,
}

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
        let names = node.node.kind().local_names();
        PlanError {
            node: node.name.clone(),
            kind: names.first().copied().unwrap_or_default().to_owned(),
            reason: self.reason,
            remedy: self.remedy,
        }
    }
}

/// Everything about an instance, resolved.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) source: Named,
    pub(crate) camera: CameraOptions,
    pub(crate) motions: Vec<MotionPlan>,
    pub(crate) analyses: Vec<AnalysisPlan>,
    pub(crate) recordings: Vec<RecordingPlan>,
}

/// A node by its name, and how events call it.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) subject: Subject,
}

/// A motion node with the filters before it and what its results reach.
#[derive(Debug)]
pub(crate) struct MotionPlan {
    pub(crate) node: Named,
    pub(crate) settings: MotionDetection,
    /// Each lets at most so many pictures through.
    pub(crate) rates: Vec<FrameRate>,
    /// Outputs of the message sinks behind it.
    pub(crate) outputs: Vec<Option<String>>,
    /// Places in [`Plan::recordings`] whose gates its results open.
    pub(crate) gates: Vec<usize>,
}

/// An extension node with the filters before it and what its results reach.
#[derive(Debug)]
pub(crate) struct AnalysisPlan {
    pub(crate) node: Named,
    /// Place in [`Plan::motions`] of the node that passes frames with motion only.
    pub(crate) motion: Option<usize>,
    /// Each lets at most so many pictures through, of those with motion where there is a motion node.
    pub(crate) rates: Vec<FrameRate>,
    pub(crate) form: PictureForm,
    pub(crate) client: ClientPlan,
    /// Outputs of the message sinks behind it.
    pub(crate) outputs: Vec<Option<String>>,
    /// Places in [`Plan::recordings`] whose gates its results open.
    pub(crate) gates: Vec<usize>,
}

/// What is known about a session with an extension before the first picture.
#[derive(Debug, Clone)]
pub(crate) struct ClientPlan {
    pub(crate) url: ExtensionUrl,
    transfer: Transfer,
    credentials: Option<Credentials>,
    identity: GraphIdentity,
    configuration: Option<String>,
}

impl ClientPlan {
    pub(crate) fn options(&self, format: FrameFormat) -> ClientOptions {
        let options = ClientOptions::new(self.url.clone(), format)
            .with_transfer(self.transfer.clone())
            .with_identity(self.identity.clone());
        let options = match &self.credentials {
            Some(credentials) => options.with_credentials(credentials.clone()),
            None => options,
        };
        match &self.configuration {
            Some(text) => options.with_configuration(text.clone()),
            None => options,
        }
    }
}

/// A recording sink with what is before it.
#[derive(Debug)]
pub(crate) struct RecordingPlan {
    /// `None`: everything is recorded.
    pub(crate) gate: Option<GatePlan>,
    pub(crate) sink: Named,
    pub(crate) place: Place,
    /// Whether the way from the camera lets audio pass.
    pub(crate) audio: bool,
}

impl RecordingPlan {
    /// The node that signals are counted for.
    pub(crate) fn switch(&self) -> &str {
        self.gate.as_ref().map_or(&self.sink.name, |gate| &gate.name)
    }
}

/// A gate that events open.
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

impl Plan {
    /// Resolves a graph. `module` is the name that subjects of Video Analyzer hold.
    pub(crate) fn new(graph: &Graph, module: &str) -> Result<Self, PlanError> {
        let voice = Voice::new(graph, module);
        let mut planner = Planner {
            graph,
            voice,
            source: None,
            recordings: Vec::new(),
            gates: Vec::new(),
            motions: Vec::new(),
        };
        for node in graph.nodes() {
            planner.refuse(node)?;
        }
        for node in graph.nodes() {
            if let Node::SignalGate(_) = node.node {
                planner.gate(node)?;
            }
        }
        planner.continuous()?;
        let mut motions = Vec::new();
        for node in graph.nodes() {
            if let Node::MotionDetection(settings) = &node.node {
                motions.push(planner.motion(node, settings)?);
                planner.motions.push(node.id);
            }
        }
        let mut analyses = Vec::new();
        for node in graph.nodes() {
            if let Node::Extension(extension) = &node.node {
                analyses.push(planner.extension(node, extension)?);
            }
        }
        let Some((source, camera)) = planner.source else {
            // A graph has exactly one camera, or it was not resolved.
            return Err(PlanError {
                node: String::new(),
                kind: "RtspSource".to_owned(),
                reason: "the graph has no camera".to_owned(),
                remedy: "add an RtspSource".to_owned(),
            });
        };
        Ok(Self {
            source,
            camera,
            motions,
            analyses,
            recordings: planner.recordings,
        })
    }
}

struct Planner<'a> {
    graph: &'a Graph,
    voice: Voice,
    source: Option<(Named, CameraOptions)>,
    recordings: Vec<RecordingPlan>,
    /// For each recording, its gate, or the camera.
    gates: Vec<NodeId>,
    /// For each motion plan, its node.
    motions: Vec<NodeId>,
}

impl Planner<'_> {
    fn named(&self, node: &GraphNode) -> Named {
        Named {
            name: node.name.clone(),
            subject: self.voice.node(node),
        }
    }

    /// Refuses what is not carried out yet, and takes the camera along.
    fn refuse(&mut self, node: &GraphNode) -> Result<(), PlanError> {
        let not_yet = |reason: &str, remedy: &str| Err(Unsupported::new(reason, remedy).at(node));
        match &node.node {
            Node::RtspSource(source) => {
                let camera = camera_options(source).map_err(|unsupported| unsupported.at(node))?;
                self.source = Some((self.named(node), camera));
                Ok(())
            }
            Node::MotionDetection(_)
            | Node::FrameRateFilter(_)
            | Node::Extension(_)
            | Node::SignalGate(_)
            | Node::MessageSink(_) => Ok(()),
            Node::AssetSink(_) | Node::VideoSink(_) => Ok(()),
            Node::FileSink(_) => {
                let feeds = self
                    .graph
                    .inputs(node.id)
                    .filter_map(|edge| self.graph.node(edge.from));
                for feed in feeds {
                    if !matches!(feed.node, Node::SignalGate(_)) {
                        return not_yet(
                            "a continuous recording in one file would grow for ever",
                            "put a SignalGateProcessor before it, or use an asset or a video",
                        );
                    }
                }
                Ok(())
            }
            Node::MessageSource(_) => not_yet(
                "signals from hub messages are not supported yet",
                "open the gate by motion or by the results of an extension",
            ),
            Node::ObjectTracking(_) => not_yet(
                "object tracking is not supported yet",
                "use an extension that tracks, such as spatial analysis",
            ),
            Node::LineCrossing(_) => not_yet(
                "line crossing is not supported yet",
                "use an extension that watches lines, such as spatial analysis",
            ),
        }
    }

    fn gate(&mut self, node: &GraphNode) -> Result<(), PlanError> {
        let Node::SignalGate(gate) = &node.node else {
            return Ok(());
        };
        let options = gate_options(gate);
        SignalGate::new(options)
            .map_err(|error| Unsupported::new(error.to_string(), "change the times of the gate").at(node))?;
        let gate_plan = GatePlan {
            name: node.name.clone(),
            options,
        };
        let media_in = self.graph.inputs(node.id).find(|edge| edge.flow == Flow::Media);
        for edge in self.graph.outputs(node.id) {
            self.record(node.id, Some(gate_plan.clone()), edge, media_in)?;
        }
        Ok(())
    }

    /// Sinks that record everything that the camera sends.
    fn continuous(&mut self) -> Result<(), PlanError> {
        for node in self.graph.nodes() {
            if matches!(node.node, Node::RtspSource(_)) {
                for edge in self.graph.outputs(node.id) {
                    self.record(node.id, None, edge, None)?;
                }
            }
        }
        Ok(())
    }

    /// Takes a sink behind an edge with media, if there is one.
    fn record(
        &mut self,
        from: NodeId,
        gate: Option<GatePlan>,
        edge: &Edge,
        media_in: Option<&Edge>,
    ) -> Result<(), PlanError> {
        let Some(sink) = self.graph.node(edge.to) else {
            return Ok(());
        };
        let place = match &sink.node {
            Node::AssetSink(asset) => Place::Asset(asset.clone()),
            Node::FileSink(files) => Place::Files(files.clone()),
            Node::VideoSink(video) => Place::Video(video.clone()),
            _ => return Ok(()),
        };
        let passes = |media: &str| edge.selects(media) && media_in.is_none_or(|edge| edge.selects(media));
        if !passes("video/H264") {
            return Err(Unsupported::new(
                "its selectors let no video pass, and a recording without video is not supported",
                "select 'video', or remove the selectors",
            )
            .at(sink));
        }
        self.recordings.push(RecordingPlan {
            gate,
            sink: self.named(sink),
            place,
            audio: passes("audio/AAC"),
        });
        self.gates.push(from);
        Ok(())
    }

    fn extension(&self, node: &GraphNode, extension: &Extension) -> Result<AnalysisPlan, PlanError> {
        let here = |unsupported: Unsupported| unsupported.at(node);
        let (motion, mut rates) = self.way_before(node)?;
        // Behind a motion node every frame is annotated, so there is nothing to skip.
        if extension.sampling.skip_samples_without_annotation && motion.is_none() {
            return Err(here(Unsupported::new(
                "skipSamplesWithoutAnnotation is set and no node before it annotates frames, so it would be shown none",
                "put a MotionDetectionProcessor before it, or set it to \"false\"",
            )));
        }
        if let Some(rate) = extension.sampling.maximum_rate {
            rates.push(frame_rate(rate).ok_or_else(|| here(odd_rate()))?);
        }
        let client = self.client(node, extension).map_err(here)?;
        let (outputs, gates) = self.reached(node);
        Ok(AnalysisPlan {
            node: self.named(node),
            motion,
            rates,
            form: PictureForm::new(&extension.image),
            client,
            outputs,
            gates,
        })
    }

    fn motion(&self, node: &GraphNode, settings: &MotionDetection) -> Result<MotionPlan, PlanError> {
        let (motion, rates) = self.way_before(node)?;
        if motion.is_some() {
            return Err(Unsupported::new(
                "motion detection behind motion detection is not supported",
                "connect it to the camera",
            )
            .at(node));
        }
        let (outputs, gates) = self.reached(node);
        Ok(MotionPlan {
            node: self.named(node),
            settings: settings.clone(),
            rates,
            outputs,
            gates,
        })
    }

    /// Outputs of the message sinks behind a node, and places of the recordings whose gates it opens.
    fn reached(&self, node: &GraphNode) -> (Vec<Option<String>>, Vec<usize>) {
        let (mut outputs, mut gates) = (Vec::new(), Vec::new());
        for edge in self.graph.outputs(node.id) {
            let Some(to) = self.graph.node(edge.to) else {
                continue;
            };
            match &to.node {
                Node::MessageSink(sink) => outputs.push(sink.hub_output_name.clone()),
                Node::SignalGate(_) => {
                    let own = self.gates.iter().enumerate().filter(|(_, gate)| **gate == to.id);
                    gates.extend(own.map(|(place, _)| place));
                }
                _ => {}
            }
        }
        (outputs, gates)
    }

    /// Follows the frames from a node back to the camera, or to the motion node whose place is given, and collects the
    /// limits on the way.
    fn way_before(&self, node: &GraphNode) -> Result<(Option<usize>, Vec<FrameRate>), PlanError> {
        let mut rates = Vec::new();
        let mut at = node;
        let mut seen = BTreeSet::new();
        while seen.insert(at.id) {
            let mut feeds = self.graph.inputs(at.id).filter(|edge| edge.flow == Flow::Frames);
            let (feed, more) = (feeds.next(), feeds.next());
            if more.is_some() {
                return Err(Unsupported::new(
                    "frames from more than one node are not supported",
                    "connect one node with frames",
                )
                .at(at));
            }
            let Some(feed) = feed.and_then(|edge| self.graph.node(edge.from)) else {
                break;
            };
            match &feed.node {
                Node::FrameRateFilter(filter) => {
                    if let Some(rate) = filter.maximum_fps {
                        rates.push(frame_rate(rate).ok_or_else(|| odd_rate().at(feed))?);
                    }
                }
                Node::RtspSource(_) => break,
                Node::MotionDetection(_) => {
                    let place = self.motions.iter().position(|motion| *motion == feed.id);
                    // Planned before any extension; only motion behind motion finds none.
                    return Ok((Some(place.unwrap_or_default()), rates));
                }
                _ => {
                    return Err(Unsupported::new(
                        format!("extensions in line (after '{}') are not supported yet", feed.name),
                        "connect it to the camera or to a frame rate filter",
                    )
                    .at(node));
                }
            }
            at = feed;
        }
        Ok((None, rates))
    }

    fn client(&self, node: &GraphNode, extension: &Extension) -> Result<ClientPlan, Unsupported> {
        let (transfer, configuration) = match &extension.protocol {
            ExtensionProtocol::Http => {
                return Err(Unsupported::new(
                    "HTTP extensions are not supported yet",
                    "use a GrpcExtension",
                ));
            }
            ExtensionProtocol::Grpc {
                transfer,
                configuration,
            } => {
                let transfer = match transfer {
                    DataTransfer::Embedded => Transfer::Embedded,
                    DataTransfer::SharedMemory { bytes } => {
                        Transfer::SharedMemory(SharedMemoryOptions::default().with_bytes(*bytes))
                    }
                };
                (
                    transfer,
                    configuration.as_ref().map(|text| text.as_str().to_owned()),
                )
            }
            ExtensionProtocol::ComputerVision { operation } => {
                let configuration = match operation {
                    None => None,
                    Some(Operation::Custom { configuration }) => Some(configuration.as_str().to_owned()),
                    Some(_) => {
                        return Err(Unsupported::new(
                            "typed spatial-analysis operations are not supported yet",
                            "use a SpatialAnalysisCustomOperation with the container's configuration",
                        ));
                    }
                };
                // The node says nothing about memory: it is as large as the window of frames needs.
                (
                    Transfer::SharedMemory(SharedMemoryOptions::default()),
                    configuration,
                )
            }
        };
        let (url, credentials) = extension_endpoint(&extension.endpoint)?;
        Ok(ClientPlan {
            url,
            transfer,
            credentials,
            identity: GraphIdentity::new(self.graph.instance_name(), node.name.clone()),
            configuration,
        })
    }
}

fn odd_rate() -> Unsupported {
    Unsupported::new(
        "the frame rate has too many digits",
        "write it with nine digits at most",
    )
}

fn extension_endpoint(endpoint: &Endpoint) -> Result<(ExtensionUrl, Option<Credentials>), Unsupported> {
    if endpoint.tls.is_some() {
        return Err(Unsupported::new(
            "extensions behind TLS are not supported yet",
            "use an UnsecuredEndpoint, on a network that you trust",
        ));
    }
    let url = endpoint
        .url
        .as_str()
        .parse()
        .map_err(|error: lva_extension_protocol::UrlError| {
            Unsupported::new(error.to_string(), "correct the endpoint's url")
        })?;
    let credentials = match &endpoint.credentials {
        None => None,
        Some(ModelCredentials::UsernamePassword { username, password }) => {
            Some(Credentials::new(username.as_str(), password.expose()))
        }
        Some(ModelCredentials::HttpHeader { .. } | ModelCredentials::SymmetricKey(_)) => {
            return Err(Unsupported::new(
                "a gRPC extension takes a user name and a password only",
                "use UsernamePasswordCredentials",
            ));
        }
    };
    Ok((url, credentials))
}

#[cfg(test)]
mod tests;
