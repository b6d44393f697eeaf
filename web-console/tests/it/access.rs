//! Who may call.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{Request, StatusCode, header};
use lva_web_console::ConsoleOptions;
use serde_json::json;

use crate::support::{Answer, ask, empty_console, get, request};

const OPERATOR: &str = "operator-token-0123456789";
const VIEWER: &str = "viewer-token-0123456789";

fn with_tokens() -> Router {
    let cameras = BTreeSet::from(["door".to_owned()]);
    let options = ConsoleOptions::new()
        .with_loopback_trusted(false)
        .with_token(OPERATOR.into())
        .and_then(|options| options.with_viewer(VIEWER.into(), Some(cameras)));
    empty_console(options.unwrap())
}

async fn log_in(router: &Router, token: &str) -> Answer {
    let body = json!({"token": token}).to_string();
    ask(router, request("POST", "/api/login").body(body.into()).unwrap()).await
}

fn cookie(answer: &Answer) -> String {
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    cookie.split_once(';').unwrap().0.to_owned()
}

fn list_method(cookie: &str) -> Request<Body> {
    request("POST", "/api/methods/GraphTopologyList")
        .header(header::COOKIE, cookie)
        .body(r#"{"@apiVersion": "2.0"}"#.into())
        .unwrap()
}

#[tokio::test]
async fn without_a_token_callers_on_this_machine_may_do_all_and_others_nothing() {
    let router = empty_console(ConsoleOptions::new());
    assert_eq!(get(&router, "/api/session").await.json()["role"], "operator");
    assert_eq!(get(&router, "/api/cameras").await.json(), json!({"cameras": []}));
    let elsewhere: SocketAddr = "192.168.1.9:40000".parse().unwrap();
    let from_elsewhere = |path: &str| {
        let request = request("GET", path).extension(ConnectInfo(elsewhere));
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(
        ask(&router, from_elsewhere("/api/cameras")).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        ask(&router, from_elsewhere("/api/session")).await.json()["needsLogin"],
        true
    );
    // Who does not say where its callers are does not trust them.
    let nowhere = Request::builder()
        .uri("/api/cameras")
        .header(header::HOST, "localhost");
    let answer = ask(&router, nowhere.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_login_opens_what_its_role_may_do() {
    let router = with_tokens();
    assert_eq!(
        get(&router, "/api/cameras").await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        log_in(&router, "wrong-token-0123456789").await.status,
        StatusCode::UNAUTHORIZED
    );
    let operator = cookie(&log_in(&router, OPERATOR).await);
    let viewer = cookie(&log_in(&router, VIEWER).await);
    assert_eq!(ask(&router, list_method(&operator)).await.status, StatusCode::OK);
    let refused = ask(&router, list_method(&viewer)).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (StatusCode::FORBIDDEN, &json!("ReadOnly"))
    );
    let seen = |path: &str| {
        let request = request("GET", path).header(header::COOKIE, &viewer);
        request.body(Body::empty()).unwrap()
    };
    let session = ask(&router, seen("/api/session")).await.json();
    assert_eq!(
        (&session["role"], &session["cameras"]),
        (&json!("viewer"), &json!(["door"]))
    );
    assert_eq!(ask(&router, seen("/api/cameras")).await.status, StatusCode::OK);
    assert_eq!(
        ask(&router, seen("/api/graphs")).await.status,
        StatusCode::FORBIDDEN
    );
    let out = ask(
        &router,
        request("POST", "/api/logout").body(Body::empty()).unwrap(),
    )
    .await;
    assert!(
        out.headers[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
}

#[tokio::test]
async fn requests_of_other_sites_pages_and_under_foreign_names_are_refused() {
    let router = empty_console(ConsoleOptions::new().with_host("cam.example"));
    let status = async |method: &str, path: &str, name: &str, value: &str| {
        let mut request = request(method, path).body("{}".into()).unwrap();
        request
            .headers_mut()
            .insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        ask(&router, request).await.status
    };
    for path in ["/", "/api/session", "/api/cameras"] {
        for host in ["evil.example", "localhost.evil.example:8080", ""] {
            assert_eq!(
                status("GET", path, "host", host).await,
                StatusCode::MISDIRECTED_REQUEST,
                "{host} {path}"
            );
        }
        for host in ["cam.example", "[::1]:8080", "10.0.0.3", "LOCALHOST"] {
            assert_eq!(
                status("GET", path, "host", host).await,
                StatusCode::OK,
                "{host} {path}"
            );
        }
    }
    for (method, path) in [
        ("POST", "/api/methods/GraphTopologySet"),
        ("POST", "/api/login"),
        ("GET", "/api/cameras/a/live"),
    ] {
        for origin in ["http://evil.example", "null", "http://localhost:81"] {
            assert_eq!(
                status(method, path, "origin", origin).await,
                StatusCode::FORBIDDEN,
                "{origin} {path}"
            );
        }
    }
    assert_eq!(
        status("GET", "/api/cameras", "origin", "http://localhost:8080").await,
        StatusCode::OK
    );
    for site in ["cross-site", "same-site"] {
        assert_eq!(
            status("GET", "/api/cameras/a/still.jpg", "sec-fetch-site", site).await,
            StatusCode::FORBIDDEN
        );
    }
}

#[tokio::test]
async fn nothing_is_changed_by_a_get() {
    let router = empty_console(ConsoleOptions::new());
    for path in ["/api/methods/GraphTopologyDelete", "/api/login", "/api/logout"] {
        assert_eq!(
            get(&router, path).await.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_giant_request_is_refused() {
    let router = empty_console(ConsoleOptions::new());
    let body = format!("{{\"token\": \"{}\"}}", "x".repeat(2 << 20));
    let answer = ask(&router, request("POST", "/api/login").body(body.into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}
