//! A file of lines that is renamed when it is full: `FILE.1` is the newest of the renamed files.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// A link is not followed: in a directory such as `/tmp`, others may lay one.
const PRIVATE: (u32, i32) = (0o600, OFlags::NOFOLLOW.bits().cast_signed());
/// For who looks after the machine: its group may read.
const SHARED: (u32, i32) = (0o640, 0);

#[derive(Debug)]
pub(crate) struct RotatingFile {
    path: PathBuf,
    /// Bytes.
    largest: u64,
    /// Renamed files.
    kept: u32,
    /// Mode, and further flags.
    access: (u32, i32),
    open: Option<(File, u64)>,
}

impl RotatingFile {
    /// Opens or makes it, and the directories above it. It is renamed when it has `largest` bytes; `kept` of the renamed remain.
    pub(crate) fn shared(path: PathBuf, largest: u64, kept: u32) -> std::io::Result<Self> {
        Self::open(path, largest, kept, SHARED)
    }

    /// The same for this user alone.
    pub(crate) fn private(path: PathBuf, largest: u64, kept: u32) -> std::io::Result<Self> {
        Self::open(path, largest, kept, PRIVATE)
    }

    fn open(path: PathBuf, largest: u64, kept: u32, access: (u32, i32)) -> std::io::Result<Self> {
        let mut file = Self {
            path,
            largest,
            kept,
            access,
            open: None,
        };
        file.opened()?;
        Ok(file)
    }

    /// One line, whole or not at all in this file. After an error, the next line opens the file again.
    pub(crate) fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        let (_, size) = self.opened()?;
        if *size > 0 && *size + line.len() as u64 > self.largest {
            self.open = None;
            self.rotate()?;
        }
        let (file, size) = self.opened()?;
        let before = *size;
        let written = file.write_all(line);
        *size += line.len() as u64;
        if let Err(error) = written {
            // A full disk may have taken a part of the line, which would damage the next one as well.
            let cut = file.set_len(before);
            self.open = None;
            return Err(cut.err().unwrap_or(error));
        }
        Ok(())
    }

    fn opened(&mut self) -> std::io::Result<&mut (File, u64)> {
        if self.open.is_none() {
            if let Some(directory) = self.path.parent() {
                std::fs::create_dir_all(directory)?;
            }
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(self.access.0)
                .custom_flags(self.access.1)
                .open(&self.path)?;
            let size = file.metadata()?.len();
            self.open = Some((file, size));
        }
        self.open
            .as_mut()
            .ok_or_else(|| std::io::Error::other("the file is not open"))
    }

    fn rotate(&self) -> std::io::Result<()> {
        if self.kept == 0 {
            return std::fs::remove_file(&self.path);
        }
        for number in (1..self.kept).rev() {
            let (from, to) = (numbered(&self.path, number), numbered(&self.path, number + 1));
            if from.exists() {
                std::fs::rename(from, to)?;
            }
        }
        std::fs::rename(&self.path, numbered(&self.path, 1))
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_renamed_and_the_oldest_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/events.jsonl");
        let mut file = RotatingFile::shared(path.clone(), 11, 2).unwrap();
        for line in [
            "one\n",
            "two\n",
            "three\n",
            "four\n",
            "a line of more than the limit\n",
            "six\n",
        ] {
            file.write(line.as_bytes()).unwrap();
        }
        let read = |number: u32| std::fs::read_to_string(numbered(&path, number)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "six\n");
        assert_eq!(
            (read(1), read(2)),
            ("a line of more than the limit\n".into(), "three\nfour\n".into())
        );
        assert!(!numbered(&path, 3).exists());
    }

    #[test]
    fn a_file_that_was_removed_by_an_operator_is_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        std::fs::write(&path, "old\n").unwrap();
        let mut file = RotatingFile::shared(path.clone(), 8, 0).unwrap();
        file.write(b"new\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\nnew\n");
        file.write(b"newer\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "newer\n");
    }

    #[test]
    fn a_link_that_another_user_may_have_laid_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (directory.path().join("target"), directory.path().join("link"));
        std::fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(RotatingFile::private(link.clone(), 8, 0).is_err());
        RotatingFile::shared(link, 8, 0).unwrap();
    }
}
