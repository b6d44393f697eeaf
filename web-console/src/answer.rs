//! Answers of the API.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

/// An error with a code for programs and a message for people, which says what helps.
pub(crate) fn error(status: StatusCode, code: &str, message: impl Into<String>) -> Response {
    let body = json!({"error": {"code": code, "message": message.into()}});
    (status, Json(body)).into_response()
}

pub(crate) fn not_found() -> Response {
    error(
        StatusCode::NOT_FOUND,
        "NotFound",
        "there is nothing of this name here",
    )
}

pub(crate) fn no_camera() -> Response {
    let message = "there is no camera of this name, or you may not see it";
    error(StatusCode::NOT_FOUND, "NoCamera", message)
}
