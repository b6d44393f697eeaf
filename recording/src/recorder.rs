//! Pre-roll, gate and clips combined.

mod active;
mod annotations;
mod clip_output;
mod event;
mod parameters;
mod pending;
mod retry_delay;
mod trigger;

pub use event::{RecorderEvent, RecorderStats, RecordingStopReason};

use std::fmt;

use lva_media_types::MediaTime;

use crate::gate::{GateDecision, GateOptions, GateOptionsError, GateStats, MAX_AHEAD, Signal, SignalOutcome};
use crate::index::StoreStats;
use crate::pre_roll::{PreRoll, PreRollLimits, PreRollStats};
use crate::store::{ClipDirectory, ClipStore};
use crate::unit::{MediaUnit, Track, Tracks};
use active::{Active, NEVER};
use annotations::Annotations;
use clip_output::ClipOutput;
use parameters::Parameters;
use trigger::Trigger;

/// Media time that goes back by more than this (2 s) starts a new timeline; by less, it is a reordered picture.
const MAX_REORDER: u64 = 2 * MediaTime::TICKS_PER_SECOND;

/// Records clips around events, or continuously: units and events in, files and [`RecorderEvent`]s out.
///
/// Every call may write to the disk and block; run it on a thread for files with a queue that does not drop. It has no
/// clock: media time comes from the units, and the delay before a failed disk is retried is media time, too.
pub struct Recorder<S: ClipStore = ClipDirectory> {
    output: ClipOutput<S>,
    parameters: Parameters,
    trigger: Trigger,
    pre_roll: PreRoll,
    newest_90k: Option<u64>,
    recordings: u64,
    active: Option<Active<S::Clip>>,
    /// Of signals, until they are taken.
    waiting: Vec<RecorderEvent>,
}

impl<S: ClipStore> Recorder<S> {
    /// A recorder opened by events, with an empty pre-roll.
    ///
    /// The pre-roll must cover [`GateOptions::lookback_90k`] plus the delay of an event (seconds, with a slow model).
    /// Without tracks, as before the first session of a camera, units are dropped until [`set_tracks`](Self::set_tracks).
    ///
    /// # Errors
    ///
    /// The times of the gate are invalid.
    pub fn new(
        gate: GateOptions,
        pre_roll: PreRollLimits,
        tracks: impl Into<Option<Tracks>>,
        store: S,
    ) -> Result<Self, GateOptionsError> {
        Ok(Self::with_trigger(
            Trigger::gate(gate)?,
            pre_roll,
            tracks.into(),
            store,
        ))
    }

    /// A recorder whose gate is always open: its first recording begins with the first keyframe and ends with
    /// [`end`](Self::end). Use it with a [`SegmentDirectory`](crate::SegmentDirectory); a single file would grow without
    /// limit. Events have no effect.
    pub fn continuous(tracks: impl Into<Option<Tracks>>, store: S) -> Self {
        let one_unit = PreRollLimits {
            span_90k: 0,
            bytes: usize::MAX,
        };
        Self::with_trigger(Trigger::Always, one_unit, tracks.into(), store)
    }

    fn with_trigger(trigger: Trigger, pre_roll: PreRollLimits, tracks: Option<Tracks>, store: S) -> Self {
        let lookback = (!trigger.is_always()).then_some(pre_roll.span_90k);
        let parameters = Parameters::new(tracks);
        let mut pre_roll = PreRoll::new(pre_roll);
        if let Some(tracks) = parameters.current() {
            pre_roll.set_tracks(tracks.clone());
        }
        Self {
            output: ClipOutput::new(store, Annotations::new(lookback)),
            pre_roll,
            parameters,
            trigger,
            newest_90k: None,
            recordings: 0,
            active: None,
            waiting: Vec::new(),
        }
    }

