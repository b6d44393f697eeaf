//! The files of recordings: they stay below a directory, whatever links lead elsewhere, and have their modes.
//!
//! Every operation opens the directory beneath its boundary first, and then its file by the bare name: no link in the file's own
//! place is followed, and no pipe or device opened.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::files::unfinished;

/// Recordings show people: the group may read them, others may not. The umask takes more away.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// The directories below which recordings stay; none allows every directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Boundaries(Vec<PathBuf>);

/// What an existing file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadAndWrite,
    /// Creates a missing file.
    Append,
}

/// What happens to directories that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Fail,
    Make,
}

impl Boundaries {
    pub(crate) fn new(folders: Vec<PathBuf>) -> Self {
        Self(folders)
    }

    /// Creates a directory and those above it.
    pub(crate) fn make_directory(&self, directory: &Path) -> io::Result<()> {
        self.folder(directory, Missing::Make).map(drop)
    }

    /// Opens a directory, to lock or sync it.
    pub(crate) fn open_directory(&self, directory: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = self.folder(directory, Missing::Fail)?;
        Ok(openat(&folder, ".", flags, Mode::empty())?.into())
    }

    /// Creates a file that does not exist yet, for reading and writing. Its directory exists.
    pub(crate) fn create_file(&self, path: &Path) -> io::Result<File> {
        let (folder, name) = self.place(path)?;
        create_in(&folder, name)
    }

    /// Opens a regular file.
    pub(crate) fn open(&self, path: &Path, access: Access) -> io::Result<File> {
        let (folder, name) = self.place(path)?;
        let access = match access {
            Access::Read => OFlags::RDONLY,
            Access::ReadAndWrite => OFlags::RDWR,
            Access::Append => OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE,
        };
        // Without `NONBLOCK`, a pipe would be waited for.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&folder, name, flags, Mode::from_raw_mode(FILE_MODE))?);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
        }
    }

    /// Replaces a file's content as a whole. Not synced to disk: the content can be made again.
    pub(crate) fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        let part = unfinished(Path::new(name));
        // A killed process may have left it.
        ignore_missing(unlinkat(&folder, &part, AtFlags::empty()))?;
        let written = create_in(&folder, part.as_os_str())
            .and_then(|mut file| file.write_all(content))
            .and_then(|()| Ok(renameat(&folder, &part, &folder, name)?));
        if written.is_err() {
            let _ = unlinkat(&folder, &part, AtFlags::empty());
        }
        written
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let ((source, from), (target, to)) = (self.place(from)?, self.place(to)?);
        Ok(renameat(source, from, target, to)?)
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        Ok(unlinkat(folder, name, AtFlags::empty())?)
    }

    /// Removes a file; a missing one is fine.
    pub(crate) fn remove_if_exists(&self, path: &Path) -> io::Result<()> {
        match self.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// What is at a path, a link by itself; `None` if nothing is.
    pub(crate) fn kind(&self, path: &Path) -> io::Result<Option<FileType>> {
        let found = self
            .place(path)
            .and_then(|(folder, name)| Ok(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?));
        match found {
            Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether something is at a path, as far as can be told.
    pub(crate) fn exists(&self, path: &Path) -> bool {
        matches!(self.kind(path), Ok(Some(_)))
    }

    pub(crate) fn is_file(&self, path: &Path) -> bool {
        matches!(self.kind(path), Ok(Some(FileType::RegularFile)))
    }

    /// The directory of a file, and the file's name in it.
    fn place<'a>(&self, path: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok((self.folder(directory, Missing::Fail)?, name))
    }

    fn folder(&self, directory: &Path, missing: Missing) -> io::Result<OwnedFd> {
        match self.of(directory)? {
            Some((boundary, below)) => open_directory(boundary, below, missing),
            None => open_boundary(directory, missing),
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

fn ignore_missing(removed: rustix::io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error != Errno::NOENT => Err(error.into()),
        _ => Ok(()),
    }
}

/// Opens a directory by its path, links followed: it is the operator's.
fn open_boundary(directory: &Path, missing: Missing) -> io::Result<OwnedFd> {
    let directory = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    if missing == Missing::Make {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)?;
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, directory, flags, Mode::empty())?)
}

/// Opens a directory below another one. Links may lead anywhere below it.
fn open_directory(boundary: &Path, below: &Path, missing: Missing) -> io::Result<OwnedFd> {
    let root = open_boundary(boundary, missing)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
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
            Err(Errno::NOENT) if missing == Missing::Make => {
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

    #[test]
    fn neither_a_link_nor_a_pipe_stands_for_a_file() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (theirs, path) = (elsewhere.path().join("theirs"), root.path().join("x.json"));
        std::fs::write(&theirs, b"theirs").unwrap();
        // Also where every directory is allowed.
        for boundaries in [within(root.path()), Boundaries::default()] {
            for name in ["x.json", "x.json.part"] {
                symlink(&theirs, root.path().join(name)).unwrap();
            }
            assert_eq!(boundaries.kind(&path).unwrap(), Some(FileType::Symlink));
            for access in [Access::Read, Access::ReadAndWrite, Access::Append] {
                assert!(boundaries.open(&path, access).is_err());
            }
            boundaries.replace(&path, b"ours").unwrap();
            assert!(boundaries.is_file(&path));
            boundaries.remove(&path).unwrap();
            assert_eq!(std::fs::read(&theirs).unwrap(), b"theirs");

            let pipe = root.path().join("pipe");
            rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
            assert!(boundaries.open(&pipe, Access::Read).is_err());
            boundaries.remove_if_exists(&pipe).unwrap();
            boundaries.remove_if_exists(&pipe).unwrap();
        }
    }

    #[test]
    fn a_directory_that_becomes_a_link_is_left_at_once() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (clips, file) = (root.path().join("clips"), root.path().join("clips/x"));
        let boundaries = within(root.path());
        boundaries.make_directory(&clips).unwrap();
        boundaries.create_file(&file).unwrap();
        std::fs::rename(&clips, root.path().join("moved")).unwrap();
        symlink(elsewhere.path(), &clips).unwrap();
        std::fs::write(elsewhere.path().join("x"), b"theirs").unwrap();
        let tried = [
            boundaries.open(&file, Access::ReadAndWrite).map(drop),
            boundaries.replace(&file, b"ours"),
            boundaries.rename(&file, &root.path().join("y")),
            boundaries.remove(&file),
            boundaries.open_directory(&clips).map(drop),
        ];
        for result in tried {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
        assert!(!boundaries.exists(&file));
        assert_eq!(std::fs::read(elsewhere.path().join("x")).unwrap(), b"theirs");
    }
}
