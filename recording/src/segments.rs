//! Recordings in segments, in a directory that any HLS player plays.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lva_media_types::MediaTime;

use crate::annotations::AnnotationFile;
use crate::beneath::Boundaries;
use crate::clip::{ClipSettings, ClipWriter, Timeline};
use crate::error::ClipError;
use crate::index::{IndexedFile, RecordingIndex, RetentionPolicy, StoreStats};
use crate::naming::precise_date_time;
use crate::playlist::{Heading, PLAYLIST, complete_playlist, numbers_from, own_text, render, write_playlist};
use crate::recover::recover_of;
use crate::report::ClipReport;
use crate::store::{Clip, ClipStore, NewClip, UnfinishedFiles};
use crate::unit::{MediaUnit, Track, Tracks};

/// Media missing for longer than this (10 s) is a gap in the playlist; for less, the previous picture is shown longer.
const GAP: u64 = 10 * MediaTime::TICKS_PER_SECOND;

/// How long a segment stays open for audio that arrives after the keyframe of the next one (2 s).
const AUDIO_LAG: u64 = 2 * MediaTime::TICKS_PER_SECOND;

/// How a [`SegmentDirectory`] cuts, and what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentOptions {
    length: u64,
    maximum_bytes: Option<u64>,
    retention: Option<u64>,
    listed: usize,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self {
            length: 30 * MediaTime::TICKS_PER_SECOND,
            maximum_bytes: None,
            retention: None,
            listed: 2880,
        }
    }
}

impl SegmentOptions {
    /// Length of a segment: it ends before the first keyframe at or after it. Default 30 s; at least 1 s.
    ///
    /// Shorter segments mean more files that are playable sooner; with longer ones a failing disk loses more. The
    /// contract's `segmentLength` is a multiple of 30 s up to 5 min.
    #[must_use]
    pub fn with_length(mut self, length: Duration) -> Self {
        self.length = MediaTime::ticks_in(length).max(MediaTime::TICKS_PER_SECOND);
        self
    }

    /// Evicts the oldest segments if those of the directory exceed this number of bytes. Default: never. The newest
    /// finished segment always stays, and the one being written does not count.
    #[must_use]
    pub fn with_maximum_bytes(mut self, bytes: u64) -> Self {
        self.maximum_bytes = Some(bytes);
        self
    }

    /// Evicts segments that are older than this, in media time, than the current recording. Default: never. Evicts only
    /// while something is recorded. After a jump ahead of all segments by more than this (a wrong clock, a camera that
    /// was offline), older segments stay until the new time has lasted for an hour, or for 1/24 of this if that is less;
    /// they also stay while this machine's clock is earlier.
    #[must_use]
    pub fn with_retention(mut self, age: Duration) -> Self {
        self.retention = Some(MediaTime::ticks_in(age));
        self
    }

    /// Most segments in the playlist, the newest ones; default 2880, a day of 30 s. The playlist is rewritten with each
    /// segment: about 150 bytes for each. Older segments stay, and [`playlist_for_range`](crate::playlist_for_range)
    /// lists them.
    #[must_use]
    pub fn with_listed_segments(mut self, count: usize) -> Self {
        self.listed = count.max(1);
        self
    }
}

/// Locks a directory against other recordings.
///
/// The lock is on the directory itself (`flock`). On a file system without locks, recording goes on without.
fn lock(directory: &Path, boundaries: &Boundaries) -> Result<File, ClipError> {
    let opened = boundaries.open_directory(directory);
    let handle = opened.map_err(ClipError::create(directory))?;
    match handle.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ClipError::InUse {
            path: directory.to_owned(),
        }),
        _ => Ok(handle),
    }
}

/// When an entry of a directory was last added, renamed or removed.
fn changed(directory: &Path) -> Option<SystemTime> {
    std::fs::metadata(directory)
        .and_then(|found| found.modified())
        .ok()
}

