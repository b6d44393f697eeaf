//! Cameras, events and graphs, and the methods that change them.

use std::collections::BTreeMap;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::access::Caller;
use crate::answer;
use crate::events::EventQuery;
use crate::graphs;
use crate::shared::{Shared, Shares};

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
    let mut listed = shared.events.list(&query, |camera| caller.sees(camera));
    if let Some(Value::Array(events)) = listed.get_mut("events") {
        find_recordings(&shared, events).await;
    }
    Json(listed)
}

/// Links each event to the recording that has it.
async fn find_recordings(shared: &Shared, events: &mut [Value]) {
    let mut files = BTreeMap::new();
    for event in events {
        let (camera, time) = (event["camera"].as_str(), event["timestamp90k"].as_u64());
        let Some((camera, time)) = camera.map(str::to_owned).zip(time) else {
            continue;
        };
        if !files.contains_key(&camera) {
            files.insert(camera.clone(), shared.recordings.files(&camera).await);
        }
        if files
            .get(&camera)
            .is_some_and(|files| files.iter().any(|file| file.shows(time)))
        {
            event["recording"] = json!({"camera": camera, "timestamp90k": time});
        }
    }
}

pub(super) async fn picture(
    State(shared): Shares,
    Extension(caller): Extension<Caller>,
    Path(event): Path<u64>,
) -> Response {
    match shared.events.picture(event, |camera| caller.sees(camera)) {
        Some(jpeg) => ([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response(),
        None => answer::not_found(),
    }
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
