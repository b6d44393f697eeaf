//! Events to a webhook.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::support::{Client, activated, config, started};

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_posted_signed_until_the_server_takes_it() {
    let directory = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mut posted) = mpsc::unbounded_channel();
    // Busy at the first post, and refusing for good at the third.
    let answers = vec![StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK, StatusCode::GONE];
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    let handler = move |headers: HeaderMap, body: Bytes| {
        let (sender, answers) = (sender.clone(), Arc::clone(&answers));
        async move {
            sender.send((headers, body)).unwrap();
            answers.lock().unwrap().next().unwrap_or(StatusCode::NO_CONTENT)
        }
    };
    let router = axum::Router::new().route("/lva", post(handler));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let secret = directory.path().join("secret");
    let key = [7; 24];
    std::fs::write(&secret, format!("whsec_{}\n", STANDARD.encode(key))).unwrap();
    let mut config = config(directory.path());
    config.webhook.url = format!("http://{address}/lva");
    config.webhook.secret_file = secret;
    let module = started(config).await;
    let mut client = Client::of(module.http_address().unwrap());
    activated(&mut client, "one").await;
    activated(&mut client, "two").await;

    let mut seen = Vec::new();
    while seen.len() < 4 {
        let (headers, body): (HeaderMap, Bytes) = crate::within("a post", posted.recv()).await.unwrap();
        let header = |name: &str| headers[name].to_str().unwrap();
        let (id, time) = (header("webhook-id"), header("webhook-timestamp"));
        let signed = [id.as_bytes(), b".", time.as_bytes(), b".", &body].concat();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signature = header("webhook-signature").strip_prefix("v1,").unwrap();
        hmac::verify(&key, &signed, &STANDARD.decode(signature).unwrap()).unwrap();
        let envelope: Value = serde_json::from_slice(&body).unwrap();
        assert!(
            envelope["applicationProperties"]["eventType"].is_string(),
            "{envelope}"
        );
        seen.push((id.to_owned(), envelope));
    }
    assert_eq!(seen[0], seen[1], "the same event with the same id");
    assert!(
        seen[1].0 != seen[2].0 && seen[2].0 != seen[3].0,
        "what is refused is not repeated"
    );
    let mut metrics = Client::of(module.metrics_address().unwrap());
    let refused = "{sink=\"webhook\",reason=\"refused\"}";
    metrics
        .reaches("lva_edge_sink_outbox_dropped_total", refused, 1.0)
        .await;
    metrics
        .reaches("lva_edge_sink_failures_total", "webhook", 1.0)
        .await;
}
