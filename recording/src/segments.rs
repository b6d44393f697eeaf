//! Recordings in pieces, in a folder that any player scrolls through.

use crate::clip::{ClipReport, ClipSettings, ClipWriter, Timeline, append_annotation};
use crate::error::ClipError;
use crate::naming::precise_date_time;
use crate::playlist::{Heading, PLAYLIST, complete_playlist, numbers_from, own_text, render, write_playlist};
use crate::pre_roll::ticks;
use crate::recover::recover;
use crate::shelf::{Keep, Shelf, Shelved, StoreStats, wall_90k};
use crate::store::{Clip, ClipStore, NewClip, Unfinished};
use crate::unit::{MediaUnit, TICKS_PER_SECOND, Track, Tracks};
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Media missing for longer than this (10 s) is a gap in the playlist; shorter, the picture before stands still.
const GAP: u64 = 10 * TICKS_PER_SECOND;

/// How long a piece is kept open for audio that comes after the key frame of the next one (2 s).
const AUDIO_LAG: u64 = 2 * TICKS_PER_SECOND;

/// How a [`SegmentFolder`] cuts, and what it keeps.
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
            length: 30 * TICKS_PER_SECOND,
            maximum_bytes: None,
            retention: None,
            listed: 2880,
        }
    }
}

impl SegmentOptions {
    /// Length of a piece: it ends before the first key frame at or after it. Default 30 s; below 1 s counts as 1 s.
    ///
    /// Shorter, and there are more files, and media can be looked at sooner; longer, and a failing disk costs more. The
    /// contract's `segmentLength` is a multiple of 30 s up to 5 min.
    #[must_use]
    pub fn with_length(mut self, length: Duration) -> Self {
        self.length = ticks(length).max(TICKS_PER_SECOND);
        self
    }

    /// Removes the oldest pieces when the folder holds more than so many bytes of them. Default: never. The newest finished
    /// piece stays in any case, and the one that is being written does not count.
    #[must_use]
    pub fn with_maximum_bytes(mut self, bytes: u64) -> Self {
        self.maximum_bytes = Some(bytes);
        self
    }

    /// Removes pieces that are older, in media time, than what is recorded now by more than this. Default: never. Nothing is
    /// removed while nothing is recorded. After a leap ahead of all that is there by more than this (a clock that was set
    /// wrong, a camera that was away), nothing of it is removed until the new time has lasted for an hour, or for 1/24 of
    /// this where that is less; nor is it while this machine's clock is not that late.
    #[must_use]
    pub fn with_retention(mut self, age: Duration) -> Self {
        self.retention = Some(ticks(age));
        self
    }

    /// Most pieces that the playlist lists, the newest ones; default 2880, a day of 30 s. The playlist is written anew with
    /// each piece: about 150 bytes for each. Older pieces stay, and [`playlist_of`](crate::playlist_of) lists them.
    #[must_use]
    pub fn with_listed_segments(mut self, count: usize) -> Self {
        self.listed = count.max(1);
        self
    }
}

/// Keeps others from a folder.
///
/// The lock is on the folder itself (`flock`). A file system without locks is not worth a recording: there, none is held.
fn lock(folder: &Path) -> Result<File, ClipError> {
    let handle = File::open(folder).map_err(|source| ClipError::Create {
        path: folder.to_owned(),
        source,
    })?;
    match handle.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ClipError::InUse {
            path: folder.to_owned(),
        }),
        _ => Ok(handle),
    }
}

/// When something in a folder was last added, renamed or removed.
fn changed(folder: &Path) -> Option<SystemTime> {
    fs::metadata(folder).and_then(|found| found.modified()).ok()
}

type Naming = Box<dyn FnMut(&NewClip) -> Result<PathBuf, ClipError> + Send>;

