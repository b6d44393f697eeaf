//! A recording and the store it goes to, which may refuse.

use super::active::{Active, ClipState};
use super::annotations::Annotations;
use super::event::{RecorderEvent, RecorderStats, StopReason};
use super::pause::Pause;
use crate::clip::ClipReport;
use crate::error::ClipError;
use crate::pre_roll::PreRoll;
use crate::shelf::StoreStats;
use crate::store::{Clip, ClipStore};
use crate::unit::{MediaUnit, Track, Tracks};

/// The store, what it was given, and what is told of that.
pub(super) struct Disk<S: ClipStore> {
    store: S,
    pause: Pause,
    annotations: Annotations,
    stats: RecorderStats,
}

impl<S: ClipStore> Disk<S> {
    pub(super) fn new(store: S, annotations: Annotations) -> Self {
        Self {
            store,
            pause: Pause::default(),
            annotations,
            stats: RecorderStats::default(),
        }
    }

    pub(super) fn stats(&self) -> RecorderStats {
        self.stats
    }

    pub(super) fn store_stats(&self) -> StoreStats {
        let mut stats = self.store.stats();
        stats.annotations_left_out += self.annotations.left_out();
        stats
    }

    /// A recording opens that has nothing to do with what was refused before.
    pub(super) fn reset_pause(&mut self) {
        self.pause.reset();
    }

    /// Time begins anew. What was seen before is shown by the files that are finished, or not at all.
    pub(super) fn forget_annotations(&mut self) {
        self.annotations.forget();
    }

    /// Begins the clip with what the pre-roll holds of it, if that is anything.
    pub(super) fn begin(
        &mut self,
        active: &mut Active<S::Clip>,
        tracks: &Tracks,
        pre_roll: &PreRoll,
        newest_90k: u64,
        events: &mut Vec<RecorderEvent>,
    ) {
        if !active.is_waiting() {
            return;
        }
        let mut units = pre_roll.units_from(active.start_90k).peekable();
        let first = units.peek().map(|unit| unit.timestamp_90k);
        let Some(start_90k) = first.filter(|start| *start <= active.end_90k) else {
            return;
        };
        let mut clip = match self.create(active, tracks, start_90k, events) {
            Ok(clip) => clip,
            Err(error) => return self.pause(active, None, error, newest_90k, events),
        };
        let mut finished = Vec::new();
        let (mut newest, mut written) = (start_90k, Ok(()));
        for unit in units {
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
            Ok(()) => active.clip = ClipState::Writing(clip),
            Err(error) => self.pause(active, Some(clip), error, newest_90k, events),
        }
    }

    /// Makes the clip, and puts beside it what was seen before it began.
    fn create(
        &mut self,
        active: &mut Active<S::Clip>,
        tracks: &Tracks,
        start_90k: u64,
        events: &mut Vec<RecorderEvent>,
    ) -> Result<S::Clip, ClipError> {
        let new = active.new_clip(start_90k);
        let created = self.store.create(&new, tracks);
        let recovered = self.store.take_recovered().into_iter();
        events.extend(recovered.map(|report| RecorderEvent::Recovered { report }));
        let mut clip = created?;
        self.stats.started += 1;
        active.available = false;
        events.push(RecorderEvent::Started {
            recording: active.number,
            path: clip.path().to_owned(),
            clip: new,
        });
        for (time, json) in self.annotations.take_from(start_90k) {
            let taken = clip.annotate(time, &json);
            self.count_left_out(taken, events);
        }
        Ok(clip)
    }

    /// Appends a unit to the clip, if one is being written.
    pub(super) fn write(
        &mut self,
        active: &mut Active<S::Clip>,
        unit: &MediaUnit,
        newest_90k: u64,
        events: &mut Vec<RecorderEvent>,
    ) {
        match active.take_state() {
            ClipState::Writing(mut clip) => {
                let mut finished = Vec::new();
                let written = write(&mut clip, unit, &mut finished);
                self.tell(active, finished, events);
                match written {
                    Ok(()) => active.clip = ClipState::Writing(clip),
                    Err(error) => self.pause(active, Some(clip), error, newest_90k, events),
                }
            }
            paused @ ClipState::Paused { .. } => {
                self.stats.not_written += 1;
                active.clip = paused;
            }
            waiting @ ClipState::Waiting { .. } => active.clip = waiting,
        }
    }

