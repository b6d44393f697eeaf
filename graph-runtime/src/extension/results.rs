//! What an extension node has found, on its way out: to gates, message sinks, trackers and the extensions behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use lva_inference_schema::body::EventBody;
use lva_inference_schema::{AnalyticsBody, EventName, Inference, JsonStyle};
use serde_json::Value;

use super::complaints::Complaints;
use crate::GraphEvent;
use crate::event::event_now;
use crate::failure::Failure;
use crate::frame::{About, Leaving, Passage};
use crate::guard::{Panicked, trap};
use crate::once_a_minute::OnceAMinute;
use crate::plan::Named;
use crate::record::{MetadataInput, SignalInput};
use crate::speaker::Speaker;
use crate::stats::DropReason;
use crate::tracking::TrackerNode;

/// The ends by which a node's results leave it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exits {
    /// Outputs of the message sinks behind it.
    pub(crate) outputs: Vec<Option<String>>,
    pub(crate) gates: Vec<SignalInput>,
    /// Recordings that keep the results beside their media.
    pub(crate) notes: Vec<MetadataInput>,
}

impl Exits {
    /// Inferences leave as an event of the node, which also opens its gates.
    pub(crate) fn say(&self, speaker: &Speaker, node: &Named, time: u64, inferences: &[Inference]) {
        self.say_body(speaker, node, time, || {
            EventBody::Analytics(AnalyticsBody::new(time, inferences.to_vec()))
        });
    }

    /// The same with a body made by the caller.
    fn say_body(&self, speaker: &Speaker, node: &Named, time: u64, body: impl Fn() -> EventBody) {
        // The gate first: the clip is what cannot wait.
        for gate in &self.gates {
            gate.signal(time);
        }
        for note in &self.notes {
            // Only Video Analyzer has sinks that keep them.
            note.add(time, body().to_json(JsonStyle::VideoAnalyzer).to_string());
        }
        for output in &self.outputs {
            speaker.say(GraphEvent {
                name: EventName::Inference,
                subject: node.subject.clone(),
                timestamp_90k: time,
                output: output.clone(),
                body: body(),
            });
        }
    }
}

/// An extension's own words about a frame.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// In fractions of the camera's picture.
    pub(crate) inferences: Vec<Inference>,
    /// The event's body as the extension wrote it, where that is to be kept.
    pub(crate) body: Option<Value>,
}

/// An extension node's exits under its name.
#[derive(Debug, Clone)]
pub(crate) struct WayOut {
    pub(crate) node: Named,
    pub(crate) exits: Exits,
    pub(crate) speaker: Speaker,
}

impl WayOut {
    /// Results leave with their frame, those of extensions before included.
    pub(crate) fn leave(&self, about: &About) {
        let (time, results) = (about.timestamp_90k, &about.results);
        if !results.is_empty() {
            self.say(about, || {
                EventBody::Analytics(AnalyticsBody::new(time, results.to_vec()))
            });
        }
    }

    fn say(&self, about: &About, body: impl Fn() -> EventBody) {
        self.exits
            .say_body(&self.speaker, &self.node, about.timestamp_90k, body);
        let counters = self.speaker.counters();
        counters.event_after(about.received_at.elapsed());
    }
}

/// The way of results out of an extension node.
pub(crate) struct Results {
    pub(crate) node: Named,
    way_out: WayOut,
    trackers: Vec<TrackerNode>,
    passage: Option<Arc<Passage>>,
    speaker: Speaker,
    complaints: Complaints,
    defects: OnceAMinute,
    /// Frames that were taken from where they wait, and neither answered nor dropped.
    in_hand: AtomicU64,
}

impl Results {
    pub(crate) fn new(way_out: WayOut, trackers: Vec<TrackerNode>, passage: Option<Arc<Passage>>) -> Self {
        let (node, speaker) = (way_out.node.clone(), way_out.speaker.clone());
        speaker.counters().extension(&node.name, |_| {});
        Self {
            node,
            way_out,
            trackers,
            passage,
            speaker,
            complaints: Complaints::default(),
            defects: OnceAMinute::default(),
            in_hand: AtomicU64::new(0),
        }
    }

