//! Topologies in later generations.

use lva_graph_model::{
    ConvertError, Converted, Generation, Instance, Node, NoteKind, Role, Strictness, Topology, resolve,
};
use serde_json::{Value, json};

use crate::support::{plaza, plaza_instance, shared_data, street, topology, with, without};
use crate::topologies::made_up;

fn notes(converted: &Converted) -> Vec<(NoteKind, Option<&str>)> {
    let notes = converted.notes.iter();
    notes.map(|note| (note.kind, note.node.as_deref())).collect()
}

fn to(document: Value, generation: Generation) -> Converted {
    topology(document).convert(generation).unwrap()
}

#[test]
fn a_rate_filter_becomes_the_rate_of_the_extension_behind_it() {
    let converted = to(plaza(), Generation::Lva2);
    let value = converted.topology.to_value();
    assert_eq!(value["@apiVersion"], "2.0");
    let processors = value["properties"]["processors"].as_array().unwrap();
    assert_eq!(processors.len(), 2);
    assert_eq!(
        processors[0]["@type"],
        "#Microsoft.Media.MediaGraphCognitiveServicesVisionExtension"
    );
    assert_eq!(processors[0]["inputs"], json!([{"nodeName": "camera"}]));
    assert_eq!(
        processors[0]["samplingOptions"],
        json!({"maximumSamplesPerSecond": "${rate}"})
    );
    assert_eq!(notes(&converted), [(NoteKind::Changed, Some("vision"))]);

    let graph = resolve(&converted.topology, &plaza_instance(), Strictness::Compatible)
        .unwrap()
        .graph;
    let Node::Extension(vision) = &graph.node_named("vision").unwrap().node else {
        panic!()
    };
    assert_eq!(vision.sampling.maximum_rate.unwrap().per_second(), 15.0);
}

#[test]
fn filters_in_a_row_leave_the_slowest_and_other_nodes_lose_them() {
    let filter = |name: &str, fps: &str, from: &str| {
        json!({
            "@type": "#Microsoft.Media.MediaGraphFrameRateFilterProcessor", "name": name, "maximumFps": fps,
            "inputs": [{"nodeName": from}],
        })
    };
    let document = with(
        plaza(),
        "/properties/processors/0",
        filter("slower", "5", "camera"),
    );
    let document = with(
        document,
        "/properties/processors/-",
        filter("slowest", "8", "slower"),
    );
    let document = with(
        document,
        "/properties/processors/1/inputs/0/nodeName",
        json!("slowest"),
    );
    let converted = to(document, Generation::Lva2);
    let vision = &converted.topology.to_value()["properties"]["processors"][0];
    assert_eq!(vision["samplingOptions"]["maximumSamplesPerSecond"], "5");

    let motion = json!({
        "@type": "#Microsoft.Media.MediaGraphMotionDetectionProcessor", "name": "motion",
        "inputs": [{"nodeName": "slower"}],
    });
    let document = with(plaza(), "/properties/processors/-", motion);
    let sink = json!([{"nodeName": "vision"}, {"nodeName": "motion"}]);
    let document = with(document, "/properties/sinks/1/inputs", sink);
    let converted = to(document, Generation::Lva2);
    assert_eq!(
        notes(&converted),
        [
            (NoteKind::Changed, Some("vision")),
            (NoteKind::Lost, Some("motion"))
        ]
    );
}

#[test]
fn encodings_become_types_and_say_what_a_parameter_cannot_do_any_more() {
    let image = |encoding: &str| {
        json!({"format": {
            "@type": "#Microsoft.Media.MediaGraphImageFormatEncoded", "encoding": encoding, "quality": "70",
        }})
    };
    let document = |encoding: &str| {
        let document = with(plaza(), "/properties/processors/1/image", image(encoding));
        let parameters = &document["properties"]["parameters"].as_array().unwrap().len();
        let pointer = format!("/properties/parameters/{parameters}");
        with(
            document,
            &pointer,
            json!({"name": "encoding", "type": "String", "default": "png"}),
        )
    };
    let format = |converted: &Converted| {
        converted.topology.to_value()["properties"]["processors"][0]["image"]["format"].clone()
    };
    let converted = to(document("JPEG"), Generation::Lva2);
    assert_eq!(
        format(&converted),
        json!({"@type": "#Microsoft.Media.MediaGraphImageFormatJpeg", "quality": "70"})
    );
    let converted = to(document("${encoding}"), Generation::Lva2);
    assert_eq!(
        format(&converted),
        json!({"@type": "#Microsoft.Media.MediaGraphImageFormatPng"})
    );
    assert!(notes(&converted).contains(&(NoteKind::Changed, Some("vision"))));
    let converted = to(document("${url}"), Generation::Lva2);
    assert!(notes(&converted).contains(&(NoteKind::Lost, Some("vision"))));
}

#[test]
fn what_became_required_is_put_in_and_said() {
    let document = without(plaza(), "/properties/processors/1/image");
    let document = without(document, "/properties/sinks/0/localMediaCachePath");
    let document = without(document, "/properties/sinks/1/hubOutputName");
    let document = without(document, "/properties/sources/0/endpoint/credentials/password");
    let converted = to(document, Generation::Lva2);
    let added: Vec<_> = converted
        .notes
        .iter()
        .filter(|note| note.kind == NoteKind::Added)
        .filter_map(|note| note.node.as_deref())
        .collect();
    assert_eq!(added, ["vision", "asset", "hub", "camera"]);
    let found = converted.topology.validate(Strictness::Compatible);
    assert!(found.iter().all(|f| !f.is_error()), "{found:#?}");
}

