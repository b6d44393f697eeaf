//! Lives of instances, and every error.

mod devices;
mod pages;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lva_graph_model::methods::{
    Action, Completion, InstanceState, MethodCall, MethodError, Registry, RegistryOptions, Response,
};
use lva_graph_model::{Family, Generation, Strictness, Topology};
use serde_json::{Value, json};

use crate::support::{plaza, plaza_instance, street, with, without};

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_589_738_026)
}

fn open() -> Registry {
    Registry::new(RegistryOptions::default())
}

fn call(registry: &mut Registry, method: &str, payload: &Value) -> Result<Action, MethodError> {
    let mut payload = payload.clone();
    if let Value::Object(map) = &mut payload {
        let version = if method.starts_with("Graph") { "1.0" } else { "1.1" };
        map.entry("@apiVersion").or_insert(json!(version));
    }
    registry.call(method, &payload, now())
}

fn done(registry: &mut Registry, method: &str, payload: &Value) -> Response {
    match call(registry, method, payload) {
        Ok(Action::Done(response)) => response,
        other => panic!("{method}: {other:?}"),
    }
}

fn refused(registry: &mut Registry, method: &str, payload: &Value) -> (u16, String, String) {
    let error = call(registry, method, payload).unwrap_err();
    let response = error.to_response();
    let body = &response.payload["error"];
    let detail = body["details"][0]["code"].as_str().unwrap_or_default().to_owned();
    assert_eq!(body["message"], error.to_string());
    (response.status, body["code"].as_str().unwrap().to_owned(), detail)
}

fn name(name: &str) -> Value {
    json!({"name": name})
}

/// A registry with the plaza and an instance in a state.
fn in_state(state: InstanceState, strictness: Strictness) -> Registry {
    let mut registry = Registry::new(RegistryOptions::default().with_strictness(strictness));
    assert_eq!(done(&mut registry, "GraphTopologySet", &plaza()).status, 201);
    assert_eq!(
        done(&mut registry, "GraphInstanceSet", plaza_instance().to_value()).status,
        201
    );
    if state != InstanceState::Inactive {
        let started = call(&mut registry, "GraphInstanceActivate", &name("Plaza-1")).unwrap();
        assert!(matches!(started, Action::Start(_)));
    }
    if matches!(state, InstanceState::Active | InstanceState::Deactivating) {
        registry.complete("Plaza-1", Completion::Activated).unwrap();
    }
    if state == InstanceState::Deactivating {
        let stopped = call(&mut registry, "GraphInstanceDeactivate", &name("Plaza-1")).unwrap();
        assert_eq!(
            stopped,
            Action::Stop {
                instance: "Plaza-1".into()
            }
        );
    }
    assert_eq!(registry.state("Plaza-1"), Some(state));
    registry
}

#[test]
fn a_whole_life() {
    let mut registry = open();
    let set = done(&mut registry, "GraphTopologySet", &plaza());
    assert_eq!(set.status, 201);
    assert_eq!(set.payload["systemData"]["createdAt"], "2020-05-17T17:53:46.000Z");
    let set = done(&mut registry, "GraphInstanceSet", plaza_instance().to_value());
    assert_eq!(
        (set.status, &set.payload["properties"]["state"]),
        (201, &json!("Inactive"))
    );
    assert!(!set.payload.to_string().contains("hunter2"));
    assert_eq!(
        set.payload["properties"]["parameters"][1],
        json!({"name": "pass"})
    );
    let Ok(Action::Start(start)) = call(&mut registry, "GraphInstanceActivate", &name("Plaza-1")) else {
        panic!()
    };
    assert_eq!(
        (start.instance.as_str(), start.graph.nodes().len(), start.answer),
        ("Plaza-1", 6, None)
    );
    assert_eq!(
        registry
            .complete("Plaza-1", Completion::Activated)
            .unwrap()
            .status,
        200
    );
    let list = done(&mut registry, "GraphInstanceList", &json!({}));
    assert_eq!(list.payload["value"][0]["properties"]["state"], "Active");
    assert_eq!(
        call(&mut registry, "GraphInstanceDeactivate", &name("Plaza-1")).unwrap(),
        Action::Stop {
            instance: "Plaza-1".into()
        }
    );
    registry.complete("Plaza-1", Completion::Deactivated).unwrap();
    assert_eq!(
        done(&mut registry, "GraphInstanceDelete", &name("Plaza-1")).status,
        200
    );
    assert_eq!(
        done(&mut registry, "GraphInstanceDelete", &name("Plaza-1")).status,
        204
    );
    assert_eq!(
        done(&mut registry, "GraphTopologyDelete", &name("Plaza")).status,
        200
    );
    assert_eq!(
        done(&mut registry, "GraphTopologyDelete", &name("Plaza")).status,
        204
    );
    assert_eq!(
        done(&mut registry, "GraphTopologyList", &json!({})).payload,
        json!({"value": []})
    );
}

