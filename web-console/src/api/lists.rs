//! Cameras, events and graphs, and the methods that change them.

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use serde_json::{Value, json};

use crate::access::Caller;
use crate::answer;
use crate::events::EventQuery;
use crate::graphs;
use crate::shared::Shares;

pub(super) async fn cameras(State(shared): Shares, Extension(caller): Extension<Caller>) -> Json<Value> {
    let cameras = shared.cameras.list(|id| caller.sees(id));
    Json(json!({"cameras": cameras}))
}

pub(super) async fn events(
    State(shared): Shares,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Json<Value> {
    let query = EventQuery::parse(query.as_deref().unwrap_or_default());
    Json(shared.events.list(&query, |camera| caller.sees(camera)))
}

pub(super) async fn graphs(State(shared): Shares, Extension(caller): Extension<Caller>) -> Response {
    if !caller.sees_all() {
        return answer::error(
            StatusCode::FORBIDDEN,
            "CamerasOnly",
            "this login may look at its cameras alone",
        );
    }
    Json(graphs::list(&shared.module, &shared.cameras, &shared.events, &shared.rates).await).into_response()
}

pub(super) async fn invoke(
    State(shared): Shares,
    Path(method): Path<String>,
    Json(payload): Json<Value>,
) -> Response {
    let (status, payload) = shared.invoke(&method, payload).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(payload)).into_response()
}
