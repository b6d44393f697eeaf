//! A reader that gives up on files whose structure leads round in circles.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

/// Most operations on a file of any size: 2 million samples take about 20 million.
const MAX_OPERATIONS: u64 = 50_000_000;
/// Operations on the smallest file.
const MIN_OPERATIONS: u64 = 1000;

/// Bytes in memory, with a bound on how often they are read and sought. Every element of a file takes a byte at least, so
/// more operations than bytes come of a box that contains itself.
#[derive(Debug)]
pub(super) struct BoundedReader<'a> {
    bytes: Cursor<&'a [u8]>,
    left: u64,
}

impl<'a> BoundedReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        // A position is asked for before and after most reads.
        let left = (bytes.len() as u64)
            .saturating_mul(4)
            .clamp(MIN_OPERATIONS, MAX_OPERATIONS);
        Self {
            bytes: Cursor::new(bytes),
            left,
        }
    }

    fn spend(&mut self) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "its structure leads round in circles")
        })?;
        Ok(())
    }
}

impl Read for BoundedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.spend()?;
        self.bytes.read(buffer)
    }
}

impl Seek for BoundedReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.spend()?;
        self.bytes.seek(to)
    }
}
