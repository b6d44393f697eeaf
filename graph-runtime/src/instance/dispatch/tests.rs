use std::time::Duration;

use lva_recording::{
    ClipDirectory, GateOptions, MediaUnit, PreRollLimits, Recorder, Tracks, VideoCodec, VideoTrack,
};
use lva_rtsp::MediaKind;
use proptest::prelude::*;

use super::*;
use crate::stats::{Counters, DropReason};

fn unit(time: u64, key: bool, bytes: usize) -> AccessUnit {
    AccessUnit::new(0, time, key, vec![7; bytes].into())
}

#[test]
fn a_unit_counts_once_until_its_last_clone_is_gone() {
    let budget = Budget::new(100);
    let one = budget.reserve(vec![1; 60].into()).unwrap();
    let (two, part) = (one.clone(), one.slice(10..20));
    assert_eq!(*one, [1; 60]);
    assert_eq!(budget.stats().used_bytes, 60);
    assert!(budget.reserve(vec![2; 41].into()).is_none());
    assert!(budget.reserve(vec![2; 40].into()).is_some());
    drop((one, two));
    assert_eq!(budget.stats().used_bytes, 60, "a part of it keeps all of it");
    drop(part);
    let stats = budget.stats();
    assert_eq!(
        (stats.budget_bytes, stats.used_bytes, stats.highest_bytes),
        (100, 0, 100)
    );
}

#[test]
fn analysis_is_shed_first_and_a_recording_last() {
    let counters = Counters::default();
    let budget = Budget::new(1000);
    let (mut decoder, _queue) = DecoderInput::detached(counters.node("camera"));
    let (recorder, _waiting) = RecorderInput::detached(counters.node("sink"), usize::MAX);
    let mut recorders = [recorder];
    let dropped = |node: &str, reason| {
        let drops = counters.drops();
        drops.get(&(node.to_owned(), reason)).copied().unwrap_or(0)
    };
    let mut give = |time, key, bytes| {
        let to = Some((&mut decoder, 1));
        dispatch(&budget, unit(time, key, bytes), &mut recorders, to);
        (
            dropped("camera", DropReason::OverBudget),
            dropped("sink", DropReason::OverBudget),
        )
    };
    // Neither decoder nor disk takes anything.
    for time in 0..8 {
        assert_eq!(give(time, time == 0, 109), (0, 0));
    }
    assert_eq!(give(8, false, 10), (1, 0), "above seven eighths");
    assert_eq!(give(9, true, 10), (2, 0), "a key frame, too");
    assert_eq!(give(10, false, 109), (3, 1), "it does not fit");
    assert_eq!(give(11, false, 1), (4, 2), "it cannot be decoded without that");
    assert_eq!(
        give(12, true, 100),
        (5, 2),
        "a recording continues with a key frame"
    );
    assert_eq!(budget.stats().highest_bytes, 992);
    assert_eq!(dropped("camera", DropReason::DecoderBusy), 0);
    assert_eq!(dropped("sink", DropReason::RecorderBusy), 0);
}

#[test]
fn a_recorder_without_audio_does_not_count_audio_that_does_not_fit() {
    let counters = Counters::default();
    let (silent, _waiting) = RecorderInput::detached(counters.node("sink"), usize::MAX);
    let mut audio = unit(0, true, 10);
    audio.stream = 1;
    audio.media = MediaKind::Audio;
    dispatch(&Budget::new(1), audio, &mut [silent], None);
    assert!(counters.drops().is_empty());
}

/// A recorder behind a gate that stays closed.
fn recorder(budget: &Budget) -> Recorder<ClipDirectory> {
    let video = VideoTrack {
        codec: VideoCodec::H264,
        extra_data: vec![1].into(),
        width: 64,
        height: 48,
    };
    let gate = GateOptions::new(Duration::from_secs(5), Duration::from_secs(5));
    let limits = PreRollLimits::new(Duration::from_secs(3600), budget.pre_roll_bytes(usize::MAX));
    let tracks = Tracks { video, audio: None };
    Recorder::new(gate, limits, tracks, ClipDirectory::new("nowhere", "never")).unwrap()
}

/// As the recorder's thread takes a unit; how many units its pre-roll gave for it.
fn record(budget: &Budget, recorder: &mut Recorder<ClipDirectory>, unit: MediaUnit) -> u64 {
    assert!(recorder.push(unit).is_empty());
    budget.shrink_pre_roll(recorder)
}

/// A hundred units of 10 bytes in groups of ten, in all these pre-rolls.
fn fill(budget: &Budget, recorders: &mut [&mut Recorder<ClipDirectory>]) {
    for time in 0..100 {
        let data = budget.reserve(vec![0; 10].into()).unwrap();
        let unit = MediaUnit::video(time, time % 10 == 0, data);
        for recorder in &mut *recorders {
            assert_eq!(record(budget, recorder, unit.clone()), 0);
        }
    }
}

#[test]
fn a_pre_roll_shrinks_in_whole_groups_and_only_when_needed() {
    let budget = Budget::new(2000);
    let mut recorder = recorder(&budget);
    fill(&budget, &mut [&mut recorder]);
    let waiting = budget.reserve(vec![0; 740].into()).unwrap();
    assert_eq!(budget.shrink_pre_roll(&mut recorder), 0, "1740 of 1750");
    let more = budget.reserve(vec![0; 20].into()).unwrap();
    assert_eq!(budget.shrink_pre_roll(&mut recorder), 20);
    assert_eq!(budget.stats().used_bytes, 1560, "the low mark is 1625");
    assert_eq!(recorder.pre_roll_stats().evicted_on_request, 20);
    let again = budget.reserve(vec![0; 180].into()).unwrap();
    let gone = budget.shrink_pre_roll(&mut recorder);
    assert_eq!(gone, 0, "above the low mark, but not needed");
    drop((waiting, more, again));
}

