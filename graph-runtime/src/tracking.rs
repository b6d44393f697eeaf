//! Object tracking and line crossing, on what an extension finds.

use lva_inference_schema::Inference;
use lva_zones::report::{IdSource, LineCrossingReporter};
use lva_zones::{Engine, Observation, SpatialEvent, Tracker, TrackerOptions};

use crate::extension::Exits;
use crate::frame::About;
use crate::plan::{LinePlan, Named, TrackerPlan};
use crate::seam::tracking::{Classes, line_scene};
use crate::speaker::Speaker;

/// An object tracker, with the line crossings behind it.
///
/// It follows objects over the frames that the extension has answered, empty answers included; `accuracy` changes
/// nothing, for what it would spare is a small part of a millisecond. Objects are followed from session to session of
/// the extension, and anew when the camera was away for long.
#[derive(Debug)]
pub(crate) struct TrackerNode {
    node: Named,
    exits: Exits,
    tracker: Tracker,
    reporter: LineCrossingReporter,
    classes: Classes,
    lines: Vec<LineNode>,
    seen: Option<Seen>,
    objects: Vec<Observation>,
}

/// What the tracker's memory is about.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    epoch: u64,
    aspect: f64,
}

#[derive(Debug)]
struct LineNode {
    plan: LinePlan,
    exits: Exits,
    engine: Option<Engine>,
    reporter: LineCrossingReporter,
}

impl TrackerNode {
    /// `exits` are the tracker's own; `line_exits` those of its line crossings, in their order.
    pub(crate) fn new(plan: TrackerPlan, exits: Exits, line_exits: Vec<Exits>) -> Self {
        let lines = plan.lines.into_iter().zip(line_exits);
        let lines = lines.map(|(plan, exits)| LineNode {
            reporter: LineCrossingReporter::new(ids_of(&plan.node)),
            plan,
            exits,
            engine: None,
        });
        Self {
            reporter: LineCrossingReporter::new(ids_of(&plan.node)),
            node: plan.node,
            exits,
            tracker: Tracker::new(TrackerOptions::default()),
            classes: Classes::default(),
            lines: lines.collect(),
            seen: None,
            objects: Vec::new(),
        }
    }

    /// Takes the results of a frame.
    pub(crate) fn look(&mut self, about: &About, speaker: &Speaker) {
        let seen = Seen {
            epoch: about.epoch,
            aspect: about.aspect,
        };
        if self.seen != Some(seen) {
            self.begin(seen);
        }
        let found = self.classes.detections(&about.results);
        let time = about.timestamp_90k;
        // Answers may come in any order, and what was followed is worth more than a frame that comes too late.
        if let Err(error) = self.tracker.update_into(time, &found, &mut self.objects) {
            tracing::debug!(node = %self.node.name, %error, "a late frame was not looked at");
            return;
        }
        let classes = &self.classes;
        let entities = self
            .reporter
            .report(&self.objects, &[], |class| classes.name(class));
        if !entities.is_empty() {
            self.exits.say(speaker, &self.node, time, &entities);
        }
        // Tracking that a line crossing brings along is part of that node.
        if self
            .lines
            .iter()
            .all(|line| line.plan.node.name != self.node.name)
        {
            speaker.left(&self.node, about);
        }
        for line in &mut self.lines {
            line.look(about, &self.objects, classes, speaker);
        }
    }

    /// The next frame begins anew.
    pub(crate) fn forget(&mut self) {
        self.seen = None;
    }

    fn begin(&mut self, seen: Seen) {
        self.tracker = Tracker::new(TrackerOptions {
            aspect: seen.aspect,
            ..TrackerOptions::default()
        });
        for line in &mut self.lines {
            line.begin(seen.aspect);
        }
        self.seen = Some(seen);
    }
}

impl LineNode {
    fn begin(&mut self, aspect: f64) {
        self.engine = match line_scene(&self.plan.settings, aspect) {
            Ok(scene) => Some(Engine::new(scene)),
            Err(reason) => {
                tracing::error!(node = %self.plan.node.name, reason, "the lines cannot be watched");
                None
            }
        };
    }

    fn look(&mut self, about: &About, objects: &[Observation], classes: &Classes, speaker: &Speaker) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        let time = about.timestamp_90k;
        let crossed: Vec<SpatialEvent> = match engine.update(time, objects) {
            Ok(crossed) => crossed,
            Err(error) => {
                tracing::debug!(node = %self.plan.node.name, %error, "a frame was not looked at");
                return;
            }
        };
        if !crossed.is_empty() {
            // Of the objects, those that cross: the event is about them.
            let told: Vec<Inference> = self.reporter.report(&[], &crossed, |class| classes.name(class));
            self.exits.say(speaker, &self.plan.node, time, &told);
        }
        speaker.left(&self.plan.node, about);
    }
}

/// Ids that differ from node to node and are the same from run to run.
fn ids_of(node: &Named) -> IdSource {
    let mut seed = 0xcbf2_9ce4_8422_2325_u64;
    for byte in node.subject.to_string().bytes() {
        seed = (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    IdSource::new(seed)
}
