//! Members under other names: those of packages, of resources and of early previews.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::Form;
use crate::document::{find, member, step};
use crate::generation::Family;
use crate::template::SystemVariable;

/// Members of more than one word, which the Python packages write in `snake_case`.
const NAMES: [&str; 57] = [
    "@apiVersion",
    "activationEvaluationWindow",
    "activationSignalOffset",
    "assetNamePattern",
    "baseDirectoryPath",
    "calibrationConfiguration",
    "cameraCalibratorNodeConfiguration",
    "cameraConfiguration",
    "createdAt",
    "dataTransfer",
    "detectorNodeConfiguration",
    "enableFaceMaskClassifier",
    "enableVideoPreviewImage",
    "eventAggregationWindow",
    "eventType",
    "extensionConfiguration",
    "fileNamePattern",
    "filePathPattern",
    "headerName",
    "headerValue",
    "hubInputName",
    "hubOutputName",
    "ignoreHostname",
    "ignoreSignature",
    "lastModifiedAt",
    "localMediaCacheMaximumSizeMiB",
    "localMediaCachePath",
    "maximumActivationTime",
    "maximumDistanceThreshold",
    "maximumFps",
    "maximumSamplesPerSecond",
    "maximumSizeMiB",
    "minimumActivationTime",
    "minimumDistanceThreshold",
    "nodeName",
    "objectsToTrack",
    "outputFrequency",
    "outputMotionRegion",
    "outputSelectors",
    "pixelFormat",
    "retentionPeriod",
    "samplingOptions",
    "segmentLength",
    "sharedMemorySizeMiB",
    "skipSamplesWithoutAnnotation",
    "systemData",
    "topologyName",
    "trackerNodeConfiguration",
    "trustedCertificates",
    "validationOptions",
    "videoCreationProperties",
    "videoName",
    "videoPublishingOptions",
    "deviceId",
    "iotHubDeviceConnection",
    "moduleName",
    "assetName",
];

/// A name without case and separators.
fn squashed(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// The contract's name of a member in `snake_case`, or with the spaces of translated pages.
fn contract_name(name: &str) -> Option<&'static str> {
    static BY_LETTERS: OnceLock<BTreeMap<String, &'static str>> = OnceLock::new();
    if !name.contains(['_', ' ']) {
        return None;
    }
    let by_letters = BY_LETTERS.get_or_init(|| NAMES.iter().map(|name| (squashed(name), *name)).collect());
    by_letters.get(&squashed(name)).copied()
}

/// What was found, to be reported once each: the first place, and how often.
#[derive(Default)]
struct Found {
    kinds: BTreeMap<Kind, (String, String, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    SnakeCase,
    Spaces,
    SpacesInType,
    SpacesInReference,
    ODataType,
    PlainType,
    ModuleName,
    PlainInput,
    AssetName,
    ApiVersion,
}

impl Kind {
    fn message(self, example: &str, count: usize) -> String {
        let times = if count > 1 {
            format!(" ({count} times)")
        } else {
            String::new()
        };
        match self {
            Self::SnakeCase => format!(
                "members are written in snake_case{times}, as as_dict() of the Python packages gives them, such as '{example}': \
                 they are read as the contract's; serialize() writes those"
            ),
            Self::Spaces => format!(
                "names of members have spaces{times}, as translated pages have them, such as '{example}': they are read as the \
                 contract's"
            ),
            Self::SpacesInType => format!(
                "types have spaces{times}, as translated pages have them, such as '{example}': they are read without"
            ),
            Self::SpacesInReference => format!(
                "references have spaces{times}, as translated pages have them, such as '{example}': they are read without"
            ),
            Self::ODataType | Self::PlainType => format!("'{example}'{times} is read as '@type'"),
            Self::ModuleName => format!("'moduleName'{times}, of early previews, is read as 'nodeName'"),
            Self::PlainInput => {
                format!(
                    "an input that is a string{times} is read as the node of that name: {{\"nodeName\": \"{example}\"}}"
                )
            }
            Self::AssetName => format!("'assetName'{times} is read as 'assetNamePattern'"),
            Self::ApiVersion => format!("'{example}' is read as '@apiVersion'"),
        }
    }
}

/// Gives members the contract's names.
pub(super) fn rename(value: &mut Value, form: &mut Form) {
    let mut found = Found::default();
    if let Value::Object(map) = value
        && find(map, "@apiVersion").is_none()
        && let Some(key) = map.keys().find(|key| squashed(key) == "apiversion").cloned()
        && map.get(&key).is_some_and(is_version)
        && !key.contains('_')
    {
        rename_member(map, "", &key, "@apiVersion", form);
        found.add(Kind::ApiVersion, form.written("/@apiVersion"), &key);
    }
    let declared = declared(value);
    walk(value, "", Place::Other, &declared, form, &mut found);
    for (kind, (place, example, count)) in found.kinds {
        form.note(place, kind.message(&example, count));
    }
}

/// A version of the contract, and not the date of a resource's.
fn is_version(value: &Value) -> bool {
    let text = value.as_str().map(str::trim);
    text.is_some_and(|text| {
        [Family::Lva, Family::VideoAnalyzer]
            .into_iter()
            .any(|family| crate::generation::Generation::of(family, text).is_some())
    })
}

/// Names of the parameters that a topology declares.
fn declared(value: &Value) -> BTreeSet<String> {
    let list = inside(value, "properties").and_then(|properties| inside(properties, "parameters"));
    let list = list.and_then(Value::as_array).into_iter().flatten();
    let names = list.filter_map(|parameter| inside(parameter, "name")?.as_str());
    names.map(str::to_owned).collect()
}

fn inside<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    member(value.as_object()?, name).map(|(_, value)| value)
}

