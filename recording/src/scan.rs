//! Walking over directories, and the unfinished clips in them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::UNFINISHED_SUFFIX;

/// Depth of the search below the given directory.
pub(crate) const MAX_DEPTH: u32 = 8;

/// An unfinished clip.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnfinishedClip {
    /// The file, whose name ends in `.mp4.part`. It is playable up to its last complete fragment.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

impl UnfinishedClip {
    /// Deletes it.
    ///
    /// # Errors
    ///
    /// The system rejects it.
    pub fn discard(self) -> io::Result<()> {
        fs::remove_file(self.path)
    }
}

/// The unfinished clips in a directory and those below it, sorted by path. Includes clips being written;
/// [`recover`](crate::recover) distinguishes them, and finishes the others.
///
/// # Errors
///
/// The directory cannot be read. A missing directory contains nothing, and an unreadable one below it is skipped.
pub fn find_unfinished(directory: &Path) -> io::Result<Vec<UnfinishedClip>> {
    let mut found = Vec::new();
    walk_files(directory, MAX_DEPTH, &mut |path| {
        if path
            .to_string_lossy()
            .ends_with(&format!(".mp4{UNFINISHED_SUFFIX}"))
            && let Ok(metadata) = fs::metadata(&path)
        {
            let bytes = metadata.len();
            found.push(UnfinishedClip { path, bytes });
        }
    })?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The finished clips and segments in a directory and those below it, sorted by path: files with a sidecar, whose
/// [`Sidecar`](crate::Sidecar) tells what they hold. Does not follow links.
///
/// # Errors
///
/// The directory cannot be read. A missing directory contains nothing, and an unreadable one below it is skipped.
pub fn find_finished(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut clips, mut sidecars) = (BTreeSet::new(), Vec::new());
    walk_files(directory, MAX_DEPTH, &mut |path| match path
        .extension()
        .and_then(|extension| extension.to_str())
    {
        Some("mp4") => drop(clips.insert(path)),
        Some("json") => sidecars.push(path.with_extension("mp4")),
        _ => {}
    })?;
    sidecars.retain(|clip| clips.contains(clip));
    sidecars.sort();
    Ok(sidecars)
}

/// Paths that could not be read, and why.
pub(crate) type ScanErrors = Vec<(PathBuf, io::Error)>;

/// Visits all plain files of a directory and, up to this depth, of those below it. Does not follow links: nothing outside
/// is touched. Skips and returns what cannot be read below the directory.
pub(crate) fn walk_files(
    directory: &Path,
    depth: u32,
    show: &mut dyn FnMut(PathBuf),
) -> io::Result<ScanErrors> {
    walk_with(&|directory| fs::read_dir(directory), directory, depth, show)
}

fn walk_with(
    list: &dyn Fn(&Path) -> io::Result<fs::ReadDir>,
    directory: &Path,
    depth: u32,
    show: &mut dyn FnMut(PathBuf),
) -> io::Result<ScanErrors> {
    let mut unreadable = Vec::new();
    let entries = match list(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(unreadable),
        entries => entries?,
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                unreadable.push((directory.to_owned(), error));
                break;
            }
        };
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => match walk_with(list, &path, depth - 1, show) {
                Ok(below) => unreadable.extend(below),
                Err(error) => unreadable.push((path, error)),
            },
            Ok(kind) if kind.is_file() => show(path),
            Ok(_) => {}
            // Removed since the listing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => unreadable.push((path, error)),
        }
    }
    Ok(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finished_files_are_those_with_a_sidecar() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("b")).unwrap();
        for name in [
            "b/2.mp4",
            "b/2.json",
            "1.mp4",
            "1.json",
            "alone.mp4",
            "gone.json",
            "3.mp4.part",
        ] {
            fs::write(top.path().join(name), b"").unwrap();
        }
        let found = find_finished(top.path()).unwrap();
        assert_eq!(found, ["1.mp4", "b/2.mp4"].map(|name| top.path().join(name)));
        assert!(find_finished(&top.path().join("missing")).unwrap().is_empty());
    }

    #[test]
    fn an_unreadable_subdirectory_is_skipped_and_returned() {
        let top = tempfile::tempdir().unwrap();
        for name in ["a", "locked", "z"] {
            fs::create_dir(top.path().join(name)).unwrap();
            fs::write(top.path().join(name).join("file"), b"").unwrap();
        }
        let list = |directory: &Path| match directory.ends_with("locked") {
            true => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            false => fs::read_dir(directory),
        };
        let mut shown = Vec::new();
        let unreadable = walk_with(&list, top.path(), 8, &mut |path| shown.push(path)).unwrap();
        shown.sort();
        assert_eq!(shown, ["a/file", "z/file"].map(|name| top.path().join(name)));
        assert_eq!(unreadable.len(), 1);
        assert_eq!(unreadable[0].0, top.path().join("locked"));
        assert!(walk_with(&list, &top.path().join("locked"), 8, &mut |_| ()).is_err());
    }
}
