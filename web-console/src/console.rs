//! The console, and its router.

use std::fmt;
use std::sync::{Arc, Weak};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderName, HeaderValue, header};
use lva_graph_runtime::Module;
use tokio::sync::watch;

use crate::access;
use crate::answer;
use crate::api;
use crate::assets;
use crate::options::ConsoleOptions;
use crate::shared::Shared;

/// Largest body of a request: a topology has some ten kilobytes.
const MAX_BODY: usize = 1 << 20;

/// A web page over a running module.
///
/// It observes every instance as long as it, or a router of it, exists: for each camera it keeps the pictures since the newest key
/// frame (at most 16 MiB). Cheap to clone; clones are the same console.
#[derive(Clone)]
pub struct Console {
    shared: Arc<Shared>,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("module", &self.shared.module)
            .finish_non_exhaustive()
    }
}

impl Console {
    /// A console over a module, which it keeps alive. Starts observing its instances.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, as [`tokio::spawn`] does.
    #[track_caller]
    pub fn new(module: Module, options: ConsoleOptions) -> Self {
        let changes = module.changes();
        let shared = Arc::new(Shared::new(module, options));
        tokio::spawn(follow(Arc::downgrade(&shared), changes));
        Self { shared }
    }

    /// The page and its API, to nest under any path that ends with `/`, or to serve as it is. The server has to attach
    /// `ConnectInfo<SocketAddr>` to requests where callers on the same machine shall need no token.
    pub fn router(&self) -> Router {
        let access = Arc::clone(&self.shared.access);
        Router::new()
            .route("/", get(assets::index))
            .route("/{file}", get(assets::file))
            .nest("/api", api::routes(Arc::clone(&access)))
            .fallback(|| async { answer::not_found() })
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(from_fn_with_state(access, access::own_pages_only))
            .layer(map_response(with_headers))
            .with_state(Arc::clone(&self.shared))
    }
}

/// Looks whenever an instance has changed.
async fn follow(console: Weak<Shared>, mut changes: watch::Receiver<u64>) {
    loop {
        match console.upgrade() {
            Some(shared) => shared.look(),
            None => return,
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// What browsers have to know about every answer. Those of the framework itself get the form of the others.
async fn with_headers(mut response: Response) -> Response {
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let is_text = content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/plain"));
    if is_text && (status.is_client_error() || status.is_server_error()) {
        let message = status.canonical_reason().unwrap_or("the request failed");
        response = answer::error(status, "BadRequest", message);
    }
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, assets::CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
