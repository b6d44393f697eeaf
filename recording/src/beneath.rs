//! Directories and files that stay below a directory, whatever links lead elsewhere; and their modes.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::Errno;

/// Recordings show people: the group may read them, others may not. The umask takes more away.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// Options for a new file of the recordings.
pub(crate) fn new_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// The directories below which recordings stay; none allows every directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Boundaries(Vec<PathBuf>);

impl Boundaries {
    pub(crate) fn new(folders: Vec<PathBuf>) -> Self {
        Self(folders)
    }

    /// Creates a directory and those above it.
    pub(crate) fn make_directory(&self, directory: &Path) -> io::Result<()> {
        match self.of(directory)? {
            Some((boundary, below)) => open_directory(boundary, below).map(drop),
            None => make_all(directory),
        }
    }

    /// Creates a file that does not exist yet, for reading and writing. Its directory exists.
    pub(crate) fn create_file(&self, path: &Path) -> io::Result<File> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        match self.of(directory)? {
            Some((boundary, below)) => create_in(&open_directory(boundary, below)?, name),
            None => new_file().read(true).write(true).create_new(true).open(path),
        }
    }

    /// The boundary that holds a directory, and the rest of its path.
    fn of<'a>(&'a self, directory: &'a Path) -> io::Result<Option<(&'a Path, &'a Path)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let found = self
            .0
            .iter()
            .find_map(|boundary| Some((boundary.as_path(), directory.strip_prefix(boundary).ok()?)));
        found.map(Some).ok_or_else(outside)
    }
}

fn outside() -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        "it is outside of the folders that recordings may go to, or a link leads out of them; allow its folder with \
         --allow-recordings-under",
    )
}

fn make_all(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(directory)
}

/// Opens a directory below another one and creates what is missing. Links may lead anywhere below it.
fn open_directory(boundary: &Path, below: &Path) -> io::Result<OwnedFd> {
    make_all(if boundary.as_os_str().is_empty() {
        Path::new(".")
    } else {
        boundary
    })?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, boundary_path(boundary), flags, Mode::empty())?;
    let mut walked = PathBuf::new();
    let mut current = openat(&root, ".", flags, Mode::empty())?;
    for component in below.components() {
        let name = match component {
            Component::Normal(name) => name,
            Component::CurDir => continue,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(outside()),
        };
        walked.push(name);
        let next = match open_below(&root, &current, &walked, name) {
            Err(Errno::NOENT) => {
                match mkdirat(&current, name, Mode::from_raw_mode(DIRECTORY_MODE)) {
                    // Another recording was faster.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                open_below(&root, &current, &walked, name)
            }
            found => found,
        };
        current = next.map_err(|error| match error {
            Errno::XDEV | Errno::LOOP => outside(),
            error => error.into(),
        })?;
    }
    Ok(current)
}

fn boundary_path(boundary: &Path) -> &Path {
    match boundary.as_os_str().is_empty() {
        true => Path::new("."),
        false => boundary,
    }
}

fn open_below(root: &OwnedFd, current: &OwnedFd, walked: &Path, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, walked, flags, Mode::empty(), resolve) {
        // Linux before 5.6, and sandboxes without the call: no link is followed there.
        Err(Errno::NOSYS | Errno::PERM) => openat(current, name, flags | OFlags::NOFOLLOW, Mode::empty()),
        opened => opened,
    }
}

fn create_in(directory: &OwnedFd, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(directory, name, flags, Mode::from_raw_mode(FILE_MODE))?.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn within(folder: &Path) -> Boundaries {
        Boundaries::new(vec![folder.to_owned()])
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn folders_and_files_are_for_the_owner_and_the_group() {
        let root = tempfile::tempdir().unwrap();
        let all = root.path().join("all");
        let clips = all.join("a/b");
        let boundaries = within(&all);
        boundaries.make_directory(&clips).unwrap();
        boundaries.make_directory(&clips).unwrap();
        boundaries.create_file(&clips.join("x")).unwrap();
        assert_eq!(
            boundaries.create_file(&clips.join("x")).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        // The umask of the tests may take more away, and never gives.
        assert_eq!(mode(&clips.join("x")) & !FILE_MODE, 0);
        for folder in [&all, &all.join("a"), &clips] {
            assert_eq!(mode(folder) & !DIRECTORY_MODE, 0);
        }
    }

    #[test]
    fn a_link_that_leads_out_is_refused_and_one_that_stays_is_followed() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(elsewhere.path(), root.path().join("out")).unwrap();
        std::fs::create_dir(root.path().join("real")).unwrap();
        symlink("real", root.path().join("in")).unwrap();
        let boundaries = within(root.path());
        for folder in ["out", "out/deeper", "../x"] {
            let error = boundaries.make_directory(&root.path().join(folder)).unwrap_err();
            assert!(
                error.to_string().contains("--allow-recordings-under"),
                "{folder}: {error}"
            );
        }
        assert!(boundaries.create_file(&root.path().join("out/x")).is_err());
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        boundaries.create_file(&root.path().join("in/x")).unwrap();
        assert!(root.path().join("real/x").exists());
        // A link in the place of the file itself.
        symlink(elsewhere.path().join("y"), root.path().join("y")).unwrap();
        assert!(boundaries.create_file(&root.path().join("y")).is_err());
        assert!(!elsewhere.path().join("y").exists());
    }

    #[test]
    fn a_folder_outside_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        let boundaries = within(&root.path().join("all"));
        assert!(boundaries.make_directory(&outside).is_err());
        assert!(boundaries.make_directory(&root.path().join("all-of-it")).is_err());
        assert!(!outside.exists());
        Boundaries::default().make_directory(&outside).unwrap();
    }
}
