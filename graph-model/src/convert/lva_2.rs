//! Live Video Analytics 1.0 as 2.0.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::NoteKind;
use super::edit::{Draft, Object, has, kind, local_type, name, replace, set_type, take, text};
use crate::check::MAX_INPUTS;
use crate::document::{list, object};
use crate::generation::Family;
use crate::graph::DEFAULT_JPEG_QUALITY;
use crate::kind::{NodeKind, Role};
use crate::template::{Segment, segments};
use crate::words::same_word;

/// Values that the published samples of the later generation have.
const ASSET_CACHE: &str = "/var/lib/azuremediaservices/tmp/";
const ASSET_CACHE_MIB: &str = "2048";
const FILE_FOLDER: &str = "/var/media";
const FILE_CAP_MIB: &str = "512";

pub(super) fn convert(draft: &mut Draft) {
    draft.each_node(Role::Processor, |draft, node| {
        if kind(node).is_some_and(NodeKind::is_extension) {
            vision_name(node);
            image(draft, node);
        }
    });
    replace_filters(draft);
    draft.each_node(Role::Sink, |draft, node| match kind(node) {
        Some(NodeKind::FileSink) => file_sink(draft, node),
        Some(NodeKind::AssetSink) => asset_sink(draft, node),
        Some(NodeKind::MessageSink) if !has(node, "hubOutputName") => {
            let name = name(node);
            node.insert("hubOutputName".to_owned(), name.as_str().into());
            let message =
                "2.0 demands 'hubOutputName': the sink's own name was put in, adapt your routes to it";
            draft.note(NoteKind::Added, Some(&name), message);
        }
        _ => {}
    });
    for role in [Role::Source, Role::Processor] {
        draft.each_node(role, passwords);
    }
}

/// The pre-release name of the tutorial.
fn vision_name(node: &mut Object) {
    if local_type(node).is_some_and(|local| local.eq_ignore_ascii_case("RealTimeComputerVisionExtension")) {
        set_type(node, Family::Lva, "CognitiveServicesVisionExtension");
    }
}

fn image(draft: &mut Draft, node: &mut Object) {
    let node_name = name(node);
    if !has(node, "image") {
        let image = if kind(node) == Some(NodeKind::ComputerVision) {
            json!({
                "scale": {"mode": "pad", "width": "1408", "height": "786"},
                "format": {"@type": "#Microsoft.Media.MediaGraphImageFormatRaw", "pixelFormat": "bgr24"},
            })
        } else {
            json!({"format": {
                "@type": "#Microsoft.Media.MediaGraphImageFormatJpeg", "quality": DEFAULT_JPEG_QUALITY.to_string(),
            }})
        };
        take(node, "image");
        node.insert("image".to_owned(), image);
        let message = "2.0 demands 'image': what was sent without one was put in";
        draft.note(NoteKind::Added, Some(&node_name), message);
        return;
    }
    let Some(format) = object(node, "image").and_then(|image| object(image, "format")) else {
        return;
    };
    if !local_type(format).is_some_and(|local| local.eq_ignore_ascii_case("ImageFormatEncoded")) {
        return;
    }
    let written = text(format, "encoding").unwrap_or_else(|| "Jpeg".to_owned());
    let default = draft.with_defaults(&written);
    let known = ["Jpeg", "Bmp", "Png"].into_iter();
    let word = default.and_then(|text| known.into_iter().find(|word| same_word(word, &text)));
    if written.contains("${") {
        let (kind, message) = match word {
            Some(word) => (
                NoteKind::Changed,
                format!(
                    "'encoding' was {written}, and 2.0 has a type instead: {word}, its default, is fixed now"
                ),
            ),
            None => (
                NoteKind::Lost,
                format!(
                    "'encoding' was {written} without a default, and 2.0 has a type instead: Jpeg was taken"
                ),
            ),
        };
        draft.note(kind, Some(&node_name), message);
    }
    let word = word.unwrap_or("Jpeg");
    set_type(format, Family::Lva, &format!("ImageFormat{word}"));
    take(format, "encoding");
    if word != "Jpeg" {
        take(format, "quality");
    }
}

/// A rate filter that was taken out of the document.
struct Filter {
    name: String,
    rate: Option<String>,
    inputs: Vec<Value>,
}

/// What stands in the place of a filter: what feeds it, other filters seen through, and the slowest rate on the way.
struct Through {
    inputs: Vec<Value>,
    rate: Option<String>,
}

