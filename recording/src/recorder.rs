//! Pre-roll, gate and clips put together.

mod event;

pub use event::{RecorderEvent, RecorderStats, StopReason};

use crate::clip::ClipReport;
use crate::error::ClipError;
use crate::gate::{
    GateDecision, GateOptions, GateOptionsError, GateStats, MAX_AHEAD, Signal, SignalGate, SignalOutcome,
};
use crate::notes::Notes;
use crate::pre_roll::{PreRoll, PreRollLimits, PreRollStats};
use crate::shelf::StoreStats;
use crate::store::{Clip, ClipFolder, ClipStore, NewClip};
use crate::unit::{MediaUnit, TICKS_PER_SECOND, Track, Tracks};
use std::collections::VecDeque;
use std::fmt;

/// Media time that goes back by more than this (2 s) is another time line; by less, it is a reordered picture.
const MAX_REORDER: u64 = 2 * TICKS_PER_SECOND;

/// Media time after which a disk that refused is tried again; it doubles with each refusal up to the longest.
const FIRST_PAUSE: u64 = TICKS_PER_SECOND;
const LONGEST_PAUSE: u64 = 30 * TICKS_PER_SECOND;

/// Finished files that late annotations still find.
const ANNOTATED_FILES: usize = 4;

/// Records clips around events, or everything: units and events in, files and [`RecorderEvent`]s out.
///
/// Every call may write to the disk and blocks for as long; run it on a thread for files, and let complete win over
/// live in the queue to it. It keeps no clock: media time is that of the units, and so is the pause after which a disk
/// that refused is tried again.
pub struct Recorder<S: ClipStore = ClipFolder> {
    store: S,
    tracks: Tracks,
    trigger: Trigger,
    pre_roll: PreRoll,
    reach_back: u64,
    newest_90k: Option<u64>,
    active: Option<Active<S::Clip>>,
    recordings: u64,
    pause: u64,
    notes: Notes,
    annotated: VecDeque<ClipReport>,
    annotations_left_out: u64,
    stats: RecorderStats,
}

enum Trigger {
    Gate(Box<SignalGate>),
    Always,
}

/// A recording while the gate is open.
struct Active<C> {
    number: u64,
    event_90k: u64,
    start_90k: u64,
    end_90k: u64,
    ids: Vec<String>,
    available: bool,
    clip: ClipState<C>,
}

enum ClipState<C> {
    /// No picture of it has come, or none since the tracks changed.
    Waiting { wrote_before: bool },
    /// It is being written.
    Writing(C),
    /// The disk refused it. It begins again with a key frame from then on.
    Paused { until_90k: u64, wrote_before: bool },
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
        Ok(Self::with_trigger(
            Trigger::Gate(Box::new(SignalGate::new(gate)?)),
            pre_roll,
            tracks,
            store,
        ))
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
        Self {
            store,
            tracks,
            trigger,
            pre_roll: PreRoll::new(pre_roll),
            reach_back: pre_roll.span_90k,
            newest_90k: None,
            active: None,
            recordings: 0,
            pause: FIRST_PAUSE,
            notes: Notes::default(),
            annotated: VecDeque::new(),
            annotations_left_out: 0,
            stats: RecorderStats::default(),
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
        match self.trigger {
            Trigger::Gate(_) => {
                self.pre_roll.push(unit);
                self.begin_if_due(&mut events);
            }
            // What is written needs no pre-roll, and a clip begins with the key frame that is here.
            Trigger::Always if unit.starts_decoding() && !self.is_recording() => {
                self.pre_roll.push(unit);
                self.begin_if_due(&mut events);
                self.pre_roll.clear();
            }
            Trigger::Always => {}
        }
        events
    }

    /// Takes an event. What became of it comes with what it led to.
    #[must_use = "the events say which clips exist"]
    pub fn signal(&mut self, signal: Signal) -> (SignalOutcome, Vec<RecorderEvent>) {
        let mut events = Vec::new();
        let outcome = match &mut self.trigger {
            Trigger::Gate(gate) => gate.signal(signal),
            Trigger::Always => SignalOutcome::Accepted,
        };
        self.apply(&mut events);
        (outcome, events)
    }

