//! What is wrong, and what helps.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;

use crate::access::Caller;
use crate::answer;
use crate::health;
use crate::shared::Shares;

pub(super) async fn show(State(shared): Shares, Extension(caller): Extension<Caller>) -> Response {
    if !caller.sees_all() {
        return answer::error(
            StatusCode::FORBIDDEN,
            "CamerasOnly",
            "this login may look at its cameras alone",
        );
    }
    Json(health::report(&shared).await).into_response()
}