/// What each method does to an instance in each state; `start`, `stop` and `wait` are outcomes, numbers answers.
#[test]
fn every_state_meets_every_method() {
    use InstanceState as S;
    let changed = with(
        plaza_instance().to_value().clone(),
        "/properties/description",
        json!("changed"),
    );
    let other = with(plaza(), "/properties/description", json!("changed"));
    let same = plaza_instance().to_value().clone();
    let in_use = "409 GraphTopologyInUse";
    let not_allowed = "409 OperationNotAllowedInState";
    let rows: [(&str, Value, [&str; 4]); 11] = [
        // Inactive, Activating, Active, Deactivating
        ("GraphTopologySet", other, ["200", in_use, in_use, in_use]),
        ("GraphTopologySet", plaza(), ["200", "200", "200", "200"]),
        ("GraphTopologyGet", name("Plaza"), ["200", "200", "200", "200"]),
        (
            "GraphTopologyDelete",
            name("Plaza"),
            [in_use, in_use, in_use, in_use],
        ),
        (
            "GraphInstanceSet",
            changed,
            ["200", not_allowed, not_allowed, not_allowed],
        ),
        ("GraphInstanceSet", same, ["200", "200", "200", "200"]),
        ("GraphInstanceGet", name("Plaza-1"), ["200", "200", "200", "200"]),
        (
            "GraphInstanceDelete",
            name("Plaza-1"),
            ["200", not_allowed, not_allowed, not_allowed],
        ),
        (
            "GraphInstanceActivate",
            name("Plaza-1"),
            ["start", "wait", "200", not_allowed],
        ),
        (
            "GraphInstanceDeactivate",
            name("Plaza-1"),
            ["200", "stop", "stop", "wait"],
        ),
        (
            "livePipelineActivate",
            name("Plaza-1"),
            ["start and 200", "200", "200", not_allowed],
        ),
    ];
    for (method, payload, expected) in rows {
        for (state, expected) in S::ALL.into_iter().zip(expected) {
            let mut registry = in_state(state, Strictness::Open);
            let found = match call(&mut registry, method, &payload) {
                Ok(Action::Done(response)) => response.status.to_string(),
                Ok(Action::Start(start)) => match start.answer {
                    None => "start".to_owned(),
                    Some(answer) => format!("start and {}", answer.status),
                },
                Ok(Action::Stop { .. }) => "stop".to_owned(),
                Ok(Action::Wait { .. }) => "wait".to_owned(),
                Ok(other) => panic!("{method} in {state}: {other:?}"),
                Err(error) => format!("{} {}", error.status(), error.fault.details()[0].code),
            };
            assert_eq!(found, expected, "{method} in {state}");
        }
    }
    let mut compatible = in_state(S::Activating, Strictness::Compatible);
    let error = call(&mut compatible, "GraphInstanceDeactivate", &name("Plaza-1")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "GraphInstanceDeactivate 'Plaza-1': the instance is Activating, and this needs it to be Active or Inactive: \
         wait until it is Active"
    );
}

