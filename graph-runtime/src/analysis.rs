//! Analysis nodes, which process frames: extensions, and nodes in this process. With their inputs and outputs.
//!
//! | file | |
//! | --- | --- |
//! | `grpc` | a node that sends frames over gRPC, in messages or shared memory |
//! | `http` | a node that posts one picture at a time |
//! | `in_process` | a node in this process, on a thread of its own: a custom one, or one of the contract |
//! | `receiver` | how a node takes frames from its input slot |
//! | `render_thread` | renders frames into slots of the extension |
//! | `results` | the results of a node, and what it dropped |
//! | `failure_throttle` | which of its failures are reported |

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lva_extension_protocol::BackoffPolicy;
use lva_framing::Pacer;
use tokio::task::JoinHandle;

use self::grpc::GrpcNode;
use self::http::HttpNode;
use self::in_process::InProcessNode;
use self::results::Results;
use crate::convert::extension::ClientPlan;
use crate::emitter::EventEmitter;
use crate::flow::{DownstreamFanout, InputSlot, NodeInput, NodeOutputs, ResultOutputs};
use crate::options::RuntimeOptions;
use crate::plan::{AnalysisId, AnalysisPlan, Analyzer, Downstream, FrameSource, SourceId, TrackerPlan};
use crate::record::Recorders;
use crate::thread::Worker;
use crate::tracking::TrackerNode;

mod failure_throttle;
mod grpc;
mod http;
mod in_process;
mod receiver;
mod render_thread;
mod results;

/// How long a node waits for the answers to frames in flight when it stops.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// How long a node waits for its extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeTimeouts {
    /// Before it opens another session.
    backoff: BackoffPolicy,
    /// For an answer.
    answer: Duration,
    /// For the answers to frames in flight, when it stops.
    last_answers: Duration,
}

impl NodeTimeouts {
    pub(crate) fn of(options: &RuntimeOptions) -> Self {
        Self {
            backoff: options.extension_backoff,
            answer: options.answer_timeout,
            last_answers: LAST_ANSWERS,
        }
    }
}

/// Why an instance could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The system's limit of threads is reached.
    #[error("could not start a thread: {0}; raise the limit of threads of this process")]
    Thread(io::Error),
    /// The endpoint's settings do not make a client.
    #[error("{reason}")]
    Client {
        /// The node's name.
        node: String,
        /// The error of the client.
        reason: String,
    },
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Thread(error)
    }
}

/// An analysis node, ready to run.
pub(crate) enum AnalysisNode {
    Grpc(Box<GrpcNode>),
    Http(Box<HttpNode>),
    InProcess(Box<InProcessNode>),
}

impl AnalysisNode {
    pub(crate) fn spawn(self) -> JoinHandle<()> {
        match self {
            Self::Grpc(node) => tokio::spawn(node.run()),
            Self::Http(node) => tokio::spawn(node.run()),
            Self::InProcess(node) => tokio::spawn(node.run()),
        }
    }
}

/// A node's input, and the source whose pictures it gets.
pub(crate) type SourceInput = (SourceId, NodeInput);

/// Builds the analysis nodes of an instance.
pub(crate) struct AnalysisBuilder<'a> {
    pub(crate) recorders: &'a Recorders,
    pub(crate) emitter: &'a EventEmitter,
    pub(crate) timeouts: NodeTimeouts,
    /// Whether extensions are asked for what is only to be looked at.
    pub(crate) previews: bool,
}

