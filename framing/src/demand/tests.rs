use super::*;
use crate::pacer::FrameRate;

const FRAME: u64 = 3000;

/// Decode order of groups of a reference and three B-frames, the middle one of which is referred to.
fn pyramid(groups: u64) -> Vec<(u64, UnitKind)> {
    let mut units = vec![(0, UnitKind::Keyframe)];
    for group in 0..groups {
        let at = |frame: u64| (group * 4 + frame) * FRAME;
        units.extend([
            (at(4), UnitKind::Reference),
            (at(2), UnitKind::Reference),
            (at(1), UnitKind::Disposable),
            (at(3), UnitKind::Disposable),
        ]);
    }
    units
}

fn arriving((time, kind): (u64, UnitKind)) -> ArrivingUnit {
    ArrivingUnit {
        time,
        kind,
        intra: false,
        open_group: false,
        has_memory: true,
    }
}

fn pacer(rate: &str) -> Pacer {
    Pacer::new(rate.parse::<FrameRate>().unwrap())
}

/// Runs units through; pictures come out `late` units late, in order. Returns delivered times and units decoded.
fn run_late(late: usize, units: &[ArrivingUnit], rate: &str) -> (Vec<u64>, usize) {
    let (mut schedule, mut pacer) = (Schedule::default(), pacer(rate));
    schedule.allow_skipping(true);
    let (mut inside, mut deferred, mut out, mut decoded) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut feed = |schedule: &mut Schedule, pacer: &mut Pacer, time: Option<u64>, late: usize| {
        decoded += usize::from(time.is_some());
        inside.extend(time);
        inside.sort_unstable();
        while inside.len() > late {
            let time = inside.remove(0);
            out.extend(schedule.picture(time, pacer).then_some(time));
        }
    };
    for unit in units {
        let (before, decision) = schedule.unit(*unit, &mut pacer);
        let released = if before == Deferred::Wait {
            vec![]
        } else {
            std::mem::take(&mut deferred)
        };
        for time in released.into_iter().filter(|_| before == Deferred::Decode) {
            feed(&mut schedule, &mut pacer, Some(time), late);
        }
        match decision {
            Decision::Skip => {}
            Decision::Defer => deferred.push(unit.time),
            Decision::Decode => feed(&mut schedule, &mut pacer, Some(unit.time), late),
            Decision::DecodeAlone => {
                feed(&mut schedule, &mut pacer, None, 0);
                feed(&mut schedule, &mut pacer, Some(unit.time), 0);
            }
        }
    }
    if schedule.end(&mut pacer) == Deferred::Decode {
        for time in deferred {
            feed(&mut schedule, &mut pacer, Some(time), late);
        }
    }
    feed(&mut schedule, &mut pacer, None, 0);
    (out, decoded)
}

fn run(units: &[(u64, UnitKind)], rate: &str) -> (Vec<u64>, usize) {
    let units: Vec<_> = units.iter().copied().map(arriving).collect();
    run_late(2, &units, rate)
}

/// As [`run`], by a decoder that gives each picture out at once.
fn run_at_once(units: &[(u64, UnitKind)], rate: &str) -> (Vec<u64>, usize) {
    let units: Vec<_> = units.iter().copied().map(arriving).collect();
    run_late(0, &units, rate)
}

/// A keyframe each so many frames, and none that is disposable.
fn groups_of(length: u64, frames: u64) -> Vec<(u64, UnitKind)> {
    let kind = |frame: u64| match frame.is_multiple_of(length) {
        true => UnitKind::Keyframe,
        false => UnitKind::Reference,
    };
    (0..frames).map(|frame| (frame * FRAME, kind(frame))).collect()
}

fn full(units: &[(u64, UnitKind)], rate: &str) -> Vec<u64> {
    let mut pacer = pacer(rate);
    let mut times: Vec<u64> = units.iter().map(|(time, _)| *time).collect();
    times.sort_unstable();
    times.into_iter().filter(|time| pacer.admit(*time)).collect()
}