    /// Completes the clip, or says that there is none. The recording is over but where its tracks have changed.
    pub(super) fn finish(
        &mut self,
        active: &mut Active<S::Clip>,
        reason: StopReason,
        events: &mut Vec<RecorderEvent>,
    ) {
        match active.take_state() {
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
                    self.broke(active, None, error, events);
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
            ClipState::Waiting { wrote_before: true } => {
                if let Err(error) = self.store.ended() {
                    events.push(RecorderEvent::Untidy { error });
                }
            }
        }
    }

    /// Puts what was seen at a time beside the media of that time, and counts what finds no place.
    pub(super) fn annotate(
        &mut self,
        active: Option<&mut Active<S::Clip>>,
        timestamp_90k: u64,
        json: &str,
        newest_90k: u64,
        events: &mut Vec<RecorderEvent>,
    ) {
        let clip = active.and_then(Active::writing);
        let taken = self.place(clip, timestamp_90k, json, newest_90k);
        self.count_left_out(taken, events);
    }

    fn count_left_out(&mut self, taken: Result<bool, ClipError>, events: &mut Vec<RecorderEvent>) {
        match taken {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => events.push(RecorderEvent::Untidy { error }),
        }
        self.annotations.leave_out();
    }

    /// `false`: nothing is recorded of that time, or no more is taken.
    fn place(
        &mut self,
        clip: Option<&mut S::Clip>,
        timestamp_90k: u64,
        json: &str,
        newest_90k: u64,
    ) -> Result<bool, ClipError> {
        if let Some(clip) = clip
            && clip.annotate(timestamp_90k, json)?
        {
            return Ok(true);
        }
        if let Some(report) = self.annotations.file_that_shows(timestamp_90k) {
            return self.store.annotate(report, json);
        }
        Ok(self.annotations.place_later(timestamp_90k, json, newest_90k))
    }

    /// Tells finished files, and lets the store keep its house.
    fn tell(
        &mut self,
        active: &mut Active<S::Clip>,
        finished: Vec<ClipReport>,
        events: &mut Vec<RecorderEvent>,
    ) {
        for report in finished {
            self.pause.reset();
            self.stats.files += 1;
            self.stats.bytes += report.bytes;
            if let Err(error) = self.store.finished(&report) {
                events.push(RecorderEvent::Untidy { error });
            }
            self.annotations.remember(&report);
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

    /// The disk refused the clip, or to begin one. The recording waits before it tries again.
    fn pause(
        &mut self,
        active: &mut Active<S::Clip>,
        clip: Option<S::Clip>,
        error: ClipError,
        newest_90k: u64,
        events: &mut Vec<RecorderEvent>,
    ) {
        let wrote_before = clip.is_some();
        let pause = self.broke(active, clip, error, events);
        active.clip = ClipState::Paused {
            until_90k: newest_90k.saturating_add(pause),
            wrote_before,
        };
    }

    /// The disk refused: what can be saved is saved. How long it is to be left alone.
    fn broke(
        &mut self,
        active: &mut Active<S::Clip>,
        clip: Option<S::Clip>,
        error: ClipError,
        events: &mut Vec<RecorderEvent>,
    ) -> u64 {
        let saved = self.store.broke(clip, &error);
        let mut pause = self.pause;
        self.tell(active, saved, events);
        let wait = pause.next_90k();
        self.pause = pause; // a file that was saved does not make it shorter
        self.stats.failed += 1;
        events.push(RecorderEvent::Failed {
            recording: active.number,
            error,
        });
        wait
    }
}

/// Writes what can be written; a unit that is empty or of a missing track is not worth the recording.
fn write<C: Clip>(clip: &mut C, unit: &MediaUnit, finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
    match clip.write(unit, finished) {
        Err(ClipError::EmptyUnit | ClipError::NoAudioTrack) => Ok(()),
        result => result,
    }
}
