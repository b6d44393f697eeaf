//! The recorder's promises: on any stream with a store in memory, and once with files.

mod parameters;
mod properties;

use crate::support::{PLAIN, START, make_source, packet_hashes, read};
use bytes::Bytes;
use lva_recording::{
    Clip, ClipDirectory, ClipError, ClipReport, ClipStore, CloseReason, GateOptions, MediaTime, MediaUnit,
    NewClip, PreRollLimits, Recorder, RecorderEvent, RecordingStopReason, Signal, SignalOutcome, Tracks,
    VideoCodec, VideoTrack,
};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const S: u64 = MediaTime::TICKS_PER_SECOND;

#[derive(Default)]
struct Recorded {
    new: Option<NewClip>,
    units: Vec<MediaUnit>,
    finished: bool,
}

/// Keeps clips in memory; rejects those with given numbers.
#[derive(Default, Clone)]
struct Memory {
    clips: Arc<Mutex<Vec<Recorded>>>,
    refuse_after: Option<usize>,
}

struct MemoryClip {
    memory: Memory,
    number: usize,
}

fn full() -> ClipError {
    ClipError::Write {
        path: "memory".into(),
        cause: std::io::ErrorKind::StorageFull.into(),
    }
}

impl ClipStore for Memory {
    type Clip = MemoryClip;

    fn create(&mut self, new: &NewClip, _tracks: &Tracks) -> Result<MemoryClip, ClipError> {
        let mut clips = self.clips.lock().unwrap();
        clips.push(Recorded {
            new: Some(*new),
            ..Recorded::default()
        });
        Ok(MemoryClip {
            memory: self.clone(),
            number: clips.len() - 1,
        })
    }
}

impl Clip for MemoryClip {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn write(&mut self, unit: &MediaUnit, _finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
        let mut clips = self.memory.clips.lock().unwrap();
        let units = &mut clips[self.number].units;
        if self.memory.refuse_after.is_some_and(|limit| units.len() >= limit) {
            return Err(full());
        }
        units.push(unit.clone());
        Ok(())
    }

    fn finish(self, _finished: &mut Vec<ClipReport>) -> Result<(), ClipError> {
        self.memory.clips.lock().unwrap()[self.number].finished = true;
        Err(full()) // a report cannot be made here; nothing below looks at it
    }
}

