//! Every code, by the smallest mistake that gives it.

mod cases;

use std::collections::BTreeSet;

use lva_graph_model::{DiagnosticCode, Instance, Severity, Strictness, Topology, resolve};
use serde_json::json;

use self::cases::cases;
use crate::support::{plaza, plaza_instance, with};

use Severity::{Error, Hint};

/// Codes that topologies and instances cannot give; `deployment.rs` has their cases.
pub(crate) const OF_DEPLOYMENTS: [DiagnosticCode; 6] = [
    DiagnosticCode::TypographicQuote,
    DiagnosticCode::VariableUnset,
    DiagnosticCode::VariableAlias,
    DiagnosticCode::VariableDuplicate,
    DiagnosticCode::ModuleUnknown,
    DiagnosticCode::CreateOptionsInvalid,
];

#[test]
fn every_code_is_found_where_its_mistake_is() {
    let mut seen = BTreeSet::new();
    for case in cases() {
        seen.insert(case.code);
        let topology = Topology::from_value(case.topology.clone()).unwrap();
        for (strictness, severity) in [
            (Strictness::Open, case.open),
            (Strictness::Compatible, case.compatible),
        ] {
            let findings = match resolve(&topology, &case.instance, strictness) {
                Ok(resolved) => resolved.findings,
                Err(error) => error.findings,
            };
            let found = findings
                .iter()
                .find(|f| f.code == case.code && f.pointer == case.at);
            let Some(found) = found else {
                panic!("no {} at '{}' among {findings:#?}", case.code, case.at)
            };
            assert_eq!(found.severity, severity, "{strictness:?}: {found}");
            assert!(
                found.message.len() > 20 && !found.message.ends_with('.')
                    || found.code == DiagnosticCode::ApiVersionNotSupported,
                "{found}"
            );
            assert!(!found.message.contains("hunter2"), "{found}");
        }
    }
    seen.extend(OF_DEPLOYMENTS);
    let all: BTreeSet<DiagnosticCode> = DiagnosticCode::ALL.iter().copied().collect();
    let unseen: Vec<_> = all.difference(&seen).collect();
    assert!(unseen.is_empty(), "no case for {unseen:?}");
}

#[test]
fn one_mistake_gives_one_error() {
    for case in cases() {
        if case.open != Error || case.code == DiagnosticCode::TooLarge || case.at.is_empty() {
            continue;
        }
        let topology = Topology::from_value(case.topology.clone()).unwrap();
        let error = resolve(&topology, &case.instance, Strictness::Open).unwrap_err();
        let errors: Vec<String> = error
            .findings
            .iter()
            .filter(|f| f.is_error())
            .map(ToString::to_string)
            .collect();
        // A duplicate is two mistakes at the place where both are, and an unknown type hides a member.
        assert!(errors.len() <= 2, "{}: {errors:#?}", case.code);
    }
}

#[test]
fn all_findings_come_at_once_and_errors_first() {
    let document = with(plaza(), "/properties/sources/0/transport", json!("udp"));
    let document = with(
        document,
        "/properties/processors/1/image/scale/width",
        json!("wide"),
    );
    let document = with(document, "/properties/sinks/1/inputs/0/nodeName", json!("absent"));
    let document = with(document, "/properties/sinks/0/segmentLength", json!("PT31S"));
    let topology = Topology::from_value(document).unwrap();
    let findings = topology.validate(Strictness::Open);
    let severities: Vec<Severity> = findings.iter().map(|f| f.severity).collect();
    assert_eq!(severities, [Error, Error, Error, Hint], "{findings:#?}");
    let error = resolve(&topology, &plaza_instance(), Strictness::Open).unwrap_err();
    assert!(error.to_string().ends_with("(and 2 more)"), "{error}");
    let json = serde_json::to_value(&findings[3]).unwrap();
    assert_eq!(json["severity"], "hint");
    assert_eq!(json["code"], "LimitExceeded");
    assert_eq!(json["pointer"], "/properties/sinks/0/segmentLength");
    assert_eq!(json["document"], "topology");
}

#[test]
fn a_node_named_by_a_secret_is_an_error_that_does_not_show_it() {
    let text = include_str!("../../../examples/documents/topology.json");
    let text = text.replace("\"signalGateProcessor\"", "\"${rtspPassword}\"");
    let topology = Topology::from_json(&text).unwrap();
    let values = [("rtspUrl", "rtsp://cam/1"), ("rtspPassword", "hunter2")];
    let instance = Instance::new("I-1", topology.name(), values);
    let error = resolve(&topology, &instance, Strictness::Open).unwrap_err();
    let warn_secret_exposure: Vec<_> = error
        .findings
        .iter()
        .filter(|found| found.code == DiagnosticCode::SecretExposed)
        .collect();
    assert_eq!(warn_secret_exposure.len(), 1, "{error:?}");
    assert!(warn_secret_exposure[0].is_error() && warn_secret_exposure[0].pointer.ends_with("/name"));
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    // The inputs still meet it.
    assert!(
        error
            .findings
            .iter()
            .all(|found| found.code != DiagnosticCode::NodeNotFound),
        "{error:?}"
    );
}