#[test]
fn a_pre_roll_keeps_its_newest_group_even_if_others_hold_what_it_evicted() {
    let budget = Budget::new(2000);
    let (mut quick, mut stuck) = (recorder(&budget), recorder(&budget));
    fill(&budget, &mut [&mut quick, &mut stuck]);
    let _waiting = budget.reserve(vec![0; 900].into()).unwrap();
    assert_eq!(budget.shrink_pre_roll(&mut quick), 90);
    assert_eq!(budget.stats().used_bytes, 1900);
}

#[test]
fn a_stalled_disk_leaves_memory_for_analysis_and_for_another_sink() {
    let budget = Budget::new(40_000);
    let counters = Counters::default();
    let (mut decoder, mut decode) = DecoderInput::detached(counters.node("camera"));
    let most = budget.queue_bytes(usize::MAX);
    let (stuck, mut take_stuck) = RecorderInput::detached(Counters::default().node("sink"), most);
    let (healthy, mut take) = RecorderInput::detached(counters.node("sink"), most);
    let mut inputs = [stuck, healthy];
    let mut recorders = [recorder(&budget), recorder(&budget)];
    let mut late = 0;
    // 10 bytes a unit: pre-rolls are full after 2000 of them, the queue to the stuck disk 1000 after it got stuck.
    for time in 0..10_000u64 {
        let to = Some((&mut decoder, 1));
        let next = unit(time, time % 10 == 0, 10);
        dispatch(&budget, next, &mut inputs, to);
        late += u64::from(decode() && time >= 5000);
        if time < 2500
            && let Some(unit) = take_stuck()
        {
            record(&budget, &mut recorders[0], unit);
        }
        if let Some(unit) = take() {
            record(&budget, &mut recorders[1], unit);
        }
        assert!(time >= 3000 || counters.drops().is_empty(), "{time}");
    }
    let drops = counters.drops();
    let unrecorded = drops.get(&("sink".to_owned(), DropReason::OverBudget));
    assert_eq!(unrecorded, None, "{drops:?}");
    assert!(late > 4500, "analysis goes on: {late} of 5000 units");
    assert!(budget.stats().highest_bytes <= 40_000);
    let pre_roll = recorders[1].pre_roll_stats();
    assert!(pre_roll.evicted_on_request > 0, "{pre_roll:?}");
}

#[derive(Debug, Clone)]
enum Step {
    Unit { key: bool, audio: bool, bytes: usize },
    Decode,
    Record(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let unit = (any::<bool>(), any::<bool>(), 0usize..400);
    prop_oneof![
        3 => unit.prop_map(|(key, audio, bytes)| Step::Unit { key, audio, bytes }),
        1 => Just(Step::Decode),
        2 => (0usize..2).prop_map(Step::Record),
    ]
}

proptest! {
    #[test]
    fn what_is_held_never_exceeds_the_budget_and_every_unit_is_accounted_for(
        limit in 0usize..5000, steps in proptest::collection::vec(step(), 1..300),
    ) {
        let budget = Budget::new(limit);
        // Each input with counters of its own.
        let all: [Counters; 3] = Default::default();
        let (mut decoder, mut decode) = DecoderInput::detached(all[2].node("camera"));
        let most = budget.queue_bytes(usize::MAX);
        let (one, mut take_one) = RecorderInput::detached(all[0].node("sink"), most);
        let (two, mut take_two) = RecorderInput::detached(all[1].node("sink"), most);
        let mut inputs = [one, two];
        let mut recorders = [recorder(&budget), recorder(&budget)];
        let (mut offered, mut pictures) = (0u64, 0u64);
        let (mut taken, mut decoded, mut shrunk) = ([0u64; 2], 0u64, 0u64);
        for (time, step) in steps.into_iter().enumerate() {
            match step {
                Step::Unit { key, audio, bytes } => {
                    let mut unit = unit(time as u64, key, bytes);
                    if audio {
                        unit.media = MediaKind::Audio;
                    }
                    let to = (!audio).then_some((&mut decoder, 1));
                    dispatch(&budget, unit, &mut inputs, to);
                    offered += 1;
                    pictures += u64::from(!audio);
                }
                Step::Decode => decoded += u64::from(decode()),
                Step::Record(place) => {
                    let unit = if place == 0 { take_one() } else { take_two() };
                    if let Some(unit) = unit {
                        taken[place] += 1;
                        shrunk += record(&budget, &mut recorders[place], unit);
                    }
                }
            }
            let stats = budget.stats();
            prop_assert!(stats.used_bytes <= stats.highest_bytes && stats.highest_bytes <= limit as u64);
        }
        while decode() {
            decoded += 1;
        }
        while take_one().is_some() {
            taken[0] += 1;
        }
        while take_two().is_some() {
            taken[1] += 1;
        }
        let lost = |place: usize| all[place].drops().values().sum::<u64>();
        for (place, taken) in taken.into_iter().enumerate() {
            prop_assert_eq!(taken + lost(place), offered);
        }
        prop_assert_eq!(decoded + lost(2), pictures);
        let evicted = recorders.iter().map(|recorder| recorder.pre_roll_stats().evicted_on_request);
        prop_assert_eq!(evicted.sum::<u64>(), shrunk);
        drop(recorders);
        prop_assert_eq!(budget.stats().used_bytes, 0);
    }
}
