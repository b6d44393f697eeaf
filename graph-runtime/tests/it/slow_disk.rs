//! A disk that is slower than the camera, on a real file system: a library between the test and the system makes it so.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lva_graph_runtime::{DropReason, InstanceStats};
use lva_inference_schema::EventName;
use lva_rtsp_simulator::Faults;

use crate::plant::*;
use crate::support::*;

/// The directory of the sink whose disk is slow, as in the paths of its files.
const SLOW: &str = "/asset-Front/";
/// How long each call of the system takes there.
const CALL: Duration = Duration::from_millis(200);

#[test]
fn a_disk_slower_than_the_camera_costs_counted_pictures_of_that_sink_alone_or_skips() {
    let name = "slow_disk::a_disk_slower_than_the_camera_costs_counted_pictures_of_that_sink_alone_or_skips";
    let call = CALL.as_millis().to_string();
    on_disk(name, &[("SLOW_DISK_MS", call.as_ref())], record_slowly());
}

/// Runs a test in a process of its own, with the library there from its beginning.
fn on_disk(name: &str, how: &[(&str, &OsStr)], test: impl Future<Output = ()>) {
    if std::env::var_os("SLOW_DISK_BELOW").is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        return runtime.unwrap().block_on(test);
    }
    let directory = tempfile::tempdir().unwrap();
    let library = directory.path().join("slow_disk.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/slow_disk.c");
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output();
    if !made.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no C compiler makes a library here");
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("LD_PRELOAD", &library)
        .env("SLOW_DISK_BELOW", SLOW)
        .envs(how.iter().copied())
        .output()
        .unwrap();
    let emitted = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{emitted}");
    eprintln!("{emitted}");
}

/// Runs a test where the disk of that sink can stand still: while the file that the test is given exists.
pub(crate) fn on_stalled_disk<F: Future<Output = ()>>(name: &str, test: impl FnOnce(PathBuf) -> F) {
    let directory = tempfile::tempdir().unwrap();
    let stalls = std::env::var_os("SLOW_DISK_STALLS").map(PathBuf::from);
    let stalls = stalls.unwrap_or_else(|| directory.path().join("stalls"));
    let how = [("SLOW_DISK_STALLS", stalls.as_os_str())];
    on_disk(name, &how, test(stalls.clone()));
}

/// Whether the library is heard.
fn is_slow(directory: &Path) -> bool {
    let slow = directory.join("asset-Front");
    fs::create_dir_all(&slow).unwrap();
    let mut file = fs::File::create(slow.join("probe")).unwrap();
    let began = Instant::now();
    file.write_all(b"x").unwrap();
    began.elapsed() >= CALL
}

async fn record_slowly() {
    let probe = tempfile::tempdir().unwrap();
    if !is_slow(probe.path()) {
        eprintln!("skipped: calls of the system cannot be slowed down here");
        return;
    }
    // So many pictures a second that each clip takes the disk thrice as long as the camera.
    let plant = Plant::start("size=160x120:rate=400:duration=6", Faults::default(), |_| {}).await;
    let back = plant.stats(BACK);
    let lost = |stats: &InstanceStats| {
        let key = ("asset".to_owned(), DropReason::RecorderBusy);
        stats.dropped.get(&key).copied().unwrap_or(0)
    };
    until_of(&plant.module, FRONT, |stats| lost(stats) > 0).await;
    let behind = plant.stats(FRONT);
    plant.emitted(FRONT, "asset", EventName::DataDropped, 0).await;
    let from = plant.events.all().len();
    for sink in ["asset", "file"] {
        plant
            .emitted(FRONT, sink, EventName::RecordingAvailable, from)
            .await;
    }
    until_of(&plant.module, FRONT, |stats| {
        answered(stats) >= answered(&behind) + 5
    })
    .await;
    plant.back_goes_on().await;
    let now = plant.stats(BACK);
    assert_eq!(losses(&back), losses(&now), "the other camera");
    let [front, _] = plant.end().await;
    let others = front.dropped.keys().filter(|(node, _)| node == "file");
    assert_eq!(others.count(), 0, "{:?}", front.dropped);
    let recorded = front.recordings["asset"].recorder;
    assert_eq!(
        (recorded.failed, recorded.not_written),
        (0, 0),
        "slow is not broken"
    );

    // What was recorded is the camera's own, from a key frame on.
    let own = packet_hashes(&plant.site.clip_of(FRONT));
    let clips = front.newest_clips.iter().filter(|clip| clip.sink == "asset");
    let mut count = 0;
    for clip in clips {
        let packets = packet_hashes(&clip.path);
        let first = own.iter().position(|packet| *packet == packets[0]).unwrap();
        assert_eq!(first % 30, 0, "{clip:?}");
        assert!(packets.iter().all(|packet| own.contains(packet)), "{clip:?}");
        count += 1;
    }
    assert!(count > 0 && count == recorded.files, "{count} {recorded:?}");
    eprintln!(
        "{count} clips on the slow disk, {} of {} pictures dropped before it",
        lost(&front),
        front.received
    );
}