/// MP4 files of a fixed length and a playlist, in one folder for each name that the recordings are given.
///
/// Files are called by the time of their first picture (`20200517T175346.062Z.mp4`), each with its sidecar. `index.m3u8`
/// lists them; somebody else's file of that name stays, and is told ([`ClipError::ForeignPlaylist`]).
///
/// A recording that begins in a folder that holds others goes on behind those, after a gap; what a killed
/// process left there is finished first. Memory: about 100 bytes for each file of the folder.
///
/// A folder has one writer at a time: from its first picture to its end a recording locks it, and another that begins there
/// meanwhile fails with [`ClipError::InUse`]. What is removed for size or age are the folder's pieces, whoever wrote them:
/// they are one recording. Clips that a [`ClipFolder`](crate::ClipFolder) put there stay.
pub struct SegmentFolder {
    naming: Naming,
    options: SegmentOptions,
    writer: String,
    shelf: Option<Shelf>,
    heading: Heading,
    /// Held while something is recorded.
    lock: Option<File>,
    /// The state of the folder when the lock was given up.
    left: Option<SystemTime>,
    /// What is to be said with the next file.
    trouble: Option<ClipError>,
    /// Somebody else's file has the playlist's name, and that was said of this recording.
    is_foreign_told: bool,
    unfinished: Unfinished,
    stats: StoreStats,
}

impl SegmentFolder {
    /// All recordings go to one folder.
    pub fn new(folder: impl Into<PathBuf>, options: SegmentOptions) -> Self {
        let folder = folder.into();
        Self::with_naming(options, move |_| Ok(folder.clone()))
    }

    /// Each recording goes to the folder that the function names.
    pub fn with_naming(
        options: SegmentOptions,
        naming: impl FnMut(&NewClip) -> Result<PathBuf, ClipError> + Send + 'static,
    ) -> Self {
        Self {
            naming: Box::new(naming),
            options,
            writer: String::new(),
            shelf: None,
            heading: Heading::default(),
            lock: None,
            left: None,
            trouble: None,
            is_foreign_told: false,
            unfinished: Unfinished::default(),
            stats: StoreStats::default(),
        }
    }

    /// What the sidecars say who recorded. Default: nothing.
    #[must_use]
    pub fn written_by(mut self, writer: impl Into<String>) -> Self {
        self.writer = writer.into();
        self
    }

    /// Makes sure that the shelf is that of a folder, with what earlier processes left there.
    fn open_shelf(&mut self, folder: &Path) -> Result<(), ClipError> {
        let is_same = self.shelf.as_ref().is_some_and(|shelf| shelf.folder() == folder) && folder.is_dir();
        if is_same && self.lock.is_some() {
            return Ok(());
        }
        self.lock = None;
        if is_same {
            self.lock = Some(lock(folder)?);
            if self.left.is_some() && self.left == changed(folder) {
                return Ok(()); // nobody else was here
            }
        }
        self.shelf = None;
        let failed = |source| ClipError::Create {
            path: folder.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        if self.lock.is_none() {
            self.lock = Some(lock(folder)?);
        }
        let recovery = recover(folder).map_err(failed)?;
        self.stats.recovered += recovery.recovered.len() as u64;
        self.unfinished.recovered.extend(recovery.recovered);
        let shelf = Shelf::load_pieces(folder).map_err(failed)?;
        // What is somebody else's, or cannot be read, is said when the playlist is written.
        let old = own_text(&folder.join(PLAYLIST))
            .ok()
            .flatten()
            .unwrap_or_default();
        let pieces: Vec<&Shelved> = shelf.files().filter(|file| file.segment).collect();
        self.heading = numbers_from(&old, &pieces);
        self.shelf = Some(shelf);
        Ok(())
    }

    /// Lists what is there. A foreign file in the playlist's place is said once in each recording.
    fn list(&mut self, complete: bool) -> Result<(), ClipError> {
        match self.write_list(complete) {
            Err(ClipError::ForeignPlaylist { .. }) if self.is_foreign_told => Ok(()),
            written => {
                self.is_foreign_told = matches!(written, Err(ClipError::ForeignPlaylist { .. }));
                written
            }
        }
    }

    fn write_list(&self, complete: bool) -> Result<(), ClipError> {
        let Some(shelf) = &self.shelf else { return Ok(()) };
        let pieces: Vec<&Shelved> = shelf.files().filter(|file| file.segment).collect();
        let skipped = pieces.len().saturating_sub(self.options.listed);
        let (before, listed) = pieces.split_at(skipped);
        let mut heading = self.heading;
        heading.sequence = heading.sequence.saturating_add(before.len() as u64);
        heading.discontinuities = heading
            .discontinuities
            .saturating_add(gaps(pieces.get(..=skipped).unwrap_or(&pieces)));
        heading.event = self.options.maximum_bytes.is_none()
            && self.options.retention.is_none()
            && heading.sequence == 0
            && skipped == 0;
        heading.complete = complete;
        let path = shelf.folder().join(PLAYLIST);
        write_playlist(&path, &render(listed.iter().copied(), heading))
    }
}

/// Changes of the clock between neighbours.
fn gaps(pieces: &[&Shelved]) -> u64 {
    let neighbours = pieces.iter().zip(pieces.iter().skip(1));
    neighbours
        .filter(|(one, next)| one.zero_90k != next.zero_90k)
        .count() as u64
}

impl fmt::Debug for SegmentFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentFolder")
            .field("options", &self.options)
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

impl ClipStore for SegmentFolder {
    type Clip = SegmentedClip;

