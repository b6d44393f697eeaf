//! The finished files of a folder, and which of them have to go.

use crate::clip::ClipReport;
use crate::error::ClipError;
use crate::leftovers::{Unreadable, visit};
use crate::preview::remove_previews;
use crate::recover::remove_if_there;
use crate::sidecar::{Sidecar, annotations_path, sidecar_path};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A finished file with its sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shelved {
    /// Relative to the folder.
    pub(crate) name: String,
    pub(crate) first_90k: u64,
    pub(crate) end_90k: u64,
    pub(crate) zero_90k: u64,
    pub(crate) bytes: u64,
    pub(crate) init_bytes: u64,
    pub(crate) segment: bool,
}

impl Shelved {
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

/// The time that a clock has to be ahead of what is kept before it counts: 1/24 of what is kept, but no more than this hour.
const DOUBT_90K: u64 = 3600 * 90_000;

/// How much of a folder is kept.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Keep {
    /// Bytes of clips; the newest stays in any case.
    pub(crate) bytes: Option<u64>,
    /// Ticks of media time before what is recorded now.
    pub(crate) age_90k: Option<u64>,
}

/// What a store did besides recording. Numbers only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreStats {
    /// Finished files removed because their folder was over its size.
    pub removed_for_size: u64,
    /// Finished files removed because they were older than is kept.
    pub removed_for_age: u64,
    /// Bytes of those files.
    pub removed_bytes: u64,
    /// Unfinished files of earlier, killed processes, or of a disk that failed, that were finished later.
    pub recovered: u64,
    /// Annotations that were not written: for their size, or because nothing is recorded of their time.
    pub annotations_left_out: u64,
}

/// What lies in a folder, oldest first. Only files with a sidecar count, so what others keep there is never touched.
#[derive(Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
    files: VecDeque<Shelved>,
    /// What has to go and is not yet gone.
    going: Vec<Going>,
    /// Of both.
    bytes: u64,
    unreadable: Unreadable,
}

#[derive(Debug)]
struct Going {
    file: Shelved,
    /// And not for its age.
    for_size: bool,
}

/// This machine's clock, in ticks since 1970.
pub(crate) fn wall_90k() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos() * 9 / 100_000).unwrap_or(u64::MAX)
}