type Naming = Box<dyn FnMut(&NewClip) -> Result<PathBuf, ClipError> + Send>;

/// MP4 files of a fixed length and a playlist, in a directory for each name that recordings get.
///
/// Files are named by the time of their first picture (`20200517T175346.062Z.mp4`), each with a sidecar. `index.m3u8`
/// lists them; a file of other origin with that name stays and is reported ([`ClipError::ForeignPlaylist`]).
///
/// A recording in a directory with earlier segments continues after them, with a gap; unfinished segments of a killed
/// process are finished first. Memory: about 100 bytes for each file of the directory.
///
/// A directory has one writer at a time: a recording locks it from its first picture to its end, and another recording
/// that begins there meanwhile fails with [`ClipError::InUse`]. Eviction for size or age covers all segments of the
/// directory, of any owner: they are one recording. Clips of a [`ClipDirectory`](crate::ClipDirectory) stay.
pub struct SegmentDirectory {
    naming: Naming,
    options: SegmentOptions,
    owner: String,
    boundaries: Boundaries,
    index: Option<RecordingIndex>,
    heading: Heading,
    /// Held during a recording.
    lock: Option<File>,
    /// State of the directory when the lock was released.
    left: Option<SystemTime>,
    /// An error to report with the next file.
    deferred: Option<ClipError>,
    /// Whether a foreign playlist was reported in this recording.
    foreign_reported: bool,
    unfinished: UnfinishedFiles,
    stats: StoreStats,
}

impl SegmentDirectory {
    /// Stores all recordings in one directory.
    pub fn new(directory: impl Into<PathBuf>, options: SegmentOptions) -> Self {
        let directory = directory.into();
        Self::with_naming(options, move |_| Ok(directory.clone()))
    }

    /// Stores each recording in the directory that the function returns.
    pub fn with_naming(
        options: SegmentOptions,
        naming: impl FnMut(&NewClip) -> Result<PathBuf, ClipError> + Send + 'static,
    ) -> Self {
        Self {
            naming: Box::new(naming),
            options,
            owner: String::new(),
            boundaries: Boundaries::default(),
            index: None,
            heading: Heading::default(),
            lock: None,
            left: None,
            deferred: None,
            foreign_reported: false,
            unfinished: UnfinishedFiles::default(),
            stats: StoreStats::default(),
        }
    }