    fn create(&mut self, new: &NewClip, tracks: &Tracks) -> Result<SegmentedClip, ClipError> {
        let folder = (self.naming)(new)?;
        self.open_shelf(&folder)?;
        let mut others = BTreeSet::new();
        for report in self.unfinished.try_again() {
            self.stats.recovered += 1;
            match (&mut self.shelf, report.path.parent()) {
                (Some(shelf), Some(home)) if home == folder => shelf.add(report),
                (_, home) => others.extend(home.map(Path::to_owned)),
            }
        }
        for other in others {
            // Where somebody records, the playlist is theirs.
            if let Ok(_lock) = lock(&other)
                && let Err(error) = complete_playlist(&other)
            {
                self.trouble = Some(error);
            }
        }
        let mut clip = SegmentedClip {
            folder,
            tracks: tracks.clone(),
            writer: self.writer.clone(),
            length: self.options.length,
            current: None,
            closing: None,
            start_90k: new.start_90k,
            due_90k: new.start_90k,
            newest_90k: new.start_90k,
        };
        clip.begin(new.start_90k, None)?;
        // What is there only because a key frame comes first does not count: half a minute around an event is one file.
        // Nor is the picture at its very end a file of its own.
        let wanted = new.wanted_start_90k.saturating_add(clip.length);
        clip.due_90k = clip.due_90k.max(wanted.saturating_add(u64::from(new.closes)));
        Ok(clip)
    }

    fn finished(&mut self, report: &ClipReport) -> Result<(), ClipError> {
        let told = self.trouble.take().map_or(Ok(()), Err);
        let Some(shelf) = &mut self.shelf else {
            return told;
        };
        shelf.add(report);
        let keep = Keep {
            bytes: self.options.maximum_bytes,
            age_90k: self.options.retention,
        };
        let _ = shelf.remove_surplus(&mut self.stats); // what still cannot be removed is said below
        let surplus = shelf.take_surplus(keep, report, wall_90k());
        // Only what goes from the front moves the numbers of the rest.
        if let Some(next) = shelf.files().find(|file| file.segment) {
            let in_front = |file: &&Shelved| file.segment && file.first_90k < next.first_90k;
            let gone = surplus.iter().filter(in_front).chain([next]);
            let gone: Vec<&Shelved> = gone.collect();
            self.heading.sequence = self.heading.sequence.saturating_add(gone.len() as u64 - 1);
            self.heading.discontinuities = self.heading.discontinuities.saturating_add(gaps(&gone));
        }
        // Nobody is to be shown what is about to go.
        let listed = self.list(false);
        let Some(shelf) = &mut self.shelf else {
            return listed;
        };
        told.and(listed).and(shelf.remove_surplus(&mut self.stats))
    }

