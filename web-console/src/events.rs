//! Events of all instances, the newest in memory: what happened in the pictures, and what is wrong with a node.

mod error_text;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Instant;

use async_trait::async_trait;
use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use lva_graph_runtime::{GraphEvent, MessageSink, SinkError};
use lva_inference_schema::{
    Event, EventClass, EventName, Inference, InferenceValue, PreviewNote, event_time,
};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};

use crate::boxes::fractions;
use crate::tracks::track_of;

/// Events that are kept; the oldest makes way.
const KEPT: usize = 2000;

/// Events among which the same one is looked for.
const RECENT: usize = 64;

/// Pictures of events that are kept, at some 100 KB each.
const MAX_PICTURES: usize = 200;

/// Events in one answer.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 500;

/// Longest text that an extension may put into an event here.
const MAX_TEXT: usize = 200;

/// What happened in the pictures of a camera.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct SeenEvent {
    id: u64,
    #[serde(skip)]
    inference_id: String,
    camera: String,
    node: String,
    time: String,
    #[serde(rename = "timestamp90k")]
    timestamp_90k: u64,
    /// Such as `personZoneEvent`.
    kind: String,
    status: Option<String>,
    zone: Option<String>,
    line: Option<String>,
    entity: Option<String>,
    label: Option<String>,
    why: Value,
    path: Vec<[f64; 2]>,
    picture: Option<String>,
    recording: Option<Value>,
    properties: BTreeMap<String, String>,
}

/// Where and when something was found.
struct Moment<'a> {
    camera: &'a str,
    node: &'a str,
    timestamp_90k: u64,
}

/// An event that has just come.
pub(crate) struct NewEvent {
    pub(crate) id: u64,
    /// For those who watch.
    pub(crate) message: Utf8Bytes,
}

/// What is wrong with a node or an instance.
#[derive(Debug, Clone)]
struct Trouble {
    text: String,
    since: Instant,
}

/// Which events are asked for.
#[derive(Debug, Default)]
pub(crate) struct EventQuery {
    camera: Option<String>,
    zone: Option<String>,
    kind: Option<String>,
    /// Only events older than the one with this id.
    before: Option<u64>,
    limit: Option<usize>,
}

impl EventQuery {
    /// The newest events of a camera.
    pub(crate) fn of_camera(camera: &str) -> Self {
        Self {
            camera: Some(camera.to_owned()),
            limit: Some(LARGEST_PAGE),
            ..Self::default()
        }
    }

    /// Reads the query of an address. What cannot be read is left out.
    pub(crate) fn parse(query: &str) -> Self {
        let mut own = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let text = Some(value.to_string()).filter(|value| !value.is_empty());
            match &*name {
                "camera" => own.camera = text,
                "zone" => own.zone = text,
                "kind" => own.kind = text,
                "before" => own.before = value.parse().ok(),
                "limit" => own.limit = value.parse().ok(),
                _ => {}
            }
        }
        own
    }
}

#[derive(Default)]
pub(crate) struct Events {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next_id: u64,
    /// Oldest first.
    seen: VecDeque<SeenEvent>,
    /// The newest pictures, by the ids of their events.
    pictures: BTreeMap<u64, Bytes>,
    /// By instance and node; the instance itself has no node.
    troubles: BTreeMap<(String, Option<String>), Trouble>,
}

impl Events {
    /// Takes what a node has found in a frame; returns the messages about its events. `way` gives that of a track.
    pub(crate) fn take(
        &self,
        camera: &str,
        node: &str,
        timestamp_90k: u64,
        found: &[Inference],
        way: impl Fn(u64) -> Vec<[f64; 2]>,
    ) -> Vec<NewEvent> {
        let mut state = self.state.lock();
        let events = found.iter().filter_map(|inference| match &inference.value {
            InferenceValue::Event(what) => Some((inference, what)),
            _ => None,
        });
        let mut messages = Vec::new();
        for (inference, what) in events {
            let about = related(inference, found);
            let path = about.and_then(track_of).map(&way);
            let moment = Moment {
                camera,
                node,
                timestamp_90k,
            };
            if let Some(event) = state.keep(&moment, what, inference, about, path) {
                // Strings and numbers cannot fail to be written.
                let mut message = serde_json::to_value(&event).unwrap_or_default();
                message["type"] = json!("event");
                let message = message.to_string().into();
                messages.push(NewEvent {
                    id: event.id,
                    message,
                });
            }
        }
        messages
    }