    /// Owner of the recordings, written to the sidecars. Default: none.
    #[must_use]
    pub fn with_owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = owner.into();
        self
    }

    /// Directories below which the recordings stay, whatever the names contain and wherever links lead. Default: every
    /// directory.
    #[must_use]
    pub fn with_boundaries(mut self, folders: Vec<PathBuf>) -> Self {
        self.boundaries = Boundaries::new(folders);
        self
    }

    /// Loads the index of a directory, unless it is loaded, and recovers the files of earlier processes.
    fn open_index(&mut self, directory: &Path) -> Result<(), ClipError> {
        let is_same = self
            .index
            .as_ref()
            .is_some_and(|index| index.directory() == directory)
            && directory.is_dir();
        if is_same && self.lock.is_some() {
            return Ok(());
        }
        self.lock = None;
        if is_same {
            self.lock = Some(lock(directory, &self.boundaries)?);
            if self.left.is_some() && self.left == changed(directory) {
                return Ok(()); // unchanged since
            }
        }
        self.index = None;
        let failed = ClipError::create(directory);
        self.boundaries.make_directory(directory).map_err(failed)?;
        if self.lock.is_none() {
            self.lock = Some(lock(directory, &self.boundaries)?);
        }
        let recovery = recover_of(directory, None, &self.boundaries).map_err(failed)?;
        self.stats.recovered += recovery.recovered.len() as u64;
        self.unfinished.recovered.extend(recovery.recovered);
        let index = RecordingIndex::load_segments(directory, &self.boundaries).map_err(failed)?;
        // A foreign or unreadable playlist is reported when it is written.
        let old = own_text(&directory.join(PLAYLIST), &self.boundaries)
            .ok()
            .flatten()
            .unwrap_or_default();
        let segments: Vec<&IndexedFile> = index.files().filter(|file| file.segment).collect();
        self.heading = numbers_from(&old, &segments);
        self.index = Some(index);
        Ok(())
    }

    /// Updates the playlist. A foreign file of its name is reported once in each recording.
    fn list(&mut self, complete: bool) -> Result<(), ClipError> {
        match self.write_list(complete) {
            Err(ClipError::ForeignPlaylist { .. }) if self.foreign_reported => Ok(()),
            written => {
                self.foreign_reported = matches!(written, Err(ClipError::ForeignPlaylist { .. }));
                written
            }
        }
    }

    fn write_list(&self, complete: bool) -> Result<(), ClipError> {
        let Some(index) = &self.index else { return Ok(()) };
        let segments: Vec<&IndexedFile> = index.files().filter(|file| file.segment).collect();
        let skipped = segments.len().saturating_sub(self.options.listed);
        let (before, listed) = segments.split_at(skipped);
        let mut heading = self.heading;
        heading.sequence = heading.sequence.saturating_add(before.len() as u64);
        heading.discontinuities = heading
            .discontinuities
            .saturating_add(gaps(segments.get(..=skipped).unwrap_or(&segments)));
        heading.event = self.options.maximum_bytes.is_none()
            && self.options.retention.is_none()
            && heading.sequence == 0
            && skipped == 0;
        heading.complete = complete;
        let path = index.directory().join(PLAYLIST);
        write_playlist(&path, &render(listed.iter().copied(), heading), &self.boundaries)
    }
}

/// Number of gaps between neighbours.
fn gaps(segments: &[&IndexedFile]) -> u64 {
    let neighbours = segments.iter().zip(segments.iter().skip(1));
    neighbours
        .filter(|(one, next)| one.zero_90k != next.zero_90k)
        .count() as u64
}

impl fmt::Debug for SegmentDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentDirectory")
            .field("options", &self.options)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

impl ClipStore for SegmentDirectory {
    type Clip = SegmentedClip;

    fn create(&mut self, new: &NewClip, tracks: &Tracks) -> Result<SegmentedClip, ClipError> {
        let directory = (self.naming)(new)?;
        self.open_index(&directory)?;
        let mut others = BTreeSet::new();
        for report in self.unfinished.retry(&self.boundaries) {
            self.stats.recovered += 1;
            match (&mut self.index, report.path.parent()) {
                (Some(index), Some(root)) if root == directory => index.add(report),
                (_, root) => others.extend(root.map(Path::to_owned)),
            }
        }
        for other in others {
            // If another recording runs there, it updates the playlist.
            if let Ok(_lock) = lock(&other, &self.boundaries)
                && let Err(error) = complete_playlist(&other, &self.boundaries)
            {
                self.deferred = Some(error);
            }
        }
        let mut clip = SegmentedClip {
            directory,
            tracks: tracks.clone(),
            owner: self.owner.clone(),
            boundaries: self.boundaries.clone(),
            length: self.options.length,
            current: None,
            closing: None,
            start_90k: new.start_90k,
            due_90k: new.start_90k,
            newest_90k: new.start_90k,
        };
        clip.begin(new.start_90k, None)?;
        // Media before the requested start do not count: half a minute around an event is one file.
        // Nor does the picture at its very end get a separate file.
        let wanted = new.wanted_start_90k.saturating_add(clip.length);
        clip.due_90k = clip.due_90k.max(wanted.saturating_add(u64::from(new.closes)));
        Ok(clip)
    }

