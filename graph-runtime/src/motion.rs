//! A motion detection node: looks at every picture that reaches it, on the decoder's thread.

use std::sync::Arc;
use std::time::Instant;

use lva_framing::{FractionBox, MotionDetector, MotionEvent, MotionWindow, Pacer, Picture};
use lva_inference_schema::Inference;

use crate::event::inference_event;
use crate::guard::{guarded, trap};
use crate::once_a_minute::OnceAMinute;
use crate::plan::MotionPlan;
use crate::record::SignalInput;
use crate::seam::motion::{detector_options, inference};
use crate::speaker::Speaker;
use crate::stats::DropReason;

/// One motion node at work.
///
/// Looking takes a small part of the time that decoding took, so it needs no thread of its own, and whoever is behind
/// the node learns with the picture whether it moves.
pub(crate) struct MotionNode {
    plan: MotionPlan,
    pacers: Vec<Pacer>,
    detector: MotionDetector,
    window: MotionWindow,
    gates: Vec<SignalInput>,
    speaker: Speaker,
    defects: OnceAMinute,
}

impl MotionNode {
    pub(crate) fn new(gates: Vec<SignalInput>, plan: MotionPlan, speaker: Speaker) -> Self {
        speaker.counters().motion(&plan.node.name, |_| {});
        Self {
            pacers: plan.rates.iter().copied().map(Pacer::new).collect(),
            detector: MotionDetector::new(detector_options(&plan.settings)),
            window: MotionWindow::new(plan.settings.event_aggregation_window),
            plan,
            gates,
            speaker,
            defects: OnceAMinute::default(),
        }
    }

    /// What moves in a picture that arrived at `received_at`, as the nodes behind this one get it with the picture; `None`
    /// where they do not get it.
    pub(crate) fn look(&mut self, picture: &Picture, received_at: Instant) -> Option<Arc<[Inference]>> {
        // What goes wrong in here concerns neither the decoder nor other nodes.
        guarded(|| self.looked(picture, received_at)).unwrap_or_else(|panicked| {
            let counters = self.speaker.counters();
            counters.dropped(&self.plan.node.name, DropReason::Defect, 1);
            self.speaker
                .stumbled(&self.plan.node, &mut self.defects, &panicked);
            self.detector = MotionDetector::new(detector_options(&self.plan.settings));
            self.window = MotionWindow::new(self.plan.settings.event_aggregation_window);
            None
        })
    }

    fn looked(&mut self, picture: &Picture, received_at: Instant) -> Option<Arc<[Inference]>> {
        trap("motion", &self.plan.node.name);
        let time = picture.timestamp_90k();
        if !self.pacers.iter_mut().all(|pacer| pacer.admit(time)) {
            return None;
        }
        let regions = self.detector.look_at(picture);
        let moves = !regions.is_empty();
        let step = self.window.push(regions, time);
        let found = moves.then(|| inferences(regions, self.plan.settings.output_motion_region));
        self.speaker.counters().motion(&self.plan.node.name, |stats| {
            stats.looked += 1;
            stats.moving += u64::from(moves);
        });
        if let Some(event) = step.event {
            self.say(&event);
        }
        if step.began {
            // Now, and not when the event's window is over: a clip should begin while its media are at hand.
            for gate in &self.gates {
                gate.signal(time);
            }
        }
        let counters = self.speaker.counters();
        counters.left(&self.plan.node.name, received_at, Instant::now());
        found
    }

    /// No picture comes for now: what was seen is said.
    pub(crate) fn pause(&mut self) {
        if let Some(event) = self.window.finish() {
            self.say(&event);
        }
    }

    fn say(&self, event: &MotionEvent) {
        let found = inferences(&event.regions, self.plan.settings.output_motion_region);
        let (subject, time) = (&self.plan.node.subject, event.timestamp_90k);
        self.speaker
            .counters()
            .motion(&self.plan.node.name, |stats| stats.events += 1);
        for output in &self.plan.reach.outputs {
            self.speaker
                .say(inference_event(subject, output.clone(), time, found.to_vec()));
        }
    }
}

/// One inference for each region, or a single one without a box where regions are not asked for.
fn inferences(regions: &[FractionBox], with_boxes: bool) -> Arc<[Inference]> {
    if with_boxes {
        regions.iter().map(|region| inference(Some(*region))).collect()
    } else {
        Arc::new([inference(None)])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lva_framing::{ColorMatrix, ColorRange, FrameRate, PictureFormat};
    use lva_graph_model::nodes::{MotionDetection, Sensitivity};
    use lva_inference_schema::{EventName, Subject};

    use super::*;
    use crate::plan::{Named, Reach};
    use crate::sink::Outlet;
    use crate::stats::Counters;

    fn picture(timestamp_90k: u64) -> Picture {
        let planes = [&[128; 64 * 48][..], &[128; 32 * 24][..], &[128; 32 * 24][..]];
        Picture::from_planes(
            PictureFormat::Yuv420p,
            (64, 48),
            planes,
            ColorMatrix::Bt601,
            ColorRange::Limited,
            timestamp_90k,
        )
        .unwrap()
    }

    fn watch(name: &str) -> (MotionNode, Counters) {
        let counters = Counters::default();
        let plan = MotionPlan {
            node: Named {
                name: name.to_owned(),
                subject: Subject::graph_instance("i"),
            },
            settings: MotionDetection {
                sensitivity: Sensitivity::Medium,
                output_motion_region: true,
                event_aggregation_window: Duration::from_secs(1),
            },
            rates: vec![FrameRate::new(1, 1).unwrap()],
            reach: Reach::default(),
        };
        let speaker = Speaker::new(Outlet::default(), counters.clone());
        (MotionNode::new(Vec::new(), plan, speaker), counters)
    }

    #[test]
    fn a_defect_costs_the_picture_that_is_looked_at_and_is_said() {
        let (mut watch, counters) = watch("motion of a defect");
        crate::guard::set_trap("motion", "motion of a defect", 1);
        for second in 1..4 {
            assert_eq!(watch.look(&picture(second * 90_000), Instant::now()), None);
        }
        let stats = counters.snapshot();
        assert_eq!(stats.motions["motion of a defect"].looked, 2);
        assert_eq!(stats.dropped_for(DropReason::Defect), 1);
        assert_eq!(stats.events[&EventName::RuntimeError], 1);
    }

    #[test]
    fn a_look_counts_from_the_arrival_of_its_picture_and_what_is_left_out_does_not() {
        let (mut watch, counters) = watch("motion");
        assert!(counters.snapshot().latencies.is_empty());
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        watch.look(&picture(90_000), ago(3));
        watch.look(&picture(100_000), ago(1000)); // left out by the filter before the node
        watch.look(&picture(180_000), ago(5));
        let latency = counters.snapshot().latencies["motion"];
        assert_eq!(latency.frames, 2);
        let near = |duration: Duration, seconds: u64| {
            (Duration::from_secs(seconds)..Duration::from_secs(seconds + 2)).contains(&duration)
        };
        assert!(near(latency.average, 4) && near(latency.max, 5), "{latency:?}");
    }
}
