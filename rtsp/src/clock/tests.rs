use proptest::prelude::*;

use super::mapping::{DEAD_BAND, MAX_STEP_DELAY};
use super::*;

/// 2020-05-12T23:33:09.381Z, an instant of the published samples.
const NOW: u64 = 143_039_375_044_290;
const FRAME: i64 = 3000;

fn ntp(timestamp_90k: u64) -> u64 {
    let seconds = timestamp_90k / 90_000 + NTP_TO_UNIX_SECONDS as u64;
    let fraction = ((timestamp_90k % 90_000) << 32) / 90_000;
    (seconds << 32) + fraction
}

fn clock() -> MediaClock {
    MediaClock::new(ClockOptions::default(), 90_000)
}

/// Frames `from..to` of 30 frames/s whose RTP time begins at 0, arriving `delay` after their time.
fn play(clock: &mut MediaClock, from: i64, to: i64, delay: i64) -> Vec<MediaTimestamp> {
    (from..to)
        .map(|n| clock.unit(n * FRAME, NOW + (n * FRAME + delay) as u64))
        .collect()
}

#[test]
fn without_reports_the_first_unit_has_its_arrival_time() {
    let stamp = clock().unit(12_345, NOW);
    assert_eq!(
        stamp,
        MediaTimestamp {
            timestamp_90k: NOW,
            source: ClockSource::Arrival,
            discontinuity: false
        }
    );
}

#[test]
fn a_report_before_the_first_unit_gives_the_cameras_own_time_at_once() {
    let mut clock = clock();
    assert!(clock.sender_report(ntp(NOW), 500, NOW + 9000));
    let stamps: Vec<_> = (0..100)
        .map(|n| clock.unit(500 + n * FRAME, NOW + 9000 + (n * FRAME) as u64))
        .collect();
    for (n, stamp) in stamps.iter().enumerate() {
        assert_eq!(stamp.source, ClockSource::SenderReport);
        assert!(
            stamp.timestamp_90k.abs_diff(NOW + n as u64 * FRAME as u64) <= 1,
            "{stamp:?}"
        );
        assert!(!stamp.discontinuity);
    }
}

#[test]
fn a_report_in_mid_session_is_adopted_without_a_jump() {
    let mut clock = clock();
    play(&mut clock, 0, 30, 18_000); // 200 ms late
    assert!(clock.sender_report(
        ntp(NOW + 30 * FRAME as u64),
        30 * FRAME,
        NOW + 30 * FRAME as u64 + 18_000
    ));
    let stamps = play(&mut clock, 30, 300, 18_000);
    assert!(
        stamps
            .iter()
            .all(|s| !s.discontinuity && s.source == ClockSource::SenderReport)
    );
    let steps: Vec<_> = stamps
        .windows(2)
        .map(|w| w[1].timestamp_90k - w[0].timestamp_90k)
        .collect();
    assert!(steps.iter().all(|s| (2850..=3000).contains(s)), "{steps:?}");
    let last = stamps.last().unwrap().timestamp_90k;
    assert!(last.abs_diff(NOW + 299 * FRAME as u64) <= DEAD_BAND as u64 + 1);
}

#[test]
fn cameras_whose_clock_was_never_set_are_rejected() {
    let mut clock = clock();
    for ntp in [
        0,
        ntp(0),
        ntp(946_684_800 * 90_000),
        ntp(NOW + 11 * 90_000),
        u64::MAX,
    ] {
        assert!(!clock.sender_report(ntp, 0, NOW), "{ntp:x}");
    }
    assert_eq!(clock.unit(0, NOW).source, ClockSource::Arrival);
    assert_eq!(clock.counters().reports_rejected, 5);
}

#[test]
fn a_report_about_other_rtp_times_is_rejected() {
    let mut clock = clock();
    play(&mut clock, 0, 30, 0);
    assert!(!clock.sender_report(ntp(NOW + 90_000), 1_000_000_000, NOW + 90_000));
}