/// A string whose references have spaces, without these: `$ {rtspUrl}`, `${ rtspUrl }` and `${System. DateTime}`, where what
/// remains means something and what is written does not. With the first such reference.
fn without_spaces(text: &str, declared: &BTreeSet<String>) -> Option<(String, String)> {
    let (mut mended, mut first) = (String::new(), None);
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('$') {
        mended.push_str(before);
        let inner = from.trim_start_matches([' ', '\u{a0}']).strip_prefix('{');
        let Some((name, after)) = inner.and_then(|inner| inner.split_once('}')) else {
            mended.push('$');
            rest = from;
            match inner {
                None => continue,
                // No other one is closed either.
                Some(_) => break,
            }
        };
        let written = from.get(..from.len() - after.len()).unwrap_or(from);
        let bare: String = name.chars().filter(|c| !c.is_whitespace()).collect();
        let is_spaced = written.len() != bare.len() + "{}".len();
        let has_meaning = from.starts_with('{') && declared.contains(name);
        let would_have = declared.contains(&bare) || SystemVariable::from_name(&bare).is_some();
        if is_spaced && would_have && !has_meaning {
            first.get_or_insert_with(|| format!("${written}"));
            mended.push_str(&format!("${{{bare}}}"));
        } else {
            mended.push('$');
            mended.push_str(written);
        }
        rest = after;
    }
    mended.push_str(rest);
    first.map(|first| (mended, first))
}

/// Makes a list of the parameters of an instance that are an object: `{"rtspUrl": "…"}`, or with `{"value": …}` as resources have
/// them.
pub(super) fn list_parameters(value: &mut Value, form: &mut Form) {
    let Some((properties, at)) = own_member(value, "", "properties") else {
        return;
    };
    let Some((parameters, at)) = own_member(properties, &at, "parameters") else {
        return;
    };
    let Value::Object(by_name) = parameters else {
        return;
    };
    let mut list = Vec::with_capacity(by_name.len());
    for (i, (name, value)) in std::mem::take(by_name).into_iter().enumerate() {
        let here = format!("{at}/{i}");
        let inner = value.as_object().and_then(|map| member(map, "value"));
        let written = inner.map(|(key, _)| key.to_owned());
        let value = inner.map_or(&value, |(_, value)| value).clone();
        list.push(json!({"name": name, "value": value}));
        for (member, written) in [("name", None), ("value", written)] {
            form.renamed.insert(format!("{here}/{member}"), written);
        }
        form.renamed.insert(here, Some(name));
    }
    *parameters = Value::Array(list);
    let message = "'parameters' is an object of names and values, and read as the list [{\"name\": …, \"value\": …}, …]";
    form.note(form.written(&at), message);
}

/// A member with its pointer.
fn own_member<'v>(value: &'v mut Value, at: &str, name: &str) -> Option<(&'v mut Value, String)> {
    let map = value.as_object_mut()?;
    let key = find(map, name)?;
    let at = step(at, &key);
    map.get_mut(&key).map(|value| (value, at))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the list of a node's inputs.
    Inputs,
    Other,
}

