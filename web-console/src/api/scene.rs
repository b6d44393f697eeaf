//! Zones and lines: shown, checked, saved, and tried on what has happened.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use lva_graph_model::methods::InstanceState;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Caller;
use crate::answer;
use crate::documents::{self, find, text};
use crate::events::{EventQuery, imagined};
use crate::scene::{self, ConfiguredScene};
use crate::shared::{Shared, Shares};

/// What the page sends.
#[derive(Deserialize)]
pub(super) struct Edited {
    scene: Value,
}

async fn configured(shared: &Shared, caller: &Caller, id: &str) -> Result<ConfiguredScene, Response> {
    let seen = caller.sees(id).then(|| scene::configured(&shared.module, id));
    let scene = match seen {
        Some(reading) => reading.await,
        None => None,
    };
    scene.ok_or_else(answer::no_camera)
}

pub(super) async fn show(
    State(shared): Shares,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Response {
    match configured(&shared, &caller, &id).await {
        Ok(scene) => Json(scene.to_json()).into_response(),
        Err(refusal) => refusal,
    }
}

pub(super) async fn check(
    State(shared): Shares,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(Edited { scene }): Json<Edited>,
) -> Response {
    match configured(&shared, &caller, &id).await {
        Ok(present) => {
            let forms = scene::forms(&scene, present.parameter.as_deref());
            Json(json!({"findings": scene::check(&scene), "forms": forms})).into_response()
        }
        Err(refusal) => refusal,
    }
}

/// Writes the scene into the instance's parameter, and activates the instance again if it runs.
pub(super) async fn save(
    State(shared): Shares,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(Edited { scene }): Json<Edited>,
) -> Response {
    let present = match configured(&shared, &caller, &id).await {
        Ok(present) => present,
        Err(refusal) => return refusal,
    };
    let Some(parameter) = &present.parameter else {
        let message = "this camera has no parameter for its zones, or one with settings that would be lost: copy the JSON to where they are configured";
        return answer::error(StatusCode::CONFLICT, "NotWritable", message);
    };
    let findings = scene::check(&scene);
    if findings.iter().any(|finding| finding["severity"] == "error") {
        let error = json!({"code": "InvalidScene", "message": "the scene has errors: nothing was saved"});
        let body = json!({"error": error, "findings": findings});
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    }
    match write(&shared, &id, parameter, &present.written.with(&scene)).await {
        Ok(()) => Json(json!({"saved": true, "findings": findings})).into_response(),
        Err((status, payload)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, Json(payload)).into_response()
        }
    }
}

/// The answer of the method that failed.
type Failed = (u16, Value);

async fn write(shared: &Shared, id: &str, parameter: &str, value: &str) -> Result<(), Failed> {
    let Some(mut instance) = documents::named(&shared.module, "GraphInstanceList", id).await else {
        let error = json!({"code": "NoCamera", "message": "the instance is gone"});
        return Err((404, json!({"error": error})));
    };
    set_parameter(&mut instance, parameter, value);
    if let Some(members) = instance.as_object_mut() {
        members.retain(|name, _| !name.eq_ignore_ascii_case("systemData"));
        members.insert("@apiVersion".to_owned(), json!("2.0"));
    }
    let named = json!({"@apiVersion": "2.0", "name": id});
    let call = async |method: &str, payload: Value| match shared.invoke(method, payload).await {
        (status, payload) if status >= 300 => Err((status, payload)),
        _ => Ok(()),
    };
    let runs = shared.module.state(id) == Some(InstanceState::Active);
    if runs {
        call("GraphInstanceDeactivate", named.clone()).await?;
    }
    let saved = call("GraphInstanceSet", instance).await;
    if runs {
        // What ran before runs again, also where the new value was refused.
        call("GraphInstanceActivate", named).await?;
    }
    saved
}

/// Secrets come back without a value, and keep theirs when they are set so.
fn set_parameter(instance: &mut Value, name: &str, value: &str) {
    let key = |value: &Value, name: &str| {
        let members = value.as_object()?;
        members.keys().find(|own| own.eq_ignore_ascii_case(name)).cloned()
    };
    let properties = key(instance, "properties").unwrap_or_else(|| "properties".to_owned());
    let properties = &mut instance[properties];
    let parameters = key(properties, "parameters").unwrap_or_else(|| "parameters".to_owned());
    let parameters = &mut properties[parameters];
    if !parameters.is_array() {
        *parameters = json!([]);
    }
    if let Some(list) = parameters.as_array_mut() {
        list.retain(|entry| text(entry, "name") != name);
        list.push(json!({"name": name, "value": value}));
    }
}

/// What the edited scene would have given in the last minutes, beside what the present one gives.
pub(super) async fn what_if(
    State(shared): Shares,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Json(Edited { scene }): Json<Edited>,
) -> Response {
    let present = match configured(&shared, &caller, &id).await {
        Ok(present) => present,
        Err(refusal) => return refusal,
    };
    let tracked = shared.cameras.live(&id).and_then(|live| live.tracked());
    let Some(tracked) = tracked else {
        return Json(json!({"from": null, "to": null, "before": [], "after": []})).into_response();
    };
    let edited = match scene::read(&scene) {
        Ok(edited) => edited,
        Err(error) => return answer::error(StatusCode::BAD_REQUEST, "InvalidScene", error.to_string()),
    };
    let Ok(_place) = shared.replays.acquire().await else {
        return answer::not_found(); // never closed
    };
    let (from, to) = tracked.span();
    let frames = Arc::new(tracked);
    let replayed = {
        let (frames, present) = (Arc::clone(&frames), present.operation());
        tokio::task::spawn_blocking(move || {
            let after = scene::replay(&edited, &frames)?;
            let before = present.map(|present| scene::replay(&present, &frames));
            Ok::<_, lva_spatial_analysis::OperationError>((before.transpose()?, after))
        })
        .await
    };
    let (before, after) = match replayed {
        Ok(Ok(replayed)) => replayed,
        Ok(Err(error)) => return answer::error(StatusCode::BAD_REQUEST, "InvalidScene", error.to_string()),
        Err(_panicked) => {
            let message = "a fault of this program interrupted it; see the log";
            return answer::error(StatusCode::INTERNAL_SERVER_ERROR, "Failed", message);
        }
    };
    let before = match before {
        Some(before) => json!(imagined(&id, &before)),
        // Its rules are not known here: what they have reported.
        None => {
            let listed = shared.events.list(&EventQuery::of_camera(&id), |_| true);
            let events = find(&listed, &["events"]).and_then(Value::as_array);
            let is_within = |event: &&Value| {
                event["timestamp90k"]
                    .as_u64()
                    .is_some_and(|time| time >= from && time <= to)
            };
            let mut events: Vec<Value> = events.into_iter().flatten().filter(is_within).cloned().collect();
            events.reverse();
            json!(events)
        }
    };
    Json(json!({"from": from, "to": to, "before": before, "after": imagined(&id, &after)})).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_replaced_or_added_and_others_stay_as_they_are() {
        let mut instance = json!({"name": "a", "Properties": {"parameters": [{"name": "secret"}, {"Name": "scene", "value": "old"}]}});
        set_parameter(&mut instance, "scene", "new");
        assert_eq!(
            instance["Properties"]["parameters"],
            json!([{"name": "secret"}, {"name": "scene", "value": "new"}])
        );
        let mut bare = json!({"name": "a"});
        set_parameter(&mut bare, "scene", "new");
        assert_eq!(bare["properties"]["parameters"][0]["value"], "new");
    }
}
