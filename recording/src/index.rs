//! The finished files of a directory, and which of them to evict.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use lva_media_types::MediaTime;

use crate::beneath::Boundaries;
use crate::error::ClipError;
use crate::files::{annotations_path, sidecar_path};
use crate::preview::remove_previews;
use crate::report::ClipReport;
use crate::scan::{ScanErrors, walk_files};
use crate::sidecar::Sidecar;

/// A finished file with its sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexedFile {
    /// Relative to the directory.
    pub(crate) name: String,
    pub(crate) first_90k: u64,
    pub(crate) end_90k: u64,
    pub(crate) zero_90k: u64,
    pub(crate) bytes: u64,
    pub(crate) init_bytes: u64,
    pub(crate) segment: bool,
}

impl IndexedFile {
    fn new(name: String, sidecar: &Sidecar) -> Self {
        Self {
            name,
            first_90k: sidecar.first_timestamp_90k,
            end_90k: sidecar.end_timestamp_90k,
            zero_90k: sidecar.zero_timestamp_90k,
            bytes: sidecar.bytes,
            init_bytes: sidecar.init_bytes,
            segment: sidecar.segment,
        }
    }

    pub(crate) fn ticks(&self) -> u64 {
        self.end_90k.saturating_sub(self.first_90k)
    }
}

/// A clock is trusted only after it has been ahead of the kept files for 1/24 of the retention, at most this hour.
const CLOCK_JUMP_GRACE: u64 = 3600 * MediaTime::TICKS_PER_SECOND;

/// How much of a directory is kept.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RetentionPolicy {
    /// Bytes of clips; the newest always stays.
    pub(crate) bytes: Option<u64>,
    /// Ticks of media time before the current recording.
    pub(crate) age_90k: Option<u64>,
}

/// Work of a store besides recording. Counters only increase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StoreStats {
    /// Finished files removed because the directory exceeded its size.
    pub removed_for_size: u64,
    /// Finished files removed because they exceeded the retention.
    pub removed_for_age: u64,
    /// Bytes of those files.
    pub removed_bytes: u64,
    /// Unfinished files that were finished later: of killed processes, or of a disk that failed.
    pub recovered: u64,
    /// Annotations that were not written: too large, or of a time without a recording.
    pub annotations_skipped: u64,
}

/// The files of a directory, oldest first. Only files with a sidecar count: other files are never touched.
#[derive(Debug)]
pub(crate) struct RecordingIndex {
    directory: PathBuf,
    boundaries: Boundaries,
    files: VecDeque<IndexedFile>,
    /// Selected and not yet removed.
    pending: Vec<PendingRemoval>,
    /// Bytes of both.
    bytes: u64,
    unreadable: ScanErrors,
}

#[derive(Debug)]
struct PendingRemoval {
    file: IndexedFile,
    /// Evicted for size, not for age.
    for_size: bool,
}

