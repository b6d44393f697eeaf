//! Live and still pictures.

use std::sync::Arc;

use axum::Extension;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, StatusCode, header};

use crate::access::Caller;
use crate::answer;
use crate::live;
use crate::mjpeg;
use crate::shared::Shares;

/// Largest message of a viewer, who has nothing to say.
const MAX_MESSAGE: usize = 4096;
const READ_BUFFER: usize = 4096;
const WRITE_BUFFER: usize = 64 << 10;

pub(super) async fn watch(
    State(shared): Shares,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    upgrade: WebSocketUpgrade,
    request: Request,
) -> Response {
    let Some(live) = shared.cameras.live(&id).filter(|_| caller.sees(&id)) else {
        return answer::no_camera();
    };
    let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() else {
        return too_many();
    };
    let kept = request.extensions().clone();
    let upgrade = upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER);
    upgrade.on_upgrade(move |socket| async move {
        live::serve(socket, live.watch(), kept).await;
        drop(place);
    })
}

pub(super) async fn jpeg(
    State(shared): Shares,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let Some(live) = shared.cameras.live(&id).filter(|_| caller.sees(&id)) else {
        return answer::no_camera();
    };
    let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() else {
        return too_many();
    };
    let kept = (place, request.extensions().clone());
    mjpeg::stream(id, live.keys(), Arc::clone(&shared.cameras.stills), kept)
}

fn too_many() -> Response {
    answer::error(
        StatusCode::SERVICE_UNAVAILABLE,
        "TooManyViewers",
        "as many live pictures are watched as the console allows: close some",
    )
}

pub(super) async fn still(
    State(shared): Shares,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    let Some(live) = shared.cameras.live(&id).filter(|_| caller.sees(&id)) else {
        return answer::no_camera();
    };
    let key = live.keys().borrow().clone();
    let time = key.as_ref().map(|key| key.timestamp_90k);
    match shared.cameras.stills.jpeg(&id, key).await {
        Ok(jpeg) => {
            let time = time.unwrap_or(0).to_string();
            let headers = [
                (header::CONTENT_TYPE, "image/jpeg"),
                (HeaderName::from_static("x-timestamp-90k"), time.as_str()),
            ];
            (headers, jpeg).into_response()
        }
        Err(error) => answer::error(StatusCode::SERVICE_UNAVAILABLE, "NoPicture", error.to_string()),
    }
}
