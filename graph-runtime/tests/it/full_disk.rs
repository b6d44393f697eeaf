//! A full disk: a real, small file system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use lva_graph_runtime::DropReason;
use lva_inference_schema::EventName;
use lva_inference_schema::body::EventBody;
use lva_rtsp_simulator::Faults;

use crate::plant::*;
use crate::recording::{assert_only_the_disk_refused, emitted, everything};
use crate::support::*;

/// A file system of four megabytes, for as long as this lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(at)
            .output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_recording_goes_on_when_there_is_room_or_skips() {
    let directory = tempfile::tempdir().unwrap();
    make_clip(directory.path());
    let recordings = directory.path().join("recordings");
    let Some(disk) = SmallDisk::mount(&recordings) else {
        eprintln!("skipped: no tmpfs can be mounted here (it takes root)");
        return;
    };
    fs::write(disk.0.join("filler"), vec![0; (4 << 20) - (300 << 10)]).unwrap();
    let simulator = camera(directory.path(), None).await;
    let server = Server::start(Script::every(1), 0).await;
    let (module, events) = module(&recordings);
    let mut topology = topology(vec![], vec![]);
    topology["properties"]["processors"].as_array_mut().unwrap().pop();
    let sinks = topology["properties"]["sinks"].as_array_mut().unwrap();
    sinks.pop();
    sinks.push(everything());
    let instance = instance(&simulator.url("clip.mp4"), server.port);
    activate(&module, topology, instance).await;
    let (place, error) = events.wait(EventName::StorageError, 0).await;
    let EventBody::StorageError(body) = &error.body else {
        panic!("{error:?}");
    };
    assert_eq!(body.error_code.as_deref(), Some("storageFull"));
    let full_at = module.stats("Sample-Graph-1").unwrap();
    fs::remove_file(disk.0.join("filler")).unwrap();
    let (_, _) = events.wait(EventName::RecordingStarted, place).await;
    let again_at = module.stats("Sample-Graph-1").unwrap();
    until(&module, |stats| stats.received >= again_at.received + 45).await;
    let stats = deactivate(&module).await;
    server.kill().await;
    eprintln!(
        "recording went on after {} pictures",
        again_at.received - full_at.received
    );
    let names = emitted(&events);
    assert_eq!(
        names[names.len() - 3..],
        [
            EventName::RecordingStarted,
            EventName::RecordingStopped,
            EventName::RecordingAvailable
        ]
    );
    assert!(events.count(EventName::Inference) > 10);
    assert_only_the_disk_refused(&stats, &events);
    let left: Vec<String> = fs::read_dir(disk.0.join("all-Sample-Graph-1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(left.iter().all(|name| !name.ends_with(".part")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_one_sink_costs_that_sink_alone_or_skips() {
    let mut disk = None;
    let usual = "size=160x120:rate=30:duration=12";
    let plant = Plant::start(usual, Faults::default(), |recordings| {
        disk = SmallDisk::mount(&recordings.join("asset-Front"));
        if let Some(disk) = &disk {
            fs::write(disk.0.join("filler"), vec![0; (4 << 20) - (200 << 10)]).unwrap();
        }
    })
    .await;
    let Some(disk) = disk else {
        eprintln!("skipped: no tmpfs can be mounted here (it takes root)");
        return;
    };
    let back = plant.stats(BACK);
    let (full, error) = plant.emitted(FRONT, "asset", EventName::StorageError, 0).await;
    let text = error.envelope("/t").to_string();
    assert!(text.contains(r#""errorCode":"storageFull""#), "{text}");
    let at = plant.stats(FRONT);
    plant.back_goes_on().await;
    plant
        .emitted(FRONT, "file", EventName::RecordingAvailable, full)
        .await;
    until_of(&plant.module, FRONT, |stats| answered(stats) >= answered(&at) + 5).await;
    assert_eq!(plant.count(FRONT, "file", EventName::StorageError), 0);

    fs::remove_file(disk.0.join("filler")).unwrap();
    let freed = Instant::now();
    let from = plant.events.all().len();
    plant
        .emitted(FRONT, "asset", EventName::RecordingStarted, from)
        .await;
    let recovered = freed.elapsed();
    plant
        .emitted(FRONT, "asset", EventName::RecordingAvailable, from)
        .await;
    let now = plant.stats(BACK);
    assert_eq!(losses(&back), losses(&now), "the other camera");
    let [front, _] = plant.end().await;
    let others = front.dropped.keys().filter(|(node, _)| node == "file");
    assert_eq!(others.count(), 0, "{:?}", front.dropped);
    let key = ("asset".to_owned(), DropReason::NotWritten);
    let lost = front.dropped.get(&key).copied().unwrap_or(0);
    assert_eq!(lost, front.recordings["asset"].recorder.not_written);
    assert!(front.recordings["asset"].recorder.failed > 0);
    let left = fs::read_dir(&disk.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let left: Vec<String> = left.map(|name| name.into_string().unwrap()).collect();
    assert!(left.iter().all(|name| !name.ends_with(".part")), "{left:?}");
    eprintln!(
        "{lost} pictures of the sink lost; it recorded again {:.1} s after space was freed",
        recovered.as_secs_f64()
    );
}