fn tracks() -> Tracks {
    let extra_data = Bytes::from_static(&[1]);
    Tracks {
        video: VideoTrack {
            codec: VideoCodec::H264,
            extra_data,
            width: 64,
            height: 48,
        },
        audio: None,
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn recorder(memory: &Memory, options: GateOptions, keep: u64) -> Recorder<Memory> {
    Recorder::new(
        options,
        PreRollLimits::new(seconds(keep), 1 << 20),
        tracks(),
        memory.clone(),
    )
    .unwrap()
}

fn picture(time: u64, keyframe: bool) -> MediaUnit {
    MediaUnit::video(time, keyframe, Bytes::from_static(b"p"))
}

/// 10 pictures a second, a keyframe a second.
fn feed(recorder: &mut Recorder<Memory>, from: u64, to: u64) -> Vec<RecorderEvent> {
    (from * 10..to * 10)
        .flat_map(|n| recorder.push(picture(n * 9000, n % 10 == 0)))
        .collect()
}

#[test]
fn an_event_of_the_first_picture_after_a_jump_in_time_is_recorded() {
    let memory = Memory::default();
    let mut recorder = recorder(&memory, GateOptions::new(seconds(2), seconds(2)), 20);
    feed(&mut recorder, 1000, 1003);
    let leaped = 1003 + 3600;
    let _ = recorder.push(picture(leaped * S, true));
    let outcome = recorder.signal(Signal::at(leaped * S));
    assert_eq!(outcome, SignalOutcome::Accepted);
    feed(&mut recorder, leaped, leaped + 4);
    let clips = memory.clips.lock().unwrap();
    let times: Vec<u64> = clips[0].units.iter().map(|unit| unit.timestamp_90k).collect();
    assert_eq!((times[0], clips.len()), (leaped * S, 1));
    assert_eq!(*times.last().unwrap(), (leaped + 2) * S);
}

#[test]
fn a_clip_reaches_from_before_the_event_to_its_end() {
    let memory = Memory::default();
    let mut recorder = recorder(
        &memory,
        GateOptions::new(seconds(10), seconds(30)).starting_before(seconds(5)),
        20,
    );
    feed(&mut recorder, 1000, 1020);
    let outcome = recorder.signal(Signal::at(1018 * S + 100));
    let events = recorder.take_events();
    assert_eq!(outcome, SignalOutcome::Accepted);
    assert!(
        matches!(&events[..], [RecorderEvent::Started { recording: 1, .. }]),
        "{events:?}"
    );
    let events = feed(&mut recorder, 1020, 1040);
    let reason = RecordingStopReason::Gate(CloseReason::MinimumElapsed);
    assert!(
        matches!(&events[0], RecorderEvent::Stopped { reason: given, .. } if *given == reason),
        "{events:?}"
    );
    let clips = memory.clips.lock().unwrap();
    let times: Vec<u64> = clips[0].units.iter().map(|unit| unit.timestamp_90k).collect();
    assert_eq!((times[0], times[times.len() - 1]), (1013 * S, 1028 * S + 9000));
    assert_eq!(times.len(), 152, "each picture once");
}

#[test]
fn what_a_signal_begins_is_reported_by_the_next_call_whichever_it_is() {
    let started = |events: &[RecorderEvent]| {
        assert!(matches!(events[0], RecorderEvent::Started { .. }), "{events:?}");
    };
    let signalled = || {
        let mut recorder = recorder(&Memory::default(), GateOptions::new(seconds(10), seconds(30)), 20);
        feed(&mut recorder, 0, 10);
        assert_eq!(recorder.signal(Signal::at(8 * S)), SignalOutcome::Accepted);
        assert_eq!(
            recorder.signal(Signal::at(9 * S)),
            SignalOutcome::Accepted,
            "one recording"
        );
        recorder
    };
    let mut recorder = signalled();
    started(&feed(&mut recorder, 10, 11));
    assert!(recorder.take_events().is_empty());
    started(&signalled().end());
    started(&signalled().annotate(8 * S, "{}"));
    started(&signalled().take_events());
}

#[test]
fn a_positive_offset_waits_and_still_begins_at_or_before() {
    let memory = Memory::default();
    let mut recorder = recorder(
        &memory,
        GateOptions::new(seconds(10), seconds(10)).starting_after(seconds(4)),
        1,
    );
    feed(&mut recorder, 0, 10);
    recorder.signal(Signal::at(9 * S + 45_000));
    assert!(recorder.take_events().is_empty());
    assert!(feed(&mut recorder, 10, 13).is_empty());
    assert_eq!(feed(&mut recorder, 13, 30).len(), 3);
    let clips = memory.clips.lock().unwrap();
    assert_eq!(clips[0].units[0].timestamp_90k, 13 * S);
    assert_eq!(clips[0].new.unwrap().wanted_start_90k, 13 * S + 45_000);
}

#[test]
fn a_full_disk_is_retried_after_growing_delays_while_the_gate_is_open() {
    let memory = Memory {
        refuse_after: Some(5),
        ..Memory::default()
    };
    let mut recorder = recorder(&memory, GateOptions::new(seconds(60), seconds(60)), 5);
    feed(&mut recorder, 0, 10);
    recorder.signal(Signal::at(10 * S));
    let mut events = recorder.take_events();
    events.extend(feed(&mut recorder, 10, 100));
    let full =
        |event: &&RecorderEvent| matches!(event, RecorderEvent::Failed { error, .. } if error.is_disk_full());
    let failed = events.iter().filter(full).count();
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, RecorderEvent::Available { .. }))
    );
    let clips = memory.clips.lock().unwrap();
    let starts: Vec<u64> = clips.iter().map(|clip| clip.new.unwrap().start_90k / S).collect();
    // Half a second is written each time; then 1, 2, 4, 8, 16 and 30 s pass, up to the next keyframe.
    assert_eq!(starts, [10, 12, 15, 20, 29, 46]);
    assert_eq!((failed, recorder.stats().failed), (6, 6));
    assert!(recorder.stats().not_written > 500);
}

#[test]
fn the_next_event_retries_a_full_disk_at_once() {
    let memory = Memory {
        refuse_after: Some(5),
        ..Memory::default()
    };
    let mut recorder = recorder(&memory, GateOptions::new(seconds(2), seconds(2)), 5);
    feed(&mut recorder, 0, 10);
    for second in [10, 20, 30] {
        recorder.signal(Signal::at(second * S));
        feed(&mut recorder, second, second + 10);
    }
    let clips = memory.clips.lock().unwrap();
    let starts: Vec<u64> = clips.iter().map(|clip| clip.new.unwrap().start_90k / S).collect();
    assert_eq!(starts, [10, 12, 20, 22, 30, 32]);
}

