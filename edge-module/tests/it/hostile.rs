//! Callers that mean harm, or do not finish.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Client, config, started};

async fn answer_to(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

#[tokio::test]
async fn off_loopback_every_call_needs_the_token_but_health() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.http.listen = "0.0.0.0:0".into();
    let module = started(config).await;
    let port = module.http_address().unwrap().port();
    let mut client = Client::of(SocketAddr::from(([127, 0, 0, 1], port)));
    let (status, body) = client
        .post("/api/v1/methods/GraphTopologyList", "{\"@apiVersion\":\"1.0\"}")
        .await;
    assert!(status == 401 && body.contains("api-token"), "{status} {body}");
    assert_eq!(client.get("/healthz").await.0, 200);

    let token = std::fs::read_to_string(directory.path().join("data/api-token")).unwrap();
    let authorized = http::Request::post("/api/v1/methods/GraphTopologyList")
        .header("host", format!("127.0.0.1:{port}"))
        .header("authorization", format!("Bearer {}", token.trim()))
        .body(Bytes::from_static(b"{\"@apiVersion\":\"1.0\"}"));
    assert_eq!(client.request(authorized.unwrap()).await.0, 200);
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let address = module.http_address().unwrap();
    let request = |headers: &str| {
        format!(
            "POST /api/v1/methods/GraphTopologyList HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}"
        )
    };
    let rebound = answer_to(address, &request("Host: evil.example\r\n")).await;
    assert!(rebound.starts_with("HTTP/1.1 421 "), "{rebound}");
    let forged = answer_to(
        address,
        &request("Host: localhost\r\nOrigin: http://evil.example\r\n"),
    )
    .await;
    assert!(forged.starts_with("HTTP/1.1 403 "), "{forged}");
}

#[tokio::test]
async fn bodies_and_heads_are_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let address = module.http_address().unwrap();
    let large = "x".repeat((4 << 20) + 1);
    let (status, _) = Client::of(address)
        .post("/api/v1/methods/GraphTopologySet", &large)
        .await;
    assert_eq!(status, 413);
    let head = format!(
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    let answer = answer_to(address, &head).await;
    // A reset, because the server does not read the rest, may overtake the answer.
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
    assert_eq!(Client::of(address).get("/healthz").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_never_finishes_its_request_is_disconnected() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let address = module.http_address().unwrap();
    for unfinished in [
        "",
        "POST /api/v1/methods/GraphTopologyList HTTP/1.1\r\nHost: loc",
        "POST /api/v1/methods/GraphTopologyList HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(unfinished.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(120), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "still connected after {unfinished:?}");
    }
}

#[tokio::test]
async fn half_written_requests_on_every_connection_make_way() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.http.max_connections = 16;
    let module = started(config).await;
    let address = module.http_address().unwrap();
    let mut known = Client::of(address);
    assert_eq!(known.get("/api/v1/instances").await.0, 200);
    let mut held = Vec::new();
    for half in ["", "GET /healthz HTTP/1.1\r\nHost: loc"]
        .into_iter()
        .cycle()
        .take(100)
    {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // It may have been closed for a newer one.
        let _ = stream.write_all(half.as_bytes()).await;
        held.push(stream);
    }
    assert_eq!(Client::of(address).get("/api/v1/instances").await.0, 200);
    assert_eq!(known.get("/api/v1/instances").await.0, 200);
}

#[tokio::test]
async fn a_caller_without_a_token_loses_no_request_when_its_connection_has_had_its_share() {
    let directory = tempfile::tempdir().unwrap();
    let module = started(config(directory.path())).await;
    let mut monitor = Client::of(module.http_address().unwrap());
    for request in 0..2_100 {
        assert_eq!(monitor.get("/readyz").await.0, 200, "request {request}");
    }
}

#[tokio::test]
async fn with_all_places_taken_the_next_caller_waits_for_a_free_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.http.max_connections = 2;
    let module = started(config).await;
    let address = module.http_address().unwrap();
    let idle = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    let third = tokio::spawn(async move { Client::of(address).get("/healthz").await });
    drop(idle);
    assert_eq!(third.await.unwrap().0, 200);
}
