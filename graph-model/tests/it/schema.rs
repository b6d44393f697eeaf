//! The JSON Schemas for editors: made from the types here and from the crate's own words, checked in under `schema/`,
//! and held against every published document.
//!
//! `UPDATE_EXPECTED=1 cargo test -p lva-graph-model schema` writes them anew.

mod documents;
mod nodes;
mod parts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lva_graph_model::schema::{INSTANCE_SCHEMA, OPERATIONS_SCHEMA, TOPOLOGY_SCHEMA};
use lva_graph_model::{Family, Generation, NodeKind};
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use crate::support::{plaza, plaza_instance, shared_data, street, with};

/// Types that a program brings along.
const CUSTOM_TYPE: &str = r"^\s*#?(?!\s*[Mm]icrosoft\.)[^.#]+\.";

/// Types that one family has alone, besides the kinds of nodes that [`NodeKind::exists_in`] knows as such.
const LVA_ALONE: [&str; 5] = [
    "CognitiveServicesVisionExtension",
    "ImageFormatEncoded",
    "IoTHubMessageSink",
    "IoTHubMessageSource",
    "RealTimeComputerVisionExtension",
];
const VIDEO_ANALYZER_ALONE: [&str; 11] = [
    "CognitiveServicesVisionProcessor",
    "IotHubMessageSink",
    "IotHubMessageSource",
    "NamedLineString",
    "NamedPolygonString",
    "SpatialAnalysisCustomOperation",
    "SpatialAnalysisPersonCountOperation",
    "SpatialAnalysisPersonDistanceOperation",
    "SpatialAnalysisPersonLineCrossingOperation",
    "SpatialAnalysisPersonZoneCrossingOperation",
    "SymmetricKeyCredentials",
];

/// Whether documents of a family may name a type.
fn is_in_family(local: &str, family: Family) -> bool {
    let others = match family {
        Family::Lva => &VIDEO_ANALYZER_ALONE[..],
        Family::VideoAnalyzer => &LVA_ALONE[..],
    };
    let mut kinds = NodeKind::ALL.into_iter();
    let kind = kinds.find(|kind| kind.local_names().contains(&local));
    let exists = |generation: Generation| kind.is_none_or(|kind| kind.exists_in(generation));
    !others.contains(&local)
        && Generation::ALL
            .into_iter()
            .any(|g| g.family() == family && exists(g))
}

/// Types are written here without their prefix; documents have it.
#[derive(Clone)]
struct Prefixed;

impl Transform for Prefixed {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let tag = schema
            .get_mut("properties")
            .and_then(|properties| properties.get_mut("@type"));
        let Some(tag) = tag else { return };
        let Some(local) = tag.get("const").and_then(Value::as_str).map(str::to_owned) else {
            return;
        };
        if local == "Custom" {
            *tag = json!({"type": "string", "pattern": CUSTOM_TYPE});
            return;
        }
        let types: Vec<String> = [Family::Lva, Family::VideoAnalyzer]
            .into_iter()
            .filter(|family| is_in_family(&local, *family))
            .map(|family| format!("{}{local}", family.type_prefix()))
            .collect();
        assert!(!types.is_empty(), "{local}");
        *tag = json!({"type": "string", "enum": types});
    }
}

fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(Prefixed);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

fn schemas() -> [(&'static str, &'static str, Value); 3] {
    [
        ("topology", TOPOLOGY_SCHEMA, schema_of::<documents::Topology>()),
        ("instance", INSTANCE_SCHEMA, schema_of::<documents::Instance>()),
        (
            "operations",
            OPERATIONS_SCHEMA,
            schema_of::<documents::Operations>(),
        ),
    ]
}

#[test]
fn the_schemas_that_are_checked_in_are_the_ones_that_are_made() {
    for (name, checked_in, made) in schemas() {
        let text = format!("{made:#}\n");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{name}.schema.json"));
            std::fs::write(path, &text).unwrap();
        } else {
            assert_eq!(text, checked_in, "{name}: run this test with UPDATE_EXPECTED=1");
        }
    }
}

