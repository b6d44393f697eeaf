//! The passes that check the shape of a graph: flows, placement rules, counts.

use super::nodes::{ParsedNode, unresolved};
use super::references::ParsedEdge;
use crate::diagnostic::{DiagnosticCode, Findings};
use crate::generation::Generation;
use crate::graph::Flow;
use crate::kind::{NodeKind, Role};

use super::flow;

/// Most RTSP sources of a topology: the main stream of a camera, and its sub-stream.
const MAX_STREAMS: usize = 2;

/// What the nodes upstream of a node produce, directly or indirectly.
#[derive(Debug, Clone, Copy, Default)]
struct Upstream {
    inferences: bool,
    /// An extension or a custom node.
    extension: bool,
}

pub(crate) fn check(
    parsed: &[ParsedNode],
    edges: &[ParsedEdge],
    order: &[usize],
    at: &str,
    generation: Generation,
    findings: &mut Findings,
) {
    // Each of the passes below looks at every node or every edge once, upstream at both.
    findings.count_steps(4 * (parsed.len() + edges.len()));
    let unresolved = unresolved(parsed);
    let upstream = trace_upstream(parsed, edges, order, &unresolved);
    for edge in edges {
        let (Some(from), Some(to)) = (parsed.get(edge.from), parsed.get(edge.to)) else {
            continue;
        };
        if let (Some(from_kind), Some(to_kind)) = (from.kind, to.kind) {
            let known = upstream.get(edge.from).copied().unwrap_or_default();
            check_edge((from, from_kind), (to, to_kind), known, &edge.pointer, findings);
        }
    }
    check_inputs(parsed, edges, &unresolved, findings);
    check_outputs(parsed, edges, &unresolved, at, findings);
    check_counts(parsed, at, generation, findings);
}

/// For each node, what it and all nodes upstream produce.
fn trace_upstream(
    parsed: &[ParsedNode],
    edges: &[ParsedEdge],
    order: &[usize],
    unresolved: &[bool],
) -> Vec<Upstream> {
    let mut inputs: Vec<Vec<usize>> = vec![Vec::new(); parsed.len()];
    for edge in edges {
        if let Some(list) = inputs.get_mut(edge.to) {
            list.push(edge.from);
        }
    }
    let mut known = vec![Upstream::default(); parsed.len()];
    for &i in order {
        // A node of unknown kind is assumed to produce everything: it already has a finding. So is a node whose input an
        // instance decides.
        let is_unresolved = unresolved.get(i).copied().unwrap_or(true);
        let kind = parsed
            .get(i)
            .filter(|_| !is_unresolved)
            .and_then(|node| node.kind);
        let mut here = Upstream {
            inferences: kind.is_none_or(|k| k.emits_inferences() || k == NodeKind::MessageSource),
            extension: kind.is_none_or(NodeKind::inspects_frames),
        };
        for from in inputs.get(i).into_iter().flatten() {
            let before = known.get(*from).copied().unwrap_or_default();
            here.inferences |= before.inferences;
            here.extension |= before.extension;
        }
        if let Some(slot) = known.get_mut(i) {
            *slot = here;
        }
    }
    known
}

fn check_edge(
    (from, from_kind): (&ParsedNode, NodeKind),
    (to, to_kind): (&ParsedNode, NodeKind),
    known: Upstream,
    at: &str,
    findings: &mut Findings,
) {
    use NodeKind as K;
    let (giver, taker) = (from.what(), to.what());
    let mut rule = |keeps: bool, text: &str| {
        if !keeps {
            let message = format!("{taker} is fed by {giver}, but the retired product allowed {text}");
            findings.rule(DiagnosticCode::PlacementRule, at, message);
        }
    };
    match to_kind {
        K::MotionDetection => rule(
            from_kind == K::RtspSource,
            "a motion detector directly after an RTSP source only",
        ),
        K::FrameRateFilter => rule(
            matches!(from_kind, K::RtspSource | K::MotionDetection),
            "a frame rate filter directly after an RTSP source or a motion detector only",
        ),
        K::ObjectTracking => rule(
            matches!(from_kind, K::HttpExtension | K::GrpcExtension | K::Custom),
            "a tracker directly after an HTTP or gRPC extension only",
        ),
        K::LineCrossing => rule(
            from_kind == K::ObjectTracking || from_kind.inspects_frames(),
            "line crossing directly after a tracker only",
        ),
        K::MessageSink => {
            rule(
                from_kind != K::MessageSource,
                "no message sink directly after a message source",
            );
            rule(
                from_kind != K::SignalGate,
                "sinks of media only directly after a signal gate",
            );
        }
        // No rule of its own.
        _ => {}
    }
    if to_kind == K::FileSink && from_kind == K::RtspSource {
        let message = format!(
            "{taker} is fed by {giver}, but a continuous recording into one file would grow without limit: put a \
             signal gate before it, or use an asset or a video"
        );
        findings.error(DiagnosticCode::NotSupported, at, message);
    }
    if to.role == Role::Processor && from_kind == K::SignalGate {
        let message = format!(
            "{taker} is fed by gate '{}', which passes media for recording and no frames: use the node before the gate as its input",
            from.name
        );
        findings.error(DiagnosticCode::ProcessorBehindGate, at, message);
    } else if to.role == Role::Processor && to_kind != K::SignalGate && from_kind == K::MessageSource {
        let message = format!(
            "{taker} works on frames, but {giver} carries messages only: feed it from an RTSP source"
        );
        findings.error(DiagnosticCode::MediaMissing, at, message);
    }
    if matches!(to_kind, K::ObjectTracking | K::LineCrossing) && !known.extension {
        let message = format!("{taker} follows what an extension has found, but none is before it: add one");
        findings.error(DiagnosticCode::DetectionsMissing, at, message);
    }
    let carries = matches!(from_kind, K::RtspSource | K::SignalGate);
    let beside = to_kind == K::VideoSink && from_kind == K::ObjectTracking;
    if to_kind.is_media_sink() && !carries && !beside {
        let message = format!(
            "{taker} records media as the camera sent it, which does not come from {giver}: feed it from an RTSP \
             source or a signal gate"
        );
        findings.error(DiagnosticCode::MediaSinkPlacement, at, message);
    }
    let takes_inferences = to_kind == K::MessageSink
        || to_kind == K::SignalGate && !matches!(from_kind, K::RtspSource | K::SignalGate);
    if takes_inferences && (!known.inferences || from_kind == K::SignalGate) {
        let message = format!(
            "nothing that {taker} could take comes from {giver}: feed it from an extension or a motion detector"
        );
        findings.warning(DiagnosticCode::NothingFlows, at, message);
    }
}

