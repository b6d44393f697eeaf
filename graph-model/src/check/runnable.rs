//! The pass that finds graphs that no instance can run: nodes whose frames come from where they cannot, nodes that would record
//! two streams as one, and inputs whose selectors leave no video. A runtime refuses nothing else about how nodes are connected.

use super::flow;
use super::nodes::{ParsedNode, Selectors, unresolved};
use super::references::ParsedEdge;
use crate::diagnostic::{DiagnosticCode, Findings};
use crate::graph::{Flow, Node, Sampling, VIDEO_MEDIA_TYPES};
use crate::kind::NodeKind;

/// Which node the frames of an output come from, behind nodes that only drop some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Camera,
    Motion,
    /// An extension or a custom node.
    Analysis,
    /// A tracker or line crossing, whose output is results.
    Tracking,
    /// Not known, or wrong in a way that was reported.
    Unknown,
}

/// For each of [`VIDEO_MEDIA_TYPES`], whether video of the type passes.
type Passing = [bool; VIDEO_MEDIA_TYPES.len()];

const ALL: Passing = [true; VIDEO_MEDIA_TYPES.len()];

/// What comes out of a node.
#[derive(Debug, Clone, Copy)]
struct Output {
    origin: Origin,
    video: Passing,
    /// The RTSP source of its media or frames, where that is known.
    stream: Option<usize>,
}

const UNKNOWN: Output = Output {
    origin: Origin::Unknown,
    video: ALL,
    stream: None,
};

pub(crate) fn check(parsed: &[ParsedNode], edges: &[ParsedEdge], order: &[usize], findings: &mut Findings) {
    findings.count_steps(parsed.len() + edges.len());
    let mut inputs: Vec<Vec<&ParsedEdge>> = vec![Vec::new(); parsed.len()];
    for edge in edges {
        if let Some(list) = inputs.get_mut(edge.to) {
            list.push(edge);
        }
    }
    let unresolved = unresolved(parsed);
    let mut outputs = vec![UNKNOWN; parsed.len()];
    // Each after those that feed it.
    for &i in order {
        let (Some(node), Some(inputs)) = (parsed.get(i), inputs.get(i)) else {
            continue;
        };
        let Some(kind) = node.kind else { continue };
        let mut pass = Pass {
            parsed,
            outputs: &outputs,
            node,
            kind,
            findings,
        };
        let output = match unresolved.get(i) {
            Some(false) => pass.output(i, inputs),
            _ => UNKNOWN,
        };
        if let Some(slot) = outputs.get_mut(i) {
            *slot = output;
        }
    }
}

/// One node, with what comes out of those before it.
struct Pass<'a> {
    parsed: &'a [ParsedNode],
    outputs: &'a [Output],
    node: &'a ParsedNode,
    kind: NodeKind,
    findings: &'a mut Findings,
}

