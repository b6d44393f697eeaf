//! Pre-roll, gate and clips put together.

use crate::clip::{ClipReport, ClipWriter};
use crate::error::ClipError;
use crate::gate::{
    CloseReason, GateDecision, GateOptions, GateOptionsError, GateStats, Signal, SignalGate, SignalOutcome,
};
use crate::naming::clip_path;
use crate::pre_roll::{PreRoll, PreRollLimits, PreRollStats};
use crate::unit::{MediaUnit, TICKS_PER_SECOND, Track, Tracks};
use std::fmt;
use std::path::{Path, PathBuf};

/// Media time that goes back by more than this (2 s) is another time line; by less, it is a reordered picture.
const MAX_REORDER: u64 = 2 * TICKS_PER_SECOND;

/// A clip that is about to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewClip {
    /// Time of its first picture, a key frame.
    pub start_90k: u64,
    /// Time that was asked for: event plus offset. Before `start_90k` where the pre-roll did not reach back so far.
    pub wanted_start_90k: u64,
    /// Time of the event that opened the gate.
    pub event_90k: u64,
}

/// Where clips go. [`ClipFolder`] is the usual one; bring your own for other containers, or for tests.
pub trait ClipStore {
    /// A clip that is being written.
    type Clip: Clip;

    /// Begins a clip. The first unit that is written to it is the key frame at `new.start_90k`.
    ///
    /// # Errors
    ///
    /// The clip cannot be made; the recording is given up.
    fn create(&mut self, new: &NewClip, tracks: &Tracks) -> Result<Self::Clip, ClipError>;
}

/// A clip that is being written. Dropping it without [`finish`](Self::finish) leaves it unfinished.
pub trait Clip {
    /// Where it will be.
    fn path(&self) -> &Path;

    /// Appends a unit.
    ///
    /// # Errors
    ///
    /// The unit was not written; the recording is given up.
    fn write(&mut self, unit: &MediaUnit) -> Result<(), ClipError>;

    /// Completes the clip.
    ///
    /// # Errors
    ///
    /// The clip is not complete.
    fn finish(self) -> Result<ClipReport, ClipError>;
}

impl Clip for ClipWriter {
    fn path(&self) -> &Path {
        Self::path(self)
    }

    fn write(&mut self, unit: &MediaUnit) -> Result<(), ClipError> {
        Self::write(self, unit)
    }

    fn finish(self) -> Result<ClipReport, ClipError> {
        Self::finish(self)
    }
}

type Naming = Box<dyn FnMut(&NewClip) -> Result<PathBuf, ClipError> + Send>;

/// MP4 files in a folder.
pub struct ClipFolder {
    naming: Naming,
}

impl ClipFolder {
    /// Files in `folder`, named by a pattern as in [`clip_path`].
    pub fn new(folder: impl Into<PathBuf>, pattern: impl Into<String>) -> Self {
        let (folder, pattern) = (folder.into(), pattern.into());
        Self::with_naming(move |new| clip_path(&folder, &pattern, new.start_90k))
    }

    /// Files named by a function, for names that need more than the clip's start. Existing files are not replaced.
    pub fn with_naming(naming: impl FnMut(&NewClip) -> Result<PathBuf, ClipError> + Send + 'static) -> Self {
        Self {
            naming: Box::new(naming),
        }
    }
}

impl fmt::Debug for ClipFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClipFolder").finish_non_exhaustive()
    }
}

impl ClipStore for ClipFolder {
    type Clip = ClipWriter;

    fn create(&mut self, new: &NewClip, tracks: &Tracks) -> Result<ClipWriter, ClipError> {
        ClipWriter::create(&(self.naming)(new)?, tracks, new.start_90k)
    }
}

/// Why a clip ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// The gate closed.
    Gate(CloseReason),
    /// [`Recorder::end`] was called.
    End,
    /// Media time went back by more than 2 s. Events of the old time line are forgotten.
    TimeWentBack,
    /// The stream's parameters changed; while the gate is open, another clip begins at the next key frame.
    TracksChanged,
}