    /// Takes an event of the module: what is wrong with an instance or a node, and what is right again.
    fn hear(&self, event: &GraphEvent) {
        let node = event.subject.node_name().map(|(_, name)| name.to_owned());
        let is_about_node = node.is_some();
        let key = (event.subject.instance_name().to_owned(), node);
        let mut state = self.state.lock();
        if event.name == EventName::MediaSessionEstablished {
            state.troubles.remove(&key);
        } else if let Some(text) = error_text::of(event) {
            let since = Instant::now();
            state.troubles.insert(key, Trouble { text, since });
        } else if event.class() == EventClass::Operational && !is_about_node {
            state.troubles.remove(&key);
        }
    }

    /// Forgets what was wrong with instances that are gone.
    pub(crate) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        self.state
            .lock()
            .troubles
            .retain(|(instance, _), _| is_there(instance));
    }

    /// The newest thing that is wrong with an instance or a node of it.
    pub(crate) fn last_error(&self, instance: &str) -> Option<String> {
        let state = self.state.lock();
        let own = state.troubles.iter().filter(|((of, _), _)| of == instance);
        own.max_by_key(|(_, trouble)| trouble.since)
            .map(|((_, node), trouble)| match node {
                Some(node) => format!("{node}: {}", trouble.text),
                None => trouble.text.clone(),
            })
    }

    /// What is wrong with a node, unless it has worked since `worked_at`.
    pub(crate) fn error_of(
        &self,
        instance: &str,
        node: Option<&str>,
        worked_at: Option<Instant>,
    ) -> Option<String> {
        let key = (instance.to_owned(), node.map(str::to_owned));
        let state = self.state.lock();
        let trouble = state.troubles.get(&key)?;
        worked_at
            .is_none_or(|at| at < trouble.since)
            .then(|| trouble.text.clone())
    }

    /// Keeps the picture of an event that is there.
    pub(crate) fn keep_picture(&self, event: u64, jpeg: Bytes) {
        let mut state = self.state.lock();
        if let Some(own) = state.seen.iter_mut().rev().find(|own| own.id == event) {
            own.picture = Some(format!("api/events/{event}/picture.jpg"));
            state.pictures.insert(event, jpeg);
        }
        while state.pictures.len() > MAX_PICTURES
            && let Some((oldest, _)) = state.pictures.pop_first()
        {
            let own = state.seen.iter_mut().find(|own| own.id == oldest);
            own.into_iter().for_each(|own| own.picture = None);
        }
    }

    /// The picture of an event of a camera that `sees` lets through.
    pub(crate) fn picture(&self, event: u64, sees: impl Fn(&str) -> bool) -> Option<Bytes> {
        let state = self.state.lock();
        let camera = state
            .seen
            .iter()
            .find(|own| own.id == event)
            .map(|own| own.camera.as_str());
        camera.filter(|camera| sees(camera))?;
        state.pictures.get(&event).cloned()
    }

    /// Events of cameras that `sees` lets through, newest first.
    pub(crate) fn list(&self, query: &EventQuery, sees: impl Fn(&str) -> bool) -> Value {
        let limit = query.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
        let is = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
        };
        let state = self.state.lock();
        let matching = state.seen.iter().rev().filter(|event| {
            query.before.is_none_or(|before| event.id < before)
                && sees(&event.camera)
                && is(&query.camera, Some(&event.camera))
                && is(&query.kind, Some(&event.kind))
                && (is(&query.zone, event.zone.as_deref()) || is(&query.zone, event.line.as_deref()))
        });
        let mut page: Vec<&SeenEvent> = matching.take(limit + 1).collect();
        let more = page.len() > limit;
        page.truncate(limit);
        json!({"events": page, "more": more})
    }
}

impl State {
    /// `None` for an event that is known: nodes in series answer with what those before them found.
    fn keep(
        &mut self,
        moment: &Moment<'_>,
        what: &Event,
        inference: &Inference,
        about: Option<&Inference>,
        path: Option<Vec<[f64; 2]>>,
    ) -> Option<SeenEvent> {
        let id = &inference.inference_id;
        let is_known = |event: &SeenEvent| {
            event.timestamp_90k == moment.timestamp_90k
                && event.camera == moment.camera
                && event.inference_id == *id
        };
        if !id.is_empty() && self.seen.iter().rev().take(RECENT).any(is_known) {
            return None;
        }
        let event = describe(self.next_id, moment, what, inference, about, path);
        self.next_id += 1;
        if self.seen.len() == KEPT
            && let Some(oldest) = self.seen.pop_front()
        {
            self.pictures.remove(&oldest.id);
        }
        self.seen.push_back(event.clone());
        Some(event)
    }
}

