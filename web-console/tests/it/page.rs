//! The page itself.

use axum::body::Body;
use http::{StatusCode, header};
use lva_web_console::ConsoleOptions;

use crate::support::{ask, empty_console, get, request};

#[tokio::test]
async fn the_page_is_small_and_loads_its_own_files_alone() {
    let router = empty_console(ConsoleOptions::new());
    let index = get(&router, "/").await;
    assert_eq!(index.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    let policy = index.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'self';") && !policy.contains("unsafe"),
        "{policy}"
    );
    let page = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/page")).unwrap();
    let mut bytes = 0;
    for file in page {
        let file = file.unwrap();
        let content = std::fs::read(file.path()).unwrap();
        bytes += content.len();
        let name = file.file_name().into_string().unwrap();
        let served = get(&router, &format!("/{name}")).await;
        assert_eq!(
            (served.status, &served.body),
            (StatusCode::OK, &content),
            "{name} is not served"
        );
        let text = String::from_utf8(content).unwrap();
        let outside = text.match_indices("://").filter(|(at, _)| {
            let before = &text[..*at];
            // Names of XML languages are addresses that nobody opens.
            !text[*at..].starts_with("://www.w3.org/")
                && (before.ends_with("http") || before.ends_with("https"))
        });
        assert_eq!(outside.count(), 0, "{name} names another site");
    }
    assert!(bytes <= 70 << 10, "the page has {bytes} bytes");
}

#[tokio::test]
async fn a_known_file_is_not_sent_again() {
    let router = empty_console(ConsoleOptions::new());
    let first = get(&router, "/style.css").await;
    let etag = first.headers[header::ETAG].clone();
    let again = request("GET", "/style.css").header(header::IF_NONE_MATCH, etag);
    let again = ask(&router, again.body(Body::empty()).unwrap()).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn paths_lead_to_nothing_else() {
    let router = empty_console(ConsoleOptions::new());
    for path in [
        "/../Cargo.toml",
        "/%2e%2e%2fCargo.toml",
        "/..%2fsrc%2flib.rs",
        "/api/../style.css",
        "/page/index.html",
        "/api/nothing",
    ] {
        assert_eq!(get(&router, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}