#[test]
fn every_kind_of_node_is_in_the_schema_of_topologies() {
    let schema: Value = serde_json::from_str(TOPOLOGY_SCHEMA).unwrap();
    let mut types = BTreeSet::new();
    collect_types(&schema, &mut types);
    for kind in NodeKind::ALL {
        for name in kind.local_names() {
            let families = [Family::Lva, Family::VideoAnalyzer].into_iter();
            let full = families.map(|family| format!("{}{name}", family.type_prefix()));
            assert!(
                full.into_iter().any(|full| types.contains(&full)),
                "{name}: add it to schema/nodes.rs"
            );
        }
    }
}

/// Every value that a `@type` may have.
fn collect_types(schema: &Value, types: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            let tag = members.get("properties").and_then(|all| all.get("@type"));
            let names = tag.and_then(|tag| tag.get("enum")).and_then(Value::as_array);
            types.extend(
                names
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(str::to_owned),
            );
            members.values().for_each(|value| collect_types(value, types));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_types(value, types)),
        _ => {}
    }
}

fn check(schema: &str) -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
}

fn problems(validator: &jsonschema::Validator, document: &Value) -> Vec<String> {
    let errors = validator.iter_errors(document);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn documents_keep_their_schemas_and_mistakes_break_them() {
    let topology = check(TOPOLOGY_SCHEMA);
    let own =
        json!({"@type": "#Contoso.Queue", "name": "q", "inputs": [{"nodeName": "camera"}], "length": 3});
    for document in [plaza(), street(), with(street(), "/properties/processors/0", own)] {
        assert_eq!(problems(&topology, &document), [""; 0]);
    }
    for (pointer, value) in [
        (
            "/properties/sources/0/@type",
            json!("#Microsoft.Media.MediaGraphCoffeeSource"),
        ),
        (
            "/properties/sources/0/@type",
            json!("#Microsoft.Media.MediaGraphVideoSink"),
        ),
        ("/properties/sources/0/transport", json!("udp")),
        ("/properties/processors/1/image/scale/mode", json!("squeeze")),
        (
            "/properties/processors/1/image/format/pixelFormat",
            json!("bgr25"),
        ),
        ("/properties/processors/0/maximumFps", json!([])),
        ("/properties/sinks/0/inputs/0", json!({})),
        ("/properties/parameters/0/type", json!("Text")),
        ("/properties/sinks", json!({})),
        ("/@apiVersion", json!("3.0")),
        ("/name", json!(7)),
    ] {
        let document = with(plaza(), pointer, value.clone());
        assert!(!topology.is_valid(&document), "{pointer} {value}");
    }
    for (pointer, value) in [
        ("/properties/sources/0/transport", json!("TCP")),
        ("/properties/sources/0/transport", json!("${transport}")),
        ("/properties/processors/0/maximumFps", json!(7.5)),
        ("/properties/sinks/0/comment", json!("kept")),
        ("/properties/description", Value::Null),
    ] {
        let document = with(plaza(), pointer, value);
        assert_eq!(problems(&topology, &document), [""; 0]);
    }
    let instance = check(INSTANCE_SCHEMA);
    assert_eq!(problems(&instance, plaza_instance().to_value()), [""; 0]);
    assert!(!instance.is_valid(&json!({"name": "i", "properties": {"parameters": []}})));
    let operations = check(OPERATIONS_SCHEMA);
    for (document, fine) in [
        (
            json!({"apiVersion": "1.0", "operations": [{"opName": "GraphTopologyList", "opParams": {}}]}),
            true,
        ),
        (
            json!({"apiVersion": "1.0", "operations": [{"opName": "WaitForInput", "opParams": {"message": "m"}}]}),
            true,
        ),
        (
            json!({"apiVersion": "1.0", "operations": [{"opName": "MakeCoffee"}]}),
            false,
        ),
        (json!({"operations": []}), false),
    ] {
        assert_eq!(operations.is_valid(&document), fine, "{document}");
    }
}

#[test]
fn published_documents_keep_the_schemas_or_skips() {
    let Some(directory) = shared_data("topologies") else {
        return;
    };
    let topology = check(TOPOLOGY_SCHEMA);
    for file in crate::topologies::FILES {
        let document: Value = read(&directory.join(file));
        let found = problems(&topology, &document);
        assert_eq!(found.is_empty(), !file.contains("cloud-"), "{file}: {found:#?}");
    }
    let instance = check(INSTANCE_SCHEMA);
    let operations = check(OPERATIONS_SCHEMA);
    let Some(samples) = shared_data("samples") else {
        return;
    };
    let published = samples.join("lva/lva-edge-iot-central-gateway/setup/motionGraphInstance.json");
    assert_eq!(problems(&instance, &read(&published)), [""; 0]);
    for file in [
        "composed/operations.spatial-analysis.json",
        "lva-csharp/cloud-to-device-console-app/operations.json",
        "ava-csharp/cloud-to-device-console-app/operations.json",
    ] {
        assert_eq!(
            problems(&operations, &read(&samples.join(file))),
            [""; 0],
            "{file}"
        );
    }
}

/// Files may have a byte-order mark.
fn read(path: &PathBuf) -> Value {
    let bytes = std::fs::read(path).unwrap();
    let mark = b"\xef\xbb\xbf".as_slice();
    serde_json::from_slice(bytes.strip_prefix(mark).unwrap_or(&bytes)).unwrap()
}

/// Every member of every type that the contracts list is a member of that type here.
#[test]
fn the_topology_schema_has_all_members_of_the_contracts_or_skips() {
    let schema: Value = serde_json::from_str(TOPOLOGY_SCHEMA).unwrap();
    let mut variants = Vec::new();
    tagged(&schema, &mut variants);
    let mut checked = BTreeSet::new();
    for path in [
        "contracts/lva/models-1.0.json",
        "contracts/lva/models-2.0.json",
        "contracts/ava/models-1.0.json",
        "contracts/ava/models-1.1.json",
    ] {
        let Some(file) = shared_data(path) else { return };
        let models = read(&file);
        for (name, model) in models["types"].as_object().unwrap() {
            let Some(tag) = model["discriminator"].as_str().filter(|tag| tag.starts_with('#')) else {
                continue;
            };
            let base = model["extends"].as_str().unwrap_or_default();
            // Abstract types have no place in a document, and tunnels belong to the cloud.
            if name.ends_with("Base") || base.is_empty() || tag.ends_with("SecureIotDeviceRemoteTunnel") {
                continue;
            }
            let variant = variants.iter().find(|(types, _)| types.iter().any(|t| t == tag));
            let Some((_, members)) = variant else {
                panic!("{path}: no {tag} in the schema")
            };
            for member in model["properties"].as_object().unwrap().keys() {
                assert!(
                    members.contains(member),
                    "{path}: {tag} has no '{member}', but {members:?}"
                );
            }
            checked.insert(tag.to_owned());
        }
    }
    assert!(checked.len() >= 50, "{}: {checked:?}", checked.len());

    fn tagged(value: &Value, found: &mut Vec<(Vec<String>, BTreeSet<String>)>) {
        fn members<'v>(root: &'v Value, schema: &'v Value, found: &mut BTreeSet<String>) {
            if let Some(target) = schema["$ref"].as_str() {
                members(root, root.pointer(target.trim_start_matches('#')).unwrap(), found);
            }
            if let Some(map) = schema["properties"].as_object() {
                found.extend(map.keys().cloned());
            }
            for part in schema["allOf"].as_array().into_iter().flatten() {
                members(root, part, found);
            }
        }
        fn visit(root: &Value, value: &Value, found: &mut Vec<(Vec<String>, BTreeSet<String>)>) {
            if let Some(types) = value.pointer("/properties/@type/enum").and_then(Value::as_array) {
                let types = types.iter().map(|t| t.as_str().unwrap().to_owned()).collect();
                let mut all = BTreeSet::new();
                members(root, value, &mut all);
                found.push((types, all));
            }
            match value {
                Value::Object(map) => map.values().for_each(|value| visit(root, value, found)),
                Value::Array(list) => list.iter().for_each(|value| visit(root, value, found)),
                _ => {}
            }
        }
        visit(value, value, found);
    }
}
