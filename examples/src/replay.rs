//! Cases as lines of JSON: people or detections in, events out, for comparing implementations of the rules.

mod case;
mod unread;

use std::collections::BTreeMap;

use case::{Case, Seen};
use lva_zones::{Direction, Engine, EventKind, Observation, SpatialEvent, TrackId, Tracker, TrackerOptions};
use serde_json::{Map, Value, json};
use unread::unread;

/// Longest case, in bytes.
pub const MAX_CASE_BYTES: usize = 64 << 20;

/// Most frames of a case.
pub const MAX_CASE_FRAMES: usize = 1 << 20;

/// Plays one case and returns what happened. A case that cannot be played gives its name and the reason.
///
/// In: `{"name", "scene": {"width", "height", "lines": [{"name", "start": [x, y], "end": [x, y]}], "zones": [{"name",
/// "polygon": [[x, y], …], "dwell_limits_ms": […]}], "focus", "line_threshold", "zone_threshold", "hold_ms",
/// "lost_grace_ms", "tracker": {…}}, "tracker": {…}, "frames": [{"t_ms", "people": [[id, left, top, width, height], …]}, …]}`,
/// coordinates in fractions of the frame from its top left.
///
/// * `focus` is `bottom_center` by default.
/// * A threshold is a share of the frame's width and a depth to enter, a distance to leave, or a distance from a line. Default:
///   [`Threshold::Auto`](lva_zones::Threshold::Auto), with which who lingers at an edge is where they stand on average.
/// * `hold_ms` is 200 and `lost_grace_ms` 1000.
/// * With `"detections": [[left, top, width, height, score], …]` instead of `people` the tracker assigns the identities. A sixth number
///   is a class, 0 by default, which events then have too. A zone or line with `"classes": [0, 2]` is for these alone.
///   `tracker` sets its `high_score`, `low_score`, `new_track_score`, `confirm_ms`, `duplicate_confirm_ms`, `tentative_ms` and
///   `lost_ms` ([`TrackerOptions`]); what stands beside the scene wins.
/// * Boxes without an area, as at the frame's border, are skipped and counted.
///
/// Out: `{"name", "events": [{"t_ms", "frame", "id", "kind", "name", "direction", "side", "dwell_ms"}], "inside": {"ZONE":
/// {"ID": "0101…"}}}`. `kind` is `line`, `enter`, `exit` or `dwell`; `direction` is the side of arrival, `left` or `right` for a
/// viewer who stands at the line's start and looks to its end; `frame` is the index of the frame that confirmed it, `t_ms`
/// the interpolated time. A visit has its `dwell_ms` on its exit; `dwell` comes at a zone's limits.
/// `inside` is the geometry alone, a character a frame: `1` inside or on the edge, `0` outside, `-` absent. With detections
/// there are also `tracks`: the confirmed people of each frame. Where boxes were skipped, `skipped` is their number. Members
/// that nothing reads, at any level, are in `ignored`, with the known name that each nearly is.
///
/// ```
/// let case = r#"{"name": "a", "scene": {"width": 100, "height": 100,
///     "zones": [{"name": "z", "polygon": [[0.4, 0], [1, 0], [1, 0.9], [0.4, 0.9]]}]},
///     "frames": [{"t_ms": 0, "people": [[7, 0.2, 0.2, 0.2, 0.4]]}, {"t_ms": 1000, "people": [[7, 0.4, 0.2, 0.2, 0.4]]}]}"#;
/// let played: serde_json::Value = serde_json::from_str(&lva_examples::replay::replay_case(case))?;
/// assert_eq!(played["events"][0]["kind"], "enter");
/// assert_eq!(played["inside"]["z"]["7"], "01");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn replay_case(line: &str) -> String {
    let mut name = Value::Null;
    let answer = play(line, &mut name).unwrap_or_else(|error| json!({"name": name, "error": error}));
    answer.to_string()
}

fn play(line: &str, name: &mut Value) -> Result<Value, String> {
    if line.len() > MAX_CASE_BYTES {
        return Err(format!(
            "a case of {} bytes; the limit is {MAX_CASE_BYTES}",
            line.len()
        ));
    }
    let value: Value = lva_graph_model::json::parse(line.as_bytes()).map_err(|error| error.to_string())?;
    if let Some(given) = value.get("name") {
        name.clone_from(given);
    }
    let unread = unread(&value);
    let case = Case::read(value).map_err(|error| match unread.is_empty() {
        true => error,
        // A name that is not quite right may be why something is missing.
        false => format!("{error} ({})", unread.join("; ")),
    })?;
    let mut player = Player {
        engine: Engine::new(case.scene.clone()),
        tracker: case.tracked.then(|| {
            Tracker::new(TrackerOptions {
                aspect: case.scene.options().aspect,
                ..case.tracker
            })
        }),
        names: case.names.clone(),
        events: Vec::new(),
        tracks: Vec::new(),
        inside: case
            .scene
            .zone_names()
            .map(|zone| (zone.to_owned(), BTreeMap::new()))
            .collect(),
        frames: case.frames.len(),
    };
    for (index, frame) in case.frames.iter().enumerate() {
        player
            .frame(index, frame.time, &frame.seen, &case)
            .map_err(|error| format!("frame {index}: {error}"))?;
    }
    Ok(player.answer(name, &unread))
}

