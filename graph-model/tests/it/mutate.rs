//! Documents with mistakes in them, made from valid ones at random. Also used by the fuzz target.

use serde_json::{Map, Value, json};

/// SplitMix64: the same documents on every machine.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`; 0 where that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            0
        } else {
            (self.next() % end as u64) as usize
        }
    }
}

/// Bytes changed, doubled, lost and inserted.
pub(crate) fn mutate_bytes(text: &str, chance: &mut Chance) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..1 + chance.below(8) {
        let at = chance.below(bytes.len());
        match chance.below(6) {
            0 => bytes[at] = chance.next() as u8,
            1 => {
                bytes.remove(at);
            }
            2 => bytes.insert(at, *b"{}[]\",:$\\0-e".get(chance.below(12)).unwrap()),
            3 => bytes.truncate(at.max(1)),
            4 => {
                let end = (at + chance.below(40)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = chance.below(bytes.len());
                bytes.splice(to..to, part);
            }
            _ => {
                let end = (at + chance.below(40)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
        if bytes.is_empty() {
            return bytes;
        }
    }
    bytes
}

/// A document with members dropped, doubled, renamed, retyped, moved and nested.
pub(crate) fn mutate_structure(document: &Value, chance: &mut Chance) -> Value {
    let mut document = document.clone();
    for _ in 0..1 + chance.below(6) {
        let count = count(&document);
        let at = chance.below(count);
        let donor = nth(&document, &mut chance.below(count)).cloned();
        let mut at = at;
        if let Some(place) = nth_mut(&mut document, &mut at) {
            change(place, donor.unwrap_or_default(), chance);
        }
    }
    document
}

fn change(place: &mut Value, donor: Value, chance: &mut Chance) {
    match (chance.below(7), place) {
        // Drop, double or rename a member; drop or double an item.
        (0, Value::Object(map)) => {
            if let Some(key) = key(map, chance) {
                map.remove(&key);
            }
        }
        (1, Value::Object(map)) => {
            if let Some(key) = key(map, chance) {
                let value = map[&key].clone();
                map.insert(key.to_uppercase(), value);
            }
        }
        (2, Value::Object(map)) => {
            if let Some(key) = key(map, chance) {
                let value = map.remove(&key).unwrap_or_default();
                map.insert(format!("{key}{}", chance.below(10)), value);
            }
        }
        (0, Value::Array(list)) if !list.is_empty() => {
            list.remove(chance.below(list.len()));
        }
        (1 | 2, Value::Array(list)) if !list.is_empty() => {
            let item = list[chance.below(list.len())].clone();
            list.push(item);
        }
        // Another value, one from elsewhere, or this one deeper.
        (3, place) => *place = donor,
        (4, place) => {
            for _ in 0..1 + chance.below(60) {
                let inner = place.take();
                *place = if chance.below(2) == 0 {
                    json!([inner])
                } else {
                    json!({"nodeName": inner})
                };
            }
        }
        (_, place) => *place = strange(chance),
    }
}

fn key(map: &Map<String, Value>, chance: &mut Chance) -> Option<String> {
    map.keys().nth(chance.below(map.len())).cloned()
}

fn strange(chance: &mut Chance) -> Value {
    match chance.below(22) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(u64::MAX),
        4 => json!(1e308),
        5 => json!("9".repeat(400)),
        6 => json!(""),
        7 => json!("${"),
        8 => json!("${url}${url}${url}"),
        9 => json!("${System.DateTime}"),
        10 => json!("${System.Coffee}"),
        11 => json!("camera"),
        12 => json!("gate"),
        13 => json!("-PT9999999999999H"),
        14 => json!("PT0S"),
        15 => json!([]),
        16 => json!({}),
        17 => json!({"@type": 7, "name": []}),
        18 => json!("#Microsoft.VideoAnalyzer.VideoSink"),
        19 => json!("[[0,0],[1,1],[1e999,0]]"),
        20 => json!("rtsp://u:p@ss@[::1"),
        _ => json!("ä\u{0}\u{202e}\n"),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Object(map) => map.values().map(count).sum::<usize>(),
        Value::Array(list) => list.iter().map(count).sum(),
        _ => 0,
    }
}

fn nth<'v>(value: &'v Value, left: &mut usize) -> Option<&'v Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Object(map) => map.values().find_map(|value| nth(value, left)),
        Value::Array(list) => list.iter().find_map(|value| nth(value, left)),
        _ => None,
    }
}

fn nth_mut<'v>(value: &'v mut Value, left: &mut usize) -> Option<&'v mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Object(map) => map.values_mut().find_map(|value| nth_mut(value, left)),
        Value::Array(list) => list.iter_mut().find_map(|value| nth_mut(value, left)),
        _ => None,
    }
}

/// Documents that are large or deep on purpose: many nodes, wide and long, circles, deep nesting, many parameters.
pub(crate) fn large(chance: &mut Chance) -> Value {
    let filter = |name: String, inputs: Vec<String>| {
        let inputs: Vec<Value> = inputs.into_iter().map(|name| json!({"nodeName": name})).collect();
        json!({"@type": "#Microsoft.Media.MediaGraphFrameRateFilterProcessor", "name": name, "inputs": inputs})
    };
    let source = json!({
        "@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "camera",
        "endpoint": {"@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": "rtsp://c/1"},
    });
    let mut parameters = Vec::new();
    let kind = chance.below(7);
    let processors: Vec<Value> = match kind {
        // Ten thousand nodes.
        0 => (0..10_000)
            .map(|i| filter(format!("f{i}"), vec!["camera".into()]))
            .collect(),
        // A chain, and a chain that bites its tail, as long as may be.
        1 | 2 => (0..998)
            .map(|i| {
                let before = match i {
                    0 if kind == 2 => "f997".to_owned(),
                    0 => "camera".to_owned(),
                    i => format!("f{}", i - 1),
                };
                filter(format!("f{i}"), vec![before])
            })
            .collect(),
        // Everybody feeds everybody after them, up to the limit of inputs.
        3 => (0..140)
            .map(|i| {
                filter(
                    format!("f{i}"),
                    (0..i).map(|j| format!("f{j}")).chain(["camera".into()]).collect(),
                )
            })
            .collect(),
        // One node with far too many inputs.
        4 => vec![filter("f".into(), (0..60_000).map(|i| format!("n{i}")).collect())],
        // Undeclared parameters among many declared ones.
        5 => {
            parameters = (0..20_000)
                .map(|i| json!({"name": format!("p{i}"), "type": "String"}))
                .collect();
            let wanted = (0..20_000).map(|i| format!("${{q{i}}}")).collect::<String>();
            vec![filter(wanted, vec!["camera".into()])]
        }
        // As deep as JSON may be.
        _ => {
            let mut deep = json!({});
            for _ in 0..110 {
                deep = if chance.below(2) == 0 {
                    json!([deep])
                } else {
                    json!({"inputs": deep})
                };
            }
            vec![deep]
        }
    };
    json!({"@apiVersion": "1.0", "name": "Large", "properties": {
        "parameters": parameters, "sources": [source], "processors": processors, "sinks": [],
    }})
}