/// Checks what a node needs from all its inputs together.
fn check_inputs(parsed: &[ParsedNode], edges: &[ParsedEdge], unresolved: &[bool], findings: &mut Findings) {
    #[derive(Clone, Copy, Default)]
    struct Has {
        media: bool,
        signals: bool,
        unknown: bool,
        any: bool,
    }
    let mut all = vec![Has::default(); parsed.len()];
    for edge in edges {
        let from = parsed.get(edge.from).and_then(|d| d.kind);
        let to = parsed.get(edge.to).and_then(|d| d.kind);
        let Some(has) = all.get_mut(edge.to) else { continue };
        has.any = true;
        match from.zip(to).map(|(from, to)| flow(from, to)) {
            Some(Flow::Media) => has.media = true,
            Some(Flow::Signals) => has.signals = true,
            Some(Flow::Frames | Flow::Messages) => {}
            None => has.unknown = true,
        }
    }
    for ((node, has), is_unresolved) in parsed.iter().zip(all).zip(unresolved) {
        // No input at all, and inputs that lead nowhere, were reported already.
        if !has.any || has.unknown || node.inputs.is_empty() || *is_unresolved {
            continue;
        }
        match node.kind {
            Some(NodeKind::SignalGate) => {
                if !has.media {
                    let message = format!(
                        "{} gets no media: name an RTSP source among its inputs, next to what opens it",
                        node.what()
                    );
                    findings.error(DiagnosticCode::GateWithoutMedia, &node.pointer, message);
                }
                if !has.signals {
                    let message = format!(
                        "nothing opens {}: name a motion detector, an extension or a message source among its inputs",
                        node.what()
                    );
                    findings.error(DiagnosticCode::GateWithoutSignal, &node.pointer, message);
                }
            }
            Some(NodeKind::VideoSink) if !has.media => {
                let message = format!(
                    "{} gets no media: name an RTSP source or a gate among its inputs",
                    node.what()
                );
                findings.error(DiagnosticCode::MediaMissing, &node.pointer, message);
            }
            _ => {}
        }
    }
}

fn check_outputs(
    parsed: &[ParsedNode],
    edges: &[ParsedEdge],
    unresolved: &[bool],
    at: &str,
    findings: &mut Findings,
) {
    // An input that an instance decides may be any of them.
    let any_unresolved = unresolved.contains(&true);
    let mut used = vec![false; parsed.len()];
    for edge in edges {
        if let Some(used) = used.get_mut(edge.from) {
            *used = true;
        }
    }
    for (node, used) in parsed.iter().zip(used) {
        if !used && !any_unresolved && node.role != Role::Sink && !node.name.is_empty() {
            let message = format!(
                "no node uses the output of {}: name it as an input, or remove it",
                node.what()
            );
            findings.warning(DiagnosticCode::OutputUnused, &node.pointer, message);
        }
    }
    if !parsed.iter().any(|node| node.role == Role::Sink) {
        let message = "there is no sink, so this graph has no effect: add one";
        findings.warning(DiagnosticCode::SinkMissing, at, message);
    }
}

fn check_counts(parsed: &[ParsedNode], at: &str, generation: Generation, findings: &mut Findings) {
    let count = |kind: NodeKind| parsed.iter().filter(|node| node.kind == Some(kind)).count();
    let cameras = count(NodeKind::RtspSource);
    // A source of unknown type may have been meant as the camera.
    let unknown = parsed
        .iter()
        .any(|node| node.role == Role::Source && node.kind.is_none());
    if cameras == 0 && !unknown {
        let message = "there is no RTSP source: add one to 'sources'";
        findings.error(DiagnosticCode::RtspSourceMissing, at, message);
    }
    if cameras > MAX_STREAMS {
        let message = format!(
            "a topology has the streams of one camera, at most {MAX_STREAMS}, but this one has {cameras} RTSP sources: make a \
             topology for one camera, and an instance of it for each camera"
        );
        findings.error(DiagnosticCode::CountRule, at, message);
    } else if cameras > 1 {
        let message = "the retired product allowed one RTSP source per topology; here a second one is another stream of \
                       the same camera";
        findings.rule(DiagnosticCode::CountRule, at, message);
    }
    if generation == Generation::Lva1 {
        // Only the earliest list had these, and samples of the same generation break it.
        for kind in [
            NodeKind::MotionDetection,
            NodeKind::HttpExtension,
            NodeKind::AssetSink,
            NodeKind::FileSink,
        ] {
            let found = count(kind);
            if found > 1 {
                let name = kind.local_names().first().copied().unwrap_or_default();
                let message = format!(
                    "the first modules of {generation} allowed one {name} per topology, but this one has {found}"
                );
                findings.hint(DiagnosticCode::CountRule, at, message);
            }
        }
    }
}
