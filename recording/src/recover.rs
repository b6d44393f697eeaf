//! Recovery: finishes the clips of killed processes.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::beneath::{Access, Boundaries};
use crate::error::ClipError;
use crate::files::{UNFINISHED_SUFFIX, finished, sidecar_path, unfinished};
use crate::finish::{complete, remove_empty};
use crate::fragments::{Layout, layout};
use crate::playlist::{PLAYLIST, complete_playlist, is_complete, is_managed};
use crate::preview;
use crate::report::ClipReport;
use crate::scan::{MAX_DEPTH, walk_files};
use crate::sidecar::{ClipHeader, HEADER_TAG, Sidecar};

/// Result of a recovery.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Recovery {
    /// Finished clips. They contain what had reached the disk: all but about the last second.
    pub recovered: Vec<ClipReport>,
    /// Removed files: without playable media, or next to a clip that no longer exists.
    pub removed: Vec<PathBuf>,
    /// Unfinished clips that could not be finished, and why; they are unchanged.
    pub failed: Vec<(PathBuf, ClipError)>,
    /// Unfinished clips that are being written; they are unchanged.
    pub busy: Vec<PathBuf>,
    /// Files that look like unfinished clips and were not written by this crate; they are unchanged.
    pub foreign: Vec<PathBuf>,
    /// Directories below the given one, or entries of them, that could not be read, and why; their content is unchanged.
    pub unreadable: Vec<(PathBuf, io::Error)>,
}

/// Bytes of a file's beginning that are searched for the tag.
const HEAD_BYTES: u64 = 1 << 20;

/// Finishes the clips of killed processes in a directory and those below it. Each unfinished clip is cut after its last
/// complete fragment, and gets its final name and its sidecar. Clips without a complete fragment and incomplete sidecars
/// and playlists are removed. Playlists of directories without a running recording are completed.
///
/// Safe to call at any time, also while other recordings use the same directories: files being written are locked.
///
/// Files of other origin are never touched. Files of this crate are: an unfinished clip with its tag in the file header,
/// or one that ends before that, with the name of a segment; the files next to a clip with a sidecar; and a playlist with this crate's
/// comment next to segments.
///
/// # Errors
///
/// The directory cannot be read. A missing directory contains nothing; an unreadable one below it is skipped and reported
/// in [`Recovery::unreadable`].
pub fn recover(directory: &Path) -> io::Result<Recovery> {
    recover_of(directory, None, &Boundaries::new(vec![directory.to_owned()]))
}

/// The same for the clips of one owner, in a directory shared with others; playlists are not changed. `folders` are those below
/// which the clips stay ([`ClipDirectory::with_boundaries`](crate::ClipDirectory::with_boundaries)); none is the directory itself.
///
/// # Errors
///
/// As for [`recover`].
pub fn recover_owned_by(folders: &[PathBuf], directory: &Path, owner: &str) -> io::Result<Recovery> {
    let folders = match folders {
        [] => vec![directory.to_owned()],
        folders => folders.to_owned(),
    };
    recover_of(directory, Some(owner), &Boundaries::new(folders))
}

/// The same below these boundaries.
pub(crate) fn recover_of(
    directory: &Path,
    owner: Option<&str>,
    boundaries: &Boundaries,
) -> io::Result<Recovery> {
    let mut recovery = Recovery::default();
    let mut files = BTreeSet::new();
    recovery.unreadable = walk_files(directory, MAX_DEPTH, &mut |path| {
        files.insert(path);
    })?;
    for part in files.iter().filter(|path| ends_with(path, ".mp4.part")) {
        match take(part, owner, boundaries) {
            Taken::Recovered(report) => recovery.recovered.push(*report),
            Taken::Removed => recovery.removed.push(part.clone()),
            Taken::Failed(error) => recovery.failed.push((part.clone(), error)),
            Taken::Busy => recovery.busy.push(part.clone()),
            Taken::Foreign => recovery.foreign.push(part.clone()),
        }
    }
    let busy_directories: BTreeSet<&Path> = recovery.busy.iter().filter_map(|part| part.parent()).collect();
    let quiet_here = |path: &Path| {
        path.parent()
            .is_none_or(|directory| !busy_directories.contains(directory))
    };
    let strays = files
        .iter()
        .filter(|path| quiet_here(path) && is_stray(path, owner, boundaries));
    let mut strays: Vec<&PathBuf> = strays.collect();
    // Sidecars last: they mark the rest as this crate's, also for the recovery after the next crash.
    strays.sort_by_key(|path| ends_with(path, ".json"));
    for path in strays {
        if boundaries.remove(path).is_ok() {
            recovery.removed.push(path.clone());
        }
    }
    let is_open = |path: &&PathBuf| {
        path.file_name() == Some(OsStr::new(PLAYLIST))
            && !is_complete(path, boundaries)
            && is_managed(path, boundaries)
    };
    let playlists = files.iter().filter(is_open);
    let mut directories: BTreeSet<&Path> = playlists.filter_map(|path| path.parent()).collect();
    let segments = recovery.recovered.iter().filter(|report| report.sidecar.segment);
    directories.extend(segments.filter_map(|report| report.path.parent()));
    for directory in directories.difference(&busy_directories) {
        if owner.is_none()
            && let Err(error) = complete_playlist(directory, boundaries)
        {
            recovery.failed.push((directory.join(PLAYLIST), error));
        }
    }
    Ok(recovery)
}

