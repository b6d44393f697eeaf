//! Where clips go.

use crate::clip::{ClipReport, ClipSettings, ClipWriter, append_annotation};
use crate::error::ClipError;
use crate::leftovers::{MAX_DEPTH, Unreadable};
use crate::naming::clip_path;
use crate::recover::{complete, recover_written_by};
use crate::shelf::{Keep, Shelf, StoreStats, wall_90k};
use crate::unit::{MediaUnit, Tracks};
use std::collections::VecDeque;
use std::fmt;
use std::fs::{OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// Unfinished files that are remembered to be finished later.
const MAX_UNFINISHED: usize = 64;

/// A clip that is about to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewClip {
    /// Time of its first picture, a key frame.
    pub start_90k: u64,
    /// Time that was asked for: event plus offset. Before `start_90k` where the pre-roll did not reach back so far.
    pub wanted_start_90k: u64,
    /// Time of the event that opened the gate; of the first picture in a continuous recording.
    pub event_90k: u64,
    /// Whether a gate will close: the picture at the very end is then part of the clip.
    pub(crate) closes: bool,
}

impl NewClip {
    pub(crate) fn new(start_90k: u64, wanted_start_90k: u64, event_90k: u64) -> Self {
        Self {
            start_90k,
            wanted_start_90k,
            event_90k,
            closes: false,
        }
    }
}

/// Where clips go. [`ClipFolder`] makes one file of each, [`SegmentFolder`](crate::SegmentFolder) several; bring your own
/// for other containers, or for tests. Only [`create`](Self::create) has to be there.
pub trait ClipStore {
    /// A clip that is being written.
    type Clip: Clip;

    /// Begins a clip. The first unit that is written to it is the key frame at `new.start_90k`.
    ///
    /// # Errors
    ///
    /// The clip cannot be made; it is tried again later.
    fn create(&mut self, new: &NewClip, tracks: &Tracks) -> Result<Self::Clip, ClipError>;

    /// A file is complete: time to list it, and to make room.
    ///
    /// # Errors
    ///
    /// The folder could not be kept in order. Recording goes on.
    fn finished(&mut self, _report: &ClipReport) -> Result<(), ClipError> {
        Ok(())
    }

    /// A recording is over; all its files were told as finished.
    ///
    /// # Errors
    ///
    /// As for [`finished`](Self::finished).
    fn ended(&mut self) -> Result<(), ClipError> {
        Ok(())
    }

    /// A clip failed: in writing, or (`None`) when it was finished. Saves what can be saved of it.
    fn broke(&mut self, _clip: Option<Self::Clip>, _error: &ClipError) -> Vec<ClipReport> {
        Vec::new()
    }

    /// Files of earlier recordings that could be completed only now: those of a process that was killed, or of a disk
    /// that refused. They were not told as finished.
    fn take_recovered(&mut self) -> Vec<ClipReport> {
        Vec::new()
    }

    /// Writes what was seen at a time beside a finished file. `false`: it was not taken.
    ///
    /// # Errors
    ///
    /// The disk refuses it.
    fn annotate(&mut self, _report: &ClipReport, _json: &str) -> Result<bool, ClipError> {
        Ok(false)
    }

    /// What it did besides recording.
    fn stats(&self) -> StoreStats {
        StoreStats::default()
    }
}

/// A clip that is being written. Dropping it without [`finish`](Self::finish) leaves it unfinished.
pub trait Clip {
    /// Where it will be.
    fn path(&self) -> &Path;

    /// Appends a unit. Files that this completes are added to `finished`, also before an error.
    ///
    /// # Errors
    ///
    /// The unit was not written; the recording is given up.
    fn write(&mut self, unit: &MediaUnit, finished: &mut Vec<ClipReport>) -> Result<(), ClipError>;

    /// Completes the clip. The files of it that were not yet told are added to `finished`, also before an error.
    ///
    /// # Errors
    ///
    /// The clip is not complete.
    fn finish(self, finished: &mut Vec<ClipReport>) -> Result<(), ClipError>;

