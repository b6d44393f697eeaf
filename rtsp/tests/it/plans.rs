//! What the field does to cameras, by plan: each fault with its states, counters and output.

use std::time::{Duration, Instant};

use lva_rtsp::{
    AccessUnit, Camera, CameraEvent, ClockSource, Credentials, ErrorKind, Phase, Repair, Transport,
};
use lva_rtsp_simulator::{Faults, Simulator, SimulatorOptions};

use crate::support::{
    MOST_SESSIONS, descriptors, endless, established, lost, made_clip, next, quick, simulator_again,
    testuser, timeouts, units, until,
};

async fn faulty(directory: &std::path::Path, faults: Faults) -> Simulator {
    let options = SimulatorOptions::new(directory)
        .with_credentials(Some(testuser()))
        .with_faults(faults);
    Simulator::start(options).await.unwrap()
}

/// The next units of the video by session, until so many sessions were lost.
async fn sessions(camera: &mut Camera, losses: usize) -> Vec<Vec<AccessUnit>> {
    let mut sessions = vec![Vec::new()];
    while sessions.len() <= losses {
        match next(camera).await {
            CameraEvent::Unit(unit) if unit.stream == 0 => sessions.last_mut().unwrap().push(unit),
            CameraEvent::Lost { .. } => sessions.push(Vec::new()),
            _ => {}
        }
    }
    sessions
}