#[test]
fn the_published_time_line_is_recorded() {
    // 2020-05-17: event 17:53:44.062, offset -5 s, 30 s; started, stopped and available were reported at 46.132, 54:15.040
    // and 54:15.808. Media time is that of the units, the event arrives with the picture of 46.132.
    let at = |hours: u64, minutes: u64, milliseconds: u64| {
        (1_589_673_600_000 + (hours * 60 + minutes) * 60_000 + milliseconds) * 90
    };
    let event = at(17, 53, 44_062);
    let memory = Memory::default();
    let options = GateOptions::new(seconds(30), seconds(30))
        .with_evaluation_window(seconds(1))
        .starting_before(seconds(5));
    let mut recorder = recorder(&memory, options, 30);
    let begin = at(17, 53, 16_981); // the camera's session
    let mut emitted = Vec::new();
    let mut signalled = false;
    for number in 0..75 * 30 {
        let time = begin + number * 3000;
        let mut events = recorder.push(picture(time, number % 60 == 0));
        if time >= at(17, 53, 46_132) && !signalled {
            signalled = true;
            let outcome = recorder.signal(Signal::at(event));
            let more = recorder.take_events();
            assert_eq!(outcome, SignalOutcome::Accepted);
            events.extend(more);
        }
        emitted.extend(events.into_iter().map(|event| (time, event)));
    }
    let (started, RecorderEvent::Started { clip, .. }) = &emitted[0] else {
        panic!("{emitted:?}")
    };
    let (stopped, RecorderEvent::Stopped { reason, .. }) = &emitted[1] else {
        panic!("{emitted:?}")
    };
    assert_eq!(*reason, RecordingStopReason::Gate(CloseReason::MaximumReached));
    assert!(
        started.abs_diff(at(17, 53, 46_132)) <= 3000,
        "the window is over when it arrives"
    );
    assert!(*stopped > event + 30 * S && *stopped <= event + 31 * S);
    assert_eq!(
        (clip.event_90k, clip.wanted_start_90k),
        (event, at(17, 53, 39_062))
    );
    let clips = memory.clips.lock().unwrap();
    let times: Vec<u64> = clips[0].units.iter().map(|unit| unit.timestamp_90k).collect();
    assert!(clips[0].units[0].keyframe && clips.len() == 1);
    assert!(
        times[0] <= at(17, 53, 39_062) && times[0] + 60 * 3000 > at(17, 53, 39_062),
        "less than a group early"
    );
    let last = times[times.len() - 1];
    assert!(last >= at(17, 54, 14_062) && last < at(17, 54, 14_062) + 3000);
}

#[test]
fn everything_from_the_first_keyframe_on_is_recorded() {
    let memory = Memory::default();
    let mut recorder = Recorder::continuous(tracks(), memory.clone());
    assert!(recorder.push(picture(S / 2, false)).is_empty());
    let started = recorder.push(picture(S, true));
    assert!(
        matches!(&started[..], [RecorderEvent::Started { recording: 1, clip, .. }] if clip.start_90k == S),
        "{started:?}"
    );
    for number in 11..100 {
        assert!(recorder.push(picture(number * 9000, number % 10 == 0)).is_empty());
    }
    assert_eq!(recorder.signal(Signal::at(5 * S)), SignalOutcome::Accepted);
    // Another camera's parameters, and a clock that is set back: each begins another clip with a keyframe.
    let mut other = tracks();
    other.video.width = 32;
    assert!(matches!(
        &recorder.set_tracks(other)[0],
        RecorderEvent::Stopped { .. }
    ));
    assert!(recorder.push(picture(10 * S, false)).is_empty());
    assert_eq!(feed(&mut recorder, 11, 15).len(), 1);
    let events = feed(&mut recorder, 3, 6);
    assert!(
        matches!(
            events[0],
            RecorderEvent::Stopped {
                reason: RecordingStopReason::TimeWentBack,
                ..
            }
        ),
        "{events:?}"
    );
    let _ = recorder.end();
    let clips = memory.clips.lock().unwrap();
    let spans: Vec<(u64, usize)> = clips
        .iter()
        .map(|clip| (clip.units[0].timestamp_90k / S, clip.units.len()))
        .collect();
    assert_eq!(spans, [(1, 90), (11, 40), (3, 30)]);
    assert!(clips.iter().all(|clip| clip.finished));
}

#[test]
fn events_without_media_are_reported() {
    let memory = Memory::default();
    let mut recorder = recorder(&memory, GateOptions::new(seconds(5), seconds(5)), 5);
    feed(&mut recorder, 100, 120);
    recorder.signal(Signal::at(50 * S));
    let events = recorder.take_events();
    assert!(
        matches!(&events[..], [RecorderEvent::NoMedia { recording: 1, event_90k }] if *event_90k == 50 * S)
    );
}

