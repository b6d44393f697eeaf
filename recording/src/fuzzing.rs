//! Entry point of the fuzz target in `recording/fuzz`, compiled for it and for tests only.

use std::io::Cursor;

use crate::fragments::layout;
use crate::playlist::numbers_from;
use crate::sidecar::{ClipHeader, Sidecar};

/// What recovery, the index and playlists read of files that a killed process, or another program, left in a directory.
pub fn files(data: &[u8]) {
    let _ = layout(&mut Cursor::new(data));
    let _ = ClipHeader::find_in(data);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let _ = numbers_from(text, &[]);
    let _ = ClipHeader::from_tag(text);
    if let Some(sidecar) = Sidecar::from_json(text) {
        let again = Sidecar::from_json(&sidecar.to_json());
        assert_eq!(again.as_ref(), Some(&sidecar));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn the_corpus_is_read() {
        let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/files")).unwrap();
        let count = seeds
            .map(|seed| super::files(&std::fs::read(seed.unwrap().path()).unwrap()))
            .count();
        assert!(count > 0);
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            super::files(&data);
        }
    }
}