struct Player {
    engine: Engine,
    tracker: Option<Tracker>,
    /// The case's ids of people, by track; empty with a tracker.
    names: Vec<Value>,
    events: Vec<Value>,
    tracks: Vec<Value>,
    inside: Vec<(String, BTreeMap<u64, Vec<u8>>)>,
    frames: usize,
}

impl Player {
    fn frame(&mut self, index: usize, time: u64, seen: &Seen, case: &Case) -> Result<(), String> {
        let people = match (seen, &mut self.tracker) {
            (Seen::People(people), _) => people.clone(),
            (Seen::Detections(found), Some(tracker)) => {
                tracker.update(time, found).map_err(|e| e.to_string())?
            }
            (Seen::Detections(_), None) => return Err("detections in a case of people".to_owned()),
        };
        if self.tracker.is_some() {
            let reported = people.iter().filter(|person| person.confirmed).map(|person| {
                let b = person.bbox;
                json!([person.track.0, b.left, b.top, b.width, b.height])
            });
            self.tracks.push(reported.collect());
        }
        for event in self.engine.update(time, &people).map_err(|e| e.to_string())? {
            self.event(index, &event, case);
        }
        self.record_inside(index, &people, case);
        Ok(())
    }

    /// Records who is inside which zone in this frame.
    fn record_inside(&mut self, index: usize, people: &[Observation], case: &Case) {
        for (zone, rows) in &mut self.inside {
            let seen = people
                .iter()
                .filter(|person| person.confirmed && person.bbox.has_area());
            for person in seen {
                // In double precision: boxes have less.
                let exact = case.anchors.get(&(index, person.track.0)).copied();
                let at = exact.unwrap_or_else(|| case.focus.point(&person.smoothed));
                let inside = case.scene.depth(zone, at).is_some_and(|depth| depth >= 0.0);
                let row = rows
                    .entry(person.track.0)
                    .or_insert_with(|| vec![b'-'; self.frames]);
                if let Some(cell) = row.get_mut(index) {
                    *cell = if inside { b'1' } else { b'0' };
                }
            }
        }
    }

    fn id(&self, track: TrackId) -> Value {
        let named = self
            .names
            .get(track.0 as usize)
            .filter(|_| self.tracker.is_none());
        named.cloned().unwrap_or_else(|| json!(track.0))
    }

    fn event(&mut self, frame: usize, event: &SpatialEvent, case: &Case) {
        let milliseconds = |ticks: u64| (ticks as f64 / 90.0 * 1000.0).round() / 1000.0;
        let (kind, direction, side, dwell) = match event.kind {
            EventKind::Cross(Direction::Left) => ("line", Some("left"), None, None),
            EventKind::Cross(Direction::Right) => ("line", Some("right"), None, None),
            EventKind::Enter { side } => ("enter", None, side, None),
            EventKind::Exit { side, dwell_90k, .. } => ("exit", None, side, Some(dwell_90k)),
            EventKind::DwellExceeded { dwell_90k, .. } => ("dwell", None, None, Some(dwell_90k)),
            // Cases have no such rules.
            _ => return,
        };
        let Some(track) = event.track() else { return };
        let id = self.id(track);
        let mut reported = json!({
            "t_ms": (milliseconds(event.time_90k) + case.begin_ms),
            "frame": frame,
            "id": id,
            "kind": kind,
            "name": &*event.name,
            "direction": direction,
            "side": side,
            "dwell_ms": dwell.map(milliseconds),
        });
        if let Some(person) = event.person.filter(|_| case.classified) {
            reported["class"] = json!(person.class);
        }
        self.events.push(reported);
    }

    fn answer(self, name: &Value, unread: &[String]) -> Value {
        let inside: Map<String, Value> = self
            .inside
            .iter()
            .map(|(zone, rows)| {
                let rows = rows.iter().map(|(track, row)| {
                    let name = match self.id(TrackId(*track)) {
                        Value::String(text) => text,
                        other => other.to_string(),
                    };
                    (name, json!(String::from_utf8_lossy(row)))
                });
                (zone.clone(), Value::Object(rows.collect()))
            })
            .collect();
        let mut answer = Map::new();
        answer.insert("name".to_owned(), name.clone());
        answer.insert("events".to_owned(), Value::Array(self.events));
        answer.insert("inside".to_owned(), Value::Object(inside));
        let mut skipped = self.engine.stats().invalid;
        if let Some(tracker) = &self.tracker {
            skipped += tracker.stats().invalid;
            answer.insert("tracks".to_owned(), Value::Array(self.tracks));
        }
        if skipped > 0 {
            answer.insert("skipped".to_owned(), json!(skipped));
        }
        if !unread.is_empty() {
            answer.insert("ignored".to_owned(), json!(unread));
        }
        Value::Object(answer)
    }
}