#[test]
fn a_first_report_about_other_rtp_times_is_rejected() {
    let mut clock = clock();
    clock.sender_report(ntp(NOW), 300_000_000, NOW);
    let stamps = play(&mut clock, 0, 300, 0);
    assert!(stamps.iter().all(|stamp| stamp.source == ClockSource::Arrival));
    assert_eq!(stamps.first().map(|stamp| stamp.timestamp_90k), Some(NOW));
    assert_eq!(clock.counters().reports_rejected, 1);
}

#[test]
fn a_burst_at_the_start_is_corrected_within_the_first_window() {
    let mut clock = clock();
    // One second of buffered frames arrives at once, the rest as it happens.
    for n in 0..30 {
        clock.unit(n * FRAME, NOW + 90_000);
    }
    let stamps = play(&mut clock, 30, 1200, 0);
    assert!(stamps.iter().all(|s| !s.discontinuity));
    let last = stamps.last().unwrap().timestamp_90k;
    assert!(last.abs_diff(NOW + 1199 * FRAME as u64) <= DEAD_BAND as u64);
}

#[test]
fn drift_of_the_cameras_oscillator_is_corrected() {
    let mut clock = clock();
    // 100 parts in a million fast, for an hour.
    let mut last = MediaTimestamp {
        timestamp_90k: 0,
        source: ClockSource::Arrival,
        discontinuity: false,
    };
    for n in 0..108_000_i64 {
        last = clock.unit(n * FRAME + n * FRAME / 10_000, NOW + (n * FRAME) as u64);
        assert!(!last.discontinuity);
    }
    let true_time = NOW + 107_999 * FRAME as u64;
    assert!(
        last.timestamp_90k.abs_diff(true_time) < 900,
        "{} ms off",
        last.timestamp_90k.abs_diff(true_time) / 90
    );
}

#[test]
fn a_network_delay_is_not_a_jump() {
    let mut clock = clock();
    clock.sender_report(ntp(NOW), 0, NOW);
    play(&mut clock, 0, 300, 0);
    // Eight seconds of frames arrive late and all at once.
    let stamps: Vec<_> = (300..540)
        .map(|n| clock.unit(n * FRAME, NOW + 540 * FRAME as u64))
        .collect();
    assert!(stamps.iter().all(|s| !s.discontinuity));
    assert_eq!(stamps[239].timestamp_90k, NOW + 539 * FRAME as u64);
}

#[test]
fn rtp_time_that_starts_over_is_a_discontinuity_and_does_not_go_back() {
    let mut clock = clock();
    clock.sender_report(ntp(NOW), 0, NOW);
    let before = *play(&mut clock, 0, 3000, 0).last().unwrap();
    let again = clock.unit(77, NOW + 3000 * FRAME as u64);
    assert!(again.discontinuity && again.timestamp_90k > before.timestamp_90k);
    assert_eq!(
        again.source,
        ClockSource::Arrival,
        "the old report does not map the new RTP times"
    );
    assert_eq!(again.timestamp_90k, NOW + 3000 * FRAME as u64);
    assert!(!clock.unit(77 + FRAME, NOW + 3001 * FRAME as u64).discontinuity);
    assert_eq!(clock.counters().jumps, 1);
}

#[test]
fn rtp_time_that_leaps_ahead_is_a_discontinuity_at_arrival_time() {
    let mut clock = clock();
    play(&mut clock, 0, 30, 0);
    let stamp = clock.unit(3600 * 90_000, NOW + 30 * FRAME as u64);
    assert!(stamp.discontinuity);
    assert_eq!(stamp.timestamp_90k, NOW + 30 * FRAME as u64);
}

#[test]
fn a_clock_set_back_is_corrected_gradually_and_never_backwards() {
    let mut clock = clock();
    clock.sender_report(ntp(NOW), 0, NOW);
    play(&mut clock, 0, 30, 0);
    // Five seconds back, still plausible.
    clock.sender_report(
        ntp(NOW + 30 * FRAME as u64 - 450_000),
        30 * FRAME,
        NOW + 30 * FRAME as u64,
    );
    let stamps = play(&mut clock, 30, 60, 0);
    assert!(stamps.windows(2).all(|w| w[1].timestamp_90k > w[0].timestamp_90k));
    assert!(stamps.iter().all(|s| !s.discontinuity));
}