fn never_goes_back(units: &[AccessUnit]) -> bool {
    units
        .windows(2)
        .all(|two| two[1].timestamp_90k > two[0].timestamp_90k)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_and_ten_percent_of_loss_do_not_end_the_session_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    for part in [0.01, 0.1] {
        let simulator = faulty(directory.path(), Faults::default().with_seed(3).with_loss(part)).await;
        let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
        let units = units(&mut camera, 0, 90).await;
        assert!(never_goes_back(&units));
        let counters = camera.counters();
        assert_eq!(
            (counters.sessions, counters.lost_sessions, camera.phase()),
            (1, 0, Phase::Playing)
        );
        assert!(counters.lost_packets > 0);
        let marked: u32 = units.iter().map(|unit| unit.lost_before).sum();
        assert!(marked > 0 && u64::from(marked) <= counters.lost_packets);
        assert!(
            units
                .iter()
                .filter(|unit| unit.lost_before > 0)
                .all(|unit| unit.discontinuity)
        );
        // A decoder can distinguish whole units: those between two marks are as in the file.
        assert!(units.iter().any(|unit| !unit.discontinuity));
        camera.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reordered_datagrams_are_put_in_order_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = faulty(
        directory.path(),
        Faults::default().with_seed(3).with_reorder(0.02),
    )
    .await;
    for _ in 0..MOST_SESSIONS {
        let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")).with_transport(Transport::Udp));
        let units = units(&mut camera, 0, 60).await;
        assert!(never_goes_back(&units));
        let counters = camera.counters();
        assert_eq!((counters.sessions, counters.lost_sessions), (1, 0));
        if counters.lost_packets == 0 {
            assert!(units.iter().all(|unit| !unit.discontinuity));
            assert!(counters.repairs.count(Repair::Reordered) > 0);
            return;
        }
    }
    panic!("each of {MOST_SESSIONS} sessions lost a datagram");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rtp_time_that_starts_over_is_one_jump_and_no_loss_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let plan = Faults::default().with_timestamp_reset_after(Some(Duration::from_millis(700)));
    for by_hand in [false, true] {
        let faults = if by_hand { Faults::default() } else { plan.clone() };
        let simulator = faulty(directory.path(), faults).await;
        let began = Instant::now();
        let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
        let mut found = units(&mut camera, 0, 10).await;
        if by_hand {
            simulator.reset_timestamps();
        }
        found.extend(units(&mut camera, 0, 50).await);
        assert!(never_goes_back(&found));
        let jumps: Vec<_> = found
            .iter()
            .enumerate()
            .filter(|(_, unit)| unit.discontinuity)
            .collect();
        assert_eq!(jumps.len(), 1, "{jumps:?}");
        // Media time continues according to arrival: 60 pictures at 30 a second, and no more than the time that has passed.
        let ticks = found[59].timestamp_90k - found[0].timestamp_90k;
        let passed = u64::try_from(began.elapsed().as_nanos() * 9 / 100_000).unwrap();
        assert!(
            (150_000..=passed + 53_000).contains(&ticks),
            "{ticks} in {passed}"
        );
        let counters = camera.counters();
        assert_eq!((counters.clock.jumps, counters.lost_sessions), (1, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_killed_again_and_again_are_replaced_each_time_or_skips() {
    const LOSSES: usize = 4;
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let plan = Faults::default().with_close_after(Some(Duration::from_millis(600)));
    let simulator = faulty(directory.path(), plan).await;
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
    let sessions = sessions(&mut camera, LOSSES).await;
    let counters = camera.counters();
    assert_eq!(counters.lost_sessions as usize, LOSSES);
    assert_eq!(counters.failed_attempts, 0);
    // Each session begins at a keyframe, marked as a discontinuity. On a busy machine one may end before its first unit.
    let sessions: Vec<_> = sessions.into_iter().filter(|units| !units.is_empty()).collect();
    assert!(sessions.len() > 1, "{} sessions with units", sessions.len());
    for (number, units) in sessions.iter().enumerate() {
        let marks: Vec<bool> = units.iter().map(|unit| unit.discontinuity).collect();
        assert_eq!(marks[0], number > 0, "session {number}");
        assert!(
            units[0].keyframe && !marks[1..].contains(&true),
            "session {number}"
        );
    }
    assert!(never_goes_back(&sessions.concat()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reboot_with_other_parameter_sets_is_reported_before_the_first_unit_or_skips() {
    let (Some(directory), Some(larger)) = (made_clip(false, &[]), made_clip(false, &["-s", "640x480"]))
    else {
        return;
    };
    let first = faulty(directory.path(), Faults::default()).await;
    let address = first.address();
    let mut camera = Camera::connect(quick(&first.url("clip.mp4")));
    let (streams, _) = established(&mut camera).await;
    assert_eq!(streams[0].size, Some((320, 240)));
    let before = units(&mut camera, 0, 5).await;
    first.shutdown().await;
    let options = SimulatorOptions::new(larger.path())
        .with_credentials(Some(testuser()))
        .with_address(address);
    let _second = simulator_again(&options).await;
    let (streams, _) = established(&mut camera).await;
    assert_eq!(streams[0].size, Some((640, 480)));
    let after = units(&mut camera, 0, 5).await;
    assert!(after[0].discontinuity && after[0].keyframe);
    assert!(after[0].timestamp_90k > before[4].timestamp_90k);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_whose_password_was_wrong_for_a_while_comes_back_soon_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let with = |credentials, address| {
        SimulatorOptions::new(directory.path())
            .with_credentials(Some(credentials))
            .with_address(address)
    };
    let first = Simulator::start(with(testuser(), "127.0.0.1:0".parse().unwrap()))
        .await
        .unwrap();
    let address = first.address();
    let mut camera = Camera::connect(quick(&first.url("clip.mp4")));
    units(&mut camera, 0, 3).await;
    first.shutdown().await;

    let other = Credentials::new("testuser", "changed");
    let second = simulator_again(&with(other, address)).await;
    let error = loop {
        let error = lost(&mut camera).await;
        if error.kind() == ErrorKind::Authentication {
            break error;
        }
    };
    assert_eq!(error.status_code(), Some(401));
    // It was right once, so the waits stay those of any other failure: far below the cap of one that never was.
    let CameraEvent::Waiting { delay } = next(&mut camera).await else {
        panic!("a wait follows")
    };
    assert!(delay <= Duration::from_millis(200), "{delay:?}");
    second.shutdown().await;
    let third = simulator_again(&with(testuser(), address)).await;
    established(&mut camera).await;
    units(&mut camera, 0, 3).await;
    assert_eq!(third.counters().rejected_credentials, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_stall_times_out_and_the_next_session_stalls_too_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let plan = Faults::default().with_stall(Some((Duration::from_millis(300), Duration::from_secs(60))));
    let simulator = faulty(directory.path(), plan).await;
    let options = quick(&simulator.url("clip.mp4")).with_timeouts(timeouts(400, 60_000, None));
    let mut camera = Camera::connect(options);
    let mut losses = 0;
    // On a busy machine the first units may be too late as well.
    while losses < 2 || camera.counters().units == 0 {
        let error = lost(&mut camera).await;
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        losses += 1;
    }
    let counters = camera.counters();
    assert!(counters.sessions >= 2 && counters.lost_sessions >= 2);
    // Each ended with a TEARDOWN, whose answer is not waited for long.
    until("a TEARDOWN", || simulator.counters().teardowns >= 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_is_rejected_and_an_inexact_one_accepted_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    for (offset_ms, source, reports) in [
        (3_600_000, ClockSource::Arrival, false),
        (-3_600_000, ClockSource::Arrival, false),
        (-2_000, ClockSource::SenderReport, true),
    ] {
        let simulator = faulty(
            directory.path(),
            Faults::default().with_clock_offset_ms(offset_ms),
        )
        .await;
        let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
        let units = units(&mut camera, 0, 20).await;
        assert!(units.iter().all(|unit| unit.clock == source), "{offset_ms}");
        let clock = camera.counters().clock;
        assert_eq!(
            (clock.reports > 0, clock.reports_rejected > 0),
            (reports, !reports),
            "{offset_ms}"
        );
    }
    let simulator = faulty(directory.path(), Faults::default().with_no_reports(true)).await;
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
    assert_eq!(units(&mut camera, 0, 5).await[4].clock, ClockSource::Arrival);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_camera_does_not_delay_another_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    // Accepts and never answers.
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rtsp://{}/x", dead.local_addr().unwrap());
    let dead_cameras: Vec<_> = (0..20)
        .map(|_| Camera::connect(quick(&url).with_timeouts(endless())))
        .collect();
    let simulator = faulty(directory.path(), Faults::default()).await;
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
    units(&mut camera, 0, 1).await;
    assert!(
        dead_cameras
            .iter()
            .all(|camera| camera.phase() == Phase::Connecting)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_sessions_leave_memory_descriptors_and_tasks_as_they_were_or_skips() {
    const CYCLES: usize = 500;
    const WARM_UP: usize = 100;
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = faulty(directory.path(), Faults::default()).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let mut before = (0, 0, 0);
    for cycle in 0..CYCLES {
        let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
        // Stopped in every state: at once, while it connects, when it plays.
        match cycle % 5 {
            0 => {}
            1 => tokio::task::yield_now().await,
            _ => {
                units(&mut camera, 0, 1).await;
            }
        }
        camera.close().await;
        if cycle + 1 == WARM_UP {
            before = (resident_kib(), descriptors(), metrics.num_alive_tasks());
        }
    }
    // The simulator's side of the last ones may still be closing.
    until("everything is closed", || {
        descriptors() <= before.1 + 4 && metrics.num_alive_tasks() <= before.2 + 4
    })
    .await;
    let grown = resident_kib().saturating_sub(before.0);
    assert!(grown < 8 * 1024, "{grown} KiB more than {} KiB", before.0);
    assert!(simulator.counters().plays >= (CYCLES * 3 / 5) as u64);
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
