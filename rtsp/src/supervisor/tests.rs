use proptest::prelude::*;

use super::*;

const HALF: u64 = 1 << 63;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn supervisor() -> Supervisor {
    Supervisor::new(ReconnectPolicy::default(), Timeouts::default(), s(0))
}

#[test]
fn waits_grow_from_the_minimum_to_the_maximum() {
    let policy = ReconnectPolicy::default();
    let most: Vec<_> = (1..8)
        .map(|n| policy.delay(n, u64::MAX).as_secs_f64().round())
        .collect();
    assert_eq!(most, [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
    assert!((1..40).all(|n| policy.delay(n, 0) == s(1)));
    assert_eq!(policy.delay(2, HALF), Duration::from_millis(2500));
}

#[test]
fn an_unanswered_attempt_times_out() {
    let mut camera = supervisor();
    assert_eq!(camera.deadline(), Some(s(10)));
    assert_eq!(camera.expired(s(9)), None);
    assert_eq!(camera.expired(s(10)), Some(TimeoutKind::Attempt));
    assert_eq!(
        camera.failed(s(10), false, 0),
        RetryDecision::Retry { delay: s(1) }
    );
    assert_eq!((camera.phase(), camera.deadline()), (Phase::Waiting, Some(s(11))));
    assert_eq!(camera.expired(s(11)), None);
    assert_eq!(
        (camera.phase(), camera.deadline()),
        (Phase::Connecting, Some(s(21)))
    );
}

#[test]
fn each_unit_puts_off_the_stall() {
    let mut camera = supervisor();
    camera.established(s(1));
    camera.unit(s(10));
    assert_eq!(camera.expired(s(19)), None);
    assert_eq!(camera.expired(s(20)), Some(TimeoutKind::Stall));
}

#[test]
fn a_short_session_does_not_reset_the_waits() {
    let mut camera = supervisor();
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..6 {
        camera.established(s(now));
        camera.unit(s(now));
        camera.unit(s(now + 9));
        now += 9;
        let RetryDecision::Retry { delay } = camera.failed(s(now), false, u64::MAX) else {
            panic!()
        };
        waits.push(delay.as_secs_f64().round() as u64);
        now += delay.as_secs() + 1;
        camera.expired(s(now));
    }
    assert_eq!(waits, [2, 4, 8, 16, 30, 30]);
    camera.established(s(now));
    camera.unit(s(now));
    camera.unit(s(now + 10));
    assert_eq!(camera.failures(), 0);
    assert_eq!(
        camera.failed(s(now + 11), false, 0),
        RetryDecision::Retry { delay: s(1) }
    );
}

#[test]
fn wrong_credentials_are_tried_rarely_until_they_were_right_once() {
    let mut camera = supervisor();
    assert_eq!(
        camera.failed(s(1), true, 0),
        RetryDecision::Retry { delay: s(30) }
    );
    camera.expired(s(31));
    camera.established(s(32));
    assert_eq!(
        camera.failed(s(33), true, 0),
        RetryDecision::Retry { delay: s(1) }
    );
}

#[test]
fn giving_up_counts_from_the_last_healthy_moment() {
    let timeouts = Timeouts {
        give_up: Some(s(60)),
        ..Timeouts::default()
    };
    let mut camera = Supervisor::new(ReconnectPolicy::default(), timeouts, s(0));
    camera.established(s(0));
    (0..=100).for_each(|t| camera.unit(s(t)));
    assert!(matches!(
        camera.failed(s(110), false, 0),
        RetryDecision::Retry { .. }
    ));
    camera.expired(s(112));
    assert!(matches!(
        camera.failed(s(159), false, 0),
        RetryDecision::Retry { .. }
    ));
    camera.expired(s(162));
    assert_eq!(camera.failed(s(163), false, 0), RetryDecision::GiveUp);
    assert_eq!((camera.phase(), camera.deadline()), (Phase::Stopped, None));
}

/// A camera that answers but for `outage` (begin and end in seconds): when attempts were made, and when it played
/// again. Sessions die when the outage begins; attempts within it fail at once.
fn through_an_outage(outage: (u64, u64), answers_nothing: bool) -> (Vec<Duration>, Duration) {
    let mut camera = supervisor();
    let (begin, end) = (s(outage.0), s(outage.1));
    let (mut now, mut attempts, mut random) = (s(0), Vec::new(), 1_u64);
    camera.established(now);
    while now < begin {
        camera.unit(now);
        now += Duration::from_millis(40);
    }
    // A cut is noticed by the silence, a reboot at once.
    if answers_nothing {
        now = camera.deadline().unwrap();
        assert_eq!(camera.expired(now), Some(TimeoutKind::Stall));
    }
    loop {
        random = random.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
        assert!(matches!(
            camera.failed(now, false, random),
            RetryDecision::Retry { .. }
        ));
        now = camera.deadline().unwrap();
        assert_eq!(camera.expired(now), None);
        assert_eq!(camera.phase(), Phase::Connecting);
        attempts.push(now);
        if now >= end {
            return (attempts, now);
        }
        if answers_nothing {
            now = camera.deadline().unwrap();
            assert_eq!(camera.expired(now), Some(TimeoutKind::Attempt));
        }
    }
}

#[test]
fn a_cut_of_a_minute_costs_few_attempts_and_ends_soon() {
    let (attempts, back) = through_an_outage((100, 160), true);
    assert!(attempts.len() <= 6, "{attempts:?}");
    // An unanswered attempt, and the longest wait.
    assert!(back < s(160 + 10 + 30), "{back:?}");
}

#[test]
fn an_outage_of_five_minutes_costs_few_attempts_and_ends_within_the_longest_wait() {
    for answers_nothing in [true, false] {
        let (attempts, back) = through_an_outage((100, 400), answers_nothing);
        assert!((8..=40).contains(&attempts.len()), "{attempts:?}");
        assert!(attempts.windows(2).all(|two| two[1] - two[0] >= s(1)));
        assert!(back < s(400 + 10 + 30), "{back:?}");
    }
}

#[test]
fn a_camera_that_kills_each_session_after_15_s_is_back_within_two_seconds_each_time() {
    let mut camera = supervisor();
    let mut now = s(0);
    for _ in 0..100 {
        camera.established(now);
        for _ in 0..15 * 25 {
            camera.unit(now);
            now += Duration::from_millis(40);
        }
        let RetryDecision::Retry { delay } = camera.failed(now, false, u64::MAX) else {
            panic!()
        };
        assert!(delay <= s(2), "{delay:?}");
        now += delay;
        camera.expired(now);
    }
}

#[test]
fn by_default_a_camera_is_never_given_up() {
    let mut camera = supervisor();
    let mut now = 0;
    for _ in 0..10_000 {
        now += 60;
        assert!(matches!(
            camera.failed(s(now), false, HALF),
            RetryDecision::Retry { .. }
        ));
        camera.expired(s(now + 30));
    }
}

proptest! {
    #[test]
    fn waits_stay_between_minimum_and_maximum(
        min in 0..100_000_u64, max in 0..10_000_000_u64, failures: u32, random: u64,
    ) {
        let policy = ReconnectPolicy {
            min_delay: Duration::from_millis(min),
            max_delay: Duration::from_millis(max),
            ..ReconnectPolicy::default()
        };
        let delay = policy.delay(failures, random);
        prop_assert!(delay >= policy.min_delay && delay <= policy.max_delay.max(policy.min_delay));
    }
}
