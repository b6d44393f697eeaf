//! Files that a crash left unfinished.

use crate::clip::UNFINISHED;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders below the given one that are searched, one in the other.
const MAX_DEPTH: u32 = 8;

/// An unfinished clip that nobody writes any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// The file, which ends in `.mp4.part`. It plays up to its last whole fragment of a second.
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

/// The unfinished clips in a folder and those below it, in order of their names. Call it before anything is recorded
/// there: a clip that is being written looks the same.
///
/// # Errors
///
/// A folder that cannot be read. One that does not exist holds nothing.
pub fn find_leftovers(folder: &Path) -> io::Result<Vec<Leftover>> {
    let mut found = Vec::new();
    search(folder, MAX_DEPTH, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn search(folder: &Path, depth: u32, found: &mut Vec<Leftover>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?; // a link is neither folder nor file here: nothing outside is touched
        let path = entry.path();
        if kind.is_dir() && depth > 0 {
            search(&path, depth - 1, found)?;
        } else if kind.is_file() && path.to_string_lossy().ends_with(&format!(".mp4{UNFINISHED}")) {
            found.push(Leftover {
                bytes: entry.metadata()?.len(),
                path,
            });
        }
    }
    Ok(())
}
