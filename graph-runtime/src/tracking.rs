//! Object tracking and line crossing, on the results of an extension.

use lva_graph_model::nodes::LineCrossing;
use lva_zones::report::{IdSource, LineCrossingReporter};
use lva_zones::{Engine, Observation, SpatialEvent, Tracker, TrackerOptions};

use crate::convert::tracking::{Classes, line_scene};
use crate::emitter::{EventEmitter, NodeReporter};
use crate::event::NodeRef;
use crate::flow::{FrameMeta, ResultOutputs};
use crate::plan::{LinePlan, TrackerPlan};
use crate::stats::DropReason;

/// An object tracker, with the line crossings behind it.
///
/// It tracks objects over the frames that the extension has answered, empty answers included. `accuracy` has no effect:
/// lower accuracy would save less than a millisecond. Tracks continue across sessions of the extension, and end when the
/// camera was disconnected for long.
#[derive(Debug)]
pub(crate) struct TrackerNode {
    node: NodeReporter,
    is_node: bool,
    outputs: ResultOutputs,
    tracker: Tracker,
    reporter: LineCrossingReporter,
    classes: Classes,
    lines: Vec<LineNode>,
    context: Option<Context>,
    objects: Vec<Observation>,
}

/// What the tracks belong to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Context {
    epoch: u64,
    aspect: f64,
}

#[derive(Debug)]
struct LineNode {
    node: NodeReporter,
    settings: LineCrossing,
    outputs: ResultOutputs,
    engine: Option<Engine>,
    reporter: LineCrossingReporter,
}

impl TrackerNode {
    /// `outputs` are the tracker's; `line_outputs` those of its line crossings, in their order.
    pub(crate) fn new(
        plan: TrackerPlan,
        outputs: ResultOutputs,
        line_outputs: Vec<ResultOutputs>,
        emitter: &EventEmitter,
    ) -> Self {
        let lines = plan.lines.into_iter().zip(line_outputs);
        let line = |(plan, outputs): (LinePlan, ResultOutputs)| LineNode {
            reporter: LineCrossingReporter::new(ids_of(&plan.node)),
            node: emitter.node(plan.node),
            settings: plan.settings,
            outputs,
            engine: None,
        };
        Self {
            reporter: LineCrossingReporter::new(ids_of(&plan.node)),
            node: emitter.node(plan.node),
            is_node: plan.is_node,
            outputs,
            tracker: Tracker::new(TrackerOptions::default()),
            classes: Classes::default(),
            lines: lines.map(line).collect(),
            context: None,
            objects: Vec::new(),
        }
    }

    /// Takes the results of a frame.
    pub(crate) fn process(&mut self, meta: &FrameMeta) {
        let context = Context {
            epoch: meta.epoch,
            aspect: meta.aspect,
        };
        if self.context != Some(context) {
            self.begin(context);
        }
        let mut found = self.classes.detections(&meta.results);
        let reported = found.len();
        found.retain(|object| object.bbox.is_valid() && !object.score.is_nan());
        self.node
            .dropped(DropReason::InvalidObject, (reported - found.len()) as u64);
        let time = meta.timestamp_90k;
        // Answers may come in any order; the tracks are worth more than a frame that comes too late.
        if let Err(error) = self.tracker.update_into(time, &found, &mut self.objects) {
            tracing::debug!(node = self.node.name(), %error, "a late frame was not tracked");
            return;
        }
        let classes = &self.classes;
        let entities = self
            .reporter
            .report(&self.objects, &[], |class| classes.name(class));
        if self.node.is_observed() {
            self.node.show(time, &entities.clone().into());
        }
        if !entities.is_empty() {
            self.outputs.emit(&self.node, time, &entities);
        }
        if self.is_node {
            self.node.frame_done(meta.received_at);
        }
        for line in &mut self.lines {
            line.process(meta, &self.objects, classes);
        }
    }

    /// Drops all tracks at the next frame.
    pub(crate) fn reset(&mut self) {
        self.context = None;
    }

    fn begin(&mut self, context: Context) {
        self.tracker = Tracker::new(TrackerOptions {
            aspect: context.aspect,
            ..TrackerOptions::default()
        });
        for line in &mut self.lines {
            line.begin(context.aspect);
        }
        self.context = Some(context);
    }
}

impl LineNode {
    fn begin(&mut self, aspect: f64) {
        self.engine = match line_scene(&self.settings, aspect) {
            Ok(scene) => Some(Engine::new(scene)),
            Err(error) => {
                tracing::error!(
                    node = self.node.name(),
                    %error,
                    "invalid lines; crossings are not detected"
                );
                None
            }
        };
    }

    fn process(&mut self, meta: &FrameMeta, objects: &[Observation], classes: &Classes) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        let time = meta.timestamp_90k;
        let crossed: Vec<SpatialEvent> = match engine.update(time, objects) {
            Ok(crossed) => crossed,
            Err(error) => {
                tracing::debug!(node = self.node.name(), %error, "a late frame was not examined");
                return;
            }
        };
        if !crossed.is_empty() {
            // Of the objects, only those that cross: the event is about them.
            let found = self.reporter.report(&[], &crossed, |class| classes.name(class));
            if self.node.is_observed() {
                self.node.show(time, &found.clone().into());
            }
            self.outputs.emit(&self.node, time, &found);
        }
        self.node.frame_done(meta.received_at);
    }
}

/// Ids that differ from node to node and are the same from run to run.
fn ids_of(node: &NodeRef) -> IdSource {
    let mut seed = 0xcbf2_9ce4_8422_2325_u64;
    for byte in node.subject.to_string().bytes() {
        seed = (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    IdSource::new(seed)
}