    fn finished(&mut self, report: &ClipReport) -> Result<(), ClipError> {
        let earlier = self.deferred.take().map_or(Ok(()), Err);
        let Some(index) = &mut self.index else {
            return earlier;
        };
        index.add(report);
        let policy = RetentionPolicy {
            bytes: self.options.maximum_bytes,
            age_90k: self.options.retention,
        };
        let _ = index.evict(&mut self.stats); // errors are reported below
        let surplus = index.select_evictions(
            policy,
            report,
            MediaTime::from_system_time(SystemTime::now()).ticks_90k(),
        );
        // Only evictions from the front change the numbers of the rest.
        if let Some(next) = index.files().find(|file| file.segment) {
            let in_front = |file: &&IndexedFile| file.segment && file.first_90k < next.first_90k;
            let gone = surplus.iter().filter(in_front).chain([next]);
            let gone: Vec<&IndexedFile> = gone.collect();
            self.heading.sequence = self.heading.sequence.saturating_add(gone.len() as u64 - 1);
            self.heading.discontinuities = self.heading.discontinuities.saturating_add(gaps(&gone));
        }
        // Remove files from the playlist before they are deleted.
        let listed = self.list(false);
        let Some(index) = &mut self.index else {
            return listed;
        };
        earlier.and(listed).and(index.evict(&mut self.stats))
    }

    fn ended(&mut self) -> Result<(), ClipError> {
        let written = self.list(true);
        self.foreign_reported = false;
        self.left = self.index.as_ref().and_then(|index| changed(index.directory()));
        self.lock = None;
        written
    }

    fn clip_failed(&mut self, clip: Option<SegmentedClip>, error: &ClipError) -> Vec<ClipReport> {
        let (closing, current) = clip.map_or((None, None), |clip| (clip.closing, clip.current));
        let closing = closing.map(|(writer, _)| writer);
        let writers = closing.into_iter().chain(current).map(Some);
        // The error may be of another segment: one that could not be renamed.
        writers
            .chain([None])
            .filter_map(|writer| self.unfinished.salvage(writer, error, &self.boundaries))
            .collect()
    }

    fn take_recovered(&mut self) -> Vec<ClipReport> {
        std::mem::take(&mut self.unfinished.recovered)
    }

    fn annotate(&mut self, report: &ClipReport, json: &str) -> Result<bool, ClipError> {
        AnnotationFile::of(&report.path, &self.boundaries).append(json)
    }

    fn stats(&self) -> StoreStats {
        self.stats
    }
}

/// A recording written in segments.
#[derive(Debug)]
pub struct SegmentedClip {
    directory: PathBuf,
    tracks: Tracks,
    owner: String,
    boundaries: Boundaries,
    length: u64,
    current: Option<ClipWriter>,
    /// The previous segment, while audio of it may arrive, and where it ends.
    closing: Option<(ClipWriter, u64)>,
    start_90k: u64,
    /// The segment is long enough from this time on.
    due_90k: u64,
    newest_90k: u64,
}

impl SegmentedClip {
    fn begin(&mut self, start_90k: u64, timeline: Option<Timeline>) -> Result<(), ClipError> {
        let path = self
            .directory
            .join(format!("{}.mp4", precise_date_time(start_90k)));
        let settings = ClipSettings {
            owner: &self.owner,
            boundaries: self.boundaries.clone(),
            segment: true,
            timeline,
        };
        self.current = Some(ClipWriter::create_with(
            &path,
            &self.tracks,
            start_90k,
            &settings,
        )?);
        (self.start_90k, self.newest_90k) = (start_90k, start_90k);
        self.due_90k = start_90k.saturating_add(self.length);
        Ok(())
    }

    fn is_due(&self, unit: &MediaUnit) -> bool {
        let time = unit.timestamp_90k;
        unit.starts_decoding()
            && time > self.start_90k
            && (time >= self.due_90k || time > self.newest_90k.saturating_add(GAP))
    }

