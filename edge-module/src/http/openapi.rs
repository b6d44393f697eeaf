//! The OpenAPI description of the server.

use axum::Json;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Live Video Analytics module",
        description = "Direct methods and the twin of Live Video Analytics and Video Analyzer over HTTP. Off loopback, every call needs the bearer token of the module's data directory, or a shared access signature where a key for them is configured."
    ),
    paths(
        super::plain::invoke,
        super::plain::instances,
        super::plain::twin,
        super::plain::update_twin,
        super::service::invoke,
        super::service::twin,
        super::service::update_twin,
        super::service::replace_twin
    )
)]
struct Description;

pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}
