//! Live pictures, over a real socket.

use lva_graph_model::methods::InstanceState;
use serde_json::json;

use crate::support::{CAMERA, H264, Player, Received, Site, get, packet_hashes, within};

/// The pictures of a player are those of the camera, one after the other, beginning with a key frame.
fn assert_same_pictures(site: &Site, file: &[u8], count: usize) {
    let path = site.directory.path().join("played.mp4");
    std::fs::write(&path, file).unwrap();
    let played = packet_hashes(&path);
    assert_eq!(played.len(), count);
    let sent = packet_hashes(&site.directory.path().join("clip.mp4"));
    let twice: Vec<_> = sent.iter().chain(&sent).cloned().collect();
    assert!(
        twice.windows(count).any(|window| window == played),
        "not the camera's pictures: {played:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_gets_the_camera_s_pictures_untouched_and_from_a_key_frame_on() {
    let site = Site::start(H264).await;
    let address = site.serve().await;
    let mut player = Player::connect(address).await;
    let init = player.note("init").await;
    assert_eq!((&init["width"], &init["height"]), (&json!(160), &json!(120)));
    assert!(init["codec"].as_str().unwrap().starts_with("avc1."), "{init}");
    let first = site.run.stats().first_picture_90k.unwrap();
    assert!(init["epoch90k"].as_u64().unwrap() >= first);
    let file = player.record(75).await;
    assert_same_pictures(&site, &file, 75);
    // Somebody who comes later.
    let mut second = Player::connect(address).await;
    let file = second.record(40).await;
    assert_same_pictures(&site, &file, 40);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h265_is_played_as_well() {
    let site = Site::start(&[
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "log-level=none:bframes=0:keyint=30",
    ])
    .await;
    let mut player = Player::connect(site.serve().await).await;
    let init = player.note("init").await;
    assert!(init["codec"].as_str().unwrap().starts_with("hvc1."), "{init}");
    let file = player.record(40).await;
    assert_same_pictures(&site, &file, 40);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reordered_pictures_are_played_in_their_order() {
    let site = Site::start(&["libx264", "-preset", "medium", "-bf", "2"]).await;
    let mut player = Player::connect(site.serve().await).await;
    // Until it is known how the stream reorders, and a key frame has come.
    player.record(60).await;
    let mut second = Player::connect(site.serve().await).await;
    let file = second.record(40).await;
    assert_same_pictures(&site, &file, 40);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_goes_on_after_the_camera_and_after_the_instance() {
    let site = Site::start(H264).await;
    let address = site.serve().await;
    let mut player = Player::connect(address).await;
    player.record(5).await;
    site.camera.close_connections();
    while player.note("state").await["state"] != "waiting" {}
    while player.note("state").await["state"] != "live" {}
    player.record(5).await;
    site.run.stop().await.unwrap();
    while player.note("state").await["state"] != "waiting" {}
    assert_eq!(site.module.state(CAMERA), Some(InstanceState::Inactive));
    let router = site.console.router();
    let listed = get(&router, "/api/cameras").await.json();
    assert_eq!(listed["cameras"][0]["state"], "off");
    let activate = json!({"@apiVersion": "2.0", "name": CAMERA});
    let (status, answer) = site.module.invoke("GraphInstanceActivate", &activate).await;
    assert_eq!(status, 200, "{answer}");
    while player.note("state").await["state"] != "live" {}
    player.record(5).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_camera_ends_its_players() {
    let site = Site::start(H264).await;
    let mut player = Player::connect(site.serve().await).await;
    player.record(1).await;
    site.run.clone().delete().await.unwrap();
    // A list is what finds out.
    get(&site.console.router(), "/api/cameras").await;
    while player.next().await.is_some() {}
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cameras_are_listed_with_what_they_send_and_have_still_pictures() {
    let site = Site::start(H264).await;
    let router = site.console.router();
    let mut player = Player::connect(site.serve().await).await;
    player.record(35).await;
    let camera = get(&router, "/api/cameras").await.json()["cameras"][0].clone();
    assert_eq!(
        (
            &camera["id"],
            &camera["state"],
            &camera["live"],
            &camera["width"],
            &camera["lastError"]
        ),
        (
            &json!(CAMERA),
            &json!("live"),
            &json!("mse"),
            &json!(160),
            &json!(null)
        ),
        "{camera}"
    );
    let still = within("a picture", get(&router, "/api/cameras/door-1/still.jpg")).await;
    assert!(
        still.status.is_success() && still.body.starts_with(&[0xff, 0xd8]),
        "{:?}",
        still.status
    );
    let graphs = get(&router, "/api/graphs").await.json();
    assert_eq!(graphs["topologies"][0]["name"], "Motion");
    let instance = &graphs["instances"][0];
    assert_eq!(
        (&instance["name"], &instance["state"]),
        (&json!(CAMERA), &json!("active"))
    );
    assert_eq!(instance["edges"][0]["from"], "camera");
    assert_eq!(instance["nodes"][0]["state"], "running");
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn motion_is_drawn_on_the_frame_that_has_it() {
    let site = Site::start(H264).await;
    let mut player = Player::connect(site.serve().await).await;
    let mut times = Vec::new();
    let boxes = loop {
        match player.next().await.unwrap() {
            Received::Note(note) if note["type"] == "boxes" => break note,
            Received::Note(note) if note["type"] == "init" => times.push(note["epoch90k"].as_u64().unwrap()),
            _ => {}
        }
    };
    // Pictures of the clip are 3000 ticks apart.
    let after = boxes["timestamp90k"].as_u64().unwrap() - times[0];
    assert_eq!(after % 3000, 0, "{boxes}");
    site.stop().await;
}
