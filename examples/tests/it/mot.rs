//! Detections and tracks as text.

use std::collections::BTreeMap;

use lva_examples::mot::{MotDetections, MotTracks, Sequence, sequence_of, track};
use lva_zones::TrackerOptions;

const HD: Sequence = Sequence {
    fps: 15.0,
    width: 1280,
    height: 720,
};

/// Two people who walk towards each other and pass, 90 frames of them; `score` by frame and person.
fn passing(score: impl Fn(usize, usize) -> f64) -> String {
    let mut text = String::new();
    for frame in 1..=90 {
        let gone = 8.0 * frame as f64;
        for (person, left) in [(0, 100.0 + gone), (1, 1000.0 - gone)] {
            let (top, conf) = (200.0 + 30.0 * person as f64, score(frame, person));
            text += &format!("{frame},-1,{left:.1},{top:.1},80.5,240,{conf},-1,-1,-1\n");
        }
    }
    text
}

fn tracked(text: &str, options: TrackerOptions, every: usize) -> MotTracks {
    let detections = MotDetections::parse(text, &HD).expect("detections");
    track(&detections, &HD, options, every).expect("tracks")
}

/// Identities by the top of their boxes, which tells who it is.
fn identities(tracks: &MotTracks) -> BTreeMap<String, Vec<u64>> {
    let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in tracks.text.lines() {
        let words: Vec<&str> = line.split(',').collect();
        assert_eq!(words.len(), 10, "{line}");
        let own = all.entry(words[3].to_owned()).or_default();
        let id = words[1].parse().expect("an id");
        if !own.contains(&id) {
            own.push(id);
        }
    }
    all
}

#[test]
fn detections_become_tracks_with_the_same_boxes() {
    let tracks = tracked(&passing(|_, _| 0.9), TrackerOptions::default(), 1);
    assert_eq!(tracks.identities, 2);
    let owners = identities(&tracks);
    assert_eq!(
        owners.values().map(Vec::len).collect::<Vec<_>>(),
        [1, 1],
        "{owners:?}"
    );
    // Confirmed with the third frame; the box is that of the detection.
    assert_eq!(
        tracks.text.lines().next(),
        Some("3,1,124.00,200.00,80.50,240.00,0.9000,-1,-1,-1")
    );
    // At 2.5 frames a second alike.
    let slow = tracked(&passing(|_, _| 0.9), TrackerOptions::default(), 6);
    assert_eq!(
        (slow.identities, slow.text.lines().last().map(|line| &line[..3])),
        (2, Some("85,"))
    );
}

#[test]
fn low_scores_continue_a_track_where_the_second_stage_is_on() {
    let weak = |frame: usize, _| if frame % 20 < 10 { 0.8 } else { 0.3 };
    let with = tracked(&passing(weak), TrackerOptions::default(), 1);
    let without = TrackerOptions {
        low_score: 0.5,
        ..TrackerOptions::default()
    };
    let without = tracked(&passing(weak), without, 1);
    assert_eq!(with.identities, 2);
    assert!(with.text.lines().count() > 170 && without.text.lines().count() < 100);
}

#[test]
fn files_of_other_programs_are_read() {
    let text = "\u{feff}# frame, id, …\r\n3 -1 10 20 30 40 0.5\r\n1,7,10,20,30,40,12.5,-1,-1,-1\n\n1,-1,10,20,0,40,0.9\n2,-1,9e9,0,1,1,1\n";
    let read = MotDetections::parse(text, &HD).expect("detections");
    assert_eq!((read.frames.len(), read.skipped), (3, 2));
    assert_eq!(read.frames.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0, 1]);
    assert_eq!(read.frames[0][0].score, 1.0);
    for (wrong, words) in [
        ("1,-1,10,20,30", "line 1: 5 numbers where"),
        (
            "1,-1,10,20,30,40,0.9\n0,-1,1,1,1,1,1",
            "line 2: frame 0: frames are counted from 1",
        ),
        ("1e9,-1,1,1,1,1,1", "frame 1000000000"),
        ("1,-1,left,20,30,40,0.9", "\"left\" is no number"),
    ] {
        let error = MotDetections::parse(wrong, &HD).expect_err("an error");
        assert!(format!("{error:#}").contains(words), "{error:#}");
    }
}

#[test]
fn a_folder_says_its_rate_and_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let info = "[Sequence]\nname=X\nimDir=img1\nframeRate=30\nseqLength=600\nimWidth=1920\nimHeight=1080\nimExt=.jpg\n";
    std::fs::write(folder.path().join("seqinfo.ini"), info).expect("written");
    let (file, sequence) = sequence_of(folder.path()).expect("a sequence");
    assert!(file.ends_with("det/det.txt"));
    assert_eq!(
        (sequence.fps, sequence.width, sequence.height),
        (30.0, 1920, 1080)
    );
    let error = Sequence::from_ini("frameRate=x").expect_err("an error");
    assert!(format!("{error:#}").contains("'frameRate' of seqinfo.ini is no number"));
}