#[test]
fn a_clock_set_forward_is_corrected_in_one_marked_step() {
    let mut clock = clock();
    clock.sender_report(ntp(NOW), 0, NOW);
    play(&mut clock, 0, 30, 0);
    clock.sender_report(
        ntp(NOW + 30 * FRAME as u64 + 450_000),
        30 * FRAME,
        NOW + 30 * FRAME as u64,
    );
    let stamps = play(&mut clock, 30, 32, 0);
    assert!(stamps[0].discontinuity && !stamps[1].discontinuity);
    assert!(
        stamps[0]
            .timestamp_90k
            .abs_diff(NOW + 30 * FRAME as u64 + 450_000)
            <= 1
    );
}

#[test]
fn a_step_waits_for_a_unit_where_decoding_can_start_but_not_for_ever() {
    for key in [45, 100_000] {
        let mut clock = clock();
        let hour = 3600 * TICKS;
        let mut stepped_at = None;
        for n in 0..2000 {
            clock.allow_steps(n == 0 || n == key);
            let ahead = if n > 30 { hour } else { 0 };
            clock.sender_report(
                ntp(NOW + (n * FRAME + ahead) as u64),
                n * FRAME,
                NOW + (n * FRAME + ahead) as u64,
            );
            let stamp = clock.unit(n * FRAME, NOW + (n * FRAME + ahead) as u64);
            let expected = if stepped_at.is_some() || stamp.discontinuity {
                ahead
            } else {
                0
            };
            assert_eq!(
                stamp.timestamp_90k.abs_diff(NOW + (n * FRAME + expected) as u64) / 90,
                0
            );
            if stamp.discontinuity {
                assert_eq!(stepped_at.replace(n), None, "one step");
            }
        }
        let expected = key.min(31 + MAX_STEP_DELAY / FRAME);
        assert_eq!(stepped_at, Some(expected));
    }
}

#[test]
fn a_new_session_continues_after_the_old_one_as_a_discontinuity() {
    let mut clock = clock();
    let last = *play(&mut clock, 0, 30, 0).last().unwrap();
    clock.begin_session(90_000);
    // The new session's clock is 100 ms behind the old one's.
    clock.sender_report(ntp(NOW + 29 * FRAME as u64 - 9000), 5, NOW + 29 * FRAME as u64);
    let first = clock.unit(5, NOW + 29 * FRAME as u64);
    assert!(first.discontinuity && first.timestamp_90k == last.timestamp_90k + 1);
    let second = clock.unit(5 + FRAME, NOW + 30 * FRAME as u64);
    assert!(!second.discontinuity && (2850..=3000).contains(&(second.timestamp_90k - first.timestamp_90k)));
}

#[test]
fn reordered_pictures_keep_their_times_of_presentation() {
    let mut clock = clock();
    let order = [0, 3, 1, 2, 6, 4, 5];
    let stamps = order.map(|n| clock.unit(n * FRAME, NOW + n as u64));
    for (stamp, n) in stamps.iter().zip(order) {
        assert_eq!(stamp.timestamp_90k, stamps[0].timestamp_90k + (n * FRAME) as u64);
        assert!(!stamp.discontinuity);
    }
    assert_eq!((clock.counters().reordered, clock.counters().clamped), (4, 0));
}

#[test]
fn a_repeated_time_is_clamped_and_so_is_one_from_before_a_session() {
    let mut clock = clock();
    let first = clock.unit(0, NOW).timestamp_90k;
    assert_eq!(clock.unit(0, NOW + 10).timestamp_90k, first + 1);
    clock.begin_session(90_000);
    let again = clock.unit(9 * FRAME, NOW + 20).timestamp_90k;
    // Leading pictures of an open group: shown before the key frame, in time that the session before has had.
    let leading = clock.unit(7 * FRAME, NOW + 30).timestamp_90k;
    assert!(again > first && leading == again + 1);
    assert_eq!((clock.counters().reordered, clock.counters().clamped), (0, 2));
}

