//! The OpenAPI description of the server.

use axum::Json;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Live Video Analytics module",
        description = "Direct methods of Live Video Analytics and Video Analyzer over HTTP. Off loopback, every call needs the bearer token of the module's data directory."
    ),
    paths(super::plain::invoke, super::plain::instances, super::service::invoke)
)]
struct Description;

pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}
