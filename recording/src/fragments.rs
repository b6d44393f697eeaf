//! The boxes of an MP4 file (ISO/IEC 14496-12), enough to find out how much of it is complete.

use std::io::{self, Read, Seek, SeekFrom};

/// How much of a file is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    /// Where `moov` ends; 0 if it is not there.
    pub(crate) init_bytes: u64,
    /// Where the last complete fragment (or box behind the fragments) ends.
    pub(crate) whole_bytes: u64,
    /// Complete pairs of `moof` and `mdat`.
    pub(crate) fragments: u64,
    /// Size of the file.
    pub(crate) bytes: u64,
    /// The file consists of `ftyp` and `moov` only, or of a part of them.
    pub(crate) head_only: bool,
}

/// Walks over the top-level boxes without reading their content.
pub(crate) fn layout<F: Read + Seek>(file: &mut F) -> io::Result<Layout> {
    let bytes = file.seek(SeekFrom::End(0))?;
    let mut layout = Layout {
        bytes,
        head_only: true,
        ..Layout::default()
    };
    let (mut position, mut has_moof) = (0u64, false);
    while let Some((kind, size)) = header(file, position, bytes)? {
        layout.head_only &= matches!(&kind, b"ftyp" | b"moov");
        let end = position.saturating_add(size);
        if end > bytes {
            break;
        }
        match &kind {
            b"moov" if layout.init_bytes == 0 => {
                layout.init_bytes = end;
                layout.whole_bytes = end;
            }
            b"moof" => has_moof = true,
            b"mdat" if has_moof => {
                has_moof = false;
                layout.fragments += 1;
                layout.whole_bytes = end;
            }
            _ if !has_moof => layout.whole_bytes = end,
            _ => {}
        }
        position = end;
    }
    Ok(layout)
}

/// Kind and size of the box at a position; `None` if its header is incomplete.
fn header<F: Read + Seek>(file: &mut F, position: u64, bytes: u64) -> io::Result<Option<([u8; 4], u64)>> {
    if bytes.saturating_sub(position) < 8 {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(position))?;
    let (mut short, mut kind) = ([0; 4], [0; 4]);
    file.read_exact(&mut short)?;
    file.read_exact(&mut kind)?;
    let size = match u32::from_be_bytes(short) {
        0 => return Ok(None), // until the end of the file; this crate writes no such box
        1 if bytes - position < 16 => return Ok(None),
        1 => {
            let mut long = [0; 8];
            file.read_exact(&mut long)?;
            u64::from_be_bytes(long)
        }
        size => u64::from(size),
    };
    Ok((size >= 8).then_some((kind, size)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn boxed(kind: &str, content: usize) -> Vec<u8> {
        let mut bytes = (content as u32 + 8).to_be_bytes().to_vec();
        bytes.extend(kind.as_bytes());
        bytes.resize(content + 8, 7);
        bytes
    }

    fn file(fragments: usize) -> Vec<u8> {
        let mut bytes = [boxed("ftyp", 20), boxed("moov", 100)].concat();
        for _ in 0..fragments {
            bytes.extend([boxed("moof", 40), boxed("mdat", 60)].concat());
        }
        bytes
    }

    const HEAD: usize = 28 + 108;
    const FRAGMENT: usize = 48 + 68;

    proptest! {
        #[test]
        fn a_file_that_is_cut_anywhere_is_whole_up_to_its_last_fragment(cut in 0usize..HEAD + 3 * FRAGMENT) {
            let mut bytes = file(3);
            bytes.truncate(cut);
            let found = layout(&mut Cursor::new(&bytes)).unwrap();
            let fragments = cut.saturating_sub(HEAD) / FRAGMENT;
            prop_assert_eq!(found.fragments, fragments as u64);
            prop_assert_eq!(found.init_bytes, if cut >= HEAD { HEAD as u64 } else { 0 });
            if cut >= HEAD {
                prop_assert_eq!(found.whole_bytes, (HEAD + fragments * FRAGMENT) as u64);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let found = layout(&mut Cursor::new(&bytes)).unwrap();
            prop_assert!(found.whole_bytes <= found.bytes);
        }
    }

    #[test]
    fn a_trailer_belongs_to_the_complete_part() {
        let bytes = [file(1), boxed("mfra", 30)].concat();
        let found = layout(&mut Cursor::new(&bytes)).unwrap();
        assert_eq!((found.whole_bytes, found.fragments), (bytes.len() as u64, 1));
        assert!(!found.head_only);
        assert!(layout(&mut Cursor::new(file(0))).unwrap().head_only);
    }
}
