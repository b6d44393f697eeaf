//! Where clips are stored.

use std::collections::VecDeque;
use std::fmt;
use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lva_media_types::MediaTime;

use crate::annotations::AnnotationFile;
use crate::beneath::{Access, Boundaries};
use crate::clip::{ClipSettings, ClipWriter};
use crate::error::ClipError;
use crate::files::finished;
use crate::finish::complete;
use crate::index::{RecordingIndex, RetentionPolicy, StoreStats};
use crate::naming::clip_path;
use crate::recover::recover_of;
use crate::report::ClipReport;
use crate::scan::{MAX_DEPTH, ScanErrors};
use crate::unit::{MediaUnit, Tracks};

/// Most unfinished files that are retried later.
const MAX_UNFINISHED: usize = 64;

/// A clip that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewClip {
    /// Time of its first picture, a keyframe.
    pub start_90k: u64,
    /// Requested time: event plus offset. Before `start_90k` if the pre-roll is too short.
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

/// Stores clips. [`ClipDirectory`] writes one file for each, [`SegmentDirectory`](crate::SegmentDirectory) several;
/// implement it for other containers, or for tests. Only [`create`](Self::create) is required.
pub trait ClipStore {
    /// A clip being written.
    type Clip: Clip;

    /// Begins a clip. Its first unit is the keyframe at `new.start_90k`.
    ///
    /// # Errors
    ///
    /// The clip cannot be created; it is retried later.
    fn create(&mut self, new: &NewClip, tracks: &Tracks) -> Result<Self::Clip, ClipError>;

    /// Called for each complete file: lists it, and evicts others.
    ///
    /// # Errors
    ///
    /// The directory could not be updated. Recording continues.
    fn finished(&mut self, _report: &ClipReport) -> Result<(), ClipError> {
        Ok(())
    }

    /// Called after a recording; all its files were passed to [`finished`](Self::finished).
    ///
    /// # Errors
    ///
    /// As for [`finished`](Self::finished).
    fn ended(&mut self) -> Result<(), ClipError> {
        Ok(())
    }

    /// Called after a clip failed: while writing, or (`None`) while finishing. Returns what could be salvaged.
    fn clip_failed(&mut self, _clip: Option<Self::Clip>, _error: &ClipError) -> Vec<ClipReport> {
        Vec::new()
    }

    /// Takes the files of earlier recordings, of a killed process or a failed disk, that are complete only now. They were
    /// not passed to [`finished`](Self::finished).
    fn take_recovered(&mut self) -> Vec<ClipReport> {
        Vec::new()
    }

    /// Writes an annotation next to a finished file. Returns `false` if it was skipped.
    ///
    /// # Errors
    ///
    /// The disk rejects it.
    fn annotate(&mut self, _report: &ClipReport, _json: &str) -> Result<bool, ClipError> {
        Ok(false)
    }

    /// Counters of work besides recording.
    fn stats(&self) -> StoreStats {
        StoreStats::default()
    }
}

/// A clip being written. Dropping it without [`finish`](Self::finish) leaves it unfinished.
pub trait Clip {
    /// Path of the finished clip.
    fn path(&self) -> &Path;

    /// Appends a unit. Adds the files that this completes to `finished`, also before an error.
    ///
    /// # Errors
    ///
    /// The unit was not written, and the recording ends.
    fn write(&mut self, unit: &MediaUnit, finished: &mut Vec<ClipReport>) -> Result<(), ClipError>;

    /// Completes the clip. Adds its remaining files to `finished`, also before an error.
    ///
    /// # Errors
    ///
    /// The clip is not complete.
    fn finish(self, finished: &mut Vec<ClipReport>) -> Result<(), ClipError>;

    /// Writes an annotation next to the file being written. Returns `false` if it was skipped, or its time is before that
    /// file.
    ///
    /// # Errors
    ///
    /// The disk rejects it.
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

/// MP4 files in a directory, one for each recording.
pub struct ClipDirectory {
    naming: Naming,
    owner: String,
    boundaries: Boundaries,
    root: Option<PathBuf>,
    is_recovered: bool,
    maximum_bytes: Option<u64>,
    index: Option<RecordingIndex>,
    /// Why the size cannot be limited, to be reported.
    deferred: Option<ClipError>,
    unfinished: UnfinishedFiles,
    stats: StoreStats,
}

impl ClipDirectory {
    /// Files in `directory`, named by a pattern as in [`clip_path`].
    pub fn new(directory: impl Into<PathBuf>, pattern: impl Into<String>) -> Self {
        let (directory, pattern) = (directory.into(), pattern.into());
        let root = directory.clone();
        Self::with_naming(move |new| clip_path(&directory, &pattern, new.start_90k)).with_root(root)
    }

    /// Files named by a function, for names that need more than the clip's start. Existing files are not replaced.
    pub fn with_naming(naming: impl FnMut(&NewClip) -> Result<PathBuf, ClipError> + Send + 'static) -> Self {
        Self {
            naming: Box::new(naming),
            owner: String::new(),
            boundaries: Boundaries::default(),
            root: None,
            is_recovered: false,
            maximum_bytes: None,
            index: None,
            deferred: None,
            unfinished: UnfinishedFiles::default(),
            stats: StoreStats::default(),
        }
    }

    /// Owner of the clips, written to the sidecars: after a restart, clips are recognised by it. Default: none.
    #[must_use]
    pub fn with_owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = owner.into();
        self
    }

    /// Directories below which the clips stay, whatever the names contain and wherever links lead. Default: every
    /// directory.
    #[must_use]
    pub fn with_boundaries(mut self, folders: Vec<PathBuf>) -> Self {
        self.boundaries = Boundaries::new(folders);
        self
    }

