//! The extension nodes of an instance, and those of the program's own, each with the way into it and out of it.

use std::io;
use std::sync::Arc;

use lva_framing::Pacer;
use tokio::task::JoinHandle;

use crate::analysis::{Analysis, Entrance, Patience};
use crate::ask::{AskError, Asking};
use crate::frame::{Passage, Tap};
use crate::instance::{Recorders, Speaker};
use crate::own::Own;
use crate::plan::{AnalysisPlan, Feed, Looker, Reach, TrackerPlan};
use crate::results::{Exits, Results, WayOut};
use crate::seam::extension::ClientPlan;
use crate::thread::Worker;
use crate::track::TrackerNode;

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
pub(crate) enum Asker {
    Grpc(Box<Analysis>),
    Http(Box<Asking>),
    Own(Box<Own>),
}

impl Asker {
    pub(crate) fn spawn(self) -> JoinHandle<()> {
        match self {
            Self::Grpc(analysis) => tokio::spawn(analysis.run()),
            Self::Http(asking) => tokio::spawn(asking.run()),
            Self::Own(own) => tokio::spawn(own.run()),
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
    ) -> Result<(Vec<Tap>, Vec<Asker>), StartError> {
        let mut taps: Vec<(Feed, Tap)> = Vec::new();
        let mut askers = Vec::new();
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
            askers.push(self.node(plan, way_out, entrance, passage, workers)?);
        }
        askers.reverse();
        let mut taps: Vec<Tap> = taps.into_iter().map(|(_, tap)| tap).collect();
        taps.reverse();
        Ok((taps, askers))
    }

    fn node(
        &mut self,
        plan: AnalysisPlan,
        way_out: WayOut,
        entrance: Entrance,
        passage: Option<Arc<Passage>>,
        workers: &mut Vec<Worker>,
    ) -> Result<Asker, StartError> {
        let trackers = self.trackers(&plan.reach);
        let name = plan.node.name.clone();
        let results = Results::new(way_out, trackers, passage);
        let (form, client) = match plan.looker {
            Looker::Extension { form, client } => (form, client),
            // Its thread is its own business: nobody else waits for one that hangs.
            Looker::Own(own) => {
                let own = Own::new(*own, entrance, results, self.patience)?;
                return Ok(Asker::Own(Box::new(own)));
            }
        };
        let (asker, worker) = match client {
            ClientPlan::Grpc(client) => {
                let (node, worker) = Analysis::new(*client, form, entrance, results, self.patience)?;
                (Asker::Grpc(Box::new(node)), worker)
            }
            ClientPlan::Http(options) => {
                let options = options
                    .with_backoff(self.patience.backoff)
                    .with_answer_timeout(self.patience.answer);
                let made = Asking::new(options, form, entrance, results).map_err(|error| match error {
                    AskError::Thread(error) => StartError::Thread(error),
                    AskError::Tls(error) => StartError::Client {
                        node: name,
                        reason: error.to_string(),
                    },
                })?;
                (Asker::Http(Box::new(made.0)), made.1)
            }
        };
        workers.push(worker);
        Ok(asker)
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
        mailbox: Arc::clone(&entrance.mailbox),
        replaced: Arc::clone(&entrance.replaced),
        passage,
        way_out,
    }
}