#[test]
fn other_clock_rates_are_converted_exactly() {
    let mut clock = MediaClock::new(ClockOptions::default(), 48_000);
    clock.sender_report(ntp(NOW), 0, NOW);
    let stamp = (0..=1000)
        .map(|n| clock.unit(n * 1024, NOW + (n * 1920) as u64))
        .last()
        .unwrap();
    assert_eq!(stamp.timestamp_90k, NOW + 1000 * 1920);
}

#[test]
fn reports_expire() {
    let mut clock = clock();
    clock.sender_report(ntp(NOW - 9000), 0, NOW);
    assert_eq!(play(&mut clock, 0, 1, 0)[0].source, ClockSource::SenderReport);
    assert_eq!(
        play(&mut clock, 1, 4000, 0).last().unwrap().source,
        ClockSource::Arrival
    );
}

#[test]
fn wall_time_has_the_published_ticks() {
    let time = std::time::UNIX_EPOCH + Duration::from_millis(1_589_326_389_381);
    let ticks = |time| MediaTime::from_system_time(time).ticks_90k();
    assert_eq!(ticks(time), 143_039_375_044_290);
    assert_eq!(ticks(std::time::UNIX_EPOCH - Duration::from_secs(1)), 0);
}

#[test]
fn ntp_after_2036_is_read() {
    let late = 2_300_000_000_u64 * 90_000;
    let wrapped = ((2_300_000_000_u64 + NTP_TO_UNIX_SECONDS as u64) & 0xffff_ffff) << 32;
    assert_eq!(ntp_to_90k(wrapped), Some(late as i64));
}

/// A camera whose RTP time runs at `speed` times the described rate, for `seconds`: times of the units relative to their
/// arrival, in milliseconds.
fn at_speed(clock: &mut MediaClock, speed: f64, fps: f64, seconds: f64, reports: bool) -> Vec<i64> {
    let mut errors = Vec::new();
    let mut last = 0;
    for n in 0..(seconds * fps) as i64 {
        let elapsed = (n as f64 / fps * 90_000.0) as i64;
        let rtp = (elapsed as f64 * speed) as i64;
        // Up to 20 ms of jitter, the same in each run.
        let arrival = NOW + elapsed as u64 + (n * 7919 % 1800) as u64;
        if reports && n % 150 == 0 {
            clock.sender_report(ntp(arrival), rtp, arrival);
        }
        clock.allow_steps(n % 60 == 0);
        let stamp = clock.unit(rtp, arrival);
        assert!(stamp.timestamp_90k > last, "backwards at {n}");
        last = stamp.timestamp_90k;
        errors.push((i128::from(stamp.timestamp_90k) - i128::from(arrival)) as i64 / 90);
    }
    errors
}

#[test]
fn rtp_time_at_any_wrong_rate_is_found_and_followed_within_two_seconds() {
    for reports in [false, true] {
        for (speed, fps) in [
            (0.7, 8.4),
            (1.43, 30.0),
            (1.05, 25.0),
            (0.95, 25.0),
            (1.0 / 90.0, 25.0),
            (90.0, 30.0),
            (2.0, 15.0),
            (0.5, 5.0),
        ] {
            let mut clock = clock();
            let errors = at_speed(&mut clock, speed, fps, 300.0, reports);
            let (least, most) = (errors.iter().min().unwrap(), errors.iter().max().unwrap());
            assert!(
                *least >= -2000 && *most <= 2000,
                "{speed} {reports}: {least} to {most} ms"
            );
            let late = &errors[errors.len() / 2..];
            assert!(
                late.iter().all(|error| error.abs() < 400),
                "{speed} {reports}: {:?}",
                late.iter().max()
            );
            if !(0.97..=1.03).contains(&speed) && !(0.94..=1.06).contains(&speed) {
                assert!(clock.counters().off_rate > 0, "{speed} {reports}");
            }
        }
    }
}

#[test]
fn rtp_time_that_counts_pictures_is_followed() {
    for (fps, reports) in [(30_u64, false), (25, true), (12, false), (5, false)] {
        let mut clock = clock();
        for n in 0..300 * fps {
            let arrival = NOW + n * 90_000 / fps + n * 7919 % 1800;
            if reports && n % 150 == 0 {
                clock.sender_report(ntp(arrival), n as i64, arrival);
            }
            clock.allow_steps(n % 60 == 0);
            let stamp = clock.unit(n as i64, arrival);
            let error = stamp.timestamp_90k as i64 - arrival as i64;
            let most = if n < 10 * fps { 180_000 } else { 45_000 };
            assert!(error.abs() < most, "{fps}: {error} ticks at {n}");
        }
        assert!(clock.counters().off_rate > 0);
    }
}