fn walk(
    value: &mut Value,
    at: &str,
    place: Place,
    declared: &BTreeSet<String>,
    form: &mut Form,
    found: &mut Found,
) {
    match value {
        Value::Array(list) => {
            for (i, item) in list.iter_mut().enumerate() {
                let here = format!("{at}/{i}");
                if place == Place::Inputs
                    && let Value::String(name) = item
                {
                    found.add(Kind::PlainInput, form.written(&here), name);
                    *item = json!({"nodeName": name.as_str()});
                    form.renamed.insert(format!("{here}/nodeName"), None);
                }
                walk(item, &here, place, declared, form, found);
            }
        }
        Value::Object(map) => {
            mend_type(map, at, form, found);
            let is_own = is_custom(map);
            if !is_own {
                rename_members(map, at, place, form, found);
            }
            for (key, inner) in map.iter_mut() {
                let is_inputs = key.eq_ignore_ascii_case("inputs");
                // Members of custom nodes are the program's own.
                if !is_own || is_inputs {
                    let within = if is_inputs { Place::Inputs } else { Place::Other };
                    walk(inner, &step(at, key), within, declared, form, found);
                }
            }
        }
        Value::String(text) => {
            if let Some((mended, written)) = without_spaces(text, declared) {
                found.add(Kind::SpacesInReference, form.written(at), &written);
                *text = mended;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Takes spaces out of a type that is one of the contract's without them.
fn mend_type(map: &mut Map<String, Value>, at: &str, form: &mut Form, found: &mut Found) {
    let types = map.iter_mut().filter(|(key, _)| is_type(key));
    for (key, value) in types {
        let Value::String(text) = value else { continue };
        let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        if bare.len() != text.trim().len() && Family::split_type(&bare).is_some() {
            found.add(Kind::SpacesInType, form.written(&step(at, key)), text);
            *text = bare;
        }
    }
}

/// Whether a member is `@type`, in whatever dialect: `type`, `_type`, `$type`, `@odata.type`, `@ type`.
fn is_type(key: &str) -> bool {
    matches!(squashed(key).as_str(), "type" | "odatatype")
}

/// Whether it has a type that is none of the contract's.
fn is_custom(map: &Map<String, Value>) -> bool {
    let kind = member(map, "@type").and_then(|(_, value)| value.as_str());
    kind.is_some_and(|kind| Family::split_type(kind).is_none())
}

fn rename_members(map: &mut Map<String, Value>, at: &str, place: Place, form: &mut Form, found: &mut Found) {
    if find(map, "@type").is_none() {
        let is_contract = |value: &Value| {
            value
                .as_str()
                .is_some_and(|text| Family::split_type(text).is_some())
        };
        let key = map.iter().find(|(key, value)| is_type(key) && is_contract(value));
        if let Some(key) = key.map(|(key, _)| key.clone()) {
            rename_member(map, at, &key, "@type", form);
            let kind = match squashed(&key).as_str() {
                "odatatype" => Kind::ODataType,
                _ => Kind::PlainType,
            };
            found.add(kind, form.written(&step(at, "@type")), &key);
        }
    }
    let snake: Vec<(String, &'static str)> = map
        .keys()
        .filter_map(|key| Some((key.clone(), contract_name(key)?)))
        .collect();
    for (key, name) in snake {
        if find(map, name).is_none() {
            rename_member(map, at, &key, name, form);
            let kind = match key.contains('_') {
                true => Kind::SnakeCase,
                false => Kind::Spaces,
            };
            found.add(kind, form.written(&step(at, name)), &key);
        }
    }
    if place == Place::Inputs
        && let Some(key) = find(map, "moduleName")
        && find(map, "nodeName").is_none()
    {
        rename_member(map, at, &key, "nodeName", form);
        found.add(Kind::ModuleName, form.written(&step(at, "nodeName")), "");
    }
    let is_asset = member(map, "@type").and_then(|(_, value)| Family::split_type(value.as_str()?));
    if is_asset.is_some_and(|(_, local)| local.eq_ignore_ascii_case("AssetSink"))
        && let Some(key) = find(map, "assetName")
        && find(map, "assetNamePattern").is_none()
    {
        rename_member(map, at, &key, "assetNamePattern", form);
        found.add(Kind::AssetName, form.written(&step(at, "assetNamePattern")), "");
    }
}

/// Renames a member in its place among the others.
fn rename_member(map: &mut Map<String, Value>, at: &str, key: &str, name: &str, form: &mut Form) {
    let renamed = std::mem::take(map);
    map.extend(renamed.into_iter().map(|(own, value)| match own == key {
        true => (name.to_owned(), value),
        false => (own, value),
    }));
    // A member may have been renamed before: what counts is what was written.
    let here = step(at, name);
    let before = form.renamed.remove(&step(at, key)).flatten();
    form.renamed
        .insert(here, Some(before.unwrap_or_else(|| key.to_owned())));
}

impl Found {
    fn add(&mut self, kind: Kind, place: String, example: &str) {
        let entry = self
            .kinds
            .entry(kind)
            .or_insert_with(|| (place, example.to_owned(), 0));
        entry.2 += 1;
    }
}
