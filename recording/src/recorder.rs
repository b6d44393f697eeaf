//! Pre-roll, gate and clips put together.

mod active;
mod annotations;
mod disk;
mod event;
mod pause;
mod trigger;

pub use event::{RecorderEvent, RecorderStats, StopReason};

use crate::gate::{GateDecision, GateOptions, GateOptionsError, GateStats, MAX_AHEAD, Signal, SignalOutcome};
use crate::pre_roll::{PreRoll, PreRollLimits, PreRollStats};
use crate::shelf::StoreStats;
use crate::store::{ClipFolder, ClipStore};
use crate::unit::{MediaUnit, TICKS_PER_SECOND, Track, Tracks};
use active::{Active, NEVER};
use annotations::Annotations;
use disk::Disk;
use std::fmt;
use trigger::Trigger;

/// Media time that goes back by more than this (2 s) is another time line; by less, it is a reordered picture.
const MAX_REORDER: u64 = 2 * TICKS_PER_SECOND;

/// Records clips around events, or everything: units and events in, files and [`RecorderEvent`]s out.
///
/// Every call may write to the disk and blocks for as long; run it on a thread for files, and let complete win over
/// live in the queue to it. It keeps no clock: media time is that of the units, and so is the pause after which a disk
/// that refused is tried again.
pub struct Recorder<S: ClipStore = ClipFolder> {
    disk: Disk<S>,
    tracks: Tracks,
    trigger: Trigger,
    pre_roll: PreRoll,
    newest_90k: Option<u64>,
    recordings: u64,
    active: Option<Active<S::Clip>>,
}

impl<S: ClipStore> Recorder<S> {
    /// A recorder that is opened by events, with an empty pre-roll.
    ///
    /// The pre-roll has to reach back over [`GateOptions::reach_back_90k`] and the time that an event takes to arrive
    /// (seconds, where a slow model finds it).
    ///
    /// # Errors
    ///
    /// Times that make no gate.
    pub fn new(
        gate: GateOptions,
        pre_roll: PreRollLimits,
        tracks: Tracks,
        store: S,
    ) -> Result<Self, GateOptionsError> {
        Ok(Self::with_trigger(Trigger::gate(gate)?, pre_roll, tracks, store))
    }

    /// A recorder whose gate is always open: its first recording begins with the first key frame, and ends with
    /// [`end`](Self::end). Use it with a [`SegmentFolder`](crate::SegmentFolder); in one file it would grow for ever.
    /// Events change nothing.
    pub fn continuous(tracks: Tracks, store: S) -> Self {
        let one_unit = PreRollLimits {
            span_90k: 0,
            bytes: usize::MAX,
        };
        Self::with_trigger(Trigger::Always, one_unit, tracks, store)
    }

    fn with_trigger(trigger: Trigger, pre_roll: PreRollLimits, tracks: Tracks, store: S) -> Self {
        let reach_back = (!trigger.is_always()).then_some(pre_roll.span_90k);
        Self {
            disk: Disk::new(store, Annotations::new(reach_back)),
            tracks,
            trigger,
            pre_roll: PreRoll::new(pre_roll),
            newest_90k: None,
            recordings: 0,
            active: None,
        }
    }

    /// Takes a unit, in the order in which it came.
    #[must_use = "the events say which clips exist"]
    pub fn push(&mut self, unit: MediaUnit) -> Vec<RecorderEvent> {
        let mut events = Vec::new();
        if unit.track == Track::Video {
            self.follow_time(unit.timestamp_90k, &mut events);
        }
        if unit.starts_decoding() {
            self.open_always(unit.timestamp_90k);
            self.end_pause(unit.timestamp_90k);
        }
        self.write(&unit, &mut events);
        if !self.trigger.is_always() {
            self.pre_roll.push(unit);
            self.begin_if_due(&mut events);
        } else if unit.starts_decoding() && !self.is_recording() {
            // What is written needs no pre-roll, and a clip begins with the key frame that is here.
            self.pre_roll.push(unit);
            self.begin_if_due(&mut events);
            self.pre_roll.clear();
        }
        events
    }

    /// Takes an event. What became of it comes with what it led to.
    #[must_use = "the events say which clips exist"]
    pub fn signal(&mut self, signal: Signal) -> (SignalOutcome, Vec<RecorderEvent>) {
        let mut events = Vec::new();
        let outcome = self.trigger.signal(signal);
        self.apply(&mut events);
        (outcome, events)
    }

    /// Takes what was seen at a time, as JSON, to be kept beside the media of that time (`NAME.inferences.jsonl`, a line for
    /// each): of the file that is being written, of one of the last four, or, for as long as the pre-roll holds that time,
    /// of a recording that begins later. What finds no place is counted in [`StoreStats::annotations_left_out`].
    #[must_use = "the events say what could not be written"]
    pub fn annotate(&mut self, timestamp_90k: u64, json: &str) -> Vec<RecorderEvent> {
        let mut events = Vec::new();
        let newest_90k = self.newest_90k.unwrap_or(0);
        let active = self.active.as_mut();
        self.disk
            .annotate(active, timestamp_90k, json, newest_90k, &mut events);
        events
    }

    /// The stream ended, or the recorder is no longer wanted: completes the clip that is being written, and those whose
    /// events still wait for the end of their window. It can be used on afterwards.
    #[must_use = "the events say which clips exist"]
    pub fn end(&mut self) -> Vec<RecorderEvent> {
        let mut events = Vec::new();
        if self.active.is_some() {
            self.close(StopReason::End, &mut events);
            self.trigger.reset();
        } else {
            self.trigger.end();
            self.apply(&mut events);
        }
        self.forget_what_was();
        self.newest_90k = None;
        events
    }

