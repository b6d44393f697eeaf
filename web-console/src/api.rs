//! The routes of the API.

mod health;
mod lists;
mod live;
mod recordings;
mod scene;
mod session;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use crate::access::{self, Access};
use crate::answer;
use crate::shared::Shared;

/// Everything below `api/`.
pub(crate) fn routes(access: Arc<Access>) -> Router<Arc<Shared>> {
    let changing = Router::new()
        .route("/methods/{method}", post(lists::invoke))
        .route("/cameras/{id}/scene", post(scene::save))
        .layer(from_fn(access::operators_only));
    Router::new()
        .route("/cameras", get(lists::cameras))
        .route("/cameras/{id}/live", get(live::watch))
        .route("/cameras/{id}/live.mjpeg", get(live::jpeg))
        .route("/cameras/{id}/still.jpg", get(live::still))
        .route("/cameras/{id}/scene", get(scene::show))
        .route("/cameras/{id}/scene/check", post(scene::check))
        .route("/cameras/{id}/what-if", post(scene::what_if))
        .route("/cameras/{id}/recordings", get(recordings::list))
        .route("/cameras/{id}/recordings/play.mp4", get(recordings::play))
        .route("/events", get(lists::events))
        .route("/events/{id}/picture.jpg", get(lists::picture))
        .route("/graphs", get(lists::graphs))
        .route("/health", get(health::show))
        .merge(changing)
        .fallback(|| async { answer::not_found() })
        .layer(from_fn_with_state(access, access::known_callers_only))
        // Before anybody is known.
        .route("/session", get(session::session))
        .route("/login", post(session::log_in))
        .route("/logout", post(session::log_out))
}
