//! The events of a zone or line, and their settings.

use std::borrow::Cow;

use lva_zones::{Aggregation, Classes, DistanceRule, Focus, Trigger};
use serde_json::Value;

use super::{ElementKind, ElementReader};
use crate::operation::PROCESSED_WIDTH;
use crate::operation::error::shown;
use crate::operation::events::{EventSettings, EventType, Events};
use crate::operation::json::{Object, find, is, number, string};
use crate::operation::members::{CONFIG, EVENT, unknown};
use crate::operation::settings::classes;

impl ElementReader {
    /// The events of an element; `None` after an error.
    pub(super) fn events(&mut self, place: &str, members: &Object, kind: ElementKind) -> Option<Events> {
        let at = format!("{place}: events");
        let mut events = Events::default();
        let list = match find(members, "events") {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(list)) => &list[..],
            // One by itself.
            Some(one @ (Value::Object(_) | Value::String(_))) => std::slice::from_ref(one),
            Some(_) => {
                self.error(&at, "not an array; give […]");
                return None;
            }
        };
        let before = self.errors.len();
        let focus = match string(members, "focus") {
            Some(word) => self.focus(&format!("{place}: focus"), &word),
            None => Focus::default(),
        };
        let classes = self.classes(&format!("{place}: "), members);
        let default = match self.kind.default_event() {
            EventType::Count => "count",
            EventType::Distance => "persondistance",
            EventType::Crossing | EventType::Dwell => kind.default_event(),
        };
        for event in list {
            let event = match event {
                Value::Object(event) => Cow::Borrowed(event),
                Value::String(word) => {
                    Cow::Owned(Object::from_iter([("type".to_owned(), word.as_str().into())]))
                }
                _ => {
                    self.error(&at, "an event is not an object; give {…}");
                    continue;
                }
            };
            let written = string(&event, "type").or_else(|| string(&event, "eventType"));
            let written = written.unwrap_or_else(|| default.to_owned());
            let found = match kind {
                ElementKind::Zone => EventType::of_zone(&letters(&written)),
                ElementKind::Line => EventType::of_line(&letters(&written)),
            };
            let Some((event_type, is_of_contract)) = found else {
                let (word, known) = (kind.word(), kind.events());
                self.error(&at, format!("no type {written:?} for a {word}; give {known}"));
                continue;
            };
            if !is_of_contract {
                let known = event_type.name(kind == ElementKind::Line);
                self.warn(&at, format!("type {written:?} is read as \"{known}\""));
            }
            if !self.kind.reports(event_type) {
                self.warn(
                    &at,
                    format!("type {written:?} belongs to another operation, ignored"),
                );
                continue;
            }
            let settings = self.event(place, &event, event_type, (focus, classes.clone()));
            if events.add(event_type, settings) {
                let message = format!(
                    "{written:?} is there before with other settings, which hold for both: give one event of this type"
                );
                self.warn(&at, message);
            }
        }
        if events.is_empty() {
            let settings = EventSettings {
                focus,
                classes,
                ..EventSettings::default()
            };
            events.add(self.kind.default_event(), settings);
        }
        (self.errors.len() == before).then_some(events)
    }

    /// `base`: point and classes of the element, for an event that has none of its own.
    fn event(
        &mut self,
        place: &str,
        event: &Object,
        event_type: EventType,
        (focus, classes): (Focus, Classes),
    ) -> EventSettings {
        let at = format!("{place}: config");
        let config = find(event, "config").filter(|config| !config.is_null()).cloned();
        let inner = match config.and_then(|config| self.unquoted(&at, config)) {
            Some(Value::Object(config)) => Some(config),
            Some(_) => {
                self.error(&at, "not an object; give {…}");
                None
            }
            None => None,
        };
        self.unread_of_event(place, event, inner.as_ref());
        // Video Analyzer has no `config` around these.
        let config = inner.as_ref().unwrap_or(event);
        let mut settings = EventSettings {
            trigger: self.trigger(place, config, event_type),
            focus,
            classes,
            ..EventSettings::default()
        };
        let names = ["output_frequency", "outputFrequency"];
        let what = "an integer, every n-th event is reported";
        if let Some(every) = self.quantity(place, config, &names, 1.0, 1e9, what) {
            settings.sample_every = every.round() as u32;
        }
        if let Some(word) =
            string(config, "aggregation_method").or_else(|| string(config, "aggregationMethod"))
        {
            if is(&word, "average") {
                settings.aggregation = Aggregation::Average;
            } else if !is(&word, "mode") {
                self.error(
                    &format!("{place}: aggregation_method"),
                    format!("no method {word:?}; give \"mode\" or \"average\""),
                );
            }
        }
        if event_type == EventType::Distance {
            let names = ["minimum_distance_threshold", "minimumDistanceThreshold"];
            settings.minimum_ft = self.quantity(place, config, &names, 0.0, 10_000.0, "feet");
            let names = ["maximum_distance_threshold", "maximumDistanceThreshold"];
            let unlimited = names
                .iter()
                .any(|name| string(config, name).is_some_and(|t| is(&t, "infinity")));
            if !unlimited {
                settings.maximum_ft = self.quantity(place, config, &names, 0.0, 10_000.0, "feet");
            }
            if settings.minimum_ft.is_none() && settings.maximum_ft.is_none() {
                settings.minimum_ft = DistanceRule::default().minimum_ft;
            }
        }
        if let Some(word) = string(config, "focus") {
            settings.focus = self.focus(&format!("{place}: focus"), &word);
        }
        if find(config, "classes").is_some_and(|classes| !classes.is_null()) {
            settings.classes = self.classes(&format!("{place}: config: "), config);
        }
        settings.threshold = match find(config, "threshold") {
            None | Some(Value::Null) => None,
            Some(value) => self.threshold(&format!("{place}: threshold"), value),
        };
        settings
    }

    fn unread_of_event(&mut self, place: &str, event: &Object, config: Option<&Object>) {
        if let Some(config) = config {
            self.warnings
                .extend(CONFIG.unread(&format!("{place}: config: "), config));
        }
        for name in event.keys().filter(|name| !EVENT.has(name)) {
            let about = match (CONFIG.has(name), config) {
                (true, None) => continue,
                (true, Some(_)) => "not read here: put it into the event's config".to_owned(),
                (false, _) => unknown(name, EVENT.names().chain(CONFIG.names())),
            };
            self.warn(&format!("{place}: events: {}", shown(name)), about);
        }
    }

    fn trigger(&mut self, place: &str, config: &Object, event_type: EventType) -> Trigger {
        let by_interval = matches!(event_type, EventType::Count | EventType::Distance);
        let mut trigger = Trigger::Event;
        if let Some(word) = string(config, "trigger") {
            if is(&word, "interval") && by_interval {
                trigger = Trigger::Interval { milliseconds: 1000 };
            } else if !is(&word, "event") {
                let message = if by_interval {
                    format!("no trigger {word:?}; give \"event\" or \"interval\"")
                } else {
                    format!("{word:?} is not possible for crossings; give \"event\"")
                };
                self.error(&format!("{place}: trigger"), message);
            }
        }
        if let Some(seconds) = self.quantity(place, config, &["interval"], 0.001, 86_400.0, "seconds")
            && let Trigger::Interval { milliseconds } = &mut trigger
        {
            *milliseconds = (seconds * 1000.0).round() as u64;
        }
        trigger
    }

    /// The classes of an element or event, by their places among those that are named; all where none is.
    fn classes(&mut self, place: &str, members: &Object) -> Classes {
        let Some(names) = classes(members, place, &mut self.errors) else {
            return Classes::default();
        };
        let places = names.into_iter().map(|name| {
            let known = self
                .named
                .iter()
                .position(|known| known.eq_ignore_ascii_case(&name));
            let place = known.unwrap_or(self.named.len());
            if known.is_none() {
                self.named.push(name);
            }
            u16::try_from(place).unwrap_or(u16::MAX)
        });
        Classes::only(places.collect::<Vec<_>>())
    }

    /// A number of a member by any of its names, within limits.
    fn quantity(
        &mut self,
        place: &str,
        config: &Object,
        names: &[&str],
        least: f64,
        most: f64,
        what: &str,
    ) -> Option<f64> {
        let (name, value) = names.iter().find_map(|name| Some((*name, find(config, name)?)))?;
        if value.is_null() {
            return None;
        }
        let given = number(value).filter(|number| (least..=most).contains(number));
        if given.is_none() {
            let message = format!("{value} is not possible; give {what}, {least} to {most}");
            self.error(&format!("{place}: {name}"), message);
        }
        given
    }

    fn focus(&mut self, place: &str, written: &str) -> Focus {
        match letters(written).as_str() {
            "footprint" => Focus::Footprint,
            "bottomcenter" => Focus::BottomCenter,
            "center" => Focus::Center,
            _ => {
                let message = format!("no focus {written:?}; give footprint, bottom_center or center");
                self.error(place, message);
                Focus::default()
            }
        }
    }

    fn threshold(&mut self, place: &str, value: &Value) -> Option<f64> {
        match number(value) {
            Some(share) if (0.0..1.0).contains(&share) => Some(share),
            Some(pixels) if (1.0..PROCESSED_WIDTH).contains(&pixels) => Some(pixels / PROCESSED_WIDTH),
            _ => {
                let message = format!(
                    "{value} is not a threshold; give 1 or more pixels of a frame {PROCESSED_WIDTH} wide, or a share of the width below 1"
                );
                self.error(place, message);
                None
            }
        }
    }
}

/// A word in lower case, without what separates its parts.
fn letters(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' ' | '/' | '|' | ','))
        .map(|c| c.to_ascii_lowercase())
        .collect()
}