    /// Writes what was seen at a time beside the file that is being written. `false`: it was not taken, or the time lies
    /// before that file.
    ///
    /// # Errors
    ///
    /// The disk refuses it.
    fn annotate(&mut self, _timestamp_90k: u64, _json: &str) -> Result<bool, ClipError> {
        Ok(false)
    }
}

impl Clip for ClipWriter {
    fn path(&self) -> &Path {
        Self::path(self)
    }

    fn write(&mut self, unit: &MediaUnit, _finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
        Self::write(self, unit)
    }

    fn finish(self, finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
        finished.push(Self::finish(self)?);
        Ok(())
    }

    fn annotate(&mut self, timestamp_90k: u64, json: &str) -> Result<bool, ClipError> {
        Self::annotate(self, timestamp_90k, json)
    }
}

type Naming = Box<dyn FnMut(&NewClip) -> Result<PathBuf, ClipError> + Send>;

/// MP4 files in a folder, one for each recording.
pub struct ClipFolder {
    naming: Naming,
    writer: String,
    home: Option<PathBuf>,
    is_recovered: bool,
    maximum_bytes: Option<u64>,
    shelf: Option<Shelf>,
    /// Why the cap cannot be kept, where that is to be said.
    trouble: Option<ClipError>,
    unfinished: Unfinished,
    stats: StoreStats,
}

impl ClipFolder {
    /// Files in `folder`, named by a pattern as in [`clip_path`].
    pub fn new(folder: impl Into<PathBuf>, pattern: impl Into<String>) -> Self {
        let (folder, pattern) = (folder.into(), pattern.into());
        let home = folder.clone();
        Self::with_naming(move |new| clip_path(&folder, &pattern, new.start_90k)).below(home)
    }

    /// Files named by a function, for names that need more than the clip's start. Existing files are not replaced.
    pub fn with_naming(naming: impl FnMut(&NewClip) -> Result<PathBuf, ClipError> + Send + 'static) -> Self {
        Self {
            naming: Box::new(naming),
            writer: String::new(),
            home: None,
            is_recovered: false,
            maximum_bytes: None,
            shelf: None,
            trouble: None,
            unfinished: Unfinished::default(),
            stats: StoreStats::default(),
        }
    }

    /// What the sidecars say who recorded: by this the clips are known again after a restart. Default: nothing.
    #[must_use]
    pub fn written_by(mut self, writer: impl Into<String>) -> Self {
        self.writer = writer.into();
        self
    }

    /// All names lie below this folder. With the first clip, what killed processes left there of this writer's is
    /// finished. [`new`](Self::new) knows its folder; a naming function has to say it.
    #[must_use]
    pub fn below(mut self, folder: impl Into<PathBuf>) -> Self {
        self.home = Some(folder.into());
        self
    }

    /// Removes the oldest clips when those of this writer below the folder come to more than so many bytes. Default:
    /// nothing is removed. Without a folder nothing is, either.
    ///
    /// Clips of earlier runs count; they are known by their sidecars, so a file of anybody else neither counts nor goes.
    /// The newest clip always stays. Too small, and a clip is gone before somebody has looked at it; the one that is being
    /// written does not count, so the folder is larger by as much.
    #[must_use]
    pub fn with_maximum_bytes(mut self, bytes: u64) -> Self {
        self.maximum_bytes = Some(bytes);
        self
    }

    /// Finishes what killed processes left of this writer's clips, and learns what there is, once. What cannot be read is
    /// tried again with the next clip; where it is the folder itself, no cap can be kept until then.
    fn open_shelf(&mut self) {
        let Some(home) = &self.home else { return };
        if !self.is_recovered {
            match recover_written_by(home, &self.writer) {
                Ok(recovery) => {
                    self.is_recovered = true;
                    self.stats.recovered += recovery.recovered.len() as u64;
                    self.unfinished.recovered.extend(recovery.recovered);
                    self.trouble = first_trouble(recovery.unreadable);
                }
                Err(source) => self.trouble = first_trouble(vec![(home.clone(), source)]),
            }
        }
        if self.maximum_bytes.is_some() && self.shelf.is_none() {
            match Shelf::load(home, MAX_DEPTH, Some(&self.writer)) {
                Ok(mut shelf) => {
                    self.trouble = self.trouble.take().or(first_trouble(shelf.take_unreadable()));
                    self.shelf = Some(shelf);
                }
                Err(source) => self.trouble = first_trouble(vec![(home.clone(), source)]),
            }
        }
    }
}