impl<'a> Pass<'a> {
    /// Checks the inputs, and returns what comes out of the node.
    fn output(&mut self, index: usize, inputs: &[&'a ParsedEdge]) -> Output {
        if self.kind == NodeKind::RtspSource {
            return Output {
                origin: Origin::Camera,
                video: ALL,
                stream: Some(index),
            };
        }
        let mut frames = None;
        let mut video = None;
        let mut stream = None;
        for edge in inputs {
            let Some((from, from_kind)) = self.giver(edge) else {
                continue;
            };
            let before = self.outputs.get(edge.from).copied().unwrap_or(UNKNOWN);
            match flow(from_kind, self.kind) {
                Flow::Messages | Flow::Signals => self.check_selectors_of_messages(&edge.selectors),
                Flow::Media => {
                    let passing = self.passing(edge, from, before);
                    video.get_or_insert(passing);
                    self.check_stream(edge, from, stream, before.stream);
                    stream = stream.or(before.stream);
                }
                Flow::Frames if frames.is_some() => {
                    let message = format!(
                        "{} gets frames from more than one node, which is not supported: connect one node with frames",
                        self.node.what()
                    );
                    self.not_supported(&edge.pointer, message);
                }
                Flow::Frames => {
                    let passing = self.passing(edge, from, before);
                    video.get_or_insert(passing);
                    stream = before.stream;
                    frames = Some(self.check_frames(edge, (from, from_kind), before.origin));
                }
            }
        }
        Output {
            origin: frames.unwrap_or(Origin::Unknown),
            video: video.unwrap_or(ALL),
            stream,
        }
    }

    /// Media of two streams have different parameters, and cannot be one recording.
    fn check_stream(
        &mut self,
        edge: &ParsedEdge,
        from: &ParsedNode,
        first: Option<usize>,
        here: Option<usize>,
    ) {
        if first.is_some() && here.is_some() && first != here {
            let message = format!(
                "{} gets the media of a second RTSP source from {}, but it records one stream: name the source to record \
                 alone, and put a gate and a sink of its own behind the other one",
                self.node.what(),
                from.what()
            );
            self.not_supported(&edge.pointer, message);
        }
    }

    fn giver(&self, edge: &ParsedEdge) -> Option<(&'a ParsedNode, NodeKind)> {
        let from = self.parsed.get(edge.from)?;
        Some((from, from.kind?))
    }

    fn not_supported(&mut self, at: &str, message: String) {
        self.findings.error(DiagnosticCode::NotSupported, at, message);
    }

    /// Whether a node can take its frames from where they come from. Returns where its own come from.
    fn check_frames(
        &mut self,
        edge: &ParsedEdge,
        (from, from_kind): (&ParsedNode, NodeKind),
        origin: Origin,
    ) -> Origin {
        let (what, giver) = (self.node.what(), from.what());
        match self.kind {
            NodeKind::MotionDetection => {
                if !matches!(origin, Origin::Camera | Origin::Unknown) {
                    let message = format!(
                        "{what} is fed by {giver}, but motion detection behind motion detection, an extension or a \
                         tracker is not supported: feed it from the RTSP source"
                    );
                    self.not_supported(&edge.pointer, message);
                }
                Origin::Motion
            }
            NodeKind::FrameRateFilter => origin,
            kind if kind.inspects_frames() => {
                if origin == Origin::Tracking {
                    let message = format!(
                        "{what} is fed by {giver}, but frames from a tracker or a line crossing are not supported: feed \
                         it from the RTSP source, a frame rate filter, a motion detector or an extension"
                    );
                    self.not_supported(&edge.pointer, message);
                }
                if origin == Origin::Camera && self.skips_without_annotation() {
                    let message = format!(
                        "'skipSamplesWithoutAnnotation' of {what} is true and no node before it annotates frames, so it \
                         would get none: put a MotionDetectionProcessor before it, or set it to \"false\""
                    );
                    self.not_supported(&self.node.pointer, message);
                }
                Origin::Analysis
            }
            NodeKind::ObjectTracking => {
                // Without an extension anywhere before it, that was reported.
                let behind_others = matches!(origin, Origin::Analysis | Origin::Tracking);
                if behind_others && !from_kind.inspects_frames() {
                    let message = format!(
                        "{what} is fed by {giver}, which detects no objects: feed it from an extension"
                    );
                    self.not_supported(&edge.pointer, message);
                }
                Origin::Tracking
            }
            NodeKind::LineCrossing => {
                let follows = from_kind.inspects_frames() || from_kind == NodeKind::ObjectTracking;
                if matches!(origin, Origin::Analysis | Origin::Tracking) && !follows {
                    let message = format!(
                        "{what} is fed by {giver}, which tracks no objects: feed it from an object tracker or an extension"
                    );
                    self.not_supported(&edge.pointer, message);
                }
                Origin::Tracking
            }
            _ => Origin::Unknown,
        }
    }

    fn skips_without_annotation(&self) -> bool {
        let sampling: Option<Sampling> = match &self.node.node {
            Some(Node::Extension(extension)) => Some(extension.sampling),
            Some(Node::Custom(custom)) => Some(custom.sampling()),
            _ => None,
        };
        sampling.is_some_and(|sampling| sampling.skip_samples_without_annotation)
    }

    /// Which video reaches the node; reports an input that lets none pass.
    fn passing(&mut self, edge: &ParsedEdge, from: &ParsedNode, before: Output) -> Passing {
        let mut video = before.video;
        for (passes, kind) in video.iter_mut().zip(VIDEO_MEDIA_TYPES) {
            *passes &= edge.selectors.list.iter().all(|selector| selector.selects(kind));
        }
        if video.contains(&true) {
            return video;
        }
        let does = match self.kind {
            NodeKind::SignalGate => "passes video on",
            kind if kind.is_media_sink() => "records video",
            _ => "looks at pictures",
        };
        let message = format!(
            "{} {does}, but the selectors on the way from the camera exclude all video (at its input '{}'): select \
             'video', or remove the selectors",
            self.node.what(),
            from.name
        );
        let at = match edge.selectors.pointer.as_str() {
            "" => &edge.pointer,
            pointer => pointer,
        };
        self.findings.error(DiagnosticCode::VideoExcluded, at, message);
        // Not once more at each node behind it.
        ALL
    }

    fn check_selectors_of_messages(&mut self, selectors: &Selectors) {
        if !selectors.list.is_empty() {
            let message = format!(
                "the selectors of an input of {} have no effect: they choose media, and results are none",
                self.node.what()
            );
            self.findings
                .hint(DiagnosticCode::MemberIgnored, &selectors.pointer, message);
        }
    }
}
