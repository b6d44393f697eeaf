//! The same calls without the service API's envelope: the body is the payload, and the status is HTTP's.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::twin::{self, Update};
use super::{Service, answers};
use crate::methods::ANSWER_LIMIT;

#[utoipa::path(
    post,
    path = "/api/v1/methods/{name}",
    params(("name" = String, Path, description = "A direct method of either family, such as GraphInstanceActivate or livePipelineActivate")),
    request_body(content = Object, description = "The method's payload with its @apiVersion; may be empty"),
    responses(
        (status = 200, description = "Done; the body is the method's answer"),
        (status = 201, description = "Created"),
        (status = 202, description = "Takes longer than 25 seconds, and goes on"),
        (status = 204, description = "There was nothing to delete"),
        (status = 400, description = "The payload or a document in it is invalid"),
        (status = 404, description = "No such topology or instance"),
        (status = 409, description = "Not allowed in the present state"),
        (status = 501, description = "No such method"),
    )
)]
pub(super) async fn invoke(
    State(service): State<Service>,
    Path(name): Path<String>,
    body: Bytes,
) -> Response {
    let payload = match payload(&body) {
        Ok(payload) => payload,
        Err(message) => return answers::error(StatusCode::BAD_REQUEST, &message),
    };
    let answer = service.methods.invoke(&name, payload, ANSWER_LIMIT).await;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match status {
        StatusCode::NO_CONTENT => status.into_response(),
        _ => (status, Json(answer.payload)).into_response(),
    }
}

fn payload(body: &[u8]) -> Result<Value, String> {
    match body.trim_ascii() {
        [] => Ok(Value::Null),
        body => serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}")),
    }
}

#[utoipa::path(
    get,
    path = "/api/v1/instances",
    responses((status = 200, description = "All instances with their state, and what each received, sent, dropped and recorded since it was activated"))
)]
pub(super) async fn instances(State(service): State<Service>) -> Json<Value> {
    let module = service.methods.module();
    let all = module.instances().into_iter().map(|info| {
        let stats = module.stats(&info.name);
        json!({
            "name": info.name,
            "topology": info.topology,
            "state": info.state.word(info.family),
            "stats": stats,
        })
    });
    Json(json!({"value": all.collect::<Vec<_>>()}))
}

#[utoipa::path(get, path = "/api/v1/twin", responses(twin::Read))]
pub(super) async fn twin(State(service): State<Service>) -> Response {
    twin::document(&service).unwrap_or_else(refused)
}

#[utoipa::path(
    patch,
    path = "/api/v1/twin",
    request_body(content = Object, description = "properties.desired as a merge patch: null deletes. If-Match may have the ETag of the twin that is meant"),
    responses(twin::Changed),
)]
pub(super) async fn update_twin(State(service): State<Service>, headers: HeaderMap, body: Bytes) -> Response {
    twin::change(&service, &headers, &body, Update::Merge)
        .await
        .unwrap_or_else(refused)
}

fn refused(refusal: twin::Refusal) -> Response {
    answers::error(refusal.status, &refusal.message)
}