fn describe(
    id: u64,
    moment: &Moment<'_>,
    what: &Event,
    inference: &Inference,
    about: Option<&Inference>,
    path: Option<Vec<[f64; 2]>>,
) -> SeenEvent {
    let property = |name: &str| {
        let value = what.properties.get(name).filter(|value| !value.is_empty());
        value.map(|value| cut(value))
    };
    let is_line = what.name.to_ascii_lowercase().contains("line") || inference.subtype == "lineCrossing";
    let place = property("zone").or_else(|| property("line"));
    let (zone, line) = match is_line {
        true => (None, Some(place.unwrap_or_else(|| cut(&what.name)))),
        false => (place, None),
    };
    let entity = about.and_then(|about| match &about.value {
        InferenceValue::Entity(entity) => Some(entity),
        _ => None,
    });
    let own_id = entity
        .map(|entity| entity.id.as_str())
        .filter(|id| !id.is_empty());
    let standing = entity.and_then(|entity| fractions(&entity.bbox)).map(foot);
    SeenEvent {
        id,
        inference_id: inference.inference_id.clone(),
        camera: moment.camera.to_owned(),
        node: moment.node.to_owned(),
        time: event_time(moment.timestamp_90k),
        timestamp_90k: moment.timestamp_90k,
        kind: cut(&what.name),
        status: property("status").or_else(|| property("direction")),
        zone,
        line,
        entity: property("trackingId").or_else(|| own_id.map(cut)),
        label: entity.map(|entity| cut(&entity.tag.value)),
        why: inference.note(PreviewNote::Why).unwrap_or_default(),
        path: path.unwrap_or_else(|| standing.into_iter().collect()),
        picture: None,
        recording: None,
        properties: what
            .properties
            .iter()
            .take(32)
            .map(|(name, value)| (cut(name), cut(value)))
            .collect(),
    }
}

/// Events that have not happened, as those that have.
pub(crate) fn imagined(camera: &str, frames: &[(u64, Vec<Inference>)]) -> Vec<Value> {
    let mut events = Vec::new();
    for (timestamp_90k, found) in frames {
        let moment = Moment {
            camera,
            node: "",
            timestamp_90k: *timestamp_90k,
        };
        for inference in found {
            if let InferenceValue::Event(what) = &inference.value {
                let about = related(inference, found);
                let event = describe(events.len() as u64, &moment, what, inference, about, None);
                events.push(serde_json::to_value(event).unwrap_or_default());
            }
        }
    }
    events
}

/// The entity that an event is about.
fn related<'a>(event: &Inference, all: &'a [Inference]) -> Option<&'a Inference> {
    let ids = &event.related_inferences;
    all.iter()
        .find(|other| !other.inference_id.is_empty() && ids.contains(&other.inference_id))
}