/// Takes all rate filters out and connects what they fed to what fed them.
fn replace_filters(draft: &mut Draft) {
    let is_filter = |node: &Value| node.as_object().and_then(kind) == Some(NodeKind::FrameRateFilter);
    let Some(processors) = draft.list(Role::Processor) else {
        return;
    };
    let (filters, others): (Vec<Value>, Vec<Value>) =
        std::mem::take(processors).into_iter().partition(is_filter);
    *processors = others;
    let filters = filters.into_iter().filter_map(|mut node| {
        let node = node.as_object_mut()?;
        Some(Filter {
            name: name(node),
            rate: text(node, "maximumFps"),
            inputs: list(node, "inputs").map(std::mem::take).unwrap_or_default(),
        })
    });
    let filters: Vec<Filter> = filters.collect();
    let through = see_through(&filters);
    let mut made = 0;
    for role in [Role::Processor, Role::Sink] {
        draft.each_node(role, |draft, node| {
            for filter in reconnect(node, &through, &mut made) {
                let rate = through.get(&filter).and_then(|through| through.rate.as_deref());
                if let Some(rate) = rate {
                    take_rate(draft, node, &filter, rate);
                }
            }
        });
    }
}

/// The filters by name. They form no circle, since the topology has none.
fn see_through(filters: &[Filter]) -> BTreeMap<String, Through> {
    let places: BTreeMap<&str, usize> = filters
        .iter()
        .enumerate()
        .map(|(i, f)| (f.name.as_str(), i))
        .collect();
    let mut done: BTreeMap<String, Through> = BTreeMap::new();
    let mut waiting: Vec<usize> = (0..filters.len()).collect();
    while let Some(i) = waiting.pop() {
        let Some(filter) = filters.get(i).filter(|filter| !done.contains_key(&filter.name)) else {
            continue;
        };
        let before = filter.inputs.iter().filter_map(input_name);
        let missing: Vec<usize> = before
            .filter(|name| !done.contains_key(name))
            .filter_map(|name| places.get(name.as_str()).copied())
            .collect();
        if !missing.is_empty() {
            // First those, then this one again.
            waiting.push(i);
            waiting.extend(missing);
            continue;
        }
        let mut through = Through {
            inputs: Vec::new(),
            rate: filter.rate.clone(),
        };
        let mut names = BTreeSet::new();
        for input in &filter.inputs {
            let Some(name) = input_name(input) else { continue };
            let Some(before) = done.get(&name) else {
                if names.insert(name) {
                    through.inputs.push(input.clone());
                }
                continue;
            };
            if let Some(rate) = &before.rate {
                through.rate = Some(slowest(through.rate.as_deref(), rate));
            }
            for input in &before.inputs {
                if input_name(input).is_some_and(|name| names.insert(name)) {
                    through.inputs.push(input.clone());
                }
            }
        }
        done.insert(filter.name.clone(), through);
    }
    done
}

fn input_name(input: &Value) -> Option<String> {
    text(input.as_object()?, "nodeName")
}

/// Connects a node past the filters among its inputs, and gives their names. `made` counts the inputs of all nodes: past
/// the limit no more are made, so that the check of what comes out refuses it.
fn reconnect(node: &mut Object, through: &BTreeMap<String, Through>, made: &mut usize) -> Vec<String> {
    let Some(inputs) = list(node, "inputs") else {
        return Vec::new();
    };
    let mut filters = Vec::new();
    let mut names = BTreeSet::new();
    let mut connected: Vec<Value> = Vec::with_capacity(inputs.len());
    for input in std::mem::take(inputs) {
        let name = input_name(&input);
        match name.as_ref().and_then(|name| Some((name, through.get(name)?))) {
            Some((name, through)) => {
                filters.push(name.clone());
                let fresh = through
                    .inputs
                    .iter()
                    .filter(|own| input_name(own).is_none_or(|name| names.insert(name)));
                for own in fresh {
                    if *made <= MAX_INPUTS {
                        connected.push(own.clone());
                        *made += 1;
                    }
                }
            }
            None => {
                if name.is_none_or(|name| names.insert(name)) {
                    connected.push(input);
                    *made += 1;
                }
            }
        }
    }
    *inputs = connected;
    filters
}

fn take_rate(draft: &mut Draft, node: &mut Object, filter: &str, rate: &str) {
    let node_name = name(node);
    if kind(node).is_some_and(NodeKind::is_extension) || draft.is_custom(node) {
        limit(node, rate);
        let message =
            format!("the frame rate filter '{filter}' is its own 'maximumSamplesPerSecond' of {rate} now");
        draft.note(NoteKind::Changed, Some(&node_name), message);
    } else {
        let message = format!(
            "the frame rate filter '{filter}' before it is gone: 2.0 limits rates at extensions only"
        );
        draft.note(NoteKind::Lost, Some(&node_name), message);
    }
}

fn limit(node: &mut Object, rate: &str) {
    if object(node, "samplingOptions").is_none() {
        replace(node, "samplingOptions", "samplingOptions", json!({}));
    }
    if let Some(sampling) = object(node, "samplingOptions") {
        let own = text(sampling, "maximumSamplesPerSecond");
        let slower = slowest(own.as_deref(), rate);
        let member = "maximumSamplesPerSecond";
        replace(sampling, member, member, slower.into());
    }
}

