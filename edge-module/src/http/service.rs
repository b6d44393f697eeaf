//! The service API of IoT Hub for the methods and the twin of a module, so that its service SDKs drive this one with another
//! host name.
//!
//! Source: the REST reference of `modules/invoke-method` and `modules/get-twin`, version 2021-04-12.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Service;
use super::twin::{self, Update};

/// The hub's own bounds of `responseTimeoutInSeconds`, and its default.
const RESPONSE_SECONDS: std::ops::RangeInclusive<u64> = 5..=300;
const DEFAULT_SECONDS: u64 = 30;

/// The module that a call is for.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ModuleNames {
    /// The device's name.
    device: String,
    /// The module's name.
    module: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    method_name: String,
    #[serde(default)]
    response_timeout_in_seconds: Option<u64>,
    #[serde(default)]
    payload: Value,
}

#[utoipa::path(
    post,
    path = "/twins/{device}/modules/{module}/methods",
    params(ModuleNames),
    request_body(content = Object, description = "methodName, payload, and optionally responseTimeoutInSeconds and connectTimeoutInSeconds"),
    responses(
        (status = 200, description = "The module has answered: its status and payload"),
        (status = 400, description = "The envelope is invalid"),
        (status = 404, description = "No such device or module here"),
    )
)]
pub(super) async fn invoke(
    State(service): State<Service>,
    Path(names): Path<ModuleNames>,
    body: Bytes,
) -> Response {
    if let Some(refused) = foreign(&service, &names) {
        return refused;
    }
    let call: Call = match serde_json::from_slice(&body) {
        Ok(call) => call,
        Err(why) => {
            let message = format!("the body is not a method call with a methodName: {why}");
            return error(StatusCode::BAD_REQUEST, 400_004, "ArgumentInvalid", &message);
        }
    };
    let seconds = match call.response_timeout_in_seconds {
        None | Some(0) => DEFAULT_SECONDS,
        Some(seconds) => seconds.clamp(*RESPONSE_SECONDS.start(), *RESPONSE_SECONDS.end()),
    };
    // Answered a second before the caller gives up.
    let limit = Duration::from_secs(seconds.saturating_sub(1));
    let answer = service
        .methods
        .invoke(&call.method_name, call.payload, limit)
        .await;
    Json(json!({"status": answer.status, "payload": answer.payload})).into_response()
}

#[utoipa::path(
    get,
    path = "/twins/{device}/modules/{module}",
    params(ModuleNames),
    responses(twin::Read, (status = 404, description = "No such device or module here")),
)]
pub(super) async fn twin(State(service): State<Service>, Path(names): Path<ModuleNames>) -> Response {
    match foreign(&service, &names) {
        None => twin::document(&service).unwrap_or_else(refused),
        Some(refused) => refused,
    }
}

#[utoipa::path(
    patch,
    path = "/twins/{device}/modules/{module}",
    params(ModuleNames),
    request_body(content = Object, description = "properties.desired as a merge patch: null deletes. If-Match may have the ETag of the twin that is meant"),
    responses(twin::Changed, (status = 404, description = "No such device or module here")),
)]
pub(super) async fn update_twin(
    State(service): State<Service>,
    Path(names): Path<ModuleNames>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    change_twin(&service, &names, &headers, &body, Update::Merge).await
}

#[utoipa::path(
    put,
    path = "/twins/{device}/modules/{module}",
    params(ModuleNames),
    request_body(content = Object, description = "properties.desired, which replaces all desired properties. If-Match may have the ETag of the twin that is meant"),
    responses(twin::Changed, (status = 404, description = "No such device or module here")),
)]
pub(super) async fn replace_twin(
    State(service): State<Service>,
    Path(names): Path<ModuleNames>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    change_twin(&service, &names, &headers, &body, Update::Replace).await
}

async fn change_twin(
    service: &Service,
    names: &ModuleNames,
    headers: &HeaderMap,
    body: &[u8],
    update: Update,
) -> Response {
    match foreign(service, names) {
        None => twin::change(service, headers, body, update)
            .await
            .unwrap_or_else(refused),
        Some(refused) => refused,
    }
}

/// The answer where these are not the names of this module.
fn foreign(service: &Service, names: &ModuleNames) -> Option<Response> {
    let own = &service.identity;
    if names.device == own.device && names.module == own.module {
        return None;
    }
    let message = format!(
        "this is the module '{}' of the device '{}'",
        own.module, own.device
    );
    let status = StatusCode::NOT_FOUND;
    Some(error(status, 404_010, "ModuleNotFound", &message))
}

/// The hub's codes for what becomes of a twin.
fn refused(refusal: twin::Refusal) -> Response {
    let (code, name) = match refusal.status {
        StatusCode::BAD_REQUEST => (400_004, "ArgumentInvalid"),
        StatusCode::FORBIDDEN => (403_000, "GenericForbidden"),
        StatusCode::PRECONDITION_FAILED => (412_001, "PreconditionFailed"),
        StatusCode::SERVICE_UNAVAILABLE => (503_001, "ServiceUnavailable"),
        _ => (500_000, "ServerError"),
    };
    error(refusal.status, code, name, &refusal.message)
}

/// The hub's form of an error: JSON in a string member of JSON.
fn error(status: StatusCode, code: u32, name: &'static str, message: &str) -> Response {
    let inner =
        json!({"errorCode": code, "trackingId": uuid::Uuid::new_v4().to_string(), "message": message});
    let body = json!({"Message": inner.to_string(), "ExceptionMessage": ""});
    let header = [(HeaderName::from_static("iothub-errorcode"), name)];
    (status, header, Json(body)).into_response()
}
