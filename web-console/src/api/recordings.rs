//! What was recorded, and playing it.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::access::Caller;
use crate::answer;
use crate::events::EventQuery;
use crate::recordings::{self, RangeReader, Recordings};
use crate::shared::Shares;

pub(super) async fn list(
    State(shared): Shares,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    if shared.cameras.live(&id).is_none() || !caller.sees(&id) {
        return answer::no_camera();
    }
    let files = shared.recordings.files(&id).await;
    let query = EventQuery::of_camera(&id);
    let events = shared.events.list(&query, |_| true);
    Json(json!({"spans": Recordings::spans(&files), "events": events["events"]})).into_response()
}

pub(super) async fn play(
    State(shared): Shares,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    if shared.cameras.live(&id).is_none() || !caller.sees(&id) {
        return answer::no_camera();
    }
    let query = RangeQuery::parse(query.as_deref().unwrap_or_default());
    let Some((from, to)) = query.from_90k.zip(query.to_90k).filter(|(from, to)| from < to) else {
        let message = "give 'from' and 'to' in ticks of 1/90000 s since 1970, the earlier one first";
        return answer::error(StatusCode::BAD_REQUEST, "NoRange", message);
    };
    let Ok(place) = Arc::clone(&shared.downloads).try_acquire_owned() else {
        let message = "as many recordings are played as the console allows: try again when one has ended";
        return answer::error(StatusCode::SERVICE_UNAVAILABLE, "TooManyDownloads", message);
    };
    let files = Recordings::run(&shared.recordings.files(&id).await, from, to);
    let opened = tokio::task::spawn_blocking(move || RangeReader::open(files, from, to)).await;
    let reader = match opened.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked))) {
        Ok(reader) => reader,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = "nothing was recorded then, or it has been removed";
            return answer::error(StatusCode::NOT_FOUND, "NotRecorded", message);
        }
        Err(error) => {
            tracing::error!(camera = id, %error, "a recording cannot be read");
            let message = "the recording cannot be read: the log has the reason";
            return answer::error(StatusCode::INTERNAL_SERVER_ERROR, "Unreadable", message);
        }
    };
    let start = reader.start_90k();
    let mut headers = http::HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    headers.insert("x-start-90k", start.into());
    if query.is_download {
        // Names of cameras may hold anything.
        let name = HeaderValue::from_str(&format!("attachment; filename=\"{start}.mp4\""));
        headers.extend(name.ok().map(|name| (header::CONTENT_DISPOSITION, name)));
    }
    (headers, recordings::stream(reader, place)).into_response()
}

/// Which part of a recording is asked for.
#[derive(Default)]
struct RangeQuery {
    from_90k: Option<u64>,
    to_90k: Option<u64>,
    is_download: bool,
}

impl RangeQuery {
    fn parse(query: &str) -> Self {
        let mut own = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "from" => own.from_90k = value.parse().ok(),
                "to" => own.to_90k = value.parse().ok(),
                "download" => own.is_download = value == "1",
                _ => {}
            }
        }
        own
    }
}