impl AnalysisBuilder<'_> {
    /// Builds the nodes, and the inputs of those that take their frames from the decoder of a source. The nodes are in the order of the
    /// plans, each after the one that feeds it, which is also the order in which they end.
    pub(crate) fn start(
        self,
        plans: Vec<AnalysisPlan>,
        workers: &mut Vec<Worker>,
    ) -> Result<(Vec<SourceInput>, Vec<AnalysisNode>), StartError> {
        let mut node_inputs: Vec<(FrameSource, SourceInput)> = Vec::new();
        let mut nodes = Vec::new();
        // In reverse, so that each finds the inputs of the nodes behind it.
        for (index, plan) in plans.into_iter().enumerate().rev() {
            let this = FrameSource::Analysis(AnalysisId(index));
            let behind = node_inputs.extract_if(.., |(source, _)| *source == this);
            let behind: Vec<NodeInput> = behind.map(|(_, (_, node_input))| node_input).collect();
            let fanout = (!behind.is_empty()).then(|| Arc::new(DownstreamFanout::new(behind)));
            let outputs = NodeOutputs {
                node: self.emitter.node(plan.node.clone()),
                outputs: self.outputs(&plan.downstream, plan.source),
            };
            let slot = InputSlot::default();
            let input = node_input(&plan, slot.clone(), fanout.clone(), outputs.clone());
            node_inputs.push((plan.frames, (plan.source, input)));
            nodes.push(self.node(plan, outputs, slot, fanout, workers)?);
        }
        nodes.reverse();
        let node_inputs = node_inputs.into_iter().rev();
        Ok((node_inputs.map(|(_, node_input)| node_input).collect(), nodes))
    }

    fn node(
        &self,
        plan: AnalysisPlan,
        outputs: NodeOutputs,
        slot: InputSlot,
        fanout: Option<Arc<DownstreamFanout>>,
        workers: &mut Vec<Worker>,
    ) -> Result<AnalysisNode, StartError> {
        let source = plan.source;
        let trackers = plan
            .trackers
            .into_iter()
            .map(|tracker| self.tracker(tracker, source));
        let results = Results::new(outputs, trackers.collect(), fanout);
        let (spec, client) = match plan.analyzer {
            Analyzer::Extension { spec, client } => (spec, client),
            // Its thread is not among the workers: a custom node that stalls must not hold up the others.
            Analyzer::InProcess(custom) => {
                let node = InProcessNode::new(*custom, slot, results, self.timeouts)?;
                return Ok(AnalysisNode::InProcess(Box::new(node)));
            }
        };
        let (node, worker) = match client {
            ClientPlan::Grpc(mut client) => {
                client.previews = self.previews;
                let (node, worker) = GrpcNode::new(*client, spec, slot, results, self.timeouts)?;
                (AnalysisNode::Grpc(Box::new(node)), worker)
            }
            ClientPlan::Http(options) => {
                let (node, worker) = HttpNode::new(*options, spec, slot, results, self.timeouts)?;
                (AnalysisNode::Http(Box::new(node)), worker)
            }
        };
        workers.push(worker);
        Ok(node)
    }

    fn outputs(&self, downstream: &Downstream, source: SourceId) -> ResultOutputs {
        ResultOutputs {
            outputs: downstream.outputs.clone(),
            gates: self.recorders.gates_for(&downstream.gates, source),
            metadata_sinks: self.recorders.metadata_sinks(&downstream.recordings, source),
        }
    }

    fn tracker(&self, plan: TrackerPlan, source: SourceId) -> TrackerNode {
        let outputs = self.outputs(&plan.downstream, source);
        let lines = plan
            .lines
            .iter()
            .map(|line| self.outputs(&line.downstream, source));
        let lines = lines.collect();
        TrackerNode::new(plan, outputs, lines, self.emitter)
    }
}

/// The input of a node. Without nodes behind it, what exceeds its own limit is not even decoded.
fn node_input(
    plan: &AnalysisPlan,
    slot: InputSlot,
    fanout: Option<Arc<DownstreamFanout>>,
    outputs: NodeOutputs,
) -> NodeInput {
    let mut filters = plan.filters.clone();
    let mut own_limit = plan.own_limit.map(Pacer::new);
    if fanout.is_none()
        && !plan.annotated_only
        && let Some(limit) = own_limit.take()
    {
        filters.limit(limit);
    }
    NodeInput {
        motion: match plan.frames {
            FrameSource::Motion(motion) => Some(motion),
            FrameSource::Camera | FrameSource::Analysis(_) => None,
        },
        filters,
        own_limit,
        annotated_only: plan.annotated_only,
        slot,
        fanout,
        outputs,
    }
}
