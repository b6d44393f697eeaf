//! A value that was set as a secret stays one, and goes to no other endpoint.

use std::time::{SystemTime, UNIX_EPOCH};

use lva_graph_model::methods::{Action, Registry, RegistryOptions, Response};
use lva_graph_model::nodes::EndpointCredentials;
use serde_json::{Value, json};

use crate::support::{plaza, plaza_instance, with, without};

const SECRET: &str = "hunter2";

fn call(registry: &mut Registry, method: &str, payload: &Value) -> Result<Response, String> {
    let payload = with(payload.clone(), "/@apiVersion", json!("1.0"));
    match registry.call(method, &payload, SystemTime::now()) {
        Ok(Action::Done(response)) => Ok(response),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

/// A registry with the plaza, whose password has no default, and its instance.
fn inactive() -> Registry {
    let mut registry = Registry::new(RegistryOptions::default());
    call(&mut registry, "GraphTopologySet", &topology()).unwrap();
    call(&mut registry, "GraphInstanceSet", plaza_instance().to_value()).unwrap();
    registry
}

fn topology() -> Value {
    without(plaza(), "/properties/parameters/2/default")
}

fn got(registry: &mut Registry) -> Value {
    let got = call(registry, "GraphInstanceGet", &json!({"name": "Plaza-1"})).unwrap();
    assert!(!got.payload.to_string().contains(SECRET), "{}", got.payload);
    got.payload
}

/// The password that the camera would get.
fn password(registry: &mut Registry) -> String {
    let payload = json!({"@apiVersion": "1.0", "name": "Plaza-1"});
    let Ok(Action::Start(start)) = registry.call("GraphInstanceActivate", &payload, UNIX_EPOCH) else {
        panic!("it does not start")
    };
    match &start.graph.nodes()[0].kind.endpoint().unwrap().credentials {
        Some(EndpointCredentials::UsernamePassword(both)) => both.password().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_topology_with_a_weaker_type_is_refused_or_loses_the_value() {
    let mut registry = inactive();
    let weaker = with(topology(), "/properties/parameters/2/type", json!("String"));
    let error = call(&mut registry, "GraphTopologySet", &weaker).unwrap_err();
    assert!(error.contains("Plaza-1") && error.contains("pass"), "{error}");
    got(&mut registry);
    let with_default = with(weaker, "/properties/parameters/2/default", json!("none"));
    call(&mut registry, "GraphTopologySet", &with_default).unwrap();
    got(&mut registry);
    assert_eq!(password(&mut registry), "none");
}

#[test]
fn an_instance_that_moves_to_another_topology_takes_no_secret_along() {
    let mut registry = inactive();
    let other = with(topology(), "/name", json!("Other"));
    let other = with(other, "/properties/parameters/2/type", json!("String"));
    call(&mut registry, "GraphTopologySet", &other).unwrap();
    let moved = with(got(&mut registry), "/properties/topologyName", json!("Other"));
    let error = call(&mut registry, "GraphInstanceSet", &moved).unwrap_err();
    assert!(error.contains("pass") && !error.contains(SECRET), "{error}");
    assert_eq!(password(&mut registry), SECRET);
}

#[test]
fn no_other_endpoint_gets_a_secret_that_was_not_set_for_it() {
    let mut registry = inactive();
    let elsewhere = with(
        got(&mut registry),
        "/properties/parameters/0/value",
        json!("rtsp://evil:554/media/a.mkv"),
    );
    let error = call(&mut registry, "GraphInstanceSet", &elsewhere).unwrap_err();
    assert!(error.contains("pass"), "{error}");
    // Another path of the same camera is no other endpoint.
    let beside = with(
        got(&mut registry),
        "/properties/parameters/0/value",
        json!("rtsp://cam:554/media/b.mkv"),
    );
    call(&mut registry, "GraphInstanceSet", &beside).unwrap();

    let to_others = with(
        topology(),
        "/properties/sources/0/endpoint/url",
        json!("rtsp://evil/a"),
    );
    let error = call(&mut registry, "GraphTopologySet", &to_others).unwrap_err();
    assert!(error.contains("Plaza-1"), "{error}");
    // A change that does not concern it.
    let slower = with(topology(), "/properties/parameters/3/default", json!("5"));
    call(&mut registry, "GraphTopologySet", &slower).unwrap();
    assert_eq!(password(&mut registry), SECRET);
}

#[test]
fn saved_and_restored_it_is_a_secret_still() {
    let mut registry = inactive();
    let mut saved = registry.save();
    assert_eq!(saved["instances"][0]["secrets"], json!(["pass"]));
    // As another program, or an older version, may have left it.
    saved["topologies"][0]["document"]["properties"]["parameters"][2]["type"] = json!("String");
    let mut restored = Registry::restore(&saved, RegistryOptions::default())
        .unwrap()
        .registry;
    got(&mut restored);
    got(&mut registry);
}

#[test]
fn a_user_in_an_address_is_not_shown_and_stays_when_the_answer_is_set() {
    let mut registry = inactive();
    let instance = json!({"name": "Plaza-1", "properties": {"topologyName": "Plaza", "parameters": [
        {"name": "url", "value": "rtsp://me:hunter2@cam:554/1"}, {"name": "pass", "value": "other"},
    ]}});
    let set = call(&mut registry, "GraphInstanceSet", &instance).unwrap();
    assert!(!set.payload.to_string().contains(SECRET), "{}", set.payload);
    let shown = got(&mut registry);
    assert_eq!(shown["properties"]["parameters"][0]["value"], "rtsp://cam:554/1");
    let described = with(shown, "/properties/description", json!("d"));
    call(&mut registry, "GraphInstanceSet", &described).unwrap();
    let saved = registry.save().to_string();
    assert!(saved.contains("rtsp://me:hunter2@cam:554/1"), "{saved}");
    // At another host it is not.
    let moved = with(
        got(&mut registry),
        "/properties/parameters/0/value",
        json!("rtsp://evil/1"),
    );
    let _ = call(&mut registry, "GraphInstanceSet", &moved);
    assert!(!registry.save().to_string().contains("hunter2@evil"));
}