#[test]
fn a_right_rate_is_never_doubted_whatever_the_network_does() {
    let mut clock = clock();
    let mut stall = 0;
    for n in 0..18_000_i64 {
        // Half a second of standstill every ten seconds, made up for in a burst; jitter of 100 ms.
        stall = if n % 300 < 15 { (15 - n % 300) * FRAME } else { 0 };
        let arrival = NOW + (n * FRAME + stall + n * 7919 % 9000) as u64;
        assert!(!clock.unit(n * FRAME, arrival).discontinuity);
    }
    assert_eq!((clock.counters().off_rate, stall), (0, 0));
}

#[test]
fn rtp_time_that_stands_still_is_replaced_by_arrival() {
    for reports in [false, true] {
        let errors = at_speed(&mut clock(), 0.0, 30.0, 300.0, reports);
        assert!(
            errors.iter().all(|error| error.abs() < 500),
            "{:?}",
            errors.iter().min()
        );
    }
}

#[test]
fn a_single_picture_elsewhere_in_time_is_not_believed() {
    for far in [-9_800 * TICKS, 37_600 * TICKS] {
        for key in [false, true] {
            let mut clock = clock();
            let mut last = 0;
            for n in 0..900_i64 {
                clock.allow_steps(if key { n % 60 == 31 } else { n % 60 == 0 });
                let rtp = n * FRAME + if n % 60 == 31 { far } else { 0 };
                let stamp = clock.unit(rtp, NOW + (n * FRAME) as u64);
                assert!(stamp.timestamp_90k > last);
                assert!(
                    stamp.timestamp_90k.abs_diff(NOW + (n * FRAME) as u64) < 9000,
                    "{n}"
                );
                assert!(key || !stamp.discontinuity, "{n}");
                last = stamp.timestamp_90k;
            }
            assert_eq!(clock.counters().outliers, 15);
        }
    }
}

#[test]
fn a_repeated_time_is_between_its_neighbours() {
    let mut clock = clock();
    let stamps: Vec<_> = (0..300_i64)
        .map(|n| {
            clock
                .unit((n - i64::from(n % 15 == 7)) * FRAME, NOW + (n * FRAME) as u64)
                .timestamp_90k
        })
        .collect();
    assert!(
        stamps
            .windows(2)
            .all(|pair| pair[1] >= pair[0] + FRAME as u64 / 2)
    );
    assert_eq!((clock.counters().reordered, clock.counters().off_rate), (0, 0));
}

#[test]
fn audio_is_never_reordered() {
    let mut clock = MediaClock::new(ClockOptions::default(), 16_000).without_reordering();
    let mut last = 0;
    for n in 0..1000_i64 {
        let rtp = n * 1024 - if n % 25 == 24 { 2692 } else { 0 };
        let stamp = clock.unit(rtp, NOW + (n * 5760) as u64);
        assert!(stamp.timestamp_90k > last && !stamp.discontinuity);
        last = stamp.timestamp_90k;
    }
    assert_eq!((clock.counters().reordered, clock.counters().clamped), (0, 40));
    assert!(last.abs_diff(NOW + 999 * 5760) < 5760);
}

#[test]
fn a_day_of_a_fast_camera_with_hourly_reboots_stays_within_two_seconds() {
    let mut clock = clock();
    let mut gaps = 0;
    for hour in 0..24_i64 {
        // Away for 20 s at each reboot; 5 frames/s, 0.1 % fast.
        for n in 100..18_000_i64 {
            let elapsed = hour * 3600 * TICKS + n * TICKS / 5;
            clock.allow_steps(n % 10 == 0);
            let stamp = clock.unit(
                1000 * hour + (n - 100) * TICKS / 5 * 1001 / 1000,
                NOW + elapsed as u64,
            );
            let error = i128::from(stamp.timestamp_90k) - i128::from(NOW) - i128::from(elapsed);
            assert!(
                error.unsigned_abs() < 2 * TICKS as u128,
                "hour {hour}, unit {n}: {error}"
            );
            gaps += u64::from(stamp.discontinuity);
        }
    }
    assert_eq!((gaps, clock.counters().off_rate), (23, 0));
}