/// One of the folders that could not be read: it stands for all.
fn first_trouble(unreadable: Unreadable) -> Option<ClipError> {
    let (path, source) = unreadable.into_iter().next()?;
    Some(ClipError::Beside { path, source })
}

impl fmt::Debug for ClipFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClipFolder")
            .field("writer", &self.writer)
            .field("maximum_bytes", &self.maximum_bytes)
            .finish_non_exhaustive()
    }
}

impl ClipStore for ClipFolder {
    type Clip = ClipWriter;

    fn create(&mut self, new: &NewClip, tracks: &Tracks) -> Result<ClipWriter, ClipError> {
        self.open_shelf();
        for report in self.unfinished.try_again() {
            self.stats.recovered += 1;
            if let Some(shelf) = &mut self.shelf {
                shelf.add(report);
            }
        }
        let settings = ClipSettings {
            writer: &self.writer,
            ..ClipSettings::default()
        };
        ClipWriter::create_with(&(self.naming)(new)?, tracks, new.start_90k, &settings)
    }

    fn finished(&mut self, report: &ClipReport) -> Result<(), ClipError> {
        let told = self.trouble.take().map_or(Ok(()), Err);
        let Some(shelf) = &mut self.shelf else {
            return told;
        };
        shelf.add(report);
        let keep = Keep {
            bytes: self.maximum_bytes,
            age_90k: None,
        };
        let _ = shelf.remove_surplus(&mut self.stats); // what still cannot be removed is said below
        shelf.take_surplus(keep, report, wall_90k());
        told.and(shelf.remove_surplus(&mut self.stats))
    }

    fn broke(&mut self, clip: Option<ClipWriter>, error: &ClipError) -> Vec<ClipReport> {
        let saved = self.unfinished.salvage(clip, error);
        saved.into_iter().collect()
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

/// Files that a disk did not let finish.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    parts: VecDeque<PathBuf>,
    /// Those that were finished after all.
    pub(crate) recovered: Vec<ClipReport>,
}

impl Unfinished {
    /// Saves what can be saved of a clip, at once or later.
    pub(crate) fn salvage(&mut self, clip: Option<ClipWriter>, error: &ClipError) -> Option<ClipReport> {
        let part = match clip {
            Some(clip) => {
                let part = clip.unfinished_path().to_owned();
                match clip.salvage() {
                    Ok(saved) => return saved,
                    Err(_) => part, // the error that led here is told already
                }
            }
            None => error.unfinished()?.to_owned(),
        };
        if part.exists() && !self.parts.contains(&part) {
            if self.parts.len() == MAX_UNFINISHED {
                self.parts.pop_front();
            }
            self.parts.push_back(part);
        }
        None
    }

    /// Tries once more; what it could finish now.
    pub(crate) fn try_again(&mut self) -> &[ClipReport] {
        let before = self.recovered.len();
        let parts = std::mem::take(&mut self.parts);
        for part in parts {
            let path = part.with_extension("");
            let Ok(mut file) = OpenOptions::new().read(true).write(true).open(&part) else {
                if part.exists() {
                    self.parts.push_back(part);
                }
                continue;
            };
            if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
                continue; // somebody else recovers it
            }
            match complete(&part, &path, &mut file) {
                Ok(report) => self.recovered.extend(report),
                Err(_) => self.parts.push_back(part),
            }
        }
        self.recovered.get(before..).unwrap_or_default()
    }
}