    /// Changes the stream's parameters, as after a camera was set up anew. Equal ones change nothing. The pre-roll is
    /// emptied: an MP4 track has one set of parameters.
    #[must_use = "the events say which clips exist"]
    pub fn set_tracks(&mut self, tracks: Tracks) -> Vec<RecorderEvent> {
        let mut events = Vec::new();
        if self.tracks == tracks {
            return events;
        }
        self.tracks = tracks;
        self.pre_roll.clear();
        if let Some(active) = &mut self.active
            && active.is_writing()
        {
            self.disk.finish(active, StopReason::TracksChanged, &mut events);
        }
        events
    }

    /// Lets go the oldest group of pictures of the pre-roll before its time, as where memory is short. How many units went:
    /// none, where the newest group is the only one. An event that would have needed them gets a clip that begins later.
    pub fn shrink_pre_roll(&mut self) -> u64 {
        self.pre_roll.shrink()
    }

    /// Whether a clip is being written.
    pub fn is_recording(&self) -> bool {
        self.active.as_ref().is_some_and(Active::is_writing)
    }

    /// Counts of events by what became of them; all zero where everything is recorded.
    pub fn gate_stats(&self) -> GateStats {
        self.trigger.stats()
    }

    /// What the pre-roll dropped.
    pub fn pre_roll_stats(&self) -> PreRollStats {
        self.pre_roll.stats()
    }

    /// What was recorded, and what failed.
    pub fn stats(&self) -> RecorderStats {
        self.disk.stats()
    }

    /// What was removed, recovered and left out besides.
    pub fn store_stats(&self) -> StoreStats {
        self.disk.store_stats()
    }

    fn follow_time(&mut self, time: u64, events: &mut Vec<RecorderEvent>) {
        if let Some(newest) = self.newest_90k {
            if time.saturating_add(MAX_REORDER) < newest {
                self.close(StopReason::TimeWentBack, events);
                self.trigger.reset();
                self.forget_what_was();
                self.newest_90k = Some(time);
                return;
            }
            if time <= newest {
                return; // reordered: what comes before `newest` is not complete yet
            }
            // Everything up to `newest` is there, so the gate may decide on it. A clip thus holds the picture at its
            // end too, and the B-frames before that picture.
            // After a leap nothing is reordered with what was before it, and events of the new time are not ahead.
            let leaped = time > newest.saturating_add(MAX_AHEAD);
            self.trigger.advance(if leaped { time } else { newest });
            self.apply(events);
        }
        self.newest_90k = Some(time);
    }

    /// A time line is over: no recording reaches back into it.
    fn forget_what_was(&mut self) {
        self.pre_roll.clear();
        self.disk.forget_annotations();
    }

    /// Without a gate, a key frame begins a recording where there is none.
    fn open_always(&mut self, time: u64) {
        if self.trigger.is_always() && self.active.is_none() {
            self.open(time, time, NEVER, None);
        }
    }

    fn open(&mut self, event_90k: u64, start_90k: u64, end_90k: u64, id: Option<String>) {
        self.recordings += 1;
        self.disk.reset_pause();
        self.active = Some(Active::new(self.recordings, event_90k, start_90k, end_90k, id));
    }

    /// A key frame is here: what the disk refused may begin again, as another recording.
    fn end_pause(&mut self, time: u64) {
        if let Some(active) = &mut self.active
            && active.end_pause(time, self.recordings + 1)
        {
            self.recordings += 1;
        }
    }

    fn write(&mut self, unit: &MediaUnit, events: &mut Vec<RecorderEvent>) {
        let newest_90k = self.newest_90k.unwrap_or(0);
        if let Some(active) = &mut self.active {
            self.disk.write(active, unit, newest_90k, events);
        }
    }

    fn apply(&mut self, events: &mut Vec<RecorderEvent>) {
        while let Some(decision) = self.trigger.poll() {
            match decision {
                GateDecision::Open {
                    event_90k,
                    start_90k,
                    end_90k,
                    correlation_id,
                } => self.open(event_90k, start_90k, end_90k, correlation_id),
                GateDecision::Event {
                    end_90k,
                    correlation_id,
                    ..
                } => {
                    if let Some(active) = &mut self.active {
                        active.extend(end_90k, correlation_id);
                    }
                }
                GateDecision::Close { reason, .. } => {
                    self.begin(events);
                    self.close(StopReason::Gate(reason), events);
                }
            }
        }
        self.begin_if_due(events);
    }

    fn begin_if_due(&mut self, events: &mut Vec<RecorderEvent>) {
        if let (Some(active), Some(newest)) = (&self.active, self.newest_90k)
            && active.is_due(newest)
        {
            self.begin(events);
        }
    }

    fn begin(&mut self, events: &mut Vec<RecorderEvent>) {
        let newest_90k = self.newest_90k.unwrap_or(0);
        if let Some(active) = &mut self.active {
            self.disk
                .begin(active, &self.tracks, &self.pre_roll, newest_90k, events);
        }
    }

    fn close(&mut self, reason: StopReason, events: &mut Vec<RecorderEvent>) {
        if let Some(mut active) = self.active.take() {
            self.disk.finish(&mut active, reason, events);
        }
    }
}

impl<S: ClipStore> fmt::Debug for Recorder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("tracks", &self.tracks)
            .field("stats", &self.stats())
            .field("is_recording", &self.is_recording())
            .finish_non_exhaustive()
    }
}