/// The lower of two rates; where one is a parameter, the one that was there.
fn slowest(own: Option<&str>, other: &str) -> String {
    match own {
        None => other.to_owned(),
        Some(own) => {
            let rates = own
                .trim()
                .parse::<f64>()
                .ok()
                .zip(other.trim().parse::<f64>().ok());
            match rates {
                Some((mine, theirs)) if theirs < mine => other.to_owned(),
                _ => own.to_owned(),
            }
        }
    }
}

fn file_sink(draft: &mut Draft, node: &mut Object) {
    let node_name = name(node);
    if let Some(path) = text(node, "filePathPattern") {
        let (folder, file) = split(&path);
        if file.is_empty()
            || segments(&file).all(|part| matches!(part, Segment::Reference(_))) && folder.is_none()
        {
            let message = format!(
                "'filePathPattern' was '{path}', in which folder and name cannot be told apart: {FILE_FOLDER} was \
                 taken as the folder"
            );
            draft.note(NoteKind::Lost, Some(&node_name), message);
        }
        let folder = folder.unwrap_or_else(|| FILE_FOLDER.to_owned());
        replace(node, "filePathPattern", "baseDirectoryPath", folder.into());
        take(node, "fileNamePattern");
        node.insert("fileNamePattern".to_owned(), file.into());
    }
    if !has(node, "maximumSizeMiB") {
        node.insert("maximumSizeMiB".to_owned(), FILE_CAP_MIB.into());
        let message = format!(
            "2.0 demands 'maximumSizeMiB': {FILE_CAP_MIB} was put in, beyond which old files are deleted"
        );
        draft.note(NoteKind::Added, Some(&node_name), message);
    }
}

/// What stands before the last slash outside of references, and what after.
fn split(path: &str) -> (Option<String>, String) {
    let (mut folder, mut file) = (None::<String>, String::new());
    for segment in segments(path) {
        match segment {
            Segment::Literal(text) | Segment::Unclosed(text) => match text.rsplit_once('/') {
                Some((before, after)) => {
                    let so_far = folder.take().map(|folder| folder + "/").unwrap_or_default();
                    folder = Some(so_far + &file + before);
                    file = after.to_owned();
                }
                None => file.push_str(text),
            },
            Segment::Reference(name) => {
                file.push_str("${");
                file.push_str(name);
                file.push('}');
            }
        }
    }
    // The root folder is a slash.
    let folder = folder.map(|folder| if folder.is_empty() { "/".to_owned() } else { folder });
    (folder, file)
}

fn asset_sink(draft: &mut Draft, node: &mut Object) {
    let node_name = name(node);
    let wanted = [
        (
            "assetNamePattern",
            "${System.GraphTopologyName}-${System.GraphInstanceName}",
        ),
        ("localMediaCachePath", ASSET_CACHE),
        ("localMediaCacheMaximumSizeMiB", ASSET_CACHE_MIB),
    ];
    for (member, value) in wanted {
        if !has(node, member) {
            replace(node, member, member, value.into());
            let message = format!("2.0 demands '{member}': '{value}' was put in");
            draft.note(NoteKind::Added, Some(&node_name), message);
        }
    }
}

fn passwords(draft: &mut Draft, node: &mut Object) {
    if draft.is_custom(node) {
        return;
    }
    let node_name = name(node);
    let credentials = object(node, "endpoint").and_then(|endpoint| object(endpoint, "credentials"));
    let Some(credentials) = credentials else { return };
    let is_password = local_type(credentials)
        .is_some_and(|local| local.eq_ignore_ascii_case("UsernamePasswordCredentials"));
    if is_password && !has(credentials, "password") {
        replace(credentials, "password", "password", "".into());
        let message = "2.0 demands a 'password': an empty one was put in";
        draft.note(NoteKind::Added, Some(&node_name), message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_at_its_last_slash_outside_of_references() {
        for (path, folder, file) in [
            (
                "/var/media/a-${System.DateTime}",
                Some("/var/media"),
                "a-${System.DateTime}",
            ),
            ("/var/${x/y}/b", Some("/var/${x/y}"), "b"),
            ("/a/${x}/b/${y}-c", Some("/a/${x}/b"), "${y}-c"),
            ("/a", Some("/"), "a"),
            ("a", None, "a"),
            ("${path}", None, "${path}"),
        ] {
            let (found_folder, found_file) = split(path);
            assert_eq!(
                (found_folder.as_deref(), found_file.as_str()),
                (folder, file),
                "{path}"
            );
        }
    }

    #[test]
    fn the_slower_of_two_rates_counts() {
        assert_eq!(slowest(None, "5"), "5");
        assert_eq!(slowest(Some("10"), "5"), "5");
        assert_eq!(slowest(Some("2.5"), "5"), "2.5");
        assert_eq!(slowest(Some("${fps}"), "5"), "${fps}");
    }
}