#[test]
fn unwanted_disposable_pictures_are_skipped_and_the_others_are_the_same() {
    let units = pyramid(150);
    for rate in ["1", "2", "7", "10", "15", "29", "30", "60"] {
        let (delivered, decoded) = run(&units, rate);
        assert_eq!(delivered, full(&units, rate), "{rate}");
        match rate {
            "1" | "2" => assert!(decoded <= units.len() * 54 / 100, "{rate}: {decoded}"),
            "30" | "60" => assert_eq!(decoded, units.len()),
            _ => {}
        }
    }
}

#[test]
fn keyframes_suffice_where_they_come_at_least_as_often_as_wanted() {
    let units = groups_of(15, 600);
    let (delivered, decoded) = run(&units, "2");
    assert_eq!(
        delivered,
        full(&units, "2"),
        "each half second begins with a keyframe"
    );
    assert!(
        decoded <= 30 + 38,
        "two intervals to learn, then keyframes: {decoded}"
    );
    let (slower, decoded) = run(&units, "0.3");
    assert_eq!(slower.len(), full(&units, "0.3").len());
    assert!(slower.iter().skip(1).all(|time| time % (15 * FRAME) == 0));
    assert!(
        decoded <= 30 + 6,
        "unwanted keyframes are not decoded either: {decoded}"
    );
    let (faster, decoded) = run(&units, "3");
    assert_eq!((faster, decoded), (full(&units, "3"), 600));
}

#[test]
fn longer_key_intervals_end_it_at_the_next_keyframe() {
    let key =
        |frame: u64| frame < 90 && frame.is_multiple_of(15) || frame >= 90 && (frame - 90).is_multiple_of(60);
    let units: Vec<_> = (0..390)
        .map(|frame| {
            (
                frame * FRAME,
                if key(frame) {
                    UnitKind::Keyframe
                } else {
                    UnitKind::Reference
                },
            )
        })
        .collect();
    let (delivered, _) = run(&units, "2");
    let late = delivered.iter().filter(|time| **time >= 150 * FRAME).count();
    assert_eq!(late, 16, "eight seconds at full decoding again");
    let gap = delivered.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(gap <= 60 * FRAME, "one long interval is lost, no more: {gap}");
}

#[test]
fn a_jump_back_learns_the_interval_anew() {
    let mut keys = KeyframeClock::default();
    for time in [0, 45_000, 90_000] {
        keys.tick(time);
    }
    assert!(keys.suffices(45_000) && keys.suffices(44_600) && !keys.suffices(40_000));
    keys.tick(10);
    assert!(!keys.suffices(1_000_000));
}

#[test]
fn nothing_is_left_out_before_pictures_have_shown_what_they_are() {
    let mut schedule = Schedule::default();
    let mut pacer = pacer("1");
    for (time, kind) in pyramid(3) {
        let decision = schedule.unit(arriving((time, kind)), &mut pacer);
        assert_eq!(decision, (Deferred::Wait, Decision::Decode));
    }
}

#[test]
fn while_the_interval_is_learnt_units_wait_and_none_is_decoded_for_nothing() {
    let units = groups_of(15, 600);
    for (rate, most) in [("2", 40), ("1", 20), ("0.3", 10)] {
        let (delivered, decoded) = run_at_once(&units, rate);
        assert_eq!(delivered.len(), full(&units, rate).len(), "{rate}");
        assert!(decoded <= most + 2, "{rate}: {decoded}");
    }
}