    /// Takes a unit, in the order of arrival.
    #[must_use = "the events report which clips exist"]
    pub fn push(&mut self, unit: MediaUnit) -> Vec<RecorderEvent> {
        let mut events = self.take_events();
        if self.parameters.current().is_none() {
            return events;
        }
        if unit.track == Track::Video {
            self.follow_time(unit.timestamp_90k, &mut events);
        }
        if unit.starts_decoding() {
            self.cut_if_due(unit.timestamp_90k, &mut events);
            self.open_always(unit.timestamp_90k);
            self.end_pause(unit.timestamp_90k);
        }
        self.write(&unit, &mut events);
        if !self.trigger.is_always() {
            self.pre_roll.push(unit);
            self.begin_if_due(&mut events);
        } else if unit.starts_decoding() && !self.is_recording() {
            // A continuous recording needs no pre-roll: a clip begins with this keyframe.
            self.pre_roll.push(unit);
            self.begin_if_due(&mut events);
            self.pre_roll.clear();
        }
        events
    }

    /// Takes an event. What begins or ends with it is reported by the next call that returns events, at the latest by
    /// [`end`](Self::end); [`take_events`](Self::take_events) reports it at once.
    pub fn signal(&mut self, signal: Signal) -> SignalOutcome {
        let mut events = self.take_events();
        let outcome = self.trigger.signal(signal);
        self.apply(&mut events);
        self.waiting = events;
        outcome
    }

    /// The events of [`signal`](Self::signal) that no other call has returned yet.
    #[must_use = "the events report which clips exist"]
    pub fn take_events(&mut self) -> Vec<RecorderEvent> {
        std::mem::take(&mut self.waiting)
    }

    /// Stores JSON metadata of a time next to the media of that time, one line for each call (`NAME.inferences.jsonl`):
    /// in the file being written, in one of the last four, or, as long as the pre-roll contains that time, in a later
    /// recording. What matches none of them is counted in [`StoreStats::annotations_skipped`].
    #[must_use = "the events report what could not be written"]
    pub fn annotate(&mut self, timestamp_90k: u64, json: &str) -> Vec<RecorderEvent> {
        let mut events = self.take_events();
        let newest_90k = self.newest_90k.unwrap_or(0);
        let active = self.active.as_mut();
        self.output
            .annotate(active, timestamp_90k, json, newest_90k, &mut events);
        events
    }

    /// Ends the stream: completes the clip being written, and those whose events still wait for the end of their window.
    /// The recorder remains usable.
    #[must_use = "the events report which clips exist"]
    pub fn end(&mut self) -> Vec<RecorderEvent> {
        let mut events = self.take_events();
        if self.active.is_some() {
            self.close(RecordingStopReason::End, &mut events);
            self.trigger.reset();
        } else {
            self.trigger.end();
            self.apply(&mut events);
        }
        self.forget_what_was();
        self.newest_90k = None;
        events
    }

    /// Sets the stream's parameters, when they are known, and after a camera was reconfigured. Equal parameters have no effect.
    ///
    /// An MP4 track has one set of them, so a clip ends, and the next one begins at the next keyframe; at most once in 10 s of
    /// media time, and once in 2 s where the size changes, however often a camera changes them. Until then keyframes of the same
    /// size bring their parameter sets with them, and pictures of another size are counted as [`RecorderStats::not_written`].
    /// The pre-roll stays if the size and the audio do, and no clip was cut.
    #[must_use = "the events report which clips exist"]
    pub fn set_tracks(&mut self, tracks: impl Into<Tracks>) -> Vec<RecorderEvent> {
        let mut events = self.take_events();
        let Some(fit) = self.parameters.set(tracks.into()) else {
            return events;
        };
        if !fit {
            self.pre_roll.clear();
        }
        if let Some(tracks) = self.parameters.current() {
            self.pre_roll.set_tracks(tracks.clone());
        }
        self.cut_if_due(self.newest_90k.unwrap_or(0), &mut events);
        events
    }

    /// Ends the clip that is being written with other parameters than the current ones, if the last cut was long ago.
    fn cut_if_due(&mut self, now_90k: u64, events: &mut Vec<RecorderEvent>) {
        if let Some(active) = &mut self.active
            && active.is_writing()
            && let Some(file) = &active.tracks
            && self.parameters.is_cut_due(file, now_90k)
        {
            self.parameters.cut(now_90k);
            // What it holds is in the clip.
            self.pre_roll.clear();
            self.output
                .finish(active, RecordingStopReason::TracksChanged, events);
        }
    }

