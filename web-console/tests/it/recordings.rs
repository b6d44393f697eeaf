//! What was recorded, played again.

use lva_graph_model::{Instance, Topology};
use serde_json::{Value, json};

use crate::support::{CAMERA, H264, Player, Site, get, packet_hashes, within};

/// Everything is recorded, in segments of 30 s; what there is, is complete when the instance stops.
const CONTINUOUS: &str = r##"{
    "@apiVersion": "2.0", "name": "Continuous",
    "properties": {
        "parameters": [{"name": "rtspUrl", "type": "String"}],
        "sources": [{
            "@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "camera",
            "endpoint": {"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": "${rtspUrl}"}
        }],
        "sinks": [{
            "@type": "#Microsoft.Media.MediaGraphAssetSink", "name": "asset", "assetNamePattern": "door-${System.DateTime}",
            "segmentLength": "PT30S", "localMediaCachePath": "/tmp", "localMediaCacheMaximumSizeMiB": "20",
            "inputs": [{"nodeName": "camera"}]
        }]
    }
}"##;

fn path(range: &str) -> String {
    format!("/api/cameras/door-1/recordings{range}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_played_without_encoding_it_again() {
    let site = Site::start(H264).await;
    site.run.stop().await.unwrap();
    let topology = Topology::from_json(CONTINUOUS).unwrap();
    let instance = Instance::new(
        CAMERA,
        topology.name(),
        [("rtspUrl", site.camera.url("clip.mp4").as_str())],
    );
    let run = site.module.start(topology, instance).await.unwrap();
    // Four seconds, from a key frame on.
    let mut player = Player::connect(site.serve().await).await;
    player.record(130).await;
    run.stop().await.unwrap();

    let router = site.console.router();
    let listed = within("the recordings", get(&router, &path(""))).await.json();
    let [span] = listed["spans"].as_array().unwrap().as_slice() else {
        panic!("not one span: {listed}");
    };
    assert_eq!(
        (&span["kind"], &span["sink"]),
        (&json!("segment"), &json!("asset"))
    );
    let time = |member: &str| span[member].as_u64().unwrap();
    let (start, end) = (time("start90k"), time("end90k"));
    assert!(end - start > 4 * 90_000, "{span}");

    // From the middle of the second group to the middle of the fourth.
    let (from, to) = (start + 3 * 45_000, start + 7 * 45_000);
    let played = get(
        &router,
        &path(&format!("/play.mp4?from={from}&to={to}&download=1")),
    )
    .await;
    assert_eq!(played.headers["content-type"], "video/mp4");
    let first: u64 = played.headers["x-start-90k"].to_str().unwrap().parse().unwrap();
    assert_eq!(first, start + 90_000, "the key frame before");
    assert!(
        played.headers["content-disposition"]
            .to_str()
            .unwrap()
            .ends_with(".mp4\"")
    );
    let file = site.directory.path().join("played.mp4");
    std::fs::write(&file, &played.body).unwrap();
    let pictures = packet_hashes(&file);
    // Fragments are half a second long.
    assert!((75..=90).contains(&pictures.len()), "{}", pictures.len());
    let sent = packet_hashes(&site.directory.path().join("clip.mp4"));
    let twice: Vec<_> = sent.iter().chain(&sent).cloned().collect();
    assert!(
        twice.windows(pictures.len()).any(|window| window == pictures),
        "{pictures:?}"
    );

    for (range, code) in [
        ("?from=1&to=2", "NotRecorded"),
        ("?from=2&to=1", "NoRange"),
        ("?from=x", "NoRange"),
        ("?from=../../etc&to=passwd", "NoRange"),
    ] {
        let refused: Value = get(&router, &path(&format!("/play.mp4{range}"))).await.json();
        assert_eq!(refused["error"]["code"], code, "{range}");
    }
    site.stop().await;
}
