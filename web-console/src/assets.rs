//! The page: files of this crate, served from memory.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use ring::digest::{SHA256, digest};

use crate::answer;

/// What the page may load: its own files, and media that it puts together.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; media-src 'self' blob:; img-src 'self' blob: data:; \
     object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

struct Asset {
    name: &'static str,
    content: &'static [u8],
}

macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        &[$(Asset { name: $name, content: include_bytes!(concat!("../page/", $name)) }),*]
    };
}

const ASSETS: &[Asset] = assets![
    "index.html",
    "style.css",
    "api.js",
    "app.js",
    "cameras.js",
    "core.js",
    "dom.js",
    "editor.js",
    "events.js",
    "graphs.js",
    "health.js",
    "live.js",
    "overlay.js",
    "recordings.js",
    "scene.js",
];

impl Asset {
    fn media_type(&self) -> &'static str {
        match self.name.rsplit_once('.') {
            Some((_, "html")) => "text/html; charset=utf-8",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            _ => "application/octet-stream",
        }
    }

    fn etag(&self) -> String {
        let hash = digest(&SHA256, self.content);
        let hex = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}"));
        format!("\"{}\"", hex.collect::<String>())
    }
}

pub(crate) async fn index(headers: HeaderMap) -> Response {
    serve("index.html", &headers)
}

pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    serve(&name, &headers)
}

fn serve(name: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return answer::not_found();
    };
    let etag = asset.etag();
    let about = [
        (header::ETAG, etag.clone()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::CONTENT_TYPE, asset.media_type().to_owned()),
    ];
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    if known
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains(&etag))
    {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, asset.content).into_response()
}
