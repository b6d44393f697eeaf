//! Writing a recording to its store, which may reject it.

use super::active::{Active, ClipState};
use super::annotations::Annotations;
use super::event::{RecorderEvent, RecorderStats, RecordingStopReason};
use super::parameters::{adapted, can_hold};
use super::retry_delay::RetryDelay;
use crate::error::ClipError;
use crate::index::StoreStats;
use crate::pre_roll::PreRoll;
use crate::report::ClipReport;
use crate::store::{Clip, ClipStore};
use crate::unit::{MediaUnit, Track, Tracks};
use std::sync::Arc;

/// The store and the annotations, with the counters and events of both.
pub(super) struct ClipOutput<S: ClipStore> {
    store: S,
    pause: RetryDelay,
    annotations: Annotations,
    stats: RecorderStats,
}

impl<S: ClipStore> ClipOutput<S> {
    pub(super) fn new(store: S, annotations: Annotations) -> Self {
        Self {
            store,
            pause: RetryDelay::default(),
            annotations,
            stats: RecorderStats::default(),
        }
    }

    pub(super) fn stats(&self) -> RecorderStats {
        self.stats
    }

    pub(super) fn store_stats(&self) -> StoreStats {
        let mut stats = self.store.stats();
        stats.annotations_skipped += self.annotations.skipped();
        stats
    }

    /// Resets the delay for a new recording.
    pub(super) fn reset_pause(&mut self) {
        self.pause.reset();
    }

    /// Starts a new timeline: only finished files accept annotations of the old one.
    pub(super) fn forget_annotations(&mut self) {
        self.annotations.forget();
    }

    /// Begins the clip with the pre-roll, if it contains media of the recording.
    pub(super) fn begin(
        &mut self,
        active: &mut Active<S::Clip>,
        current: &Arc<Tracks>,
        pre_roll: &PreRoll,
        newest_90k: u64,
        events: &mut Vec<RecorderEvent>,
    ) {
        if !active.is_waiting() {
            return;
        }
        let units = pre_roll.units_with_tracks(active.start_90k);
        let mut units = units
            .map(|(unit, tracks)| (unit, tracks.unwrap_or(current)))
            .peekable();
        let first = units
            .peek()
            .map(|(unit, tracks)| (unit.timestamp_90k, Arc::clone(tracks)));
        let Some((start_90k, file)) = first.filter(|(start, _)| *start <= active.end_90k) else {
            return;
        };
        active.tracks = Some(Arc::clone(&file));
        active.suspended = false;
        let mut clip = match self.create(active, &file, start_90k, events) {
            Ok(clip) => clip,
            Err(error) => return self.pause(active, None, error, newest_90k, events),
        };
        let mut finished = Vec::new();
        let (mut newest, mut written) = (start_90k, Ok(()));
        for (unit, tracks) in units {
            // The end may already have passed, if the window is longer than the recording.
            let beyond = unit.timestamp_90k > newest;
            if beyond && newest >= active.end_90k {
                break;
            }
            if unit.track == Track::Video {
                newest = newest.max(unit.timestamp_90k);
            }
            written = write(&mut clip, &adapted(unit, &file, tracks), &mut finished);
            if written.is_err() {
                break;
            }
        }
        self.emit(active, finished, events);
        match written {
            Ok(()) => active.clip = ClipState::Writing(clip),
            Err(error) => self.pause(active, Some(clip), error, newest_90k, events),
        }
    }

    /// Creates the clip, with the annotations that wait for it.
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
            self.count_skipped(taken, events);
        }
        Ok(clip)
    }

    /// Appends a unit with these parameters to the clip, if one is being written.
    pub(super) fn write(
        &mut self,
        active: &mut Active<S::Clip>,
        unit: &MediaUnit,
        tracks: &Tracks,
        newest_90k: u64,
        events: &mut Vec<RecorderEvent>,
    ) {
        match active.take_state() {
            ClipState::Writing(mut clip) => {
                let file = active.tracks.as_deref().unwrap_or(tracks);
                if unit.starts_decoding() {
                    active.suspended = !can_hold(file, tracks);
                }
                if active.suspended {
                    self.stats.not_written += 1;
                    active.clip = ClipState::Writing(clip);
                    return;
                }
                let mut finished = Vec::new();
                let written = write(&mut clip, &adapted(unit, file, tracks), &mut finished);
                self.emit(active, finished, events);
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

    /// Completes the clip, or reports that there are no media. The recording ends, unless its tracks changed.
    pub(super) fn finish(
        &mut self,
        active: &mut Active<S::Clip>,
        reason: RecordingStopReason,
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
                self.emit(active, finished, events);
                let failed = completed.is_err();
                if let Err(error) = completed {
                    self.clip_failed(active, None, error, events);
                }
                if reason != RecordingStopReason::TracksChanged
                    && let Err(error) = self.store.ended()
                    && !failed
                {
                    events.push(RecorderEvent::CleanupFailed { error });
                }
            }
            ClipState::Waiting { wrote_before: false } => {
                self.stats.no_media += 1;
                events.push(RecorderEvent::NoMedia {
                    recording: active.number,
                    event_90k: active.event_90k,
                });
            }
            ClipState::Paused { .. } => {
                let _ = self.store.ended(); // the disk error was already reported
            }
            ClipState::Waiting { wrote_before: true } => {
                if let Err(error) = self.store.ended() {
                    events.push(RecorderEvent::CleanupFailed { error });
                }
            }
        }
    }

    /// Stores an annotation next to the media of its time, or counts it as skipped.
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
        self.count_skipped(taken, events);
    }

    fn count_skipped(&mut self, taken: Result<bool, ClipError>, events: &mut Vec<RecorderEvent>) {
        match taken {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => events.push(RecorderEvent::CleanupFailed { error }),
        }
        self.annotations.skip();
    }

    /// Returns `false` if no recording contains that time, or the file is full.
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

    /// Reports finished files, and lets the store update its playlist and evict.
    fn emit(
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
                events.push(RecorderEvent::CleanupFailed { error });
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

    /// Delays the recording after the disk rejected its clip.
    fn pause(
        &mut self,
        active: &mut Active<S::Clip>,
        clip: Option<S::Clip>,
        error: ClipError,
        newest_90k: u64,
        events: &mut Vec<RecorderEvent>,
    ) {
        let wrote_before = clip.is_some();
        let pause = self.clip_failed(active, clip, error, events);
        active.clip = ClipState::Paused {
            until_90k: newest_90k.saturating_add(pause),
            wrote_before,
        };
    }

    /// Salvages what the disk accepted after an error. Returns the delay before the next attempt.
    fn clip_failed(
        &mut self,
        active: &mut Active<S::Clip>,
        clip: Option<S::Clip>,
        error: ClipError,
        events: &mut Vec<RecorderEvent>,
    ) -> u64 {
        let saved = self.store.clip_failed(clip, &error);
        let mut pause = self.pause;
        self.emit(active, saved, events);
        let wait = pause.next_90k();
        self.pause = pause; // a salvaged file does not reset it
        self.stats.failed += 1;
        events.push(RecorderEvent::Failed {
            recording: active.number,
            error,
        });
        wait
    }
}

/// Writes a unit; an empty one, or one of a missing track, does not end the recording.
fn write<C: Clip>(clip: &mut C, unit: &MediaUnit, finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
    match clip.write(unit, finished) {
        Err(ClipError::EmptyUnit | ClipError::NoAudioTrack) => Ok(()),
        result => result,
    }
}
