//! Browsers, and what calls itself one, that mean harm.

use axum::body::Body;
use futures_util::StreamExt;
use http::{StatusCode, header};
use lva_graph_runtime::{Module, RuntimeOptions};
use lva_web_console::{Console, ConsoleOptions};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{H264, Player, Site, ask, get, request, within};

#[tokio::test(flavor = "multi_thread")]
async fn viewers_beyond_the_limit_are_refused_and_places_become_free() {
    let site = Site::start_with(H264, ConsoleOptions::new().with_max_viewers(20)).await;
    let address = site.serve().await;
    let url = format!("ws://{address}/console/api/cameras/door-1/live");
    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..1000 {
        match within("an answer", tokio_tungstenite::connect_async(&url)).await {
            Ok((socket, _)) => open.push(socket),
            Err(Error::Http(answer)) => {
                assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((open.len(), refused), (20, 980));
    // Those that are in are served.
    let last = open.last_mut().unwrap();
    while !within("a picture", last.next())
        .await
        .unwrap()
        .unwrap()
        .is_binary()
    {}
    open.clear();
    let mut player = loop {
        match within("an answer", tokio_tungstenite::connect_async(&url)).await {
            Ok(_) => break Player::connect(address).await,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    player.record(2).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_giant_message_ends_its_own_socket() {
    let site = Site::start(H264).await;
    let address = site.serve().await;
    let (mut hostile, mut good) = (Player::connect(address).await, Player::connect(address).await);
    // It may be cut off while it is sent.
    let _ = hostile.send(Message::Binary(vec![0; 8 << 20].into())).await;
    while hostile.next().await.is_some() {}
    good.record(5).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_chatters_is_cut_off() {
    let site = Site::start(H264).await;
    let mut hostile = Player::connect(site.serve().await).await;
    for _ in 0..1000 {
        if hostile.send(Message::Text("hello".into())).await.is_err() {
            break;
        }
    }
    while hostile.next().await.is_some() {}
    site.stop().await;
}

#[tokio::test]
async fn names_with_script_and_paths_stay_text() {
    let module = Module::new(RuntimeOptions::new("recordings"), vec![]);
    let names = [
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "a\"onload=\"b",
        "${x}",
        "%2e%2e",
    ];
    let set = async |method: &str, document: Value| module.invoke(method, &document).await;
    let topology = serde_json::from_str(include_str!("../../examples/motion.json")).unwrap();
    assert_eq!(set("GraphTopologySet", topology).await.0, 201);
    let mut there = Vec::new();
    for name in names {
        let instance = json!({"@apiVersion": "2.0", "name": name, "properties": {
            "topologyName": "Motion",
            "parameters": [{"name": "rtspUrl", "value": "rtsp://127.0.0.1:1/"}],
        }});
        // The rules of names refuse some of them already.
        if set("GraphInstanceSet", instance).await.0 < 300 {
            there.push(name);
        }
    }
    let router = Console::new(module, ConsoleOptions::new()).router();
    let answer = get(&router, "/api/cameras").await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(answer.json()["cameras"].as_array().unwrap().len(), there.len());
    for name in names {
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for path in [
            "recordings",
            "recordings/play.mp4?from=1&to=2",
            "still.jpg",
            "scene",
        ] {
            let answer = get(&router, &format!("/api/cameras/{encoded}/{path}")).await;
            assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{name} {path}");
            if path.starts_with("recordings/") {
                assert_eq!(answer.status, StatusCode::NOT_FOUND, "{name}");
            }
        }
    }
    let markup = request("POST", "/api/methods/%3Cscript%3E")
        .body(Body::from("{}"))
        .unwrap();
    let answer = ask(&router, markup).await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    assert!(!answer.status.is_success());
}
