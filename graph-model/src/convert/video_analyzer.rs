//! Live Video Analytics 2.0 as Video Analyzer 1.0.

use serde_json::{Value, json};

use super::NoteKind;
use super::edit::{Draft, Object, has, is_custom, kind, local_type, name, replace, set_type, take, text};
use crate::custom::CustomNodeTypes;
use crate::document::{list, object};
use crate::generation::Family;
use crate::kind::{NodeKind, Role};
use crate::parameter::ParameterType;
use crate::read::parse_duration;
use crate::template::{Segment, SystemVariable, is_system_name, segments};

const VIDEO_CACHE: &str = "/var/lib/videoanalyzer/tmp/";
const VIDEO_CACHE_MIB: &str = "2048";
/// Shortest time that a gate is open in Video Analyzer.
const LEAST_GATE_MS: i64 = 10_000;

pub(super) fn convert(draft: &mut Draft) {
    draft.each_node(Role::Sink, |draft, node| {
        if kind(node) == Some(NodeKind::AssetSink) {
            asset_sink(draft, node);
        }
    });
    draft.each_node(Role::Processor, |draft, node| match kind(node) {
        Some(NodeKind::SignalGate) => gate(draft, node),
        Some(NodeKind::ComputerVision) => vision(draft, node),
        _ => {}
    });
    parameter_types(draft);
    let (value, custom_types) = draft.value_mut();
    rename(value, custom_types);
}

/// One asset for each recording becomes one video for all of them.
fn asset_sink(draft: &mut Draft, node: &mut Object) {
    let node_name = name(node);
    let pattern = text(node, "assetNamePattern").unwrap_or_default();
    let (mut video, dated) = without_dates(&pattern);
    if dated {
        let message = format!(
            "each recording was an asset of its own ('{pattern}'): Video Analyzer appends all of them to one video"
        );
        draft.note(NoteKind::Lost, Some(&node_name), message);
    }
    if video.is_empty() {
        video = "${System.GraphTopologyName}-${System.GraphInstanceName}".to_owned();
    }
    set_type(node, Family::Lva, "VideoSink");
    replace(node, "assetNamePattern", "videoName", video.into());
    if let Some(length) = take(node, "segmentLength") {
        let mut creation = object(node, "videoCreationProperties")
            .cloned()
            .unwrap_or_default();
        creation.insert("segmentLength".to_owned(), length);
        let member = "videoCreationProperties";
        replace(node, member, member, Value::Object(creation));
    }
    for (member, value) in [
        ("localMediaCachePath", VIDEO_CACHE),
        ("localMediaCacheMaximumSizeMiB", VIDEO_CACHE_MIB),
    ] {
        if !has(node, member) {
            replace(node, member, member, value.into());
            let message = format!("Video Analyzer demands '{member}': '{value}' was put in");
            draft.note(NoteKind::Added, Some(&node_name), message);
        }
    }
}

/// A name without its date variables and what joined them, and whether there were any.
fn without_dates(pattern: &str) -> (String, bool) {
    let mut kept = String::new();
    let mut dated = false;
    for segment in segments(pattern) {
        match segment {
            Segment::Reference(name)
                if SystemVariable::from_name(name).is_some_and(SystemVariable::is_date) =>
            {
                dated = true;
                let trimmed = kept.trim_end_matches(['-', '_', ' ']).len();
                kept.truncate(trimmed);
            }
            Segment::Reference(name) => {
                kept.push_str("${");
                kept.push_str(name);
                kept.push('}');
            }
            Segment::Literal(text) | Segment::Unclosed(text) => kept.push_str(text),
        }
    }
    if dated {
        kept = kept.trim_matches(['-', '_', ' ']).to_owned();
    }
    (kept, dated)
}

fn gate(draft: &mut Draft, node: &mut Object) {
    let node_name = name(node);
    for member in ["minimumActivationTime", "maximumActivationTime"] {
        let Some(time) = text(node, member) else { continue };
        let Some(filled) = draft.with_defaults(&time) else {
            let message = format!("'{member}' is {time}: Video Analyzer takes 10 seconds and more");
            draft.note(NoteKind::Changed, Some(&node_name), message);
            continue;
        };
        if parse_duration(&filled).is_some_and(|ms| ms < LEAST_GATE_MS) {
            replace(node, member, member, "PT10S".into());
            let message =
                format!("'{member}' was {time}, and Video Analyzer takes 10 seconds at least: now PT10S");
            draft.note(NoteKind::Lost, Some(&node_name), message);
        }
    }
}

