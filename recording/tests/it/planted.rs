//! Directories of recordings with files that a killed process, or somebody else, has left there. Also the fuzz target `directory`.

use std::fs;

use bytes::Bytes;
use lva_recording::{
    MediaUnit, Recorder, SegmentDirectory, SegmentOptions, Tracks, VideoCodec, VideoTrack,
    playlist_for_range, recover,
};

/// What a piece of the data is the content of, in turn.
const NAMES: [&str; 8] = [
    "20200517T175346.062Z.mp4.part",
    "20200517T175346.062Z.json",
    "clip.mp4",
    "clip.json",
    "index.m3u8",
    "clip.inferences.jsonl",
    "clip.small.jpg",
    "other.mp4.part",
];
/// Stands between two pieces.
const SEPARATOR: &[u8] = b"\n--\n";
/// A file that is none of ours, whatever the others are.
const THEIRS: (&str, &[u8]) = ("theirs.txt", b"theirs");

fn pieces(data: &[u8]) -> Vec<&[u8]> {
    let (mut pieces, mut rest) = (Vec::new(), data);
    while let Some(at) = rest
        .windows(SEPARATOR.len())
        .position(|window| window == SEPARATOR)
    {
        pieces.push(&rest[..at]);
        rest = &rest[at + SEPARATOR.len()..];
    }
    pieces.push(rest);
    pieces
}

/// Recovers, lists, and records on in such a directory.
pub(crate) fn planted(data: &[u8]) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(THEIRS.0), THEIRS.1).unwrap();
    for (name, piece) in NAMES.iter().zip(pieces(data)) {
        if !piece.is_empty() {
            fs::write(directory.path().join(name), piece).unwrap();
        }
    }
    let first = recover(directory.path()).unwrap();
    assert!(first.busy.is_empty(), "{first:?}");
    let again = recover(directory.path()).unwrap();
    assert!(again.recovered.is_empty(), "{again:?}");
    playlist_for_range(directory.path(), 0..u64::MAX).unwrap();
    let video = VideoTrack {
        codec: VideoCodec::Mjpeg,
        extra_data: Bytes::new(),
        width: 64,
        height: 48,
    };
    let store = SegmentDirectory::new(directory.path(), SegmentOptions::default().with_maximum_bytes(1));
    let mut recorder = Recorder::continuous(Tracks { video, audio: None }, store);
    for number in 0..4 {
        let _ = recorder.push(MediaUnit::video(
            number * 30 * 90_000,
            true,
            Bytes::from_static(b"\xff\xd8\xff\xd9"),
        ));
    }
    let _ = recorder.end();
    assert_eq!(fs::read(directory.path().join(THEIRS.0)).unwrap(), THEIRS.1);
}

#[cfg(not(fuzzing))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_corpus_of_directories_is_recovered() {
        let seeds = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/directory")).unwrap();
        let count = seeds
            .map(|seed| planted(&fs::read(seed.unwrap().path()).unwrap()))
            .count();
        assert!(count > 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_directory_is_recovered(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..8)) {
            planted(&pieces.join(SEPARATOR));
        }
    }
}
