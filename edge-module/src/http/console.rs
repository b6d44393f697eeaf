//! The console at `/console/`, on the listener of the methods.

use async_trait::async_trait;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{Redirect, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::StatusCode;
use lva_hub::{ConnectionState, OutboxStats};
use lva_server_transport::Connection;
use lva_web_console::{EventReceiver, MethodInvoker};
use serde_json::Value;

use crate::events::DeliveryStats;
use crate::hub_stats::HubStats;
use crate::methods::{ANSWER_LIMIT, Methods};

/// Methods called on the page are saved as those from a hub are.
#[async_trait]
impl MethodInvoker for Methods {
    async fn invoke(&self, method: &str, payload: Value) -> (u16, Value) {
        let answer = Self::invoke(self, method, payload, ANSWER_LIMIT).await;
        (answer.status, answer.payload)
    }
}

/// Where events go, for the page's health.
pub(crate) fn receivers(
    hub: Option<HubStats>,
    deliveries: Vec<DeliveryStats>,
) -> impl Fn() -> Vec<EventReceiver> + Send + Sync + 'static {
    move || {
        let of_hub = hub.iter().map(|hub| {
            let connected = *hub.client.state().borrow() == ConnectionState::Connected;
            receiver("hub", connected, &hub.client.outbox_stats())
        });
        let others = deliveries
            .iter()
            .map(|delivery| receiver(delivery.sink, !delivery.fails(), &delivery.outbox()));
        of_hub.chain(others).collect()
    }
}

fn receiver(name: &str, connected: bool, outbox: &OutboxStats) -> EventReceiver {
    EventReceiver {
        name: name.to_owned(),
        connected,
        waiting: outbox.waiting,
        bytes: outbox.bytes,
        delivered: outbox.delivered,
        dropped: outbox.dropped_total(),
    }
}

/// Its routes, with those that lead to it.
pub(super) fn routes(console: Router) -> Router {
    Router::new()
        .nest("/console/", console.layer(from_fn(judge)))
        .route("/console", get(|| async { Redirect::permanent("/console/") }))
        .route("/", get(|| async { Redirect::temporary("/console/") }))
}

/// Tells the connection whether its peer is known: the page itself is for everybody, its API is not.
async fn judge(Extension(connection): Extension<Connection>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_guarded = path.starts_with("/api/") && path != "/api/session";
    let answer = next.run(request).await;
    match answer.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => {
            connection.refuse()
        }
        _ if is_guarded => connection.vouch(),
        _ => {}
    }
    answer
}
