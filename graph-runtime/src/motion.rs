//! A motion detection node: examines every picture that reaches it, on the decoder's thread.

use std::sync::Arc;
use std::time::Instant;

use lva_framing::motion::{MotionDetector, MotionEvent, MotionWindow};
use lva_framing::{FractionBox, Picture, VideoCodec};
use lva_graph_model::nodes::MotionDetection;
use lva_inference_schema::Inference;

use crate::convert::motion::{inference, sensitivity};
use crate::emitter::NodeReporter;
use crate::filter::Filters;
use crate::flow::SignalInput;
use crate::panics::{catch_panic, failpoint};
use crate::plan::MotionPlan;
use crate::rate_limiter::RateLimiter;
use crate::stats::DropReason;

/// One running motion node.
///
/// Motion detection takes a small part of the time that decoding takes, so it needs no thread of its own, and the nodes
/// behind it get its results with the picture.
pub(crate) struct MotionNode {
    settings: MotionDetection,
    /// Of the message sinks.
    outputs: Vec<Option<String>>,
    filters: Filters,
    detector: MotionDetector,
    window: MotionWindow,
    gates: Vec<SignalInput>,
    node: NodeReporter,
    panic_reports: RateLimiter,
}

impl MotionNode {
    pub(crate) fn new(gates: Vec<SignalInput>, plan: MotionPlan, node: NodeReporter) -> Self {
        // Listed from the start.
        node.counters().motion();
        Self {
            filters: plan.filters,
            detector: MotionDetector::new(sensitivity(&plan.settings)),
            window: MotionWindow::new(plan.settings.event_aggregation_window),
            settings: plan.settings,
            outputs: plan.downstream.outputs,
            gates,
            node,
            panic_reports: RateLimiter::default(),
        }
    }

    /// The camera's video from here on.
    pub(crate) fn set_codec(&mut self, codec: VideoCodec) {
        if self.filters.set_codec(codec) {
            tracing::warn!(
                node = self.node.name(),
                %codec,
                "the selectors of this node's input exclude the camera's video: it gets no pictures"
            );
        }
    }

    /// What moves in a picture that arrived at `received_at`, for the nodes behind this one; `None` where they do not get
    /// the picture.
    pub(crate) fn process(&mut self, picture: &Picture, received_at: Instant) -> Option<Arc<[Inference]>> {
        // A panic here must not stop the decoder or other nodes.
        catch_panic(|| self.detect(picture, received_at)).unwrap_or_else(|panicked| {
            self.node.dropped(DropReason::InternalError, 1);
            self.node.on_panic(&mut self.panic_reports, &panicked);
            self.detector = MotionDetector::new(sensitivity(&self.settings));
            self.window = MotionWindow::new(self.settings.event_aggregation_window);
            None
        })
    }

    fn detect(&mut self, picture: &Picture, received_at: Instant) -> Option<Arc<[Inference]>> {
        failpoint("motion", self.node.name());
        let time = picture.timestamp_90k();
        if !self.filters.admit(time) {
            self.node.counters().motion().filtered.add(1);
            return None;
        }
        let regions = self.detector.detect(picture);
        let moves = !regions.is_empty();
        let step = self.window.push(regions, time);
        let found = moves.then(|| inferences(regions, self.settings.output_motion_region));
        if self.node.is_observed() {
            self.node.show(time, found.as_ref().unwrap_or(&Arc::default()));
        }
        let counters = self.node.counters().motion();
        counters.looked.add(1);
        counters.moving.add(u64::from(moves));
        if let Some(event) = step.event {
            self.emit(&event);
        }
        if step.began {
            // Now, and not at the end of the event's window: a clip should begin while its media are in the pre-roll.
            for gate in &self.gates {
                gate.signal(time);
            }
        }
        self.node.frame_done(received_at);
        found
    }

    /// No picture comes for now: the pending event is emitted.
    pub(crate) fn pause(&mut self) {
        if let Some(event) = self.window.finish() {
            self.emit(&event);
        }
    }

    fn emit(&self, event: &MotionEvent) {
        let found = inferences(&event.regions, self.settings.output_motion_region);
        self.node.counters().motion().events.add(1);
        for output in &self.outputs {
            let (output, found) = (output.clone(), found.to_vec());
            self.node.emit_inferences(output, event.timestamp_90k, found);
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

    use lva_framing::{ColorMatrix, ColorRange, FrameRate, Pacer, PictureFormat};
    use lva_graph_model::nodes::{MotionDetection, Sensitivity};
    use lva_inference_schema::{EventName, Subject};

    use super::*;
    use crate::emitter::EventEmitter;
    use crate::event::NodeRef;
    use crate::plan::Downstream;
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
        let node = EventEmitter::detached(&counters).test_node(name);
        let mut filters = Filters::default();
        filters.limit(Pacer::new(FrameRate::new(1, 1).unwrap()));
        let plan = MotionPlan {
            node: NodeRef {
                name: name.to_owned(),
                subject: Subject::graph_instance("i"),
            },
            settings: MotionDetection {
                sensitivity: Sensitivity::Medium,
                output_motion_region: true,
                event_aggregation_window: Duration::from_secs(1),
            },
            filters,
            downstream: Downstream::default(),
        };
        (MotionNode::new(Vec::new(), plan, node), counters)
    }

    #[test]
    fn a_panic_costs_one_picture_and_is_reported() {
        let (mut watch, counters) = watch("motion that panics");
        crate::panics::set_failpoint("motion", "motion that panics", 1);
        for second in 1..4 {
            assert_eq!(watch.process(&picture(second * 90_000), Instant::now()), None);
        }
        let stats = counters.snapshot();
        assert_eq!(stats.motions["motion that panics"].looked, 2);
        assert_eq!(stats.dropped_for(DropReason::InternalError), 1);
        assert_eq!(stats.events[&EventName::RuntimeError], 1);
    }

    #[test]
    fn latency_counts_from_the_arrival_of_the_picture_and_not_for_filtered_pictures() {
        let (mut watch, counters) = watch("motion");
        assert!(counters.snapshot().latencies.is_empty());
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        watch.process(&picture(90_000), ago(3));
        watch.process(&picture(100_000), ago(1000)); // excluded by the filter before the node
        watch.process(&picture(180_000), ago(5));
        let motion = counters.snapshot().motions["motion"];
        assert_eq!((motion.filtered, motion.looked), (1, 2));
        let latency = counters.snapshot().latencies["motion"];
        assert_eq!(latency.frames, 2);
        // Far less than the excluded picture would add, and more than a busy machine takes.
        let near = |duration: Duration, seconds: u64| {
            (Duration::from_secs(seconds)..Duration::from_secs(seconds + 100)).contains(&duration)
        };
        assert!(near(latency.average, 4) && near(latency.max, 5), "{latency:?}");
    }
}
