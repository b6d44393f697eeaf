//! Members of a case that nothing reads.

use lva_graph_model::json::nearest;
use serde_json::{Map, Value};

/// Most of them that are named.
const MOST: usize = 32;

const CASE: [&str; 4] = ["name", "scene", "tracker", "frames"];
const SCENE: [&str; 10] = [
    "width",
    "height",
    "lines",
    "zones",
    "focus",
    "line_threshold",
    "zone_threshold",
    "hold_ms",
    "lost_grace_ms",
    "tracker",
];
const LINE: [&str; 4] = ["name", "start", "end", "classes"];
const ZONE: [&str; 4] = ["name", "polygon", "dwell_limits_ms", "classes"];
const TRACKER: [&str; 7] = [
    "high_score",
    "low_score",
    "new_track_score",
    "confirm_ms",
    "duplicate_confirm_ms",
    "tentative_ms",
    "lost_ms",
];
const FRAME: [&str; 3] = ["t_ms", "people", "detections"];

/// What is reported of members that are not read, at every level; those of all frames once.
pub(super) fn unread(case: &Value) -> Vec<String> {
    let mut found = Found(Vec::new());
    let Some(members) = case.as_object() else {
        return found.0;
    };
    found.level("", members, &CASE);
    if let Some(Value::Object(scene)) = members.get("scene") {
        found.level("scene: ", scene, &SCENE);
        for (list, known) in [("lines", LINE), ("zones", ZONE)] {
            for (n, element) in (1..).zip(objects(scene.get(list))) {
                let word = list.trim_end_matches('s');
                let place = match element.get("name").and_then(Value::as_str) {
                    Some(name) => format!("{word} {name:?}: "),
                    None => format!("{word} number {n}: "),
                };
                found.level(&place, element, &known);
            }
        }
        if let Some(Value::Object(tracker)) = scene.get("tracker") {
            found.level("scene: tracker: ", tracker, &TRACKER);
        }
    }
    if let Some(Value::Object(tracker)) = members.get("tracker") {
        found.level("tracker: ", tracker, &TRACKER);
    }
    for frame in objects(members.get("frames")) {
        found.level("frames: ", frame, &FRAME);
    }
    found.0
}

fn objects(list: Option<&Value>) -> impl Iterator<Item = &Map<String, Value>> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_object)
}

struct Found(Vec<String>);

impl Found {
    fn level(&mut self, place: &str, members: &Map<String, Value>, known: &[&str]) {
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            if self.0.len() >= MOST {
                return;
            }
            let shown: String = name.chars().take(128).collect();
            let meant = nearest(name, known.iter().copied())
                .map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
            let report = format!("{place}{shown}: unknown member, ignored{meant}");
            if !self.0.contains(&report) {
                self.0.push(report);
            }
        }
    }
}
