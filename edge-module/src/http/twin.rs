//! The twin over HTTP, in the form of the service API.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::Service;
use crate::twin::{DesiredChange, Precondition, TwinChangeError};

/// The answers to reading the twin, for the description of the server.
#[derive(utoipa::IntoResponses)]
#[allow(dead_code, reason = "describes, and is never made")]
pub(super) enum Read {
    /// The twin, without secrets, and its ETag
    #[response(status = 200)]
    Twin,
    /// The hub has not sent the twin yet
    #[response(status = 503)]
    NotYet,
}

/// The answers to changing the twin, by PATCH and by PUT.
#[derive(utoipa::IntoResponses)]
#[allow(dead_code, reason = "describes, and is never made")]
pub(super) enum Changed {
    /// The desired properties are saved and in force; the body is the twin
    #[response(status = 200)]
    Twin,
    /// The body is invalid, or more than a twin holds
    #[response(status = 400)]
    Invalid,
    /// The twin belongs to the hub
    #[response(status = 403)]
    OfHub,
    /// The twin has changed since (If-Match)
    #[response(status = 412)]
    Stale,
}

/// Why there is no twin in the answer.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

/// What a body does to the desired properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Update {
    Merge,
    Replace,
}

/// The twin.
pub(super) fn document(service: &Service) -> Result<Response, Refusal> {
    let view = service.twin.view().ok_or_else(|| Refusal {
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: "the hub has not sent the twin yet: ask again once the module has connected".to_owned(),
    })?;
    let own = &service.identity;
    let document = json!({
        "deviceId": own.device,
        "moduleId": own.module,
        "etag": view.tag,
        "version": view.desired.version,
        "status": "enabled",
        "connectionState": if view.is_connected { "Connected" } else { "Disconnected" },
        "properties": view.properties(),
    });
    // Base64 is a valid header.
    let tag = HeaderValue::from_str(&format!("\"{}\"", view.tag));
    let headers: HeaderMap = tag.ok().map(|tag| (header::ETAG, tag)).into_iter().collect();
    Ok((headers, Json(document)).into_response())
}

/// Changes the desired properties, and answers with the twin.
pub(super) async fn change(
    service: &Service,
    headers: &HeaderMap,
    body: &[u8],
    update: Update,
) -> Result<Response, Refusal> {
    let precondition =
        precondition(headers).ok_or_else(|| invalid("If-Match is not a list of entity tags"))?;
    if let Some(change) = read(body, update)? {
        service
            .twin
            .change(precondition, change)
            .await
            .map_err(|error| Refusal {
                status: match error {
                    TwinChangeError::OwnedByHub { .. } => StatusCode::FORBIDDEN,
                    TwinChangeError::Changed => StatusCode::PRECONDITION_FAILED,
                    TwinChangeError::Limit(_) => StatusCode::BAD_REQUEST,
                    TwinChangeError::Save(_) | TwinChangeError::Interrupted => {
                        StatusCode::INTERNAL_SERVER_ERROR
                    }
                },
                message: error.to_string(),
            })?;
    }
    document(service)
}

fn invalid(message: &str) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        message: message.to_owned(),
    }
}

/// `None` for a patch without desired properties. Callers often send the twin that they read: what is not theirs to write is
/// ignored.
fn read(body: &[u8], update: Update) -> Result<Option<DesiredChange>, Refusal> {
    let sent = serde_json::from_slice::<Map<String, Value>>(body);
    let mut sent = sent.map_err(|error| invalid(&format!("the body is not a twin: {error}")))?;
    if member(&mut sent, "tags")?.is_some_and(|tags| !tags.is_empty()) {
        return Err(invalid("a module keeps no tags: leave 'tags' out"));
    }
    let desired = match member(&mut sent, "properties")? {
        Some(mut properties) => member(&mut properties, "desired")?,
        None => None,
    };
    match (desired, update) {
        (Some(desired), Update::Merge) => Ok(Some(DesiredChange::Merge(desired))),
        (Some(desired), Update::Replace) => Ok(Some(DesiredChange::Replace(desired))),
        (None, Update::Merge) => Ok(None),
        (None, Update::Replace) => Err(invalid(
            "'properties.desired' is missing, which is to replace the twin's",
        )),
    }
}

/// An object, where there is one.
fn member(object: &mut Map<String, Value>, name: &str) -> Result<Option<Map<String, Value>>, Refusal> {
    match object.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(inner)) => Ok(Some(inner)),
        Some(_) => Err(invalid(&format!("'{name}' is not an object"))),
    }
}

/// `If-Match`; `None` where it cannot be read. The service SDK for Python writes `"*"` for `*`.
fn precondition(headers: &HeaderMap) -> Option<Precondition> {
    let mut tags = Vec::new();
    for value in headers.get_all(header::IF_MATCH) {
        for tag in value.to_str().ok()?.split(',').map(str::trim) {
            match tag.trim_matches('"') {
                "*" => return Some(Precondition::Any),
                "" => return None,
                tag => tags.push(tag.to_owned()),
            }
        }
    }
    match tags.is_empty() {
        true => Some(Precondition::Any),
        false => Some(Precondition::Tags(tags)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precondition_has_quotes_or_none() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, HeaderValue::from_str(value).unwrap());
            precondition(&headers)
        };
        assert_eq!(precondition(&HeaderMap::new()), Some(Precondition::Any));
        for any in ["*", "\"*\""] {
            assert_eq!(of(any), Some(Precondition::Any), "{any}");
        }
        let tags = |tags: &[&str]| {
            let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
            Some(Precondition::Tags(tags))
        };
        assert_eq!(of("\"AAE=\""), tags(&["AAE="]));
        assert_eq!(of("AAE="), tags(&["AAE="]));
        assert_eq!(of("\"a\", \"b\""), tags(&["a", "b"]));
        // A weak tag matches nothing (RFC 9110 section 13.1.1).
        assert_eq!(of("W/\"a\""), tags(&["W/\"a"]));
        for invalid in ["", "\"\"", "\"a\",,\"b\""] {
            assert_eq!(of(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn what_is_not_the_callers_to_write_is_ignored_and_tags_are_refused() {
        let merge = |body: &str| read(body.as_bytes(), Update::Merge);
        let whole = r#"{"deviceId":"d","etag":"x","tags":{},"properties":{"desired":{"a":1,"$version":3},"reported":{"b":2}}}"#;
        let Some(DesiredChange::Merge(patch)) = merge(whole).unwrap() else {
            panic!("no patch")
        };
        assert_eq!(patch["a"], 1);
        assert_eq!(merge("{}").unwrap(), None);
        for body in [
            "",
            "[]",
            r#"{"properties":[]}"#,
            r#"{"properties":{"desired":7}}"#,
            r#"{"tags":{"floor":"1"}}"#,
        ] {
            let refusal = merge(body).unwrap_err();
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{body}");
        }
        assert!(read(b"{}", Update::Replace).is_err());
    }
}