#[test]
fn an_asset_for_each_recording_becomes_one_video() {
    let converted = to(plaza(), Generation::VideoAnalyzer1_1);
    let value = converted.topology.to_value();
    let sink = &value["properties"]["sinks"][0];
    assert_eq!(sink["@type"], "#Microsoft.VideoAnalyzer.VideoSink");
    assert_eq!(sink["videoName"], "plaza");
    assert_eq!(sink["videoCreationProperties"], json!({"segmentLength": "PT30S"}));
    assert_eq!(
        value["properties"]["sinks"][1]["@type"],
        "#Microsoft.VideoAnalyzer.IotHubMessageSink"
    );
    assert_eq!(value["properties"]["parameters"][2]["type"], "secretString");
    let operation = &value["properties"]["processors"][0]["operation"];
    assert_eq!(
        operation["extensionConfiguration"],
        "${spatialAnalysisConfiguration}"
    );
    assert_eq!(
        notes(&converted),
        [
            (NoteKind::Changed, Some("vision")),
            (NoteKind::Lost, Some("asset")),
            (NoteKind::Lost, Some("vision")),
        ]
    );
    // The new parameter needs a value, and then everything is as it was.
    let instance = plaza_instance().convert(Generation::VideoAnalyzer1_1);
    assert_eq!(instance.to_value()["@apiVersion"], "1.1");
    assert!(resolve(&converted.topology, &instance, Strictness::Open).is_err());
    let values = [("url", "rtsp://cam/1"), ("spatialAnalysisConfiguration", "{}")];
    let instance = Instance::new("Plaza-1", "Plaza", values);
    let graph = resolve(&converted.topology, &instance, Strictness::Compatible)
        .unwrap()
        .graph;
    assert_eq!(graph.generation(), Generation::VideoAnalyzer1_1);
    let names: Vec<&str> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["camera", "vision", "gate", "asset", "hub"]);
}

#[test]
fn short_gates_are_raised_to_what_the_later_product_takes() {
    let document = with(
        plaza(),
        "/properties/processors/2/minimumActivationTime",
        json!("PT5S"),
    );
    let converted = to(document, Generation::VideoAnalyzer1);
    let gate = &converted.topology.to_value()["properties"]["processors"][1];
    assert_eq!(
        (&gate["minimumActivationTime"], &gate["maximumActivationTime"]),
        (&json!("PT10S"), &json!("PT30S"))
    );
    assert!(notes(&converted).contains(&(NoteKind::Lost, Some("gate"))));
}

#[test]
fn unknown_members_stay_and_the_same_generation_changes_nothing() {
    let document = with(plaza(), "/properties/sinks/1/comment", json!({"by": "me"}));
    let converted = to(document.clone(), Generation::VideoAnalyzer1_1);
    assert_eq!(
        converted.topology.to_value()["properties"]["sinks"][1]["comment"],
        json!({"by": "me"})
    );
    let same = to(document.clone(), Generation::Lva1);
    assert_eq!((same.topology.to_value(), same.notes.len()), (&document, 0));
}

#[test]
fn neither_backwards_nor_with_errors() {
    let error = topology(street()).convert(Generation::Lva2).unwrap_err();
    assert!(matches!(error, ConvertError::Backwards { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "a topology of Video Analyzer 1.1 cannot be written as one of Live Video Analytics 2.0: conversion goes to \
         later generations only"
    );
    let broken = with(plaza(), "/properties/sinks/1/inputs/0/nodeName", json!("nobody"));
    let error = topology(broken).convert(Generation::Lva2).unwrap_err();
    assert!(matches!(error, ConvertError::Invalid { .. }), "{error}");
}

/// Every published topology in every later generation: no rule of the product that it is for is broken, and the same
/// nodes are connected in the same way.
#[test]
fn published_topologies_keep_the_rules_of_later_generations_or_skips() {
    let Some(folder) = shared_data("topologies") else {
        return;
    };
    let mut converted_files = 0;
    for file in crate::topologies::FILES {
        let Ok(before) = Topology::from_slice(&std::fs::read(folder.join(file)).unwrap()) else {
            continue;
        };
        for generation in Generation::ALL {
            if generation < before.generation() {
                continue;
            }
            let converted = before
                .convert(generation)
                .unwrap_or_else(|error| panic!("{file}: {error:?}"));
            let after = &converted.topology;
            assert_eq!(after.generation(), generation, "{file}");
            for found in after.validate(Strictness::Compatible) {
                assert!(!found.is_error(), "{file} as {generation}: {found}");
            }
            let graphs = [&before, after].map(|topology| {
                let resolved = resolve(topology, &made_up(topology), Strictness::Compatible);
                resolved
                    .unwrap_or_else(|error| panic!("{file}: {:#?}", error.findings))
                    .graph
            });
            let sinks = graphs.each_ref().map(|graph| {
                let sinks = graph
                    .nodes()
                    .iter()
                    .filter(|node| node.node.kind().role() == Role::Sink);
                sinks
                    .map(|node| (node.name.clone(), graph.inputs(node.id).count()))
                    .collect::<Vec<_>>()
            });
            assert_eq!(sinks[0], sinks[1], "{file} as {generation}");
            // Once more: what was converted stays as it is.
            let again = after.convert(generation).unwrap();
            assert_eq!(
                (again.topology.to_value(), again.notes.len()),
                (after.to_value(), 0)
            );
            converted_files += 1;
        }
    }
    assert!(converted_files >= 135, "{converted_files}");
}
