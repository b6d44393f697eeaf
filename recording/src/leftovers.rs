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
/// A folder that cannot be read. One that does not exist holds nothing.
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

/// Shows all plain files of a folder and, so deep, of those below it. A link is neither folder nor file here: nothing
/// outside is touched.
pub(crate) fn visit(folder: &Path, depth: u32, show: &mut dyn FnMut(PathBuf)) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 {
            visit(&entry.path(), depth - 1, show)?;
        } else if kind.is_file() {
            show(entry.path());
        }
    }
    Ok(())
}