impl Shelf {
    /// Reads the sidecars of a folder and, so deep, of those below it; those of one writer only, if one is given.
    pub(crate) fn load(folder: &Path, depth: u32, writer: Option<&str>) -> io::Result<Self> {
        let mut files = Vec::new();
        let unreadable = visit(folder, depth, &mut |path| {
            let is_sidecar = path.extension().is_some_and(|extension| extension == "json");
            let clip = path.with_extension("mp4");
            if !is_sidecar || !clip.is_file() {
                return;
            }
            let Ok(name) = clip
                .strip_prefix(folder)
                .map(|name| name.to_string_lossy().into_owned())
            else {
                return;
            };
            if let Ok(sidecar) = Sidecar::read_file(&path)
                && writer.is_none_or(|writer| writer == sidecar.writer)
            {
                files.push(Shelved::new(name, &sidecar));
            }
        })?;
        files.sort_by(|a, b| (a.first_90k, &a.name).cmp(&(b.first_90k, &b.name)));
        Ok(Self {
            folder: folder.to_owned(),
            bytes: files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes)),
            files: files.into(),
            going: Vec::new(),
            unreadable,
        })
    }

    /// The pieces of a recording in a folder, whoever wrote them. Other clips there are somebody else's to keep.
    pub(crate) fn load_pieces(folder: &Path) -> io::Result<Self> {
        let mut shelf = Self::load(folder, 0, None)?;
        shelf.files.retain(|file| file.segment);
        let bytes = shelf.files.iter().map(|file| file.bytes);
        shelf.bytes = bytes.fold(0, u64::saturating_add);
        Ok(shelf)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes what is not on the shelf because it could not be read.
    pub(crate) fn take_unreadable(&mut self) -> Unreadable {
        std::mem::take(&mut self.unreadable)
    }

    pub(crate) fn files(&self) -> impl ExactSizeIterator<Item = &Shelved> + Clone {
        self.files.iter()
    }

    pub(crate) fn add(&mut self, report: &ClipReport) {
        let Ok(name) = report.path.strip_prefix(&self.folder) else {
            return;
        };
        let file = Shelved::new(name.to_string_lossy().into_owned(), &report.sidecar);
        let place = self
            .files
            .partition_point(|other| other.first_90k <= file.first_90k);
        self.bytes = self.bytes.saturating_add(file.bytes);
        self.files.insert(place, file);
    }

    /// Takes out what is too much, now that a file was added. The files still exist, and their bytes count until
    /// [`remove_surplus`](Self::remove_surplus) has removed them.
    ///
    /// The file that was added stays. Files that begin after it are from when the clock ran ahead: for size they go first,
    /// or each new file would be the oldest, and go. Its end is the time by which others are old; that of the newest file
    /// would not do, for the same reason. `wall_90k` is this machine's clock.
    pub(crate) fn take_surplus(&mut self, keep: Keep, added: &ClipReport, wall_90k: u64) -> Vec<Shelved> {
        let horizon = keep.age_90k.map(|age| {
            let now_90k = self.believed_90k(age, added, wall_90k);
            now_90k.saturating_sub(age)
        });
        let mut bytes = self.bytes;
        let mut surplus = Vec::new();
        while self.files.len() > 1 {
            let ahead = self
                .files
                .partition_point(|file| file.first_90k <= added.first_timestamp_90k);
            let for_size = keep.bytes.is_some_and(|limit| bytes > limit);
            let place = match self.files.front() {
                _ if for_size && ahead < self.files.len() => ahead,
                _ if for_size => 0,
                // It was added behind those of the same time, so it is in front only where nothing is older.
                Some(oldest) if ahead > 1 && horizon.is_some_and(|horizon| oldest.end_90k <= horizon) => 0,
                _ => break,
            };
            let Some(file) = self.files.remove(place) else {
                break;
            };
            bytes = bytes.saturating_sub(file.bytes);
            surplus.push(file.clone());
            self.going.push(Going { file, for_size });
        }
        surplus
    }

    /// The time by which others are old. A clock that leaps ahead of all that is kept may be wrong, and media time does not go
    /// back when it is set right again; so it counts only when it has been ahead for a while, and is ahead still. Until then
    /// it is as late as what was there before. The same leap is a camera that was away for long.
    fn believed_90k(&self, age_90k: u64, added: &ClipReport, wall_90k: u64) -> u64 {
        let now_90k = added.sidecar.end_timestamp_90k.min(wall_90k);
        let doubt = DOUBT_90K.min(age_90k / 24);
        let before = added.first_timestamp_90k.saturating_sub(doubt);
        let older = self.files.partition_point(|file| file.first_90k <= before);
        let witness = older.checked_sub(1).and_then(|newest| self.files.get(newest));
        match witness {
            Some(witness) if witness.end_90k <= now_90k.saturating_sub(age_90k) => witness.end_90k,
            _ => now_90k,
        }
    }

    /// Removes what was taken out, and counts what is gone. What cannot be removed is tried again the next time.
    pub(crate) fn remove_surplus(&mut self, stats: &mut StoreStats) -> Result<(), ClipError> {
        let mut result = Ok(());
        for going in std::mem::take(&mut self.going) {
            if let Err(error) = self.remove(&going.file) {
                result = result.and(Err(error));
                self.going.push(going);
                continue;
            }
            self.bytes = self.bytes.saturating_sub(going.file.bytes);
            stats.removed_bytes = stats.removed_bytes.saturating_add(going.file.bytes);
            if going.for_size {
                stats.removed_for_size += 1;
            } else {
                stats.removed_for_age += 1;
            }
        }
        result
    }

    /// Removes a file and what lies beside it. The sidecar goes last: it is what tells that the rest is ours.
    fn remove(&self, file: &Shelved) -> Result<(), ClipError> {
        let clip = self.folder.join(&file.name);
        remove(clip.clone())?;
        remove(annotations_path(&clip))?;
        remove_previews(&clip)?;
        remove(sidecar_path(&clip))
    }
}

