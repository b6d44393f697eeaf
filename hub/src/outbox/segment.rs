//! One file of the outbox: records one after the other, compressed once the file is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::record::{StoredEvent, decode};

/// Begins every file, before compression.
pub(super) const MAGIC: &[u8; 8] = b"LVAOUT1\n";
const OPEN: &str = "log";
const SEALED: &str = "log.z";
const TEMPORARY: &str = "tmp";

/// To open a file that only its owner may read, whatever the umask.
pub(super) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// A file as the directory has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentFile {
    /// Sequence number of its first record.
    pub(super) first: u64,
    pub(super) is_sealed: bool,
    pub(super) bytes: u64,
}

pub(super) fn open_path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:016x}.{OPEN}"))
}

pub(super) fn sealed_path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:016x}.{SEALED}"))
}

/// The files of a directory by sequence number. Removes what an interrupted step left behind: temporary files, and open
/// files whose sealed form is complete.
pub(super) fn list(directory: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut found: Vec<SegmentFile> = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some((stem, kind)) = name.to_str().and_then(|name| name.split_once('.')) else {
            continue;
        };
        if kind == TEMPORARY {
            fs::remove_file(entry.path())?;
            continue;
        }
        let is_sealed = match kind {
            OPEN => false,
            SEALED => true,
            _ => continue,
        };
        if let Ok(first) = u64::from_str_radix(stem, 16) {
            let bytes = entry.metadata()?.len();
            found.push(SegmentFile {
                first,
                is_sealed,
                bytes,
            });
        }
    }
    // Sealed before open, where both are there.
    found.sort_by_key(|file| (file.first, !file.is_sealed));
    let mut kept: Vec<SegmentFile> = Vec::with_capacity(found.len());
    for file in found {
        if kept.last().is_some_and(|last| last.first == file.first) {
            fs::remove_file(open_path(directory, file.first))?;
            continue;
        }
        kept.push(file);
    }
    Ok(kept)
}

/// Replaces an open file by its compressed form, and returns the bytes of that. Complete at any moment: written beside,
/// synchronised, renamed.
pub(super) fn seal(directory: &Path, first: u64, raw: &[u8]) -> io::Result<u64> {
    let temporary = directory.join(format!("{first:016x}.{TEMPORARY}"));
    let bytes = match compress(&temporary, raw) {
        Ok(bytes) => bytes,
        Err(error) => {
            // A full disk needs the space; where this fails too, the next start removes the file.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
    };
    fs::rename(&temporary, sealed_path(directory, first))?;
    sync_directory(directory)?;
    fs::remove_file(open_path(directory, first))?;
    Ok(bytes)
}

fn compress(path: &Path, raw: &[u8]) -> io::Result<u64> {
    let file = private_file()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    let mut encoder = ZlibEncoder::new(file, Compression::fast());
    encoder.write_all(raw)?;
    let file = encoder.finish()?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// The contents of a file, decompressed; at most `limit` bytes. A compressed file that is damaged gives what comes before
/// the damage.
pub(super) fn load(directory: &Path, file: &SegmentFile, limit: usize) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    if file.is_sealed {
        let source = File::open(sealed_path(directory, file.first))?;
        let mut decoder = ZlibDecoder::new(source).take(limit as u64);
        match decoder.read_to_end(&mut raw) {
            Ok(_) => {}
            // What was decompressed so far is checked record by record.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) => {}
            Err(error) => return Err(error),
        }
    } else {
        let source = File::open(open_path(directory, file.first))?;
        source.take(limit as u64).read_to_end(&mut raw)?;
    }
    Ok(raw)
}

pub(super) fn remove(directory: &Path, file: &SegmentFile) -> io::Result<()> {
    let path = match file.is_sealed {
        true => sealed_path(directory, file.first),
        false => open_path(directory, file.first),
    };
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes names of files durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Where the records of a file's contents end: the bytes that are whole, and the sequence number after the last.
pub(super) fn scan(raw: &[u8], first: u64) -> (usize, u64) {
    if !raw.starts_with(MAGIC) {
        return (0, first);
    }
    let (mut at, mut next) = (MAGIC.len(), first);
    while let Some((stored, length)) = raw.get(at..).and_then(decode) {
        let Some(after) = next.checked_add(1).filter(|_| stored.sequence == next) else {
            break;
        };
        at += length;
        next = after;
    }
    (at, next)
}

/// Reads records from a file's contents in order.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) first: u64,
    /// The next record's place.
    at: usize,
    /// The next record's number.
    next: u64,
}

impl Reader {
    pub(super) fn new(first: u64) -> Self {
        Self {
            first,
            at: MAGIC.len(),
            next: first,
        }
    }

    /// The next record without going past it. `None` at the end, and where the contents are damaged.
    pub(super) fn peek(&self, raw: &[u8]) -> Option<(StoredEvent, usize)> {
        if !raw.starts_with(MAGIC) {
            return None;
        }
        let (stored, length) = raw.get(self.at..).and_then(decode)?;
        (stored.sequence == self.next).then_some((stored, length))
    }

    pub(super) fn advance(&mut self, length: usize) {
        self.at += length;
        self.next += 1;
    }

    pub(super) fn next_sequence(&self) -> u64 {
        self.next
    }
}