enum Taken {
    Recovered(Box<ClipReport>),
    Removed,
    Failed(ClipError),
    Busy,
    Foreign,
}

/// Locks and recovers an unfinished file.
fn take(part: &Path, owner: Option<&str>, boundaries: &Boundaries) -> Taken {
    let failed = |cause| {
        Taken::Failed(ClipError::Write {
            path: part.to_owned(),
            cause,
        })
    };
    let mut file = match boundaries.open(part, Access::ReadAndWrite) {
        Ok(file) => file,
        Err(cause) => return failed(cause),
    };
    if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return Taken::Busy;
    }
    // It may have been finished between the listing and the lock.
    if !boundaries.exists(part) {
        return Taken::Busy;
    }
    let found = match layout(&mut file) {
        Ok(found) => found,
        Err(cause) => return failed(cause),
    };
    match is_ours(&mut file, part, found, owner) {
        Ok(true) => {}
        Ok(false) => return Taken::Foreign,
        Err(cause) => return failed(cause),
    }
    if found.fragments == 0 {
        return match remove_empty(part, boundaries) {
            Ok(()) => Taken::Removed,
            Err(cause) => failed(cause),
        };
    }
    match complete(part, &finished(part), &mut file, boundaries) {
        Ok(Some(report)) => Taken::Recovered(Box::new(report)),
        Ok(None) => Taken::Removed,
        Err(error) => Taken::Failed(error),
    }
}

/// Whether this crate wrote a file, by the tag in its header; without a complete header, by the name of a segment. Nothing behind the
/// header is looked at: a kill may have ended it in the middle of anything, and FFmpeg refuses some of those files.
fn is_ours(file: &mut File, part: &Path, found: Layout, owner: Option<&str>) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    let bytes = match found.init_bytes {
        0 => HEAD_BYTES,
        complete => complete.min(HEAD_BYTES),
    };
    file.take(bytes).read_to_end(&mut head)?;
    if let Some(header) = ClipHeader::find_in(&head) {
        return Ok(owner.is_none_or(|owner| owner == header.owner));
    }
    // The owner's name is not there.
    if owner.is_some() || !found.head_only {
        return Ok(false);
    }
    let tag = HEADER_TAG.as_bytes();
    let has_tag = head.windows(tag.len()).any(|bytes| bytes == tag);
    Ok(has_tag || found.init_bytes == 0 && is_segment_name(part))
}

/// `20200517T175346.062Z.mp4.part`, or the same with `-2` and so on after the time.
fn is_segment_name(part: &Path) -> bool {
    let name = part.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let stem = name.strip_suffix(".mp4.part").unwrap_or_default();
    let (time, number) = stem.split_once('-').unwrap_or((stem, "2"));
    let form = "00000000T000000.000Z";
    let is_time = time.len() == form.len()
        && time
            .chars()
            .zip(form.chars())
            .all(|(found, wanted)| match wanted {
                '0' => found.is_ascii_digit(),
                _ => found == wanted,
            });
    is_time && number.parse::<u32>().is_ok()
}

/// Whether a file remained from writing or removing a clip.
fn is_stray(path: &Path, owner: Option<&str>, boundaries: &Boundaries) -> bool {
    let ours = |sidecar: &Path| {
        Sidecar::read_file(sidecar, boundaries)
            .is_ok_and(|found| owner.is_none_or(|owner| owner == found.owner))
    };
    // Checked twice, because the clip may be renamed in between.
    let exists = |path: &Path| boundaries.exists(path);
    let gone = |clip: &Path| !exists(clip) && !exists(&unfinished(clip)) && !exists(clip);
    let stem = |ending: &str| {
        let name = path.file_name().and_then(OsStr::to_str)?;
        name.strip_suffix(ending)
            .map(|stem| path.with_file_name(format!("{stem}.mp4")))
    };
    if let Some(clip) = stem(".json.part") {
        return ours(&sidecar_path(&clip));
    }
    if path.file_name() == Some(OsStr::new(&format!("{PLAYLIST}{UNFINISHED_SUFFIX}"))) {
        return owner.is_none() && is_managed(path, boundaries);
    }
    for (ending, unfinished) in preview::endings() {
        if let Some(clip) = stem(&ending) {
            return ours(&sidecar_path(&clip))
                && (unfinished || gone(&clip) && preview::is_managed(path, boundaries));
        }
    }
    if let Some(clip) = stem(".inferences.jsonl") {
        return gone(&clip) && ours(&sidecar_path(&clip));
    }
    if let Some(clip) = stem(".json") {
        return gone(&clip) && ours(path);
    }
    false
}

fn ends_with(path: &Path, ending: &str) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().ends_with(ending))
}