    /// Evicts the oldest group of pictures of the pre-roll early, to free memory. Returns the number of evicted units: 0
    /// if there is only one group. An event that needs them gets a clip that begins later.
    pub fn shrink_pre_roll(&mut self) -> u64 {
        self.pre_roll.shrink()
    }

    /// Whether a clip is being written.
    pub fn is_recording(&self) -> bool {
        self.active.as_ref().is_some_and(Active::is_writing)
    }

    /// Counters of events by outcome; all zero for a continuous recording.
    pub fn gate_stats(&self) -> GateStats {
        self.trigger.stats()
    }

    /// Counters of units that the pre-roll dropped.
    pub fn pre_roll_stats(&self) -> PreRollStats {
        self.pre_roll.stats()
    }

    /// Counters of recordings and failures.
    pub fn stats(&self) -> RecorderStats {
        self.output.stats()
    }

    /// Counters of removed, recovered and skipped items.
    pub fn store_stats(&self) -> StoreStats {
        self.output.store_stats()
    }

    fn follow_time(&mut self, time: u64, events: &mut Vec<RecorderEvent>) {
        if let Some(newest) = self.newest_90k {
            if time.saturating_add(MAX_REORDER) < newest {
                self.close(RecordingStopReason::TimeWentBack, events);
                self.trigger.reset();
                self.forget_what_was();
                self.newest_90k = Some(time);
                return;
            }
            if time <= newest {
                return; // reordered: media before `newest` are not complete yet
            }
            // Media up to `newest` are complete, so the gate may decide on them. A clip thus also contains the picture at
            // its end, and the B-frames before it. After a jump nothing is reordered with the media before it, and events
            // of the new time are not ahead.
            let leaped = time > newest.saturating_add(MAX_AHEAD);
            self.trigger.advance(if leaped { time } else { newest });
            self.apply(events);
        }
        self.newest_90k = Some(time);
    }

    /// Ends a timeline: later recordings do not include media of it.
    fn forget_what_was(&mut self) {
        self.pre_roll.clear();
        self.output.forget_annotations();
    }

    /// Without a gate, a keyframe begins a recording if there is none.
    fn open_always(&mut self, time: u64) {
        if self.trigger.is_always() && self.active.is_none() {
            self.open(time, time, NEVER, None);
        }
    }

    fn open(&mut self, event_90k: u64, start_90k: u64, end_90k: u64, id: Option<String>) {
        self.recordings += 1;
        self.output.reset_pause();
        self.active = Some(Active::new(self.recordings, event_90k, start_90k, end_90k, id));
    }

    /// At a keyframe, a recording that the disk rejected may begin again under a new number.
    fn end_pause(&mut self, time: u64) {
        if let Some(active) = &mut self.active
            && active.end_pause(time, self.recordings + 1)
        {
            self.recordings += 1;
        }
    }

    fn write(&mut self, unit: &MediaUnit, events: &mut Vec<RecorderEvent>) {
        let newest_90k = self.newest_90k.unwrap_or(0);
        if let (Some(active), Some(tracks)) = (&mut self.active, self.parameters.current()) {
            self.output.write(active, unit, tracks, newest_90k, events);
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
                    self.close(RecordingStopReason::Gate(reason), events);
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
        if let (Some(active), Some(tracks)) = (&mut self.active, self.parameters.current()) {
            self.output
                .begin(active, tracks, &self.pre_roll, newest_90k, events);
        }
    }

    fn close(&mut self, reason: RecordingStopReason, events: &mut Vec<RecorderEvent>) {
        if let Some(mut active) = self.active.take() {
            self.output.finish(&mut active, reason, events);
        }
    }
}

impl<S: ClipStore> fmt::Debug for Recorder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("tracks", &self.parameters.current())
            .field("stats", &self.stats())
            .field("is_recording", &self.is_recording())
            .finish_non_exhaustive()
    }
}