    /// Root directory of all clips. The first clip triggers the recovery of this owner's unfinished clips there.
    /// [`new`](Self::new) sets it; a store with a naming function needs it.
    #[must_use]
    pub fn with_root(mut self, directory: impl Into<PathBuf>) -> Self {
        self.root = Some(directory.into());
        self
    }

    /// Evicts the oldest clips of this owner below the root if they exceed this number of bytes. Default: never. Has no
    /// effect without a root.
    ///
    /// Clips of earlier runs count; they are recognised by their sidecars, so other files neither count nor are removed.
    /// The newest clip always stays. With a small limit, clips are evicted before they are watched. The clip being
    /// written does not count, so the directory grows beyond the limit by its size.
    #[must_use]
    pub fn with_maximum_bytes(mut self, bytes: u64) -> Self {
        self.maximum_bytes = Some(bytes);
        self
    }

    /// Recovers this owner's unfinished clips and loads the index, once. What cannot be read is retried with the next
    /// clip; without the root directory, the size is not limited until then.
    fn open_index(&mut self) {
        let Some(root) = &self.root else { return };
        if !self.is_recovered {
            match recover_of(root, Some(&self.owner), &self.boundaries) {
                Ok(recovery) => {
                    self.is_recovered = true;
                    self.stats.recovered += recovery.recovered.len() as u64;
                    self.unfinished.recovered.extend(recovery.recovered);
                    self.deferred = first_error(recovery.unreadable);
                }
                Err(cause) => self.deferred = first_error(vec![(root.clone(), cause)]),
            }
        }
        if self.maximum_bytes.is_some() && self.index.is_none() {
            match RecordingIndex::load(root, MAX_DEPTH, Some(&self.owner), &self.boundaries) {
                Ok(mut index) => {
                    self.deferred = self.deferred.take().or(first_error(index.take_unreadable()));
                    self.index = Some(index);
                }
                Err(cause) => self.deferred = first_error(vec![(root.clone(), cause)]),
            }
        }
    }
}

/// The first of the directories that could not be read, on behalf of all.
fn first_error(unreadable: ScanErrors) -> Option<ClipError> {
    let (path, cause) = unreadable.into_iter().next()?;
    Some(ClipError::SidecarIo { path, cause })
}

impl fmt::Debug for ClipDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClipDirectory")
            .field("owner", &self.owner)
            .field("maximum_bytes", &self.maximum_bytes)
            .finish_non_exhaustive()
    }
}

impl ClipStore for ClipDirectory {
    type Clip = ClipWriter;

    fn create(&mut self, new: &NewClip, tracks: &Tracks) -> Result<ClipWriter, ClipError> {
        self.open_index();
        for report in self.unfinished.retry(&self.boundaries) {
            self.stats.recovered += 1;
            if let Some(index) = &mut self.index {
                index.add(report);
            }
        }
        let settings = ClipSettings {
            owner: &self.owner,
            boundaries: self.boundaries.clone(),
            ..ClipSettings::default()
        };
        ClipWriter::create_with(&(self.naming)(new)?, tracks, new.start_90k, &settings)
    }

    fn finished(&mut self, report: &ClipReport) -> Result<(), ClipError> {
        let earlier = self.deferred.take().map_or(Ok(()), Err);
        let Some(index) = &mut self.index else {
            return earlier;
        };
        index.add(report);
        let policy = RetentionPolicy {
            bytes: self.maximum_bytes,
            age_90k: None,
        };
        let _ = index.evict(&mut self.stats); // errors are reported below
        index.select_evictions(
            policy,
            report,
            MediaTime::from_system_time(SystemTime::now()).ticks_90k(),
        );
        earlier.and(index.evict(&mut self.stats))
    }

    fn clip_failed(&mut self, clip: Option<ClipWriter>, error: &ClipError) -> Vec<ClipReport> {
        let saved = self.unfinished.salvage(clip, error, &self.boundaries);
        saved.into_iter().collect()
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

/// Files that could not be finished because of the disk.
#[derive(Debug, Default)]
pub(crate) struct UnfinishedFiles {
    parts: VecDeque<PathBuf>,
    /// Those that were finished later.
    pub(crate) recovered: Vec<ClipReport>,
}

impl UnfinishedFiles {
    /// Salvages what is possible of a clip, now or later.
    pub(crate) fn salvage(
        &mut self,
        clip: Option<ClipWriter>,
        error: &ClipError,
        boundaries: &Boundaries,
    ) -> Option<ClipReport> {
        let part = match clip {
            Some(clip) => {
                let part = clip.unfinished_path().to_owned();
                match clip.salvage() {
                    Ok(saved) => return saved,
                    Err(_) => part, // the first error was already reported
                }
            }
            None => error.unfinished()?.to_owned(),
        };
        if boundaries.exists(&part) && !self.parts.contains(&part) {
            if self.parts.len() == MAX_UNFINISHED {
                self.parts.pop_front();
            }
            self.parts.push_back(part);
        }
        None
    }

    /// Tries again; returns what could be finished.
    pub(crate) fn retry(&mut self, boundaries: &Boundaries) -> &[ClipReport] {
        let before = self.recovered.len();
        let parts = std::mem::take(&mut self.parts);
        for part in parts {
            let path = finished(&part);
            let Ok(mut file) = boundaries.open(&part, Access::ReadAndWrite) else {
                if boundaries.exists(&part) {
                    self.parts.push_back(part);
                }
                continue;
            };
            if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
                continue; // another process recovers it
            }
            match complete(&part, &path, &mut file, boundaries) {
                Ok(report) => self.recovered.extend(report),
                Err(_) => self.parts.push_back(part),
            }
        }
        self.recovered.get(before..).unwrap_or_default()
    }
}