    /// Ends the segment before this keyframe, and begins the next.
    fn cut(&mut self, next_90k: u64, finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
        self.close(finished)?;
        let mut timeline = None;
        if let Some(current) = self.current.take() {
            let gap = next_90k > self.newest_90k.saturating_add(GAP);
            if gap {
                finished.push(current.finish()?);
            } else {
                timeline = Some(current.timeline());
                self.closing = Some((current, next_90k));
                if self.tracks.audio.is_none() {
                    self.close(finished)?;
                }
            }
        }
        self.begin(next_90k, timeline)
    }

    /// Completes the previous segment.
    fn close(&mut self, finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
        if let Some((writer, end)) = self.closing.take() {
            finished.push(writer.finish_at(Some(end))?);
        }
        Ok(())
    }
}

impl Clip for SegmentedClip {
    fn path(&self) -> &Path {
        &self.directory
    }

    fn write(&mut self, unit: &MediaUnit, finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
        if self.is_due(unit) {
            self.cut(unit.timestamp_90k, finished)?;
        }
        if let Some((before, end)) = &mut self.closing {
            match unit.track {
                Track::Audio if unit.timestamp_90k < *end => return before.write(unit),
                Track::Video if unit.timestamp_90k < end.saturating_add(AUDIO_LAG) => {}
                _ => self.close(finished)?,
            }
        }
        if unit.track == Track::Video {
            self.newest_90k = self.newest_90k.max(unit.timestamp_90k);
        }
        match &mut self.current {
            Some(current) => current.write(unit),
            None => Err(ClipError::NoKeyframe), // after an error
        }
    }

    fn finish(mut self, finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
        let before = self.close(finished);
        let last = match self.current.take() {
            Some(current) => current.finish().map(|report| finished.push(report)),
            None => Ok(()),
        };
        before.and(last)
    }

    fn annotate(&mut self, timestamp_90k: u64, json: &str) -> Result<bool, ClipError> {
        match (&mut self.closing, &mut self.current) {
            (Some((before, end)), _) if timestamp_90k < *end => before.annotate(timestamp_90k, json),
            (_, Some(current)) => current.annotate(timestamp_90k, json),
            (_, None) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::files::sidecar_path;
    use crate::unit::VideoTrack;
    use lva_media_types::VideoCodec;

    #[test]
    fn a_segment_finished_late_is_in_the_playlist_of_its_directory() {
        let top = tempfile::tempdir().unwrap();
        let avcc = [
            1, 66, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 66, 0, 30, 1, 0, 3, 0x68, 4, 5,
        ];
        let video = VideoTrack {
            codec: VideoCodec::H264,
            extra_data: avcc.to_vec().into(),
            width: 64,
            height: 48,
        };
        let tracks = Tracks { video, audio: None };
        let root = top.path().to_owned();
        let mut store = SegmentDirectory::with_naming(SegmentOptions::default(), move |new| {
            Ok(root.join(new.start_90k.to_string()))
        });
        let mut clip = store.create(&NewClip::new(0, 0, 0), &tracks).unwrap();
        for time in 0..30 {
            let unit = MediaUnit::video(time * 9000, time % 10 == 0, vec![7; 10].into());
            clip.write(&unit, &mut Vec::new()).unwrap();
        }
        let path = top.path().join("0/19700101T000000.000Z.mp4");
        fs::create_dir(sidecar_path(&path)).unwrap(); // so the sidecar cannot be written
        let error = Clip::finish(clip, &mut Vec::new()).unwrap_err();
        assert!(store.clip_failed(None, &error).is_empty());
        store.ended().unwrap();
        fs::remove_dir(sidecar_path(&path)).unwrap();

        store
            .create(&NewClip::new(900_000, 900_000, 900_000), &tracks)
            .unwrap();
        assert!(path.is_file());
        let text = fs::read_to_string(top.path().join("0").join(PLAYLIST)).unwrap();
        assert!(
            text.contains("\n19700101T000000.000Z.mp4\n#EXT-X-ENDLIST\n"),
            "{text}"
        );
        assert_eq!(store.take_recovered().len(), 1);
    }
}