/// Where somebody stands: the middle of the lower edge.
fn foot([left, top, width, height]: [f64; 4]) -> [f64; 2] {
    [left + width / 2.0, top + height]
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

/// Brings the module's events here.
pub(crate) struct Receiver(Weak<Events>);

impl Receiver {
    pub(crate) fn new(events: &Arc<Events>) -> Self {
        Self(Arc::downgrade(events))
    }
}

#[async_trait]
impl MessageSink for Receiver {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        if let Some(events) = self.0.upgrade() {
            events.hear(event);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use lva_inference_schema::body::{DataDropped, EventBody, ProtocolError};
    use lva_inference_schema::{NodeRole, Subject};

    use super::*;
    use crate::tracks::tests::person;

    /// Somebody enters a zone.
    fn enters(events: &Events, camera: &str, time: u64, zone: &str) -> usize {
        let what = Event::new("personZoneEvent")
            .with_property("zone", zone)
            .with_property("status", "Enter");
        let why = json!({"rule": "crossed", "samples": 3});
        let found = [
            person(7, 0.5).with_id("a"),
            Inference::new(what)
                .with_id(format!("{camera} {time} {zone}"))
                .related_to("a")
                .with_note(PreviewNote::Why, &why),
        ];
        events
            .take(camera, "ext", time, &found, |track| vec![[track as f64, 1.0]])
            .len()
    }

    fn event(camera: &str, name: EventName, body: EventBody) -> GraphEvent {
        let subject = Subject::graph_instance(camera).node(NodeRole::Source, "source");
        GraphEvent::new(name, subject, 0, body)
    }

    fn ids(answer: &Value) -> Vec<u64> {
        answer["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["id"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn events_are_listed_newest_first_in_pages_and_by_what_is_asked() {
        let events = Events::default();
        for (camera, zone, time) in [
            ("door", "a", 1),
            ("yard", "a", 2),
            ("door", "b", 2),
            ("door", "a", 90_000),
        ] {
            assert_eq!(enters(&events, camera, time, zone), 1);
        }
        assert_eq!(
            enters(&events, "door", 90_000, "a"),
            0,
            "a node behind it repeats it"
        );
        let list = |query: EventQuery| events.list(&query, |camera| camera != "secret");
        let all = list(EventQuery::default());
        assert_eq!((ids(&all), &all["more"]), (vec![3, 2, 1, 0], &json!(false)));
        let first = list(EventQuery {
            limit: Some(2),
            ..Default::default()
        });
        assert_eq!((ids(&first), &first["more"]), (vec![3, 2], &json!(true)));
        let second = list(EventQuery {
            before: Some(2),
            ..Default::default()
        });
        assert_eq!(ids(&second), [1, 0]);
        let door = EventQuery {
            camera: Some("door".into()),
            zone: Some("a".into()),
            ..Default::default()
        };
        assert_eq!(ids(&list(door)), [3, 0]);
        let event = &all["events"][0];
        assert_eq!(
            (
                &event["time"],
                &event["label"],
                &event["status"],
                &event["path"],
                &event["why"]["rule"]
            ),
            (
                &json!("1970-01-01T00:00:01.000Z"),
                &json!("person"),
                &json!("Enter"),
                &json!([[7.0, 1.0]]),
                &json!("crossed")
            )
        );
        assert!(ids(&events.list(&EventQuery::default(), |_| false)).is_empty());
    }

    #[test]
    fn pictures_are_kept_for_the_newest_events_and_seen_by_those_who_see_the_camera() {
        let events = Events::default();
        for time in 0..MAX_PICTURES as u64 + 1 {
            enters(&events, "door", time, "a");
            events.keep_picture(time, Bytes::from_static(b"jpeg"));
        }
        events.keep_picture(9999, Bytes::from_static(b"of no event"));
        assert_eq!(events.picture(0, |_| true), None);
        assert_eq!(events.picture(1, |_| true), Some(Bytes::from_static(b"jpeg")));
        assert_eq!(events.picture(1, |_| false), None);
        assert_eq!(events.picture(9999, |_| true), None);
        let listed = events.list(
            &EventQuery {
                before: Some(2),
                ..Default::default()
            },
            |_| true,
        );
        let pictures = [&listed["events"][0]["picture"], &listed["events"][1]["picture"]];
        assert_eq!(pictures, [&json!("api/events/1/picture.jpg"), &json!(null)]);
    }

    #[test]
    fn the_oldest_event_makes_way() {
        let events = Events::default();
        for time in 0..KEPT as u64 + 3 {
            enters(&events, "door", time, "a");
        }
        let oldest = events.state.lock().seen.front().map(|event| event.id);
        assert_eq!(oldest, Some(3));
    }

    #[test]
    fn what_is_wrong_is_told_until_it_is_right_again() {
        let events = Events::default();
        let refused = EventBody::ProtocolError(ProtocolError::rtsp(401, "rtsp://user:secret@camera/1"));
        events.hear(&event("door", EventName::ProtocolError, refused));
        let text = events.last_error("door").unwrap();
        assert!(
            text.starts_with("source: ") && text.contains("401") && !text.contains("secret"),
            "{text}"
        );
        let error = events.error_of("door", Some("source"), None);
        assert!(
            error.is_some()
                && events
                    .error_of("door", Some("source"), Some(Instant::now()))
                    .is_none()
        );
        let body = EventBody::Other(json!({}));
        events.hear(&event("door", EventName::MediaSessionEstablished, body));
        assert_eq!(events.last_error("door"), None);
    }

    #[test]
    fn a_picture_that_makes_way_for_a_newer_one_is_no_error() {
        let events = Events::default();
        let mut dropped = DataDropped::new("media");
        dropped.reasons = vec![("replacedByNewer".to_owned(), 31)];
        let body = EventBody::DataDropped(dropped.clone());
        events.hear(&event("door", EventName::DataDropped, body));
        assert_eq!(events.last_error("door"), None);
        dropped.reasons.push(("unanswered".to_owned(), 2));
        events.hear(&event(
            "door",
            EventName::DataDropped,
            EventBody::DataDropped(dropped),
        ));
        assert_eq!(
            events.last_error("door").as_deref(),
            Some("source: dropped 2 unanswered")
        );
    }
}