#[test]
fn time_that_goes_back_ends_the_clip_and_the_next_event_counts() {
    let memory = Memory::default();
    let mut recorder = recorder(&memory, GateOptions::new(seconds(5), seconds(5)), 5);
    feed(&mut recorder, 100, 110);
    recorder.signal(Signal::at(109 * S));
    let _started = recorder.take_events();
    let events = feed(&mut recorder, 10, 15);
    assert!(
        matches!(
            &events[0],
            RecorderEvent::Stopped {
                reason: RecordingStopReason::TimeWentBack,
                ..
            }
        ),
        "{events:?}"
    );
    let outcome = recorder.signal(Signal::at(14 * S));
    assert_eq!(outcome, SignalOutcome::Accepted);
    let _ = recorder.end();
    let clips = memory.clips.lock().unwrap();
    assert_eq!(clips.len(), 2);
    assert!(clips.iter().all(|clip| clip.finished));
}

#[test]
fn new_parameters_begin_a_new_clip_at_a_keyframe() {
    let memory = Memory::default();
    let mut recorder = recorder(&memory, GateOptions::new(seconds(10), seconds(10)), 5);
    feed(&mut recorder, 0, 5);
    recorder.signal(Signal::at(4 * S));
    feed(&mut recorder, 5, 8);
    assert!(
        recorder.set_tracks(tracks()).is_empty(),
        "equal ones change nothing"
    );
    let mut other = tracks();
    other.video.width = 32;
    let events = recorder.set_tracks(other);
    assert!(
        matches!(
            &events[0],
            RecorderEvent::Stopped {
                reason: RecordingStopReason::TracksChanged,
                ..
            }
        ),
        "{events:?}"
    );
    assert!(recorder.push(picture(8 * S, false)).is_empty());
    feed(&mut recorder, 9, 20);
    let clips = memory.clips.lock().unwrap();
    assert_eq!(clips.len(), 2);
    assert_eq!(clips[1].units[0].timestamp_90k, 9 * S);
}

#[test]
fn the_end_completes_open_and_waiting_clips() {
    let memory = Memory::default();
    let options = GateOptions::new(seconds(5), seconds(5)).with_evaluation_window(seconds(10));
    let mut recorder = recorder(&memory, options, 20);
    feed(&mut recorder, 0, 10);
    recorder.signal(Signal::at(8 * S));
    assert!(recorder.take_events().is_empty());
    assert!(!recorder.is_recording());
    let events = recorder.end();
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(memory.clips.lock().unwrap()[0].units[0].timestamp_90k, 8 * S);
    assert!(recorder.end().is_empty());
}

#[test]
fn a_clip_in_a_directory_holds_the_source_s_packets_or_skips() {
    let directory = tempfile::tempdir().unwrap();
    let Some(made) = make_source(directory.path(), 12, &PLAIN, true) else {
        return;
    };
    let source = read(&made);
    let store = ClipDirectory::new(directory.path().join("r"), "gate-${System.DateTime}");
    let options = GateOptions::new(seconds(4), seconds(4))
        .starting_before(seconds(1))
        .with_evaluation_window(seconds(1));
    let limits = PreRollLimits::new(seconds(10), 16 << 20);
    let mut recorder = Recorder::new(options, limits, source.tracks.clone(), store).unwrap();
    let mut events = Vec::new();
    let mut signalled = false;
    for unit in &source.units {
        events.extend(recorder.push(unit.clone()));
        if unit.timestamp_90k >= START + 5 * S && !signalled {
            signalled = true;
            let signal = Signal {
                timestamp_90k: START + 5 * S,
                correlation_id: Some("c1".to_owned()),
            };
            recorder.signal(signal);
        }
    }
    let [
        RecorderEvent::Started { .. },
        RecorderEvent::Stopped { .. },
        RecorderEvent::Available {
            report,
            correlation_ids,
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(correlation_ids, &["c1"]);
    assert_eq!(report.path, directory.path().join("r/gate-20260305T140510Z.mp4"));
    assert_eq!(report.first_timestamp_90k, START + 4 * S);
    assert_eq!(report.last_timestamp_90k, START + 9 * S);
    assert_eq!(report.video_packets, 151);
    assert!(report.audio_packets > 200, "{report:?}");
    let (Some(before), Some(after)) = (packet_hashes(&made), packet_hashes(&report.path)) else {
        return;
    };
    assert!(after.len() as u64 == report.video_packets + report.audio_packets);
    assert!(
        after.iter().all(|packet| before.contains(packet)),
        "each packet is one of the source's"
    );
}

#[test]
fn a_recorder_moves_to_the_thread_for_files() {
    fn send<T: Send>() {}
    send::<Recorder>();
    send::<RecorderEvent>();
}