#[test]
fn every_state_meets_every_report() {
    use InstanceState as S;
    let failed = || Completion::Failed {
        node: Some("camera".into()),
        message: "no route to host: is the camera on?".into(),
    };
    let rows: [(S, Completion, u16, S); 12] = [
        (S::Inactive, Completion::Activated, 500, S::Inactive),
        (S::Inactive, failed(), 200, S::Inactive),
        (S::Inactive, Completion::Deactivated, 200, S::Inactive),
        (S::Activating, Completion::Activated, 200, S::Active),
        (S::Activating, failed(), 409, S::Inactive),
        (S::Activating, Completion::Deactivated, 409, S::Inactive),
        (S::Active, Completion::Activated, 200, S::Active),
        (S::Active, failed(), 409, S::Inactive),
        (S::Active, Completion::Deactivated, 200, S::Inactive),
        (S::Deactivating, Completion::Activated, 409, S::Deactivating),
        (S::Deactivating, failed(), 200, S::Inactive),
        (S::Deactivating, Completion::Deactivated, 200, S::Inactive),
    ];
    for (state, report, status, after) in rows {
        let mut registry = in_state(state, Strictness::Open);
        let response = registry
            .complete("Plaza-1", report.clone())
            .unwrap_or_else(|error| error.to_response());
        assert_eq!(
            (response.status, registry.state("Plaza-1")),
            (status, Some(after)),
            "{report:?} in {state}"
        );
    }
    let error = in_state(S::Activating, Strictness::Open)
        .complete("Plaza-1", failed())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "GraphInstanceActivate 'Plaza-1': node 'camera': no route to host: is the camera on?"
    );
    assert_eq!(
        error.to_response().payload["error"]["details"][0]["code"],
        "ResourceValidationError"
    );
    assert_eq!(open().complete("absent", failed()).unwrap_err().status(), 404);
}

#[test]
fn every_refusal_has_its_status_and_code() {
    let mut registry = in_state(InstanceState::Inactive, Strictness::Open);
    let bad_version = with(name("x"), "/@apiVersion", json!("3.0"));
    let unknown_topology = json!({"name": "i", "properties": {"topologyName": "Nowhere"}});
    let missing = json!({"name": "i", "properties": {"topologyName": "Plaza"}});
    let broken = with(plaza(), "/properties/sinks/1/inputs/0/nodeName", json!("visoin"));
    let wrong_url = json!({"name": "i", "properties": {"topologyName": "Plaza", "parameters": [{"name": "url", "value": "http://cam"}]}});
    let needs_more = with(
        plaza(),
        "/properties/parameters/4",
        json!({"name": "more", "type": "Int"}),
    );
    let rows: [(&str, Value, u16, &str, &str); 20] = [
        ("MakeCoffee", json!({}), 501, "NotImplemented", ""),
        ("GraphDeviceAdapterSet", json!({}), 501, "NotImplemented", ""),
        ("GraphTopologyList", Value::Null, 400, "BadRequest", ""),
        ("GraphTopologyList", json!([]), 400, "BadRequest", ""),
        (
            "GraphTopologyGet",
            bad_version,
            400,
            "BadRequest",
            "ApiVersionNotSupported",
        ),
        ("GraphTopologyGet", json!({}), 400, "BadRequest", ""),
        ("GraphTopologyGet", json!({"name": 7}), 400, "BadRequest", ""),
        ("GraphTopologyGet", name("Nowhere"), 404, "NotFound", ""),
        ("GraphInstanceGet", name("absent"), 404, "NotFound", ""),
        ("GraphInstanceActivate", name("absent"), 404, "NotFound", ""),
        ("GraphInstanceDeactivate", name("absent"), 404, "NotFound", ""),
        (
            "GraphTopologySet",
            json!({"name": "c", "kind": "live"}),
            400,
            "BadRequest",
            "",
        ),
        ("GraphTopologySet", broken, 400, "InvalidResource", "NodeNotFound"),
        (
            "GraphTopologySet",
            needs_more,
            409,
            "Conflict",
            "ParameterMissing",
        ),
        (
            "GraphTopologyDelete",
            name("Plaza"),
            409,
            "Conflict",
            "GraphTopologyInUse",
        ),
        (
            "pipelineTopologyDelete",
            name("Plaza"),
            409,
            "Conflict",
            "PipelineTopologyInUse",
        ),
        (
            "GraphInstanceSet",
            unknown_topology,
            400,
            "InvalidResource",
            "TopologyNotFound",
        ),
        (
            "GraphInstanceSet",
            missing,
            400,
            "InvalidResource",
            "ParameterMissing",
        ),
        (
            "GraphInstanceSet",
            wrong_url,
            400,
            "InvalidResource",
            "RtspEndpointUrlInvalidScheme",
        ),
        (
            "GraphTopologyList",
            json!({"@query": "$orderby=age"}),
            400,
            "BadRequest",
            "",
        ),
    ];
    for (method, payload, status, code, detail) in rows {
        let found = refused(&mut registry, method, &payload);
        assert_eq!(
            found,
            (status, code.to_owned(), detail.to_owned()),
            "{method} {payload}"
        );
    }
    let error = registry.call("GraphTopologyList", &json!({}), now()).unwrap_err();
    assert_eq!(error.to_response().payload["error"]["code"], "InvalidVersion");
    let error = call(
        &mut registry,
        "GraphTopologyList",
        &json!({"@continuationToken": "forged"}),
    )
    .unwrap_err();
    assert_eq!(error.status(), 400);
    let target = call(
        &mut registry,
        "GraphTopologySet",
        &with(plaza(), "/properties/sinks/0/assetNamePattern", json!("a/b")),
    )
    .unwrap_err()
    .to_response();
    assert_eq!(
        target.payload["error"]["details"][0]["target"],
        "$.Properties.Sinks[0].AssetNamePattern"
    );
    assert_eq!(
        target.payload["error"]["details"][0]["code"],
        "PropertyValueInvalidPattern"
    );
}