impl RecordingIndex {
    /// Reads the sidecars of a directory and, up to this depth, of those below it; only those of one owner, if given.
    pub(crate) fn load(
        directory: &Path,
        depth: u32,
        owner: Option<&str>,
        boundaries: &Boundaries,
    ) -> io::Result<Self> {
        let mut files = Vec::new();
        let unreadable = walk_files(directory, depth, &mut |path| {
            let is_sidecar = path.extension().is_some_and(|extension| extension == "json");
            let clip = path.with_extension("mp4");
            if !is_sidecar || !boundaries.is_file(&clip) {
                return;
            }
            let Ok(name) = clip
                .strip_prefix(directory)
                .map(|name| name.to_string_lossy().into_owned())
            else {
                return;
            };
            if let Ok(sidecar) = Sidecar::read_file(&path, boundaries)
                && owner.is_none_or(|owner| owner == sidecar.owner)
            {
                files.push(IndexedFile::new(name, &sidecar));
            }
        })?;
        files.sort_by(|a, b| (a.first_90k, &a.name).cmp(&(b.first_90k, &b.name)));
        Ok(Self {
            directory: directory.to_owned(),
            boundaries: boundaries.clone(),
            bytes: files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes)),
            files: files.into(),
            pending: Vec::new(),
            unreadable,
        })
    }

    /// The segments in a directory, of any owner. Clips there are left to their owners.
    pub(crate) fn load_segments(directory: &Path, boundaries: &Boundaries) -> io::Result<Self> {
        let mut index = Self::load(directory, 0, None, boundaries)?;
        index.files.retain(|file| file.segment);
        let bytes = index.files.iter().map(|file| file.bytes);
        index.bytes = bytes.fold(0, u64::saturating_add);
        Ok(index)
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Takes the errors of entries that could not be read.
    pub(crate) fn take_unreadable(&mut self) -> ScanErrors {
        std::mem::take(&mut self.unreadable)
    }

    pub(crate) fn files(&self) -> impl ExactSizeIterator<Item = &IndexedFile> + Clone {
        self.files.iter()
    }

    pub(crate) fn add(&mut self, report: &ClipReport) {
        let Ok(name) = report.path.strip_prefix(&self.directory) else {
            return;
        };
        let file = IndexedFile::new(name.to_string_lossy().into_owned(), &report.sidecar);
        let place = self
            .files
            .partition_point(|other| other.first_90k <= file.first_90k);
        self.bytes = self.bytes.saturating_add(file.bytes);
        self.files.insert(place, file);
    }

    /// Selects the files to evict after a file was added. They still exist, and their bytes count until
    /// [`evict`](Self::evict) has removed them.
    ///
    /// The added file stays. Files that begin after it were recorded while the clock was ahead: for size they are evicted
    /// first; otherwise each new file would be the oldest and be evicted. The end of the added file is the reference for
    /// age, not that of the newest file, for the same reason. `wall_90k` is the clock of this machine.
    pub(crate) fn select_evictions(
        &mut self,
        policy: RetentionPolicy,
        added: &ClipReport,
        wall_90k: u64,
    ) -> Vec<IndexedFile> {
        let horizon = policy.age_90k.map(|age| {
            let now_90k = self.trusted_now_90k(age, added, wall_90k);
            now_90k.saturating_sub(age)
        });
        let mut bytes = self.bytes;
        let mut surplus = Vec::new();
        while self.files.len() > 1 {
            let ahead = self
                .files
                .partition_point(|file| file.first_90k <= added.first_timestamp_90k);
            let for_size = policy.bytes.is_some_and(|limit| bytes > limit);
            let place = match self.files.front() {
                _ if for_size && ahead < self.files.len() => ahead,
                _ if for_size => 0,
                // It was added behind those of the same time, so it is in front only if nothing is older.
                Some(oldest) if ahead > 1 && horizon.is_some_and(|horizon| oldest.end_90k <= horizon) => 0,
                _ => break,
            };
            let Some(file) = self.files.remove(place) else {
                break;
            };
            bytes = bytes.saturating_sub(file.bytes);
            surplus.push(file.clone());
            self.pending.push(PendingRemoval { file, for_size });
        }
        surplus
    }

    /// The reference for age. A clock that jumps ahead of all kept files may be wrong, and media time does not go back
    /// when it is corrected; so it is trusted only after it has been ahead for a while and still is. Until then the end
    /// of the files before the jump is the reference. A camera that was offline for long looks the same.
    fn trusted_now_90k(&self, age_90k: u64, added: &ClipReport, wall_90k: u64) -> u64 {
        let now_90k = added.sidecar.end_timestamp_90k.min(wall_90k);
        let doubt = CLOCK_JUMP_GRACE.min(age_90k / 24);
        let before = added.first_timestamp_90k.saturating_sub(doubt);
        let older = self.files.partition_point(|file| file.first_90k <= before);
        let witness = older.checked_sub(1).and_then(|newest| self.files.get(newest));
        match witness {
            Some(witness) if witness.end_90k <= now_90k.saturating_sub(age_90k) => witness.end_90k,
            _ => now_90k,
        }
    }

    /// Removes the selected files, and counts them. A file that cannot be removed is retried with the next call.
    pub(crate) fn evict(&mut self, stats: &mut StoreStats) -> Result<(), ClipError> {
        let mut result = Ok(());
        for pending in std::mem::take(&mut self.pending) {
            if let Err(error) = self.remove(&pending.file) {
                result = result.and(Err(error));
                self.pending.push(pending);
                continue;
            }
            self.bytes = self.bytes.saturating_sub(pending.file.bytes);
            stats.removed_bytes = stats.removed_bytes.saturating_add(pending.file.bytes);
            if pending.for_size {
                stats.removed_for_size += 1;
            } else {
                stats.removed_for_age += 1;
            }
        }
        result
    }

    /// Removes a file and the files next to it, the sidecar last: it marks the others as this crate's.
    fn remove(&self, file: &IndexedFile) -> Result<(), ClipError> {
        let clip = self.directory.join(&file.name);
        self.remove_file(clip.clone())?;
        self.remove_file(annotations_path(&clip))?;
        remove_previews(&clip, &self.boundaries)?;
        self.remove_file(sidecar_path(&clip))
    }

    fn remove_file(&self, path: PathBuf) -> Result<(), ClipError> {
        let removed = self.boundaries.remove_if_exists(&path);
        removed.map_err(|cause| ClipError::SidecarIo { path, cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use lva_media_types::VideoCodec;

    use crate::sidecar::ClipHeader;

    fn report(directory: &Path, first_90k: u64, bytes: u64) -> ClipReport {
        let mut sidecar = Sidecar::new(ClipHeader {
            owner: String::new(),
            codec: VideoCodec::H264,
            width: 64,
            height: 48,
            audio: false,
            first_timestamp_90k: first_90k,
            zero_timestamp_90k: first_90k,
            segment: false,
        });
        sidecar.end_timestamp_90k = first_90k.saturating_add(10);
        sidecar.bytes = bytes;
        let clip = directory.join(format!("{first_90k:020}.mp4"));
        fs::write(&clip, b"").unwrap();
        sidecar.write(&clip, &Boundaries::default()).unwrap();
        ClipReport::new(clip, sidecar)
    }

    fn firsts<'a>(files: impl Iterator<Item = &'a IndexedFile>) -> Vec<u64> {
        files.map(|file| file.first_90k).collect()
    }

    /// A clock later than all files.
    const NOW: u64 = u64::MAX;

    const CAP: RetentionPolicy = RetentionPolicy {
        bytes: Some(250),
        age_90k: None,
    };

    #[test]
    fn a_new_clip_stays_and_those_of_a_clock_that_ran_ahead_are_evicted_first() {
        let directory = tempfile::tempdir().unwrap();
        let mut index = RecordingIndex::load(directory.path(), 0, None, &Boundaries::default()).unwrap();
        for first in [50, 9000, 9010] {
            index.add(&report(directory.path(), first, 80));
        }
        for (first, gone, left) in [(100, 9000, [50, 100, 9010]), (110, 9010, [50, 100, 110])] {
            let added = report(directory.path(), first, 80);
            index.add(&added);
            assert_eq!(firsts(index.select_evictions(CAP, &added, NOW).iter()), [gone]);
            assert_eq!(firsts(index.files()), left);
            index.evict(&mut StoreStats::default()).unwrap();
        }
        let added = report(directory.path(), 120, 80);
        index.add(&added);
        assert_eq!(firsts(index.select_evictions(CAP, &added, NOW).iter()), [50]);
    }

    const MINUTE: u64 = 60 * MediaTime::TICKS_PER_SECOND;
    const DAY: u64 = 24 * 60 * MINUTE;
    const A_DAY: RetentionPolicy = RetentionPolicy {
        bytes: None,
        age_90k: Some(DAY),
    };

    /// Two days of recordings, one every ten minutes; only the last day remains.
    fn two_days(directory: &Path) -> (RecordingIndex, u64) {
        let mut index = RecordingIndex::load(directory, 0, None, &Boundaries::default()).unwrap();
        let begin = 20_000 * DAY;
        let mut removed = 0;
        for number in 0..288 {
            let added = report(directory, begin + number * 10 * MINUTE, 1);
            index.add(&added);
            removed += index.select_evictions(A_DAY, &added, NOW).len();
        }
        assert_eq!((removed, index.files().len()), (144, 144));
        (index, begin + 2 * DAY)
    }

    #[test]
    fn a_clock_that_jumps_a_year_ahead_evicts_nothing_for_an_hour() {
        let directory = tempfile::tempdir().unwrap();
        let (mut index, now) = two_days(directory.path());
        let leaped = now + 365 * DAY;
        for minutes in 0..60 {
            let added = report(directory.path(), leaped + minutes * MINUTE, 1);
            index.add(&added);
            let gone = index.select_evictions(A_DAY, &added, leaped + minutes * MINUTE + 10);
            assert_eq!(gone, [], "after {minutes} minutes");
        }
        // It stays ahead, so it is trusted: recordings must not be kept for longer than the retention.
        let added = report(directory.path(), leaped + 60 * MINUTE, 1);
        index.add(&added);
        assert_eq!(index.select_evictions(A_DAY, &added, NOW).len(), 144);
        assert_eq!(index.files().len(), 61);
    }

    #[test]
    fn a_corrected_clock_evicts_what_is_old_by_it_though_media_stay_ahead() {
        let directory = tempfile::tempdir().unwrap();
        let (mut index, now) = two_days(directory.path());
        let leaped = now + 365 * DAY;
        let mut removed = 0;
        for minutes in 0..120 {
            let added = report(directory.path(), leaped + minutes * MINUTE, 1);
            index.add(&added);
            removed += index
                .select_evictions(A_DAY, &added, now + minutes * MINUTE)
                .len();
        }
        assert_eq!(removed, 12, "what became a day old meanwhile");
    }

    #[test]
    fn recordings_days_apart_are_kept_for_the_retention_and_one_more() {
        let directory = tempfile::tempdir().unwrap();
        let mut index = RecordingIndex::load(directory.path(), 0, None, &Boundaries::default()).unwrap();
        for number in 0..20 {
            let added = report(directory.path(), (20_000 + 3 * number) * DAY, 1);
            index.add(&added);
            index.select_evictions(A_DAY, &added, NOW);
            assert!(index.files().len() <= 2);
        }
    }

    #[test]
    fn files_that_cannot_be_removed_count_and_are_retried() {
        let directory = tempfile::tempdir().unwrap();
        let mut index = RecordingIndex::load(directory.path(), 0, None, &Boundaries::default()).unwrap();
        let reports = [1, 2, 3, 4].map(|first| report(directory.path(), first, 125));
        reports.iter().for_each(|report| index.add(report));
        let stuck = annotations_path(&reports[0].path);
        fs::create_dir(&stuck).unwrap(); // cannot be removed as a file
        let mut stats = StoreStats::default();
        assert_eq!(index.select_evictions(CAP, &reports[3], NOW).len(), 2);
        assert!(index.evict(&mut stats).is_err());
        assert!(!reports[1].path.exists(), "the next one goes all the same");
        assert_eq!((stats.removed_for_size, stats.removed_bytes), (1, 125));
        fs::remove_dir(&stuck).unwrap();
        assert!(index.evict(&mut stats).is_ok());
        assert_eq!((stats.removed_for_size, stats.removed_bytes), (2, 250));
        assert!(!sidecar_path(&reports[0].path).exists());
        assert_eq!(index.bytes, 250);
    }

    #[test]
    fn sidecars_of_any_size_do_not_overflow() {
        let directory = tempfile::tempdir().unwrap();
        for first in [1, u64::MAX] {
            report(directory.path(), first, u64::MAX);
        }
        let index = RecordingIndex::load(directory.path(), 0, None, &Boundaries::default()).unwrap();
        assert_eq!(index.bytes, u64::MAX);
    }
}
