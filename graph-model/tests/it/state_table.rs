//! Every method of both families in every state of an instance: the whole table, as text beside this file.
//!
//! `UPDATE_EXPECTED=1` writes it anew; look at the difference.

use std::fmt::Write as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use lva_graph_model::methods::{
    Action, Completion, InstanceState, Method, MethodCall, MethodError, Registry, RegistryOptions,
};
use lva_graph_model::{Family, Strictness};
use serde_json::{Value, json};

use crate::support::{plaza, plaza_instance, street, with};

const EXPECTED: &str = include_str!("state_table.md");

fn topology(family: Family) -> Value {
    match family {
        Family::Lva => plaza(),
        Family::VideoAnalyzer => street(),
    }
}

fn instance(family: Family) -> Value {
    match family {
        Family::Lva => plaza_instance().to_value().clone(),
        Family::VideoAnalyzer => json!({"name": "Street-1", "properties": {"topologyName": "Street"}}),
    }
}

/// What the payload is for each method; a Set changes something, or nothing.
fn payloads(family: Family, method: Method) -> Vec<(&'static str, Value)> {
    let changed = |document| with(document, "/properties/description", json!("changed"));
    let name_of = |document: Value| json!({"name": document["name"]});
    let payloads = match method {
        Method::TopologySet => vec![
            (" (changed)", changed(topology(family))),
            (" (identical)", topology(family)),
        ],
        Method::InstanceSet => vec![
            (" (changed)", changed(instance(family))),
            (" (identical)", instance(family)),
        ],
        Method::TopologyGet | Method::TopologyDelete => vec![("", name_of(topology(family)))],
        Method::InstanceGet
        | Method::InstanceActivate
        | Method::InstanceDeactivate
        | Method::InstanceDelete => {
            vec![("", name_of(instance(family)))]
        }
        Method::AdapterSet => vec![("", adapter())],
        Method::AdapterGet | Method::AdapterDelete => vec![("", name_of(adapter()))],
        Method::TopologyList | Method::InstanceList | Method::AdapterList => vec![("", json!({}))],
        Method::DeviceDiscover => vec![("", json!({"discoveryDuration": "PT2S"}))],
        Method::DeviceGet => vec![(
            "",
            json!({"endpoint": {
                "@type": "#Microsoft.VideoAnalyzer.UnsecuredEndpoint", "url": "http://cam/onvif/device_service",
            }}),
        )],
    };
    let version = if family == Family::Lva { "1.0" } else { "1.1" };
    let with_version = |(what, mut payload): (_, Value)| {
        if let Value::Object(map) = &mut payload {
            map.entry("@apiVersion").or_insert(version.into());
        }
        (what, payload)
    };
    payloads.into_iter().map(with_version).collect()
}

pub(crate) fn adapter() -> Value {
    json!({"name": "Adapter-1", "properties": {
        "description": "The camera at the door", "target": {"host": "cam.lan"},
        "iotHubDeviceConnection": {"deviceId": "cam", "credentials": {
            "@type": "#Microsoft.VideoAnalyzer.SymmetricKeyCredentials", "key": "hunter2",
        }},
    }})
}

/// A registry whose one instance, if there is one, is in a state.
fn registry(family: Family, state: Option<InstanceState>, strictness: Strictness) -> Registry {
    let mut registry = Registry::new(RegistryOptions::default().with_strictness(strictness));
    let name = instance(family)["name"].as_str().unwrap().to_owned();
    let call = |registry: &mut Registry, method: Method| {
        let (_, payload) = payloads(family, method).pop().unwrap();
        registry.call(method.name(family), &payload, UNIX_EPOCH).unwrap();
    };
    call(&mut registry, Method::TopologySet);
    let Some(state) = state else { return registry };
    call(&mut registry, Method::InstanceSet);
    if family == Family::VideoAnalyzer {
        call(&mut registry, Method::AdapterSet);
    }
    if state != InstanceState::Inactive {
        call(&mut registry, Method::InstanceActivate);
    }
    if matches!(state, InstanceState::Active | InstanceState::Deactivating) {
        registry.complete(&name, Completion::Activated).unwrap();
    }
    if state == InstanceState::Deactivating {
        call(&mut registry, Method::InstanceDeactivate);
    }
    assert_eq!(registry.state(&name), Some(state));
    registry
}

