//! What comes out is what went in, and at the right time.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lva_rtsp::{Camera, CameraEvent, ClockSource, Codec, MediaKind, Transport};
use lva_rtsp_simulator::{Simulator, SimulatorOptions, video_samples};

use crate::support::{MOST_SESSIONS, established, made_clip, next, quick, shared_clip, simulator, units};

/// Compares units with a file from its first sample on, over its end, and their times with `ticks` a frame.
async fn plays_byte_for_byte(file: &Path, count: usize, ticks: u64) {
    let samples = video_samples(file).unwrap();
    let simulator = simulator(file.parent().unwrap()).await;
    let mut camera = Camera::connect(quick(&simulator.url(file.file_name().unwrap().to_str().unwrap())));
    let before = SystemTime::now();
    let (streams, sdp) = established(&mut camera).await;
    assert!(
        sdp.starts_with("v=0\r\n") && sdp.contains("m=video 0 RTP/AVP 96\r\n"),
        "{sdp}"
    );
    assert_eq!(
        (streams[0].media, streams[0].codec),
        (MediaKind::Video, Codec::H264)
    );
    assert_eq!(streams[0].extra_data[0], 1, "an avcC record");
    assert!(streams[0].codec_name.as_ref().unwrap().starts_with("avc1."));

    let units = units(&mut camera, 0, count).await;
    for (n, unit) in units.iter().enumerate() {
        assert!(
            unit.data == samples[n % samples.len()],
            "unit {n} differs from the file"
        );
        assert_eq!((unit.lost_before, unit.discontinuity), (0, false), "unit {n}");
        assert_eq!(unit.clock, ClockSource::SenderReport, "unit {n}");
    }
    assert!(units[0].keyframe && !units[1].keyframe);
    for (n, pair) in units.windows(2).enumerate() {
        let step = pair[1].timestamp_90k - pair[0].timestamp_90k;
        assert!(step.abs_diff(ticks) <= 1, "{step} ticks after unit {n}");
    }
    let first = Duration::from_millis(units[0].timestamp_90k / 90);
    let [before, after] = [before, SystemTime::now()].map(|time| time.duration_since(UNIX_EPOCH).unwrap());
    assert!(first + Duration::from_millis(50) >= before && first <= after);

    let counters = camera.counters();
    assert_eq!(
        (
            counters.sessions,
            counters.lost_packets,
            counters.dropped_queue_full
        ),
        (1, 0, 0)
    );
    assert!(counters.units >= count as u64 && counters.clock.jumps == 0);
    camera.close().await;
    simulator.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_clip_plays_byte_for_byte_across_the_loop_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    plays_byte_for_byte(&directory.path().join("clip.mp4"), 130, 3000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_clip_is_played_byte_for_byte_or_skips() {
    let Some(file) = shared_clip("one-by-one-indoor.mp4") else {
        return;
    };
    plays_byte_for_byte(&file, 40, 9000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_clip_is_played_byte_for_byte_or_skips() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/media/plaza.mp4");
    // It is not part of this crate: the published one lacks it, and it is regenerated from time to time.
    if let Err(error) = video_samples(&file) {
        return crate::support::skip(&format!("{}: {error}", file.display()));
    }
    plays_byte_for_byte(&file, 60, 3000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_comes_with_the_pictures_or_skips() {
    let Some(directory) = made_clip(true, &[]) else {
        return;
    };
    let simulator = simulator(directory.path()).await;
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
    let (streams, _) = established(&mut camera).await;
    let audio = &streams[1];
    assert_eq!(
        (audio.codec, audio.sample_rate_hz, audio.channels),
        (Codec::Aac, Some(48_000), Some(1))
    );
    assert!(audio.playing && !audio.extra_data.is_empty());
    let audio = units(&mut camera, 1, 120).await;
    for pair in audio.windows(2) {
        let step = pair[1].timestamp_90k - pair[0].timestamp_90k;
        // 1024 samples, but at the loop, where the clip's audio is cut to the length of its video.
        assert!((1..=1921).contains(&step), "{step}");
    }
    camera.close().await;

    let mut silent = Camera::connect(quick(&simulator.url("clip.mp4")).with_audio(false));
    let (streams, _) = established(&mut silent).await;
    assert!(streams[0].playing && !streams[1].playing);
    for _ in 0..60 {
        if let CameraEvent::Unit(unit) = next(&mut silent).await {
            assert_eq!(unit.stream, 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_are_served_at_once_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = simulator(directory.path()).await;
    let mut cameras: Vec<_> = (0..10)
        .map(|_| Camera::connect(quick(&simulator.url("clip.mp4"))))
        .collect();
    for camera in &mut cameras {
        assert_eq!(units(camera, 0, 30).await.len(), 30);
    }
    assert_eq!(simulator.counters().plays, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b_frames_come_in_decoding_order_with_their_times_of_presentation_or_skips() {
    let Some(directory) = made_clip(false, &["-bf", "2"]) else {
        return;
    };
    let samples = video_samples(&directory.path().join("clip.mp4")).unwrap();
    let simulator = simulator(directory.path()).await;
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
    let units = units(&mut camera, 0, 50).await;
    for (unit, sample) in units.iter().zip(&samples) {
        assert!(unit.data == *sample);
    }
    let mut shown: Vec<u64> = units.iter().map(|unit| unit.timestamp_90k).collect();
    assert!(!shown.is_sorted());
    shown.sort_unstable();
    // The last ones may wait for pictures that were not taken.
    for pair in shown[..45].windows(2) {
        assert!((pair[1] - pair[0]).abs_diff(3000) < 200, "{pair:?}");
    }
    assert!(units.iter().any(|unit| unit.disposable));
    let clock = camera.counters().clock;
    assert!(clock.reordered > 0 && clock.clamped == 0, "{clock:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datagrams_carry_the_same_bytes_or_skips() {
    let Some(directory) = made_clip(true, &[]) else {
        return;
    };
    let samples = video_samples(&directory.path().join("clip.mp4")).unwrap();
    let simulator = simulator(directory.path()).await;
    // A busy machine may drop a datagram, of media or of reports; the camera marks which units are whole.
    for _ in 0..MOST_SESSIONS {
        let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")).with_transport(Transport::Udp));
        let units = units(&mut camera, 0, 70).await;
        camera.close().await;
        let whole = units
            .iter()
            .enumerate()
            .take_while(|(_, unit)| !unit.discontinuity);
        let compared = whole
            .map(|(n, unit)| assert!(unit.data == samples[n % samples.len()], "unit {n}"))
            .count();
        if compared >= 10 && units.iter().all(|unit| unit.clock == ClockSource::SenderReport) {
            return;
        }
    }
    panic!("each of {MOST_SESSIONS} sessions lost one of its first datagrams");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transport_that_is_not_offered_is_named_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let simulator = Simulator::start(SimulatorOptions::new(directory.path()).with_udp(false))
        .await
        .unwrap();
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")).with_transport(Transport::Udp));
    let error = crate::support::lost(&mut camera).await;
    assert_eq!(error.status_code(), Some(461));
    assert!(error.to_string().contains("transport"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_that_come_in_band_are_reported_before_their_first_unit_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let samples = video_samples(&directory.path().join("clip.mp4")).unwrap();
    let options = SimulatorOptions::new(directory.path()).with_parameter_sets_in_band(true);
    let simulator = Simulator::start(options).await.unwrap();
    let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")));
    let (streams, sdp) = established(&mut camera).await;
    assert!(!sdp.contains("sprop") && streams[0].extra_data.is_empty() && streams[0].playing);
    let CameraEvent::StreamChanged(stream) = next(&mut camera).await else {
        panic!("parameters come first")
    };
    assert_eq!(
        (stream.index, stream.size, stream.playing),
        (0, Some((320, 240)), true)
    );
    assert_eq!(stream.extra_data[0], 1, "an avcC record");
    // Emitted once, although they come with every key frame.
    for sample in &samples[..40] {
        let CameraEvent::Unit(unit) = next(&mut camera).await else {
            panic!("only units follow")
        };
        assert!(unit.data == *sample, "parameter sets are not in the unit");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ipv6_works_where_there_is_any_or_skips() {
    let Some(directory) = made_clip(false, &[]) else {
        return;
    };
    let options = SimulatorOptions::new(directory.path())
        .with_credentials(Some(crate::support::testuser()))
        .with_address("[::1]:0".parse().unwrap());
    let simulator = match Simulator::start(options).await {
        Ok(simulator) => simulator,
        Err(error) => return crate::support::skip(&error.to_string()),
    };
    for transport in [Transport::Tcp, Transport::Udp, Transport::Http] {
        let mut camera = Camera::connect(quick(&simulator.url("clip.mp4")).with_transport(transport));
        assert_eq!(units(&mut camera, 0, 10).await.len(), 10);
    }
}
