//! What happens to one camera, or to an extension, and what of it the others notice: nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lva_graph_runtime::{ClipInfo, DropReason, InstanceStats};
use lva_inference_schema::EventName;
use lva_inference_schema::body::EventBody;
use lva_rtsp_simulator::Faults;

use crate::plant::*;
use crate::slow_disk::on_stalled_disk;
use crate::support::*;

/// Of the clip that the front camera plays.
const USUAL: &str = "size=160x120:rate=30:duration=12";

/// After which an extension counts as hung.
const HUNG: Duration = Duration::from_secs(5);

/// A camera has noticed nothing: what it has lost is what it had lost before.
fn assert_untouched(before: &InstanceStats, after: &InstanceStats) {
    assert_eq!(losses(before), losses(after));
    assert!(after.received > before.received && answered(after) > answered(before));
    assert_eq!(after.camera_sessions, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_that_comes_back_with_other_pictures_is_analysed_and_recorded_again() {
    let mut plant = Plant::start(USUAL, Faults::default(), |_| {}).await;
    let (back, began) = (plant.stats(BACK), plant.stats(FRONT));
    plant
        .emitted(FRONT, "asset", EventName::RecordingAvailable, 0)
        .await;
    let address = plant.site.front.as_ref().unwrap().address();
    plant.site.front.take().unwrap().shutdown().await;
    let (lost, _) = plant.emitted(FRONT, "camera", EventName::NetworkError, 0).await;
    let away = Instant::now();
    let other = plant.site.directory.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let served = make_clip_of(&other, "size=320x240:rate=30:duration=6");
    plant.back_goes_on().await;
    plant.site.front = Some(camera(&other, Some(address)).await);
    let (again, _) = plant
        .emitted(FRONT, "camera", EventName::MediaSessionEstablished, lost)
        .await;
    plant.emitted(FRONT, "grpc", EventName::Inference, again).await;
    for sink in ["asset", "file"] {
        plant
            .emitted(FRONT, sink, EventName::RecordingAvailable, again)
            .await;
    }
    eprintln!("camera back, analysed and recorded after {:?}", away.elapsed());
    assert_untouched(&back, &plant.stats(BACK));
    let [front, _] = plant.end().await;
    assert_eq!((front.camera_sessions, began.camera_sessions), (2, 1));
    assert_eq!(front.extensions["grpc"].sessions, 2, "frames have another size");
    let own = packet_hashes(&served);
    // The newest may have been cut short by the end.
    let whole = |clip: &ClipInfo| {
        let recorded = packet_hashes(&clip.path);
        recorded.len() >= 30 && recorded.iter().all(|packet| own.contains(packet))
    };
    assert!(front.newest_clips.iter().any(whole), "{:?}", front.newest_clips);
    for node in EXTENSIONS {
        assert_accounts(&front, node);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_that_never_answers_one_camera_is_given_up_and_asked_again() {
    let began = Instant::now();
    let plant = Plant::start_with(
        USUAL,
        Faults::default(),
        |_| {},
        |options| options.with_extension_answer_timeout(HUNG),
    )
    .await;
    let (front, back) = (plant.stats(FRONT), plant.stats(BACK));
    plant.site.watcher.hang(true);
    for node in EXTENSIONS {
        let (_, error) = plant.emitted(FRONT, node, EventName::NetworkError, 0).await;
        let text = error.envelope("/t").to_string();
        assert!(text.contains(r#""errorCode":"timeout""#), "{text}");
        let (_, emitted) = plant.emitted(FRONT, node, EventName::DataDropped, 0).await;
        let EventBody::DataDropped(body) = &emitted.body else {
            panic!("{emitted:?}");
        };
        assert!(body.count > Some(0), "{body:?}");
    }
    plant.back_goes_on().await;
    let hung = until_of(&plant.module, FRONT, |stats| {
        EXTENSIONS
            .iter()
            .all(|node| dropped(stats, node) >= dropped(&front, node) + 5)
    })
    .await;
    plant.site.watcher.hang(false);
    until_of(&plant.module, FRONT, |stats| {
        answered(stats) >= answered(&hung) + 5
    })
    .await;
    assert_untouched(&back, &plant.stats(BACK));
    let [front, _] = plant.end().await;
    for node in EXTENSIONS {
        assert_accounts(&front, node);
        let emitted = plant.count(FRONT, node, EventName::DataDropped) as u64;
        let most = 2 + began.elapsed().as_secs() / 60;
        assert!(
            (2..=most).contains(&emitted),
            "the first at once, one a minute, and the rest at the end: no storm of {emitted}"
        );
    }
    assert!(front.latencies["grpc"].frames > 0, "{:?}", front.latencies);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_that_is_killed_costs_its_own_frames_and_is_found_again() {
    let mut plant = Plant::start(USUAL, Faults::default(), |_| {}).await;
    let before = [FRONT, BACK].map(|camera| plant.stats(camera));
    let server = plant.site.grpc.take().unwrap();
    let port = server.port;
    server.kill().await;
    let mut places = Vec::new();
    for camera in [FRONT, BACK] {
        places.push(plant.emitted(camera, "grpc", EventName::NetworkError, 0).await.0);
        until_of(&plant.module, camera, |stats| {
            stats.dropped_for(DropReason::ExtensionUnavailable) >= 10
        })
        .await;
    }
    let killed = Instant::now();
    plant.site.grpc = Some(Server::start(plant.site.watcher.clone(), port).await);
    for camera in [FRONT, BACK] {
        until_of(&plant.module, camera, |stats| {
            stats.extensions["grpc"].sessions >= 2
        })
        .await;
    }
    let from = places[0];
    plant.emitted(FRONT, "grpc", EventName::Inference, from).await;
    eprintln!("extension back after {:?}", killed.elapsed());
    plant.back_goes_on().await;
    for (camera, before) in [FRONT, BACK].into_iter().zip(&before) {
        let stats = plant.stats(camera);
        let of_http = |stats| {
            let mut losses = losses(stats);
            losses.retain(|(node, _), _| node == "http");
            losses
        };
        assert_eq!(of_http(&stats), of_http(before), "the other extension");
        assert_eq!(stats.camera_sessions, 1);
    }
    for stats in plant.end().await {
        assert_accounts(&stats, "grpc");
        assert_accounts(&stats, "http");
    }
}

#[test]
fn a_disk_that_stands_still_for_one_sink_costs_that_sink_alone_or_skips() {
    let name = "together::a_disk_that_stands_still_for_one_sink_costs_that_sink_alone_or_skips";
    on_stalled_disk(name, stand_still_for_one_sink);
}

async fn stand_still_for_one_sink(stalls: PathBuf) {
    // So many pictures a second that a queue of half a minute is full in some seconds.
    let block = |_: &Path| std::fs::write(&stalls, "").unwrap();
    let plant = Plant::start("size=64x48:rate=400:duration=6", Faults::default(), block).await;
    let (front, back) = (plant.stats(FRONT), plant.stats(BACK));
    let busy = |stats: &InstanceStats| {
        stats
            .dropped
            .get(&("asset".to_owned(), DropReason::RecorderBusy))
            .copied()
    };
    until_of(&plant.module, FRONT, |stats| busy(stats) > Some(0)).await;
    let (emitted, _) = plant.emitted(FRONT, "asset", EventName::DataDropped, 0).await;
    plant
        .emitted(FRONT, "file", EventName::RecordingAvailable, emitted)
        .await;
    plant.back_goes_on().await;
    let still = plant.stats(FRONT);
    assert_eq!(plant.count(FRONT, "asset", EventName::RecordingAvailable), 0);
    assert!(answered(&still) > answered(&front), "analysis goes on");
    std::fs::remove_file(&stalls).unwrap();
    let from = plant.events.all().len();
    plant
        .emitted(FRONT, "asset", EventName::RecordingAvailable, from)
        .await;
    let again = plant.stats(FRONT);
    until_of(&plant.module, FRONT, |stats| {
        stats.received >= again.received + 800
    })
    .await;
    assert_untouched(&back, &plant.stats(BACK));
    let [front, _] = plant.end().await;
    // Decoding 400 pictures a second is for a machine that has nothing else to do.
    let others = front
        .dropped
        .keys()
        .filter(|(node, reason)| node == "file" || (node == "camera" && *reason != DropReason::DecoderBusy));
    assert_eq!(others.count(), 0, "{:?}", front.dropped);
    eprintln!("the stalled sink dropped {:?} units", busy(&front));
}

#[test]
fn a_disk_that_stands_still_stays_within_the_memory_budget_or_skips() {
    let name = "together::a_disk_that_stands_still_stays_within_the_memory_budget_or_skips";
    on_stalled_disk(name, stand_still_within_the_budget);
}

async fn stand_still_within_the_budget(stalls: PathBuf) {
    let block = |_: &Path| std::fs::write(&stalls, "").unwrap();
    // Three seconds of so many pictures: less than the queue to the disk and the seconds before an event would take.
    const BUDGET: u64 = 1 << 20;
    let front_form = "size=160x120:rate=400:duration=6";
    let plant = Plant::start_with(front_form, Faults::default(), block, |options| {
        options.with_memory_budget(BUDGET as usize)
    })
    .await;
    let back = plant.stats(BACK);
    let of = |stats: &InstanceStats, node: &str, reason| {
        let count = stats.dropped.get(&(node.to_owned(), reason));
        count.copied().unwrap_or(0)
    };
    // The disk stalls, its share is used, and the other sink's pre-roll has shrunk.
    until_of(&plant.module, FRONT, |stats| {
        of(stats, "asset", DropReason::RecorderBusy) > 0 && of(stats, "gate", DropReason::PreRollShrunk) > 0
    })
    .await;
    let still = plant.stats(FRONT);
    let (emitted, _) = plant.emitted(FRONT, "gate", EventName::DataDropped, 0).await;
    plant
        .emitted(FRONT, "file", EventName::RecordingAvailable, emitted)
        .await;
    until_of(&plant.module, FRONT, |stats| {
        answered(stats) >= answered(&still) + 5
    })
    .await;
    plant.back_goes_on().await;
    assert_untouched(&back, &plant.stats(BACK));
    std::fs::remove_file(&stalls).unwrap();
    let from = plant.events.all().len();
    plant
        .emitted(FRONT, "asset", EventName::RecordingAvailable, from)
        .await;
    let [front, back] = plant.end().await;
    for stats in [&front, &back] {
        let memory = stats.memory;
        assert!(
            memory.budget_bytes == BUDGET && memory.highest_bytes <= BUDGET,
            "{memory:?}"
        );
    }
    assert!(front.memory.highest_bytes > BUDGET / 8 * 7, "{:?}", front.memory);
    eprintln!(
        "front {:?}, back {:?}; dropped {:?}",
        front.memory, back.memory, front.dropped
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_camera_whose_clock_is_stepped_goes_on_in_media_time_that_only_rises() {
    let jumps = Faults::default().with_timestamp_reset_after(Some(Duration::from_secs(2)));
    let mut plant = Plant::start(USUAL, jumps, |_| {}).await;
    let back = plant.stats(BACK);
    until_of(&plant.module, FRONT, |stats| stats.received >= 120).await;
    let address = plant.site.front.as_ref().unwrap().address();
    plant.site.front.take().unwrap().shutdown().await;
    let (lost, _) = plant.emitted(FRONT, "camera", EventName::NetworkError, 0).await;
    // An hour behind, as after a reboot without a time server.
    let behind = Faults::default().with_clock_offset_ms(-3_600_000);
    let clips = plant.site.directory.path().join(FRONT);
    plant.site.front = Some(faulty_camera(&clips, Some(address), behind).await);
    plant
        .emitted(FRONT, "asset", EventName::RecordingAvailable, lost)
        .await;
    let again = plant.stats(FRONT);
    until_of(&plant.module, FRONT, |stats| {
        stats.received >= again.received + 60 && answered(stats) >= answered(&again) + 5
    })
    .await;
    assert_untouched(&back, &plant.stats(BACK));
    let [front, _] = plant.end().await;
    let now_90k = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() * 90_000;
    for node in EXTENSIONS {
        let mut last = 0;
        for event in plant.events.all() {
            let own = event
                .subject
                .to_string()
                .ends_with(&format!("{FRONT}/processors/{node}"));
            if event.name == EventName::Inference && own {
                let time = event.timestamp_90k;
                assert!(time > last, "media time went back");
                assert!(
                    time.abs_diff(now_90k) < 30 * 60 * 90_000,
                    "our own clock is the measure"
                );
                last = time;
            }
        }
        assert!(last > 0);
        assert_accounts(&front, node);
    }
}
