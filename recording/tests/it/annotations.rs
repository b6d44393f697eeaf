//! Annotations are stored next to the media of their time.

use crate::support::{drawn, drawn_tracks};
use lva_recording::{
    GateOptions, MediaTime, PreRollLimits, Recorder, RecorderEvent, SegmentDirectory, SegmentOptions, Signal,
};
use std::path::Path;
use std::time::Duration;

const S: u64 = MediaTime::TICKS_PER_SECOND;

fn beside(directory: &Path, name: &str) -> Vec<u64> {
    let text =
        std::fs::read_to_string(directory.join(format!("{name}.inferences.jsonl"))).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_seconds(line).unwrap_or_else(|| panic!("{line}")))
        .collect()
}

/// `{"timestamp":N}` as tenths of a second.
fn serde_seconds(line: &str) -> Option<u64> {
    let number = line.strip_prefix("{\"timestamp\":")?.strip_suffix(" }")?;
    number.parse::<u64>().ok().map(|time| time / (S / 10))
}

#[test]
fn late_results_go_to_the_segment_of_their_frame() {
    let directory = tempfile::tempdir().unwrap();
    let options = SegmentOptions::default().with_length(Duration::from_secs(2));
    let mut recorder = Recorder::continuous(drawn_tracks(), SegmentDirectory::new(directory.path(), options));
    let mut untidy = Vec::new();
    for unit in drawn(10, 20, 10) {
        let seen = unit.timestamp_90k - S; // a second late
        let _ = recorder.push(unit);
        untidy.extend(recorder.annotate(seen, &format!("{{\"timestamp\":{seen}\n}}")));
    }
    let _ = recorder.end();
    let at_last = 20 * S - S / 10;
    untidy.extend(recorder.annotate(at_last, &format!("{{\"timestamp\":{at_last}\n}}")));
    assert!(untidy.is_empty(), "{untidy:?}");
    assert_eq!(
        recorder.store_stats().annotations_skipped,
        10,
        "from before the recording"
    );
    for (second, expected) in [(10, 100..120), (12, 120..140), (16, 160..180)] {
        let name = format!("19700101T0000{second}.000Z");
        assert_eq!(beside(directory.path(), &name), expected.collect::<Vec<_>>());
    }
    let last = beside(directory.path(), "19700101T000018.000Z");
    assert_eq!(last, (180..190).chain([199]).collect::<Vec<_>>());
}

#[test]
fn results_before_the_event_belong_to_its_clip() {
    let directory = tempfile::tempdir().unwrap();
    let gate = GateOptions::new(Duration::from_secs(3), Duration::from_secs(3))
        .starting_before(Duration::from_secs(2));
    let limits = PreRollLimits::new(Duration::from_secs(5), 1 << 20);
    let store = SegmentDirectory::new(directory.path(), SegmentOptions::default());
    let mut recorder = Recorder::new(gate, limits, drawn_tracks(), store).unwrap();
    let mut path = None;
    for unit in drawn(10, 60, 10) {
        let time = unit.timestamp_90k;
        let events = recorder.push(unit);
        let _ = recorder.annotate(time, &format!("{{\"timestamp\":{time} }}"));
        if time == 50 * S {
            recorder.signal(Signal::at(time));
        }
        for event in events {
            if let RecorderEvent::Started { clip, .. } = event {
                path = Some(clip.start_90k / S);
            }
        }
    }
    assert_eq!(path, Some(48));
    let found = beside(directory.path(), "19700101T000048.000Z");
    assert_eq!(found.first(), Some(&480));
    assert!(found.contains(&499) && found.contains(&530), "{found:?}");
    let waiting = 51; // of the last five seconds
    assert_eq!(
        recorder.store_stats().annotations_skipped,
        500 - waiting - found.len() as u64,
        "each is somewhere, or counted"
    );
}

#[test]
fn results_before_time_went_back_are_not_next_to_a_clip_of_the_new_time() {
    let directory = tempfile::tempdir().unwrap();
    let gate = GateOptions::new(Duration::from_secs(3), Duration::from_secs(3));
    let limits = PreRollLimits::new(Duration::from_secs(5), 1 << 20);
    let store = SegmentDirectory::new(directory.path(), SegmentOptions::default());
    let mut recorder = Recorder::new(gate, limits, drawn_tracks(), store).unwrap();
    for unit in drawn(100, 110, 10).chain(drawn(10, 20, 10)) {
        let time = unit.timestamp_90k;
        let _ = recorder.push(unit);
        let _ = recorder.annotate(time, &format!("{{\"timestamp\":{time} }}"));
        if time == 12 * S {
            recorder.signal(Signal::at(time));
        }
    }
    let found = beside(directory.path(), "19700101T000012.000Z");
    assert!(
        found.contains(&120) && found.iter().all(|time| *time < 200),
        "{found:?}"
    );
}
