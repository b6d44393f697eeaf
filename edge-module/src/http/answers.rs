//! Errors of the server itself, in one form.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// `{"error": {"code", "message"}}`, as methods answer.
pub(super) fn error(status: StatusCode, message: &str) -> Response {
    let code = status.canonical_reason().unwrap_or_default().replace(' ', "");
    (status, Json(json!({"error": {"code": code, "message": message}}))).into_response()
}

pub(super) async fn not_found() -> Response {
    error(
        StatusCode::NOT_FOUND,
        "no such address: GET /api/v1/openapi.json lists all of them",
    )
}

pub(super) async fn not_allowed() -> Response {
    error(
        StatusCode::METHOD_NOT_ALLOWED,
        "this address takes another HTTP method: GET /api/v1/openapi.json lists all of them",
    )
}
