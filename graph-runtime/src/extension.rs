//! The extension nodes of an instance, and those of the program's own, each with the way into it and out of it.
//!
//! | File | |
//! | --- | --- |
//! | `grpc` | a node that sends frames over gRPC, in messages or shared memory |
//! | `http` | a node that posts one picture at a time |
//! | `own` | a node of the program's own, on a thread of its own |
//! | `entrance` | where pictures wait for a node |
//! | `render` | frames as a node asks for them, and the thread that fills slots with them |
//! | `results` | what a node has found, on its way out |
//! | `complaints` | which of its failures are news |

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lva_extension_protocol::BackoffPolicy;
use lva_framing::Pacer;
use tokio::task::JoinHandle;

use self::grpc::GrpcNode;
use self::http::{AskError, HttpNode};
use crate::frame::{Passage, Tap};
use crate::options::RuntimeOptions;
use crate::plan::{AnalysisPlan, Analyzer, Feed, Reach, TrackerPlan};
use crate::record::Recorders;
use crate::seam::extension::ClientPlan;
use crate::speaker::Speaker;
use crate::thread::Worker;
use crate::tracking::TrackerNode;

mod complaints;
mod custom;
mod entrance;
mod grpc;
mod http;
mod render;
mod results;

use self::custom::CustomNodeTask;
pub(crate) use self::custom::{Broken, CustomNodePlan, Maker};
pub(crate) use self::entrance::Entrance;
pub(crate) use self::render::FrameMaker;
use self::results::Results;
pub(crate) use self::results::{Exits, WayOut};

/// How long answers to frames on their way are waited for at an end.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// How long a node waits for whom it asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Before it asks for another session.
    backoff: BackoffPolicy,
    /// For an answer.
    answer: Duration,
    /// For the answers to frames on their way, at an end.
    last_answers: Duration,
}

impl Patience {
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
    /// The system gives no more threads.
    #[error("no thread could be started: {0}")]
    Thread(#[from] io::Error),
    /// A node's client cannot be made as the endpoint asks.
    #[error("{reason}")]
    Client {
        /// The node's name.
        node: String,
        /// What cannot be done.
        reason: String,
    },
}

/// An extension node, or one of the program's own, ready to run.
pub(crate) enum ExtensionNode {
    Grpc(Box<GrpcNode>),
    Http(Box<HttpNode>),
    Custom(Box<CustomNodeTask>),
}

impl ExtensionNode {
    pub(crate) fn spawn(self) -> JoinHandle<()> {
        match self {
            Self::Grpc(analysis) => tokio::spawn(analysis.run()),
            Self::Http(asking) => tokio::spawn(asking.run()),
            Self::Custom(own) => tokio::spawn(own.run()),
        }
    }
}

/// What extension nodes are made with.
pub(crate) struct Extensions<'a> {
    pub(crate) recorders: &'a Recorders,
    pub(crate) speaker: &'a Speaker,
    pub(crate) patience: Patience,
    /// Each is taken by the extension that it follows.
    pub(crate) trackers: Vec<Option<TrackerPlan>>,
}

impl Extensions<'_> {
    /// Makes the nodes, and the ways from the decoder into those that take their frames from it. The nodes come in the
    /// order of the plans, each after the one that feeds it, which is also the order in which they end.
    pub(crate) fn start(
        mut self,
        plans: Vec<AnalysisPlan>,
        workers: &mut Vec<Worker>,
    ) -> Result<(Vec<Tap>, Vec<ExtensionNode>), StartError> {
        let mut taps: Vec<(Feed, Tap)> = Vec::new();
        let mut nodes = Vec::new();
        // The last first, so that each finds the taps of those behind it.
        for (place, plan) in plans.into_iter().enumerate().rev() {
            let behind = taps.extract_if(.., |(feed, _)| *feed == Feed::Extension(place));
            let behind: Vec<Tap> = behind.map(|(_, tap)| tap).collect();
            let counters = self.speaker.counters().clone();
            let passage = (!behind.is_empty()).then(|| Arc::new(Passage::new(behind, counters)));
            let entrance = Entrance::default();
            let way_out = WayOut {
                node: plan.node.clone(),
                exits: self.exits(&plan.reach),
                speaker: self.speaker.clone(),
            };
            taps.push((plan.feed, tap(&plan, &entrance, passage.clone(), way_out.clone())));
            nodes.push(self.node(plan, way_out, entrance, passage, workers)?);
        }
        nodes.reverse();
        let mut taps: Vec<Tap> = taps.into_iter().map(|(_, tap)| tap).collect();
        taps.reverse();
        Ok((taps, nodes))
    }

    fn node(
        &mut self,
        plan: AnalysisPlan,
        way_out: WayOut,
        entrance: Entrance,
        passage: Option<Arc<Passage>>,
        workers: &mut Vec<Worker>,
    ) -> Result<ExtensionNode, StartError> {
        let trackers = self.trackers(&plan.reach);
        let name = plan.node.name.clone();
        let results = Results::new(way_out, trackers, passage);
        let (form, client) = match plan.analyzer {
            Analyzer::Extension { form, client } => (form, client),
            // Its thread is its own business: nobody else waits for one that hangs.
            Analyzer::Custom(own) => {
                let own = CustomNodeTask::new(*own, entrance, results, self.patience)?;
                return Ok(ExtensionNode::Custom(Box::new(own)));
            }
        };
        let (node, worker) = match client {
            ClientPlan::Grpc(client) => {
                let (node, worker) = GrpcNode::new(*client, form, entrance, results, self.patience)?;
                (ExtensionNode::Grpc(Box::new(node)), worker)
            }
            ClientPlan::Http(options) => {
                let made =
                    HttpNode::new(*options, form, entrance, results, self.patience).map_err(|error| {
                        match error {
                            AskError::Thread(error) => StartError::Thread(error),
                            AskError::Tls(error) => StartError::Client {
                                node: name,
                                reason: error.to_string(),
                            },
                        }
                    })?;
                (ExtensionNode::Http(Box::new(made.0)), made.1)
            }
        };
        workers.push(worker);
        Ok(node)
    }

    fn exits(&self, reach: &Reach) -> Exits {
        Exits {
            outputs: reach.outputs.clone(),
            gates: self.recorders.gates(&reach.gates),
            notes: self.recorders.notes(&reach.recordings),
        }
    }

    fn trackers(&mut self, reach: &Reach) -> Vec<TrackerNode> {
        let mut nodes = Vec::new();
        for place in &reach.trackers {
            let Some(plan) = self.trackers.get_mut(*place).and_then(Option::take) else {
                continue;
            };
            let exits = self.exits(&plan.reach);
            let lines = plan.lines.iter().map(|line| self.exits(&line.reach)).collect();
            nodes.push(TrackerNode::new(plan, exits, lines));
        }
        nodes
    }
}

/// The way into a node. Where nobody is behind it, what exceeds its own rate is not even decoded.
fn tap(plan: &AnalysisPlan, entrance: &Entrance, passage: Option<Arc<Passage>>, way_out: WayOut) -> Tap {
    let mut filters: Vec<Pacer> = plan.rates.iter().copied().map(Pacer::new).collect();
    let mut own = plan.shown.map(Pacer::new);
    if passage.is_none() && !plan.annotated_only {
        filters.extend(own.take());
    }
    Tap {
        node: plan.node.name.clone(),
        motion: match plan.feed {
            Feed::Motion(place) => Some(place),
            Feed::Camera | Feed::Extension(_) => None,
        },
        filters,
        own,
        annotated_only: plan.annotated_only,
        entrance: entrance.clone(),
        passage,
        way_out,
    }
}
