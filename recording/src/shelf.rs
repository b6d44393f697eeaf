//! The finished files of a folder, and which of them have to go.

use crate::clip::ClipReport;
use crate::error::ClipError;
use crate::leftovers::{Unreadable, visit};
use crate::recover::remove_if_there;
use crate::sidecar::{Sidecar, annotations_path, sidecar_path};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

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
    bytes: u64,
    unreadable: Unreadable,
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
            unreadable,
        })
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

    /// Takes out what is too much, and counts it. The files still exist; [`remove`](Self::remove) them.
    /// `now_90k` is the time of what is recorded now, not of the newest file: one from a camera whose clock once ran
    /// ahead must not make all others old.
    pub(crate) fn take_surplus(&mut self, keep: Keep, now_90k: u64, stats: &mut StoreStats) -> Vec<Shelved> {
        let horizon = keep.age_90k.map(|age| now_90k.saturating_sub(age));
        let mut surplus = Vec::new();
        while self.files.len() > 1 {
            let Some(oldest) = self.files.front() else { break };
            if keep.bytes.is_some_and(|limit| self.bytes > limit) {
                stats.removed_for_size += 1;
            } else if horizon.is_some_and(|horizon| oldest.end_90k <= horizon) {
                stats.removed_for_age += 1;
            } else {
                break;
            }
            let Some(oldest) = self.files.pop_front() else {
                break;
            };
            stats.removed_bytes = stats.removed_bytes.saturating_add(oldest.bytes);
            self.bytes = self.bytes.saturating_sub(oldest.bytes);
            surplus.push(oldest);
        }
        surplus
    }

    /// Removes a file and what lies beside it. The sidecar goes last: it is what tells that the rest is ours.
    pub(crate) fn remove(&self, file: &Shelved) -> Result<(), ClipError> {
        let clip = self.folder.join(&file.name);
        for path in [clip.clone(), annotations_path(&clip), sidecar_path(&clip)] {
            remove_if_there(&path).map_err(|source| ClipError::Beside { path, source })?;
        }
        Ok(())
    }
}