fn remove(path: PathBuf) -> Result<(), ClipError> {
    remove_if_there(&path).map_err(|source| ClipError::Beside { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sidecar::Facts;
    use crate::unit::VideoCodec;
    use std::fs;

    fn report(folder: &Path, first_90k: u64, bytes: u64) -> ClipReport {
        let mut sidecar = Sidecar::new(Facts {
            writer: String::new(),
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
        let clip = folder.join(format!("{first_90k:020}.mp4"));
        fs::write(&clip, b"").unwrap();
        sidecar.write(&clip).unwrap();
        ClipReport::new(clip, sidecar)
    }

    fn firsts<'a>(files: impl Iterator<Item = &'a Shelved>) -> Vec<u64> {
        files.map(|file| file.first_90k).collect()
    }

    /// A clock that is later than everything.
    const NOW: u64 = u64::MAX;

    const CAP: Keep = Keep {
        bytes: Some(250),
        age_90k: None,
    };

    #[test]
    fn a_new_clip_stays_and_those_of_a_clock_that_ran_ahead_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::load(folder.path(), 0, None).unwrap();
        for first in [50, 9000, 9010] {
            shelf.add(&report(folder.path(), first, 80));
        }
        for (first, gone, left) in [(100, 9000, [50, 100, 9010]), (110, 9010, [50, 100, 110])] {
            let added = report(folder.path(), first, 80);
            shelf.add(&added);
            assert_eq!(firsts(shelf.take_surplus(CAP, &added, NOW).iter()), [gone]);
            assert_eq!(firsts(shelf.files()), left);
            shelf.remove_surplus(&mut StoreStats::default()).unwrap();
        }
        let added = report(folder.path(), 120, 80);
        shelf.add(&added);
        assert_eq!(firsts(shelf.take_surplus(CAP, &added, NOW).iter()), [50]);
    }

    const MINUTE: u64 = 60 * 90_000;
    const DAY: u64 = 24 * 60 * MINUTE;
    const A_DAY: Keep = Keep {
        bytes: None,
        age_90k: Some(DAY),
    };

    /// Two days of recordings, one every ten minutes; those of the last day are left.
    fn two_days(folder: &Path) -> (Shelf, u64) {
        let mut shelf = Shelf::load(folder, 0, None).unwrap();
        let begin = 20_000 * DAY;
        let mut removed = 0;
        for number in 0..288 {
            let added = report(folder, begin + number * 10 * MINUTE, 1);
            shelf.add(&added);
            removed += shelf.take_surplus(A_DAY, &added, NOW).len();
        }
        assert_eq!((removed, shelf.files().len()), (144, 144));
        (shelf, begin + 2 * DAY)
    }

    #[test]
    fn a_clock_that_leaps_a_year_ahead_removes_nothing_for_an_hour() {
        let folder = tempfile::tempdir().unwrap();
        let (mut shelf, now) = two_days(folder.path());
        let leaped = now + 365 * DAY;
        for minutes in 0..60 {
            let added = report(folder.path(), leaped + minutes * MINUTE, 1);
            shelf.add(&added);
            let gone = shelf.take_surplus(A_DAY, &added, leaped + minutes * MINUTE + 10);
            assert_eq!(gone, [], "after {minutes} minutes");
        }
        // It stays ahead, so it is believed: recordings may not be kept for longer than was asked.
        let added = report(folder.path(), leaped + 60 * MINUTE, 1);
        shelf.add(&added);
        assert_eq!(shelf.take_surplus(A_DAY, &added, NOW).len(), 144);
        assert_eq!(shelf.files().len(), 61);
    }

    #[test]
    fn a_clock_that_was_set_right_again_removes_what_is_old_by_it_though_media_stay_ahead() {
        let folder = tempfile::tempdir().unwrap();
        let (mut shelf, now) = two_days(folder.path());
        let leaped = now + 365 * DAY;
        let mut removed = 0;
        for minutes in 0..120 {
            let added = report(folder.path(), leaped + minutes * MINUTE, 1);
            shelf.add(&added);
            removed += shelf.take_surplus(A_DAY, &added, now + minutes * MINUTE).len();
        }
        assert_eq!(removed, 12, "what became a day old meanwhile");
    }

    #[test]
    fn recordings_that_are_days_apart_are_kept_for_as_long_as_was_asked_and_one_more() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::load(folder.path(), 0, None).unwrap();
        for number in 0..20 {
            let added = report(folder.path(), (20_000 + 3 * number) * DAY, 1);
            shelf.add(&added);
            shelf.take_surplus(A_DAY, &added, NOW);
            assert!(shelf.files().len() <= 2);
        }
    }

    #[test]
    fn what_cannot_be_removed_counts_and_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::load(folder.path(), 0, None).unwrap();
        let reports = [1, 2, 3, 4].map(|first| report(folder.path(), first, 125));
        reports.iter().for_each(|report| shelf.add(report));
        let stuck = annotations_path(&reports[0].path);
        fs::create_dir(&stuck).unwrap(); // cannot be removed as a file
        let mut stats = StoreStats::default();
        assert_eq!(shelf.take_surplus(CAP, &reports[3], NOW).len(), 2);
        assert!(shelf.remove_surplus(&mut stats).is_err());
        assert!(!reports[1].path.exists(), "the next one goes all the same");
        assert_eq!((stats.removed_for_size, stats.removed_bytes), (1, 125));
        fs::remove_dir(&stuck).unwrap();
        assert!(shelf.remove_surplus(&mut stats).is_ok());
        assert_eq!((stats.removed_for_size, stats.removed_bytes), (2, 250));
        assert!(!sidecar_path(&reports[0].path).exists());
        assert_eq!(shelf.bytes, 250);
    }

    #[test]
    fn sidecars_of_any_size_do_not_overflow() {
        let folder = tempfile::tempdir().unwrap();
        for first in [1, u64::MAX] {
            report(folder.path(), first, u64::MAX);
        }
        let shelf = Shelf::load(folder.path(), 0, None).unwrap();
        assert_eq!(shelf.bytes, u64::MAX);
    }
}