    /// Takes what was seen at a time, as JSON, to be kept beside the media of that time (`NAME.inferences.jsonl`, a line for
    /// each): of the file that is being written, of one of the last four, or, for as long as the pre-roll holds that time,
    /// of a recording that begins later. What finds no place is counted in [`StoreStats::annotations_left_out`].
    #[must_use = "the events say what could not be written"]
    pub fn annotate(&mut self, timestamp_90k: u64, json: &str) -> Vec<RecorderEvent> {
        let mut events = Vec::new();
        let taken = self.place(timestamp_90k, json).unwrap_or_else(|error| {
            events.push(RecorderEvent::Untidy { error });
            false
        });
        self.annotations_left_out += u64::from(!taken);
        events
    }

    /// The stream ended, or the recorder is no longer wanted: completes the clip that is being written, and those whose
    /// events still wait for the end of their window. It can be used on afterwards.
    #[must_use = "the events say which clips exist"]
    pub fn end(&mut self) -> Vec<RecorderEvent> {
        let mut events = Vec::new();
        if self.active.is_some() {
            self.close(StopReason::End, &mut events);
            self.reset_gate();
        } else if let Trigger::Gate(gate) = &mut self.trigger {
            gate.end();
            self.apply(&mut events);
        }
        self.pre_roll.clear();
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
        if let Some(mut active) = self.active.take() {
            if let ClipState::Writing(_) = active.clip {
                let waiting = ClipState::Waiting { wrote_before: true };
                let state = std::mem::replace(&mut active.clip, waiting);
                self.finish(&mut active, state, StopReason::TracksChanged, &mut events);
            }
            self.active = Some(active);
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
        self.active
            .as_ref()
            .is_some_and(|active| matches!(active.clip, ClipState::Writing(_)))
    }

    /// Counts of events by what became of them; all zero where everything is recorded.
    pub fn gate_stats(&self) -> GateStats {
        match &self.trigger {
            Trigger::Gate(gate) => gate.stats(),
            Trigger::Always => GateStats::default(),
        }
    }

    /// What the pre-roll dropped.
    pub fn pre_roll_stats(&self) -> PreRollStats {
        self.pre_roll.stats()
    }

    /// What was recorded, and what failed.
    pub fn stats(&self) -> RecorderStats {
        self.stats
    }

    /// What was removed, recovered and left out besides.
    pub fn store_stats(&self) -> StoreStats {
        let mut stats = self.store.stats();
        stats.annotations_left_out += self.annotations_left_out;
        stats
    }

    fn follow_time(&mut self, time: u64, events: &mut Vec<RecorderEvent>) {
        if let Some(newest) = self.newest_90k {
            if time.saturating_add(MAX_REORDER) < newest {
                self.close(StopReason::TimeWentBack, events);
                self.reset_gate();
                self.pre_roll.clear();
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
            if let Trigger::Gate(gate) = &mut self.trigger {
                gate.advance(if leaped { time } else { newest });
                self.apply(events);
            }
        }
        self.newest_90k = Some(time);
    }

    fn reset_gate(&mut self) {
        if let Trigger::Gate(gate) = &mut self.trigger {
            gate.reset();
        }
    }

    fn open_always(&mut self, time: u64) {
        if matches!(self.trigger, Trigger::Always) && self.active.is_none() {
            self.open(time, time, u64::MAX, None);
        }
    }

    fn open(&mut self, event_90k: u64, start_90k: u64, end_90k: u64, id: Option<String>) {
        self.recordings += 1;
        self.pause = FIRST_PAUSE;
        self.active = Some(Active {
            number: self.recordings,
            event_90k,
            start_90k,
            end_90k,
            ids: id.into_iter().collect(),
            available: false,
            clip: ClipState::Waiting { wrote_before: false },
        });
    }

    /// A key frame is here: what the disk refused may begin again, as another recording.
    fn end_pause(&mut self, time: u64) {
        let Some(active) = &mut self.active else { return };
        if let ClipState::Paused {
            until_90k,
            wrote_before,
        } = active.clip
            && time >= until_90k
        {
            self.recordings += 1;
            active.number = self.recordings;
            if wrote_before {
                active.start_90k = time;
            }
            active.clip = ClipState::Waiting { wrote_before };
        }
    }

    fn write(&mut self, unit: &MediaUnit, events: &mut Vec<RecorderEvent>) {
        let Some(mut active) = self.active.take() else {
            return;
        };
        let nothing = ClipState::Waiting { wrote_before: true };
        active.clip = match std::mem::replace(&mut active.clip, nothing) {
            ClipState::Writing(mut clip) => {
                let mut finished = Vec::new();
                let written = write(&mut clip, unit, &mut finished);
                self.tell(&mut active, finished, events);
                match written {
                    Ok(()) => ClipState::Writing(clip),
                    Err(error) => self.broke(&mut active, Some(clip), error, true, events),
                }
            }
            paused @ ClipState::Paused { .. } => {
                self.stats.not_written += 1;
                paused
            }
            waiting @ ClipState::Waiting { .. } => waiting,
        };
        self.active = Some(active);
    }

    fn apply(&mut self, events: &mut Vec<RecorderEvent>) {
        while let Some(decision) = self.decision() {
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
                        active.end_90k = end_90k;
                        active.ids.extend(correlation_id);
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

    fn decision(&mut self) -> Option<GateDecision> {
        match &mut self.trigger {
            Trigger::Gate(gate) => gate.poll(),
            Trigger::Always => None,
        }
    }

    fn begin_if_due(&mut self, events: &mut Vec<RecorderEvent>) {
        let due = |active: &Active<S::Clip>| {
            matches!(active.clip, ClipState::Waiting { .. })
                && self.newest_90k.is_some_and(|newest| newest >= active.start_90k)
        };
        if self.active.as_ref().is_some_and(due) {
            self.begin(events);
        }
    }

    /// Begins the clip with what the pre-roll holds of it, if that is anything.
    fn begin(&mut self, events: &mut Vec<RecorderEvent>) {
        let Some(mut active) = self.active.take() else {
            return;
        };
        if let ClipState::Waiting { .. } = active.clip {
            let mut units = self.pre_roll.units_from(active.start_90k);
            let first = units.next().map(|unit| unit.timestamp_90k);
            drop(units);
            if let Some(start_90k) = first.filter(|start| *start <= active.end_90k) {
                active.clip = self.begin_at(start_90k, &mut active, events);
            }
        }
        self.active = Some(active);
    }

    fn begin_at(
        &mut self,
        start_90k: u64,
        active: &mut Active<S::Clip>,
        events: &mut Vec<RecorderEvent>,
    ) -> ClipState<S::Clip> {
        let mut new = NewClip::new(start_90k, active.start_90k, active.event_90k);
        new.closes = active.end_90k != u64::MAX;
        let created = self.store.create(&new, &self.tracks);
        let recovered = self.store.take_recovered().into_iter();
        events.extend(recovered.map(|report| RecorderEvent::Recovered { report }));
        let mut clip = match created {
            Ok(clip) => clip,
            Err(error) => return self.broke(active, None, error, false, events),
        };
        self.stats.started += 1;
        active.available = false;
        events.push(RecorderEvent::Started {
            recording: active.number,
            path: clip.path().to_owned(),
            clip: new,
        });
        for (time, json) in self.notes.take_from(start_90k) {
            if let Err(error) = clip.annotate(time, &json) {
                events.push(RecorderEvent::Untidy { error });
            }
        }
        let mut finished = Vec::new();
        let (mut newest, mut written) = (start_90k, Ok(()));
        for unit in self.pre_roll.units_from(active.start_90k) {
            // The end may already lie behind, when the window is longer than the recording.
            let beyond = unit.timestamp_90k > newest;
            if beyond && newest >= active.end_90k {
                break;
            }
            if unit.track == Track::Video {
                newest = newest.max(unit.timestamp_90k);
            }
            written = write(&mut clip, unit, &mut finished);
            if written.is_err() {
                break;
            }
        }
        self.tell(active, finished, events);
        match written {
            Ok(()) => ClipState::Writing(clip),
            Err(error) => self.broke(active, Some(clip), error, true, events),
        }
    }

    fn close(&mut self, reason: StopReason, events: &mut Vec<RecorderEvent>) {
        if let Some(mut active) = self.active.take() {
            let nothing = ClipState::Waiting { wrote_before: true };
            let state = std::mem::replace(&mut active.clip, nothing);
            self.finish(&mut active, state, reason, events);
        }
    }

    fn finish(
        &mut self,
        active: &mut Active<S::Clip>,
        state: ClipState<S::Clip>,
        reason: StopReason,
        events: &mut Vec<RecorderEvent>,
    ) {
        match state {
            ClipState::Writing(clip) => {
                events.push(RecorderEvent::Stopped {
                    recording: active.number,
                    path: clip.path().to_owned(),
                    reason,
                    correlation_ids: active.ids.clone(),
                });
                let mut finished = Vec::new();
                let completed = clip.finish(&mut finished);
                self.tell(active, finished, events);
                let failed = completed.is_err();
                if let Err(error) = completed {
                    let _ = self.broke(active, None, error, true, events);
                }
                if reason != StopReason::TracksChanged
                    && let Err(error) = self.store.ended()
                    && !failed
                {
                    events.push(RecorderEvent::Untidy { error });
                }
            }
            ClipState::Waiting { wrote_before: false } => {
                self.stats.missed += 1;
                events.push(RecorderEvent::Missed {
                    recording: active.number,
                    event_90k: active.event_90k,
                });
            }
            ClipState::Paused { .. } => {
                let _ = self.store.ended(); // that the disk refuses has been said
            }
            ClipState::Waiting { wrote_before: true } => {}
        }
    }

    /// Tells finished files, and lets the store keep its house.
    fn tell(
        &mut self,
        active: &mut Active<S::Clip>,
        finished: Vec<ClipReport>,
        events: &mut Vec<RecorderEvent>,
    ) {
        for report in finished {
            self.pause = FIRST_PAUSE;
            self.stats.files += 1;
            self.stats.bytes += report.bytes;
            if let Err(error) = self.store.finished(&report) {
                events.push(RecorderEvent::Untidy { error });
            }
            if self.annotated.len() == ANNOTATED_FILES {
                self.annotated.pop_front();
            }
            self.annotated.push_back(ClipReport {
                newest_keyframe: None, // not held any longer than its reader does
                ..report.clone()
            });
            let recording = active.number;
            events.push(if std::mem::replace(&mut active.available, true) {
                RecorderEvent::Extended { recording, report }
            } else {
                RecorderEvent::Available {
                    recording,
                    report,
                    correlation_ids: active.ids.clone(),
                }
            });
        }
    }

    /// The disk refused: what can be saved is saved, and the rest is tried again after a pause.
    fn broke(
        &mut self,
        active: &mut Active<S::Clip>,
        clip: Option<S::Clip>,
        error: ClipError,
        wrote_before: bool,
        events: &mut Vec<RecorderEvent>,
    ) -> ClipState<S::Clip> {
        let saved = self.store.broke(clip, &error);
        let pause = self.pause;
        self.tell(active, saved, events);
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        self.stats.failed += 1;
        events.push(RecorderEvent::Failed {
            recording: active.number,
            error,
        });
        ClipState::Paused {
            until_90k: self.newest_90k.unwrap_or(0).saturating_add(pause),
            wrote_before,
        }
    }

    /// `false`: nothing is recorded of that time, or no more is taken.
    fn place(&mut self, timestamp_90k: u64, json: &str) -> Result<bool, ClipError> {
        if let Some(active) = &mut self.active
            && let ClipState::Writing(clip) = &mut active.clip
            && clip.annotate(timestamp_90k, json)?
        {
            return Ok(true);
        }
        let shows = |report: &&ClipReport| {
            (report.first_timestamp_90k..=report.last_timestamp_90k).contains(&timestamp_90k)
        };
        if let Some(report) = self.annotated.iter().rev().find(shows) {
            return self.store.annotate(report, json);
        }
        let horizon = self.newest_90k.unwrap_or(0).saturating_sub(self.reach_back);
        self.annotations_left_out += self.notes.forget_before(horizon);
        if timestamp_90k < horizon || matches!(self.trigger, Trigger::Always) {
            return Ok(false);
        }
        self.annotations_left_out += self.notes.push(timestamp_90k, json);
        Ok(true)
    }
}

/// Writes what can be written; a unit that is empty or of a missing track is not worth the recording.
fn write<C: Clip>(clip: &mut C, unit: &MediaUnit, finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
    match clip.write(unit, finished) {
        Err(ClipError::EmptyUnit | ClipError::NoAudioTrack) => Ok(()),
        result => result,
    }
}

impl<S: ClipStore> fmt::Debug for Recorder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("tracks", &self.tracks)
            .field("stats", &self.stats)
            .field("is_recording", &self.is_recording())
            .finish_non_exhaustive()
    }
}
