//! The service API of IoT Hub for the methods of a module, so that its service SDKs drive this one with another host name.
//!
//! Source: the REST reference of `modules/invoke-method`, version 2021-04-12.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Service;

/// The hub's own bounds of `responseTimeoutInSeconds`, and its default.
const RESPONSE_SECONDS: std::ops::RangeInclusive<u64> = 5..=300;
const DEFAULT_SECONDS: u64 = 30;

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
    params(("device" = String, Path, description = "The device's name"), ("module" = String, Path, description = "The module's name")),
    request_body(content = Object, description = "methodName, payload, and optionally responseTimeoutInSeconds and connectTimeoutInSeconds"),
    responses(
        (status = 200, description = "The module has answered: its status and payload"),
        (status = 400, description = "The envelope is invalid"),
        (status = 404, description = "No such device or module here"),
    )
)]
pub(super) async fn invoke(
    State(service): State<Service>,
    Path((device, module)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let own = &service.identity;
    if device != own.device || module != own.module {
        let message = format!(
            "this is the module '{}' of the device '{}'",
            own.module, own.device
        );
        return error(StatusCode::NOT_FOUND, 404_010, "ModuleNotFound", &message);
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

/// The hub's form of an error: JSON in a string member of JSON.
fn error(status: StatusCode, code: u32, name: &'static str, message: &str) -> Response {
    let inner =
        json!({"errorCode": code, "trackingId": uuid::Uuid::new_v4().to_string(), "message": message});
    let body = json!({"Message": inner.to_string(), "ExceptionMessage": ""});
    let header = [(HeaderName::from_static("iothub-errorcode"), name)];
    (status, header, Json(body)).into_response()
}