/// What a recorder did.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecorderEvent {
    /// A clip is being written (`RecordingStarted`).
    Started {
        /// Number of the recording, from 1 on; its events carry it too.
        recording: u64,
        /// Where the clip will be.
        path: PathBuf,
        /// Its first picture, its wanted start, its event. It began late where the first exceeds the second.
        clip: NewClip,
    },
    /// No more is written to it (`RecordingStopped`).
    Stopped {
        /// Number of the recording.
        recording: u64,
        /// Where the clip will be.
        path: PathBuf,
        /// Why.
        reason: StopReason,
    },
    /// It is complete (`RecordingAvailable`).
    Available {
        /// Number of the recording.
        recording: u64,
        /// What is in it.
        report: ClipReport,
        /// Correlation ids of its events, in their order.
        correlation_ids: Vec<String>,
    },
    /// It could not be made or completed (`StorageError`). The next event opens another.
    Failed {
        /// Number of the recording.
        recording: u64,
        /// Why.
        error: ClipError,
    },
    /// The gate opened for media that were not there: the event was too old, or no picture came.
    Missed {
        /// Number of the recording.
        recording: u64,
        /// Time of the event.
        event_90k: u64,
    },
}

/// Records clips around events: units and events in, files and [`RecorderEvent`]s out.
///
/// Every call may write to the disk and blocks for as long; run it on a thread for files, and let complete win over
/// live in the queue to it. It keeps no clock: media time is that of the units.
pub struct Recorder<S: ClipStore = ClipFolder> {
    store: S,
    tracks: Tracks,
    gate: SignalGate,
    pre_roll: PreRoll,
    newest_90k: Option<u64>,
    recordings: u64,
    active: Option<Active<S::Clip>>,
}

/// A recording while the gate is open.
struct Active<C> {
    number: u64,
    event_90k: u64,
    start_90k: u64,
    end_90k: u64,
    ids: Vec<String>,
    clip: ClipState<C>,
}

enum ClipState<C> {
    /// No picture of it has come, or none since the tracks changed.
    Waiting {
        wrote_before: bool,
    },
    Writing(C),
    Failed,
}