    fn ended(&mut self) -> Result<(), ClipError> {
        let written = self.list(true);
        self.is_foreign_told = false;
        self.left = self.shelf.as_ref().and_then(|shelf| changed(shelf.folder()));
        self.lock = None;
        written
    }

    fn broke(&mut self, clip: Option<SegmentedClip>, error: &ClipError) -> Vec<ClipReport> {
        let (closing, current) = clip.map_or((None, None), |clip| (clip.closing, clip.current));
        let closing = closing.map(|(writer, _)| writer);
        let writers = closing.into_iter().chain(current).map(Some);
        // The piece of the error may be another: one that could not get its name.
        writers
            .chain([None])
            .filter_map(|writer| self.unfinished.salvage(writer, error))
            .collect()
    }

    fn take_recovered(&mut self) -> Vec<ClipReport> {
        std::mem::take(&mut self.unfinished.recovered)
    }

    fn annotate(&mut self, report: &ClipReport, json: &str) -> Result<bool, ClipError> {
        append_annotation(&report.path, &mut None, &mut 0, json)
    }

    fn stats(&self) -> StoreStats {
        self.stats
    }
}

/// A recording that is written piece by piece.
#[derive(Debug)]
pub struct SegmentedClip {
    folder: PathBuf,
    tracks: Tracks,
    writer: String,
    length: u64,
    current: Option<ClipWriter>,
    /// The piece before, while audio of it may come, and where it ends.
    closing: Option<(ClipWriter, u64)>,
    start_90k: u64,
    /// From when on the piece is long enough.
    due_90k: u64,
    newest_90k: u64,
}

impl SegmentedClip {
    fn begin(&mut self, start_90k: u64, timeline: Option<Timeline>) -> Result<(), ClipError> {
        let path = self.folder.join(format!("{}.mp4", precise_date_time(start_90k)));
        let settings = ClipSettings {
            writer: &self.writer,
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

    /// Ends the piece before this key frame, and begins the next.
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

    /// Completes the piece before.
    fn close(&mut self, finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
        if let Some((writer, end)) = self.closing.take() {
            finished.push(writer.finish_at(Some(end))?);
        }
        Ok(())
    }
}

impl Clip for SegmentedClip {
    fn path(&self) -> &Path {
        &self.folder
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
            None => Err(ClipError::NoKeyframe), // after an error, which gave the clip up
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
    use super::*;
    use crate::sidecar::sidecar_path;
    use crate::unit::{VideoCodec, VideoTrack};

    #[test]
    fn a_piece_that_is_finished_late_is_in_the_playlist_of_its_own_folder() {
        let root = tempfile::tempdir().unwrap();
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
        let home = root.path().to_owned();
        let mut store = SegmentFolder::with_naming(SegmentOptions::default(), move |new| {
            Ok(home.join(new.start_90k.to_string()))
        });
        let mut clip = store.create(&NewClip::new(0, 0, 0), &tracks).unwrap();
        for time in 0..30 {
            let unit = MediaUnit::video(time * 9000, time % 10 == 0, vec![7; 10].into());
            clip.write(&unit, &mut Vec::new()).unwrap();
        }
        let path = root.path().join("0/19700101T000000.000Z.mp4");
        fs::create_dir(sidecar_path(&path)).unwrap(); // so the piece cannot get its sidecar
        let error = Clip::finish(clip, &mut Vec::new()).unwrap_err();
        assert!(store.broke(None, &error).is_empty());
        store.ended().unwrap();
        fs::remove_dir(sidecar_path(&path)).unwrap();

        store
            .create(&NewClip::new(900_000, 900_000, 900_000), &tracks)
            .unwrap();
        assert!(path.is_file());
        let text = fs::read_to_string(root.path().join("0").join(PLAYLIST)).unwrap();
        assert!(
            text.contains("\n19700101T000000.000Z.mp4\n#EXT-X-ENDLIST\n"),
            "{text}"
        );
        assert_eq!(store.take_recovered().len(), 1);
    }
}