#[test]
fn refusals_read_well() {
    let mut registry = open();
    done(&mut registry, "GraphTopologySet", &plaza());
    let missing = json!({"name": "X", "properties": {"topologyName": "Plaza"}});
    let error = call(&mut registry, "GraphInstanceSet", &missing).unwrap_err();
    assert_eq!(
        error.to_string(),
        "GraphInstanceSet 'X': parameter 'url' has no value and no default: set it in the instance"
    );
    let error = registry
        .call(
            "GraphTopologySet",
            &with(plaza(), "/@apiVersion", json!("1.1")),
            now(),
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "GraphTopologySet: The API version '1.1' is not supported. Supported version(s): 1.0, 2.0."
    );
    for (topology, text) in [
        (
            json!("Nowhere"),
            "GraphInstanceSet 'X': there is no topology 'Nowhere': set it first",
        ),
        (
            json!(""),
            "GraphInstanceSet 'X': 'properties.topologyName' is missing: name the topology",
        ),
    ] {
        let instance = json!({"name": "X", "properties": {"topologyName": topology}});
        let error = call(&mut registry, "GraphInstanceSet", &instance).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_full_registry_takes_no_more() {
    let mut registry = Registry::new(RegistryOptions::default().with_strictness(Strictness::Compatible));
    let version_2 = without(
        with(street(), "/@apiVersion", json!("1.1")),
        "/properties/sinks/0",
    );
    for i in 0..50 {
        let named = with(version_2.clone(), "/name", json!(format!("t-{i}")));
        assert_eq!(done(&mut registry, "pipelineTopologySet", &named).status, 201);
    }
    let found = refused(&mut registry, "pipelineTopologySet", &version_2);
    assert_eq!(found, (409, "Conflict".into(), "QuotaExceeded".into()));
}

#[test]
fn a_suspended_instance_is_saved_as_active_until_a_method_decides_otherwise() {
    let active = |registry: &Registry| registry.save()["instances"][0]["active"].clone();
    let mut registry = in_state(InstanceState::Active, Strictness::Open);
    let answer = registry.complete("Plaza-1", Completion::Suspended).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(registry.state("Plaza-1"), Some(InstanceState::Inactive));
    assert_eq!(active(&registry), true);
    registry.complete("Plaza-1", Completion::Suspended).unwrap();
    assert_eq!(active(&registry), true);
    done(&mut registry, "GraphInstanceDeactivate", &name("Plaza-1"));
    assert_eq!(active(&registry), false);

    let mut registry = in_state(InstanceState::Activating, Strictness::Open);
    registry.complete("Plaza-1", Completion::Suspended).unwrap_err();
    assert_eq!(active(&registry), true);
    let mut registry = in_state(InstanceState::Deactivating, Strictness::Open);
    registry.complete("Plaza-1", Completion::Suspended).unwrap();
    assert_eq!(active(&registry), false);
}

#[test]
fn an_instance_can_be_got_changed_and_set_without_losing_its_secret() {
    let mut registry = in_state(InstanceState::Inactive, Strictness::Open);
    let got = done(&mut registry, "GraphInstanceGet", &name("Plaza-1")).payload;
    let changed = with(got, "/properties/description", json!("brighter"));
    assert_eq!(done(&mut registry, "GraphInstanceSet", &changed).status, 200);
    let Ok(Action::Start(start)) = call(&mut registry, "GraphInstanceActivate", &name("Plaza-1")) else {
        panic!()
    };
    let lva_graph_model::Node::RtspSource(camera) = &start.graph.nodes()[0].kind else {
        panic!()
    };
    let Some(lva_graph_model::nodes::EndpointCredentials::UsernamePassword(credentials)) =
        &camera.endpoint.credentials
    else {
        panic!()
    };
    assert_eq!(credentials.password(), "hunter2");
}

#[test]
fn what_a_get_gave_is_identical_when_it_is_set_again() {
    let mut registry = in_state(InstanceState::Active, Strictness::Open);
    let got = done(&mut registry, "GraphInstanceGet", &name("Plaza-1")).payload;
    assert_eq!(got["properties"]["state"], "Active");
    assert_eq!(done(&mut registry, "GraphInstanceSet", &got).payload, got);
    assert_eq!(registry.state("Plaza-1"), Some(InstanceState::Active));
}

#[test]
fn objects_without_a_version_get_that_of_the_method() {
    let mut registry = open();
    done(&mut registry, "GraphTopologySet", &plaza());
    let request = MethodCall::set_instance(Generation::Lva1, plaza_instance());
    let Ok(Action::Done(set)) = registry.dispatch(&request, now()) else {
        panic!()
    };
    assert_eq!((set.status, &set.payload["@apiVersion"]), (201, &json!("1.0")));
}

#[test]
fn the_words_are_those_of_the_callers_family() {
    let mut registry = open();
    done(&mut registry, "pipelineTopologySet", &street());
    let instance = json!({"name": "s", "properties": {"topologyName": "Street"}});
    let set = done(&mut registry, "LIVEPIPELINESET", &instance);
    assert_eq!(set.payload["properties"]["state"], "inactive");
    let got = done(&mut registry, "GraphInstanceGet", &name("s"));
    assert_eq!(
        got.payload["properties"]["state"],
        InstanceState::Inactive.word(Family::Lva)
    );
}

#[test]
fn a_saved_registry_comes_back_and_starts_what_ran() {
    let registry = in_state(InstanceState::Active, Strictness::Open);
    let saved = registry.save();
    let restored = Registry::restore(&saved, RegistryOptions::default()).unwrap();
    assert_eq!(restored.starts.len(), 1);
    assert_eq!(restored.starts[0].instance, "Plaza-1");
    assert_eq!(
        restored.registry.state("Plaza-1"),
        Some(InstanceState::Activating)
    );
    assert!(restored.failures.is_empty());
    assert_eq!(restored.registry.save(), saved);
    assert_eq!(
        restored.registry.topology("Plaza"),
        Some(&Topology::from_value(plaza()).unwrap())
    );
}

#[test]
fn what_cannot_run_any_more_after_a_restart_is_said() {
    let saved = in_state(InstanceState::Active, Strictness::Open).save();
    let saved = with(saved, "/instances/0/document/properties/parameters", json!([]));
    let restored = Registry::restore(&saved, RegistryOptions::default()).unwrap();
    assert!(restored.starts.is_empty());
    assert_eq!(
        restored.failures[0].to_string(),
        "GraphInstanceActivate 'Plaza-1': parameter 'url' has no value and no default: set it in the instance"
    );
    assert_eq!(restored.registry.state("Plaza-1"), Some(InstanceState::Inactive));
    // Activation finds the same.
    let mut registry = restored.registry;
    let error = call(&mut registry, "GraphInstanceActivate", &name("Plaza-1")).unwrap_err();
    assert_eq!(error.to_string(), restored.failures[0].to_string());
}

#[test]
fn what_was_not_saved_is_not_restored() {
    let good = in_state(InstanceState::Inactive, Strictness::Open).save();
    for bad in [
        json!({}),
        with(good.clone(), "/form", json!(2)),
        without(good.clone(), "/topologies"),
        with(good.clone(), "/topologies/0/document", json!([])),
        without(good.clone(), "/instances/0/createdAt"),
        with(good, "/instances/0/family", json!("toaster")),
    ] {
        assert!(
            Registry::restore(&bad, RegistryOptions::default()).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn secrets_do_not_show_in_any_debug() {
    let registry = in_state(InstanceState::Active, Strictness::Open);
    assert!(!format!("{registry:?}").contains("hunter2"));
}