impl<S: ClipStore> Recorder<S> {
    /// A recorder with an empty pre-roll.
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
        Ok(Self {
            store,
            tracks,
            gate: SignalGate::new(gate)?,
            pre_roll: PreRoll::new(pre_roll),
            newest_90k: None,
            recordings: 0,
            active: None,
        })
    }

    /// Takes a unit, in the order in which it came.
    #[must_use = "the events say which clips exist"]
    pub fn push(&mut self, unit: MediaUnit) -> Vec<RecorderEvent> {
        let mut events = Vec::new();
        if unit.track == Track::Video {
            self.follow_time(unit.timestamp_90k, &mut events);
        }
        if let Some(active) = &mut self.active
            && let ClipState::Writing(clip) = &mut active.clip
            && let Err(error) = write(clip, &unit)
        {
            active.clip = ClipState::Failed;
            events.push(RecorderEvent::Failed {
                recording: active.number,
                error,
            });
        }
        self.pre_roll.push(unit);
        self.begin_if_due(&mut events);
        events
    }

    /// Takes an event. What became of it comes with what it led to.
    #[must_use = "the events say which clips exist"]
    pub fn signal(&mut self, signal: Signal) -> (SignalOutcome, Vec<RecorderEvent>) {
        let mut events = Vec::new();
        let outcome = self.gate.signal(signal);
        self.apply(&mut events);
        (outcome, events)
    }

    /// The stream ended, or the recorder is no longer wanted: completes the clip that is being written, and those whose
    /// events still wait for the end of their window. It can be used on afterwards.
    #[must_use = "the events say which clips exist"]
    pub fn end(&mut self) -> Vec<RecorderEvent> {
        let mut events = Vec::new();
        if self.active.is_some() {
            self.close(StopReason::End, &mut events);
            self.gate.reset();
        } else {
            self.gate.end();
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
        if let Some(active) = &mut self.active
            && matches!(active.clip, ClipState::Writing(_))
        {
            let waiting = ClipState::Waiting { wrote_before: true };
            let state = std::mem::replace(&mut active.clip, waiting);
            finish(active, state, StopReason::TracksChanged, &mut events);
        }
        events
    }

    /// Whether a clip is being written.
    pub fn is_recording(&self) -> bool {
        self.active
            .as_ref()
            .is_some_and(|active| matches!(active.clip, ClipState::Writing(_)))
    }

    /// Counts of events by what became of them.
    pub fn gate_stats(&self) -> GateStats {
        self.gate.stats()
    }

    /// What the pre-roll dropped.
    pub fn pre_roll_stats(&self) -> PreRollStats {
        self.pre_roll.stats()
    }

    fn follow_time(&mut self, time: u64, events: &mut Vec<RecorderEvent>) {
        if let Some(newest) = self.newest_90k {
            if time.saturating_add(MAX_REORDER) < newest {
                self.close(StopReason::TimeWentBack, events);
                self.gate.reset();
                self.pre_roll.clear();
                self.newest_90k = Some(time);
                return;
            }
            if time <= newest {
                return; // reordered: what comes before `newest` is not complete yet
            }
            // Everything up to `newest` is there, so the gate may decide on it. A clip thus holds the picture at its
            // end too, and the B-frames before that picture.
            self.gate.advance(newest);
            self.apply(events);
        }
        self.newest_90k = Some(time);
    }

    fn apply(&mut self, events: &mut Vec<RecorderEvent>) {
        while let Some(decision) = self.gate.poll() {
            match decision {
                GateDecision::Open {
                    event_90k,
                    start_90k,
                    end_90k,
                    correlation_id,
                } => {
                    self.recordings += 1;
                    self.active = Some(Active {
                        number: self.recordings,
                        event_90k,
                        start_90k,
                        end_90k,
                        ids: correlation_id.into_iter().collect(),
                        clip: ClipState::Waiting { wrote_before: false },
                    });
                }
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
        let Some(active) = &mut self.active else { return };
        if !matches!(active.clip, ClipState::Waiting { .. }) {
            return;
        }
        let mut units = self.pre_roll.units_from(active.start_90k).peekable();
        let Some(start_90k) = units
            .peek()
            .map(|unit| unit.timestamp_90k)
            .filter(|start| *start <= active.end_90k)
        else {
            return;
        };
        let new = NewClip {
            start_90k,
            wanted_start_90k: active.start_90k,
            event_90k: active.event_90k,
        };
        let written = self.store.create(&new, &self.tracks).and_then(|mut clip| {
            let path = clip.path().to_owned();
            events.push(RecorderEvent::Started {
                recording: active.number,
                path,
                clip: new,
            });
            let mut newest = start_90k;
            for unit in units {
                // The end may already lie behind, when the window is longer than the recording.
                let beyond = unit.timestamp_90k > newest;
                if beyond && newest >= active.end_90k {
                    break;
                }
                if unit.track == Track::Video {
                    newest = newest.max(unit.timestamp_90k);
                }
                write(&mut clip, unit)?;
            }
            Ok(clip)
        });
        active.clip = match written {
            Ok(clip) => ClipState::Writing(clip),
            Err(error) => {
                events.push(RecorderEvent::Failed {
                    recording: active.number,
                    error,
                });
                ClipState::Failed
            }
        };
    }

    fn close(&mut self, reason: StopReason, events: &mut Vec<RecorderEvent>) {
        if let Some(mut active) = self.active.take() {
            let state = std::mem::replace(&mut active.clip, ClipState::Failed);
            finish(&mut active, state, reason, events);
        }
    }
}

/// Writes what can be written; a unit that is empty or of a missing track is not worth the recording.
fn write<C: Clip>(clip: &mut C, unit: &MediaUnit) -> Result<(), ClipError> {
    match clip.write(unit) {
        Err(ClipError::EmptyUnit | ClipError::NoAudioTrack) => Ok(()),
        result => result,
    }
}

fn finish<C: Clip>(
    active: &mut Active<C>,
    state: ClipState<C>,
    reason: StopReason,
    events: &mut Vec<RecorderEvent>,
) {
    let recording = active.number;
    match state {
        ClipState::Writing(clip) => {
            events.push(RecorderEvent::Stopped {
                recording,
                path: clip.path().to_owned(),
                reason,
            });
            events.push(match clip.finish() {
                Ok(report) => RecorderEvent::Available {
                    recording,
                    report,
                    correlation_ids: active.ids.clone(),
                },
                Err(error) => RecorderEvent::Failed { recording, error },
            });
        }
        ClipState::Waiting { wrote_before: false } => {
            events.push(RecorderEvent::Missed {
                recording,
                event_90k: active.event_90k,
            });
        }
        ClipState::Waiting { wrote_before: true } | ClipState::Failed => {}
    }
}

impl<S: ClipStore> fmt::Debug for Recorder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("tracks", &self.tracks)
            .field("recordings", &self.recordings)
            .field("is_recording", &self.is_recording())
            .finish_non_exhaustive()
    }
}
