//! Sinks behind a camera and behind gates, and what they leave on the disk.

use lva_inference_schema::{EventBody, EventName};
use serde_json::json;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_asset_behind_the_camera_is_recorded_from_activation_to_deactivation_and_goes_on_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let served = make_clip(folder.path());
    let recordings = folder.path().join("recordings");
    let simulator = camera(folder.path(), None).await;
    let (module, heard) = module(&recordings);
    let mut topology = topology(vec![], vec![]);
    topology["properties"]["processors"] = json!([]);
    topology["properties"]["sinks"] = json!([{
        "@type": "#Microsoft.Media.MediaGraphAssetSink", "name": "assetSink",
        "assetNamePattern": "all-${System.GraphInstanceName}", "segmentLength": "PT30S",
        "localMediaCachePath": "/var/lib/azuremediaservices/tmp/", "localMediaCacheMaximumSizeMiB": "200",
        "inputs": [{"nodeName": "rtspSource"}],
    }]);
    activate(&module, topology, instance(&simulator.url("clip.mp4"), 1)).await;
    let (first, started) = heard.wait(EventName::RecordingStarted, 0).await;
    let EventBody::Recording(recording) = &started.body else {
        panic!("{started:?}");
    };
    assert_eq!(
        (recording.output_type.as_str(), recording.output_location.as_str()),
        ("assetName", "all-Sample-Graph-1")
    );
    until(&module, |stats| stats.received >= 60).await;
    let stats = deactivate(&module).await;
    let names: Vec<EventName> = heard.all()[first..].iter().map(|event| event.name).collect();
    let expected = [
        EventName::RecordingStarted,
        EventName::RecordingStopped,
        EventName::RecordingAvailable,
    ];
    assert_eq!(names, expected);
    let clip = &stats.newest_clips[0];
    assert_eq!(clip.path.parent().unwrap(), recordings.join("all-Sample-Graph-1"));
    assert_eq!(
        clip.video_packets, stats.received,
        "everything from the first key frame on"
    );
    let own = packet_hashes(&served);
    assert!(
        packet_hashes(&clip.path)
            .iter()
            .all(|packet| own.contains(packet))
    );

    must(&module, "GraphInstanceActivate", by_name("Sample-Graph-1")).await;
    heard.wait(EventName::RecordingStarted, first + 1).await;
    until(&module, |stats| stats.received >= 45).await;
    deactivate(&module).await;
    let playlist = std::fs::read_to_string(recordings.join("all-Sample-Graph-1/index.m3u8")).unwrap();
    assert_eq!(playlist.matches("#EXTINF:").count(), 2, "{playlist}");
    assert_eq!(playlist.matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    assert!(playlist.ends_with("#EXT-X-ENDLIST\n"));
}
