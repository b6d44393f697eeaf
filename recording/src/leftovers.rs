//! Files that a crash left unfinished.

use crate::clip::UNFINISHED;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders below the given one that are searched, one in the other.
pub(crate) const MAX_DEPTH: u32 = 8;

/// An unfinished clip that nobody writes any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// The file, which ends in `.mp4.part`. It plays up to its last whole fragment.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

impl Leftover {
    /// Deletes it.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn discard(self) -> io::Result<()> {
        fs::remove_file(self.path)
    }
}

/// The unfinished clips in a folder and those below it, in order of their names. A clip that is being written
/// looks the same here; [`recover`](crate::recover) can tell them apart, and finishes them.
///
/// # Errors
///
/// The folder cannot be read. One that does not exist holds nothing, and one below it that cannot be read is skipped.
pub fn find_leftovers(folder: &Path) -> io::Result<Vec<Leftover>> {
    let mut found = Vec::new();
    visit(folder, MAX_DEPTH, &mut |path| {
        if path.to_string_lossy().ends_with(&format!(".mp4{UNFINISHED}"))
            && let Ok(metadata) = fs::metadata(&path)
        {
            let bytes = metadata.len();
            found.push(Leftover { path, bytes });
        }
    })?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// What could not be read, and why.
pub(crate) type Unreadable = Vec<(PathBuf, io::Error)>;

/// Shows all plain files of a folder and, so deep, of those below it. A link is neither folder nor file here: nothing
/// outside is touched. What cannot be read below the folder is skipped, and given back.
pub(crate) fn visit(folder: &Path, depth: u32, show: &mut dyn FnMut(PathBuf)) -> io::Result<Unreadable> {
    visit_with(&|folder| fs::read_dir(folder), folder, depth, show)
}

fn visit_with(
    list: &dyn Fn(&Path) -> io::Result<fs::ReadDir>,
    folder: &Path,
    depth: u32,
    show: &mut dyn FnMut(PathBuf),
) -> io::Result<Unreadable> {
    let mut unreadable = Vec::new();
    let entries = match list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(unreadable),
        entries => entries?,
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                unreadable.push((folder.to_owned(), error));
                break;
            }
        };
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => match visit_with(list, &path, depth - 1, show) {
                Ok(below) => unreadable.extend(below),
                Err(error) => unreadable.push((path, error)),
            },
            Ok(kind) if kind.is_file() => show(path),
            Ok(_) => {}
            // Removed since it was listed.
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
    fn an_unreadable_subfolder_is_skipped_and_said() {
        let top = tempfile::tempdir().unwrap();
        for name in ["a", "locked", "z"] {
            fs::create_dir(top.path().join(name)).unwrap();
            fs::write(top.path().join(name).join("file"), b"").unwrap();
        }
        let list = |folder: &Path| match folder.ends_with("locked") {
            true => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            false => fs::read_dir(folder),
        };
        let mut shown = Vec::new();
        let unreadable = visit_with(&list, top.path(), 8, &mut |path| shown.push(path)).unwrap();
        shown.sort();
        assert_eq!(shown, ["a/file", "z/file"].map(|name| top.path().join(name)));
        assert_eq!(unreadable.len(), 1);
        assert_eq!(unreadable[0].0, top.path().join("locked"));
        assert!(visit_with(&list, &top.path().join("locked"), 8, &mut |_| ()).is_err());
    }
}