    /// A frame was taken from where it waited.
    pub(crate) fn took(&self) {
        self.in_hand.fetch_add(1, Ordering::Relaxed);
    }

    /// The node's work ended in a panic. What it had in hand is dropped, and what it followed is followed anew.
    pub(crate) fn stumbled(&mut self, panicked: &Panicked) {
        let counters = self.speaker.counters();
        // Of these, some were sent; an answer may have been faster than the word that its frame was.
        counters.extension(&self.node.name, |stats| {
            stats.sent = stats.sent.max(stats.answered);
            stats.lost = stats.sent.saturating_sub(stats.answered);
        });
        self.drop_frames(DropReason::Defect, self.in_hand.load(Ordering::Relaxed));
        for tracker in &mut self.trackers {
            tracker.forget();
        }
        self.defect(panicked);
    }

    /// A piece of the node's work ended in a panic.
    pub(crate) fn defect(&mut self, panicked: &Panicked) {
        self.speaker.stumbled(&self.node, &mut self.defects, panicked);
    }

    /// An extension has answered a frame.
    pub(crate) fn answered(&mut self, mut frame: Leaving, answer: Answered) {
        self.works();
        let counters = self.speaker.counters();
        counters.extension(&self.node.name, |stats| stats.answered += 1);
        self.in_hand.fetch_sub(1, Ordering::Relaxed);
        let about = &mut frame.about;
        counters.answered(&self.node.name, about.received_at, Instant::now());
        trap("answer", &self.node.name);
        let Answered { inferences, body } = answer;
        // As the extension wrote it, unless there is more to say in the same event.
        let body = body.filter(|_| about.results.is_empty() || inferences.is_empty());
        if body.is_none() || !about.results.is_empty() {
            about.results = about.results.iter().cloned().chain(inferences).collect();
            self.way_out.leave(&frame.about);
        } else {
            about.results = inferences.into();
        }
        if let Some(body) = body {
            self.way_out.say(&frame.about, || EventBody::Other(body.clone()));
        }
        let about = &frame.about;
        for tracker in &mut self.trackers {
            tracker.look(about, &self.speaker);
        }
        self.pass(&frame);
    }

    /// A frame goes on though the extension has not seen it, or has not answered.
    pub(crate) fn unseen(&self, frame: &Leaving) {
        self.way_out.leave(&frame.about);
        self.pass(frame);
    }

    /// A frame is dropped for a reason; it goes on to the extensions behind.
    pub(crate) fn dropped(&self, frame: &Leaving, reason: DropReason) {
        self.drop_frames(reason, 1);
        self.unseen(frame);
    }

    /// The same for a frame that was sent.
    pub(crate) fn lost(&self, frame: &Leaving, reason: DropReason) {
        let counters = self.speaker.counters();
        counters.extension(&self.node.name, |stats| stats.lost += 1);
        self.dropped(frame, reason);
    }

    pub(crate) fn drop_frames(&self, reason: DropReason, count: u64) {
        self.in_hand.fetch_sub(count, Ordering::Relaxed);
        self.speaker.counters().dropped(&self.node.name, reason, count);
    }

    pub(crate) fn count_sent(&self) {
        let counters = self.speaker.counters();
        counters.extension(&self.node.name, |stats| stats.sent += 1);
    }

    pub(crate) fn count_session(&self) {
        let counters = self.speaker.counters();
        counters.extension(&self.node.name, |stats| stats.sessions += 1);
    }

    /// The extension works: its next failure is news.
    pub(crate) fn works(&mut self) {
        self.complaints.works();
    }

    pub(crate) fn complain(&mut self, failure: &Failure) {
        let (name, body) = failure.said();
        if self.complaints.are_news(name, failure.code(), Instant::now()) {
            self.speaker.say(event_now(name, &self.node.subject, body));
        }
    }

    fn pass(&self, frame: &Leaving) {
        if let Some(passage) = &self.passage {
            passage.leave(frame);
        }
    }
}

impl Drop for Results {
    /// Also when a panic ends the task: whoever is behind must not wait for ever.
    fn drop(&mut self) {
        if let Some(passage) = &self.passage {
            passage.close();
        }
    }
}
