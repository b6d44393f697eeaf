//! The HTTP server: methods, the twin, health, and the description of them.

mod access;
mod answers;
mod console;
mod key;
mod listener;
mod openapi;
mod plain;
mod service;
mod twin;

pub use access::{Access, Token};
pub(crate) use console::receivers;
pub use key::{AccessKey, AccessKeyError};
pub use listener::{BoundListener, ListenError, Listener, ListenerOptions};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::methods::Methods;
use crate::metrics::{Metrics, ModuleLabels, OPENMETRICS};
use crate::twin::ModuleTwin;

/// Largest body of a request. The largest topologies in the field have some ten kilobytes.
const MAX_BODY: usize = 4 << 20;

/// Whether the module takes work; for `/readyz`.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Whether it does.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the handlers share.
#[derive(Debug, Clone)]
struct Service {
    methods: Methods,
    twin: ModuleTwin,
    identity: Arc<ModuleLabels>,
}

/// The routes of methods and twin: the service API of IoT Hub, the same calls plainly, and health.
pub(crate) fn router(
    methods: Methods,
    twin: ModuleTwin,
    identity: ModuleLabels,
    access: Access,
    readiness: Readiness,
    console: Option<Router>,
) -> Router {
    let service = Service {
        methods,
        twin,
        identity: Arc::new(identity),
    };
    let guarded = Router::new()
        .route("/twins/{device}/modules/{module}/methods", post(service::invoke))
        .route(
            "/twins/{device}/modules/{module}",
            get(service::twin)
                .patch(service::update_twin)
                .put(service::replace_twin),
        )
        .route("/api/v1/methods/{name}", post(plain::invoke))
        .route("/api/v1/twin", get(plain::twin).patch(plain::update_twin))
        .route("/api/v1/instances", get(plain::instances))
        .route("/api/v1/openapi.json", get(openapi::document))
        .fallback(answers::not_found)
        .method_not_allowed_fallback(answers::not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(Arc::new(access), access::check))
        .with_state(service);
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(readiness)
        .merge(console.map(console::routes).unwrap_or_default())
        .merge(guarded)
}

/// The route of the metrics.
pub fn metrics_router(metrics: Metrics) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(metrics)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    match readiness.get() {
        true => (StatusCode::OK, "ready\n"),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: starting or stopping\n",
        ),
    }
}

async fn scrape(State(metrics): State<Metrics>) -> axum::response::Response {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