#[test]
fn a_picture_that_is_wanted_before_the_next_keyframe_brings_out_what_waited() {
    for length in [1, 4, 15, 40, 60, 250] {
        let units = groups_of(length, 300);
        for rate in ["0.7", "1", "2", "7", "15", "29", "30"] {
            let two_groups = 2 * length * FRAME;
            let learning = |times: Vec<u64>| -> Vec<u64> {
                times.into_iter().filter(|time| *time < two_groups).collect()
            };
            let (delivered, _) = run_at_once(&units, rate);
            assert_eq!(
                learning(delivered),
                learning(full(&units, rate)),
                "{rate} of keyframes each {length}"
            );
        }
    }
}

#[test]
fn what_nobody_wants_before_the_next_keyframe_is_never_decoded() {
    for (length, rate, share) in [
        (60, "2", 80),
        (60, "1", 60),
        (30, "2", 60),
        (250, "2", 97),
        (60, "15", 99),
    ] {
        let units = groups_of(length, 3000);
        let (delivered, decoded) = run_at_once(&units, rate);
        assert_eq!(delivered, full(&units, rate), "{rate} of keyframes each {length}");
        assert!(
            decoded <= 30 * share,
            "{rate} of keyframes each {length}: {decoded}"
        );
    }
}

#[test]
fn a_wanted_picture_does_not_wait_for_the_unit_behind_it_once_keyframes_are_known_to_be_rare() {
    let units = groups_of(60, 600);
    let wanted = full(&units, "2");
    let (mut schedule, mut pacer) = (Schedule::default(), pacer("2"));
    schedule.allow_skipping(true);
    let mut deferred = Vec::new();
    for unit in units {
        let (before, decision) = schedule.unit(arriving(unit), &mut pacer);
        match before {
            Deferred::Wait => {}
            Deferred::Skip => deferred.clear(),
            Deferred::Decode => deferred.drain(..).for_each(|time| {
                let delivered = schedule.picture(time, &mut pacer);
                assert!(!delivered || time < 120 * FRAME, "{time} waited");
            }),
        }
        match decision {
            Decision::Defer => deferred.push(unit.0),
            Decision::Decode => assert_eq!(schedule.picture(unit.0, &mut pacer), wanted.contains(&unit.0)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_keyframe_that_stays_away_brings_out_what_waited_for_it() {
    // Regular at first, then each 2 s becomes each 4 s.
    let kind = |frame: u64| match frame < 300 && frame.is_multiple_of(60) || frame.is_multiple_of(120) {
        true => UnitKind::Keyframe,
        false => UnitKind::Reference,
    };
    let units: Vec<_> = (0..900).map(|frame| (frame * FRAME, kind(frame))).collect();
    for rate in ["0.7", "2", "7"] {
        assert_eq!(run_at_once(&units, rate).0, full(&units, rate), "{rate}");
    }
}

#[test]
fn what_waits_is_decoded_before_pictures_that_are_shown_earlier() {
    // Nothing is reordered at first, then B-frames come.
    let mut units = groups_of(100, 6);
    let later = pyramid(20).into_iter().skip(1);
    units.extend(later.map(|(time, kind)| (time + 5 * FRAME, kind)));
    for rate in ["2", "7", "10", "15"] {
        assert_eq!(run_at_once(&units[..10], rate).0.first(), Some(&0));
        let (delivered, _) = run_late(2, &units.iter().copied().map(arriving).collect::<Vec<_>>(), rate);
        assert_eq!(delivered, full(&units, rate), "{rate}");
    }
}

#[test]
fn a_keyframe_with_pictures_that_refer_to_before_it_leaves_nothing_out() {
    let mut units: Vec<_> = groups_of(15, 31).into_iter().map(arriving).collect();
    for unit in &mut units {
        unit.open_group = true;
    }
    assert_eq!(run_late(0, &units, "2").1, 31, "as long as nothing is known");
}

#[test]
fn without_room_nothing_waits() {
    let mut units: Vec<_> = groups_of(15, 30).into_iter().map(arriving).collect();
    for unit in &mut units {
        unit.has_memory = false;
    }
    assert_eq!(run_late(0, &units, "2").1, 30);
}