fn answer(error: &MethodError) -> String {
    let code = error.fault.details().first().map(|detail| detail.code.clone());
    format!(
        "{} {}",
        error.status(),
        code.unwrap_or_else(|| error.fault.code().to_owned())
    )
}

fn cell(method: &str, payload: &Value, registry: &mut Registry) -> String {
    let name = payload["name"].as_str().unwrap_or_default().to_owned();
    let report = |registry: &mut Registry, report| match registry.complete(&name, report) {
        Ok(response) => response.status.to_string(),
        Err(error) => answer(&error),
    };
    match registry.call(method, payload, UNIX_EPOCH) {
        Ok(Action::Done(response)) => response.status.to_string(),
        Ok(Action::Start(start)) => match start.answer {
            Some(response) => format!("start, {}", response.status),
            None => format!("start, {} when active", report(registry, Completion::Activated)),
        },
        Ok(Action::Stop { .. }) => format!(
            "stop, {} when inactive",
            report(registry, Completion::Deactivated)
        ),
        Ok(Action::Wait { .. }) => "wait for the call before".to_owned(),
        Ok(Action::Discover { .. } | Action::Describe { .. }) => "the runtime answers".to_owned(),
        Err(error) => answer(&error),
    }
}

#[test]
fn every_method_of_both_families_answers_in_every_state_as_the_table_says() {
    let states = [
        None,
        Some(InstanceState::Inactive),
        Some(InstanceState::Activating),
        Some(InstanceState::Active),
        Some(InstanceState::Deactivating),
    ];
    let mut table = String::new();
    let mut pairs = 0;
    for strictness in [Strictness::Open, Strictness::Compatible] {
        writeln!(table, "## {strictness:?}\n").unwrap();
        table.push_str("| method | absent | inactive | activating | active | deactivating |\n|---|---|---|---|---|---|\n");
        for family in [Family::Lva, Family::VideoAnalyzer] {
            for method in Method::ALL.into_iter().filter(|method| method.is_in(family)) {
                let name = method.name(family);
                for (what, payload) in payloads(family, method) {
                    write!(table, "| `{name}`{what}").unwrap();
                    for state in states {
                        let cell = cell(name, &payload, &mut registry(family, state, strictness));
                        write!(table, " | {cell}").unwrap();
                        pairs += 1;
                    }
                    table.push_str(" |\n");
                }
            }
        }
        table.push('\n');
    }
    let table = table.trim_end().to_owned() + "\n";
    // Every method of each family with each of its payloads, in every state and both strictnesses.
    let rows = [Family::Lva, Family::VideoAnalyzer]
        .into_iter()
        .flat_map(|family| {
            let methods = Method::ALL.into_iter().filter(move |method| method.is_in(family));
            methods.map(move |method| payloads(family, method).len())
        });
    assert_eq!(pairs, rows.sum::<usize>() * states.len() * 2);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/state_table.md");
        std::fs::write(path, &table).unwrap();
    } else {
        assert_eq!(table, EXPECTED);
    }
}

#[test]
fn every_call_gives_back_the_payload_that_it_was_parsed_from_and_shows_no_secret() {
    for family in [Family::Lva, Family::VideoAnalyzer] {
        for method in Method::ALL.into_iter().filter(|method| method.is_in(family)) {
            for (_, mut payload) in payloads(family, method) {
                if method == Method::DeviceGet {
                    payload["endpoint"]["credentials"] = json!({
                        "@type": "#Microsoft.VideoAnalyzer.UsernamePasswordCredentials",
                        "username": "viewer", "password": "hunter2",
                    });
                }
                let call = MethodCall::parse(method.name(family), &payload).unwrap();
                assert_eq!(call.request.method(), method);
                assert!(!format!("{call:?}").contains("hunter2"), "{method:?}");
                let again = MethodCall::parse(call.name(), &call.to_payload()).unwrap();
                assert_eq!(again, call, "{method:?}");
            }
        }
    }
}