/// What the container is to do was configured in the container; now the node says it.
fn vision(draft: &mut Draft, node: &mut Object) {
    let node_name = name(node);
    set_type(node, Family::Lva, "CognitiveServicesVisionProcessor");
    if has(node, "operation") {
        return;
    }
    let mut parameter = "spatialAnalysisConfiguration".to_owned();
    let mut number = 2;
    while draft.has_parameter(&parameter) {
        parameter = format!("spatialAnalysisConfiguration{number}");
        number += 1;
    }
    take(node, "operation");
    node.insert(
        "operation".to_owned(),
        json!({
            "@type": "#Microsoft.Media.MediaGraphSpatialAnalysisCustomOperation",
            "extensionConfiguration": format!("${{{parameter}}}"),
        }),
    );
    let declaration = json!({
        "name": parameter,
        "type": "String",
        "description": format!("What '{node_name}' does: the operation as JSON text, as the container takes it"),
    });
    if let Some(properties) = draft.properties() {
        if list(properties, "parameters").is_none() {
            replace(properties, "parameters", "parameters", json!([]));
        }
        if let Some(parameters) = list(properties, "parameters") {
            parameters.push(declaration);
        }
    }
    let message = format!(
        "which operation runs was configured in the container, and stands in the node now: give its text to the new \
         parameter '{parameter}', or write a typed operation"
    );
    draft.note(NoteKind::Lost, Some(&node_name), message);
}

/// `SecretString` is `secretString` there.
fn parameter_types(draft: &mut Draft) {
    let Some(parameters) = draft.properties().and_then(|map| list(map, "parameters")) else {
        return;
    };
    for entry in parameters.iter_mut().filter_map(Value::as_object_mut) {
        let Some(kind) = text(entry, "type").and_then(|text| ParameterType::from_name(&text)) else {
            continue;
        };
        replace(entry, "type", "type", small(kind.name()).into());
    }
}

fn small(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

/// Types, words and system variables, wherever they stand but in a program's own nodes.
fn rename(value: &mut Value, custom_types: &CustomNodeTypes) {
    match value {
        Value::String(text) => {
            if text.contains("${") {
                *text = variables(text);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| rename(item, custom_types)),
        Value::Object(map) if is_custom(map, custom_types) => {}
        Value::Object(map) => {
            if let Some(local) = local_type(map) {
                set_type(map, Family::VideoAnalyzer, video_analyzer_name(&local));
            }
            for member in ["transport", "sensitivity", "mode", "pixelFormat", "operator"] {
                if let Some(word) = text(map, member).filter(|word| !word.contains("${")) {
                    replace(map, member, member, small(word.trim()).into());
                }
            }
            map.values_mut().for_each(|item| rename(item, custom_types));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Mind the T, which Video Analyzer writes small.
fn video_analyzer_name(local: &str) -> &str {
    match local.to_ascii_lowercase().as_str() {
        "iothubmessagesource" => "IotHubMessageSource",
        "iothubmessagesink" => "IotHubMessageSink",
        _ => local,
    }
}

fn variables(text: &str) -> String {
    let mut renamed = String::new();
    for segment in segments(text) {
        match segment {
            Segment::Literal(text) | Segment::Unclosed(text) => renamed.push_str(text),
            Segment::Reference(name) => {
                let variable = is_system_name(name)
                    .then(|| SystemVariable::from_name(name))
                    .flatten();
                renamed.push_str("${");
                renamed.push_str(variable.map_or(name, |variable| variable.names()[1]));
                renamed.push('}');
            }
        }
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_leave_with_what_joined_them() {
        for (pattern, name) in [
            ("clip-${System.DateTime}", "clip"),
            (
                "clip-${System.PreciseDateTime}-${System.GraphInstanceName}",
                "clip-${System.GraphInstanceName}",
            ),
            ("${System.DateTime}_x", "x"),
            ("${System.DateTime}", ""),
        ] {
            assert_eq!(without_dates(pattern), (name.to_owned(), true), "{pattern}");
        }
        assert_eq!(without_dates("-a-"), ("-a-".to_owned(), false));
    }

    #[test]
    fn system_variables_get_their_later_names_and_others_stay() {
        assert_eq!(
            variables("a-${system.datetime}-${b}-${System.GraphTopologyName}${"),
            "a-${System.Runtime.DateTime}-${b}-${System.TopologyName}${"
        );
    }
}