proptest! {
    #[test]
    fn time_goes_back_by_no_more_than_pictures_are_reordered_whatever_comes(
        events in proptest::collection::vec((0..4_u8, any::<i64>(), any::<u64>(), 0..9000_u64), 1..200),
        rate in prop_oneof![Just(0_u32), Just(1), Just(8000), Just(90_000), any::<u32>()],
    ) {
        let mut clock = MediaClock::new(ClockOptions::default(), rate);
        let mut newest = None;
        let (mut rtp, mut arrival) = (0_i64, NOW);
        for (kind, wild_rtp, wild, step) in events {
            arrival = arrival.wrapping_add(step);
            rtp = rtp.wrapping_add(step as i64);
            let stamp = match kind {
                0 => { clock.sender_report(wild, wild_rtp, arrival); continue }
                1 => { clock.begin_session(rate); continue }
                2 => clock.unit(rtp, arrival),
                _ => clock.unit(wild_rtp, wild),
            };
            let time = stamp.timestamp_90k;
            if let Some(newest) = newest {
                let reordered = !stamp.discontinuity && time + MAX_REORDER as u64 >= newest;
                prop_assert!(time > newest || reordered || newest == u64::MAX);
            } else {
                prop_assert!(!stamp.discontinuity);
            }
            newest = newest.max(Some(time));
        }
    }
}

#[test]
fn time_that_runs_backwards_or_jumps_at_every_unit_is_that_of_arrival() {
    type RtpTime = fn(i64) -> i64;
    let random = |n: i64| n.wrapping_mul(2_654_435_761) & 0xffff_ffff;
    let clocks: [(&str, RtpTime); 3] = [
        ("backwards", |n| 10_000_000 - n * FRAME),
        ("random", random),
        ("backwards fast", |n| 1_000_000_000 - n * 100 * FRAME),
    ];
    for (name, rtp) in clocks {
        for (may_step, reordering) in [(false, true), (true, true), (true, false)] {
            let mut clock = clock();
            if !reordering {
                clock = clock.without_reordering();
            }
            let mut last = 0;
            for n in 0..9_000 {
                clock.allow_steps(may_step || n % 60 == 0);
                let arrival = NOW + (n * FRAME) as u64;
                let stamp = clock.unit(rtp(n), arrival);
                if n > 300 {
                    assert!(
                        stamp.timestamp_90k.abs_diff(arrival) < TICKS as u64,
                        "{name} {n} {stamp:?}"
                    );
                    assert!(stamp.timestamp_90k > last, "{name} {n} {stamp:?}");
                    assert!(!stamp.discontinuity, "{name} {n}");
                }
                last = stamp.timestamp_90k;
            }
            let counters = clock.counters();
            assert!(
                counters.off_rate >= 1 && counters.jumps <= 10,
                "{name}: {counters:?}"
            );
            assert!(
                counters.reordered <= u64::from(MAX_DESCENTS),
                "{name}: {counters:?}"
            );
        }
    }
}

#[test]
fn b_frames_on_five_levels_are_only_reordered() {
    // The places of 16 pictures in the order of decoding.
    const ORDER: [i64; 16] = [16, 8, 4, 2, 1, 3, 6, 5, 7, 12, 10, 9, 11, 14, 13, 15];
    let mut clock = clock();
    clock.unit(0, NOW);
    for group in 0..50 {
        for (place, shown) in ORDER.into_iter().enumerate() {
            let arrival = NOW + ((group * 16 + place as i64) * FRAME) as u64;
            clock.unit((group * 16 + shown) * FRAME, arrival);
        }
    }
    let counters = clock.counters();
    assert_eq!((counters.off_rate, counters.clamped, counters.jumps), (0, 0, 0));
}
