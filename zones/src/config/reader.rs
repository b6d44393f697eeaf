//! The members of a configuration, one by one.

use super::{ConfigFinding, ConfigOptions, Elements, Operation};
use crate::observation::Point;
use crate::scene::{CrossingLine, DEFAULT_THRESHOLD, Focus, MAX_CORNERS, MAX_ELEMENTS, Threshold, Zone};
use serde_json::{Map, Value};

type Object = Map<String, Value>;

pub(super) struct Reader {
    options: ConfigOptions,
    pub(super) errors: Vec<ConfigFinding>,
    pub(super) warnings: Vec<ConfigFinding>,
}

/// What an event of a zone or line says.
#[derive(Debug, Clone, Copy, Default)]
struct Crossing {
    threshold: Option<f64>,
    focus: Focus,
}

/// The kind of element, for its words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Zone,
    Line,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::Line => "line",
        }
    }

    fn event(self) -> &'static str {
        match self {
            Self::Zone => "zonecrossing",
            Self::Line => "linecrossing",
        }
    }
}

impl Reader {
    pub(super) fn new(options: ConfigOptions) -> Self {
        Self {
            options,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn error(&mut self, place: &str, message: impl Into<String>) {
        self.errors.push(ConfigFinding {
            place: place.to_owned(),
            message: message.into(),
        });
    }

    fn warn(&mut self, place: &str, message: impl Into<String>) {
        self.warnings.push(ConfigFinding {
            place: place.to_owned(),
            message: message.into(),
        });
    }

    pub(super) fn scene(&mut self, config: Value) -> Elements {
        let config = match self.unquoted("configuration", config) {
            Some(Value::Object(config)) => config,
            Some(_) => {
                self.error(
                    "configuration",
                    "not an object; give {\"zones\": […]} or {\"lines\": […]}",
                );
                return Elements::default();
            }
            None => return Elements::default(),
        };
        let mut zones = Vec::new();
        for (place, zone) in self.elements(&config, Kind::Zone) {
            zones.extend(self.zone(&place, &zone));
        }
        let mut lines = Vec::new();
        for (place, line) in self.elements(&config, Kind::Line) {
            lines.extend(self.line(&place, &line));
        }
        for name in config
            .keys()
            .filter(|name| !is(name, "zones") && !is(name, "lines"))
        {
            self.warn(name, "not known here, read over");
        }
        let (need, there) = match self.options.operation {
            Operation::PersonCrossingPolygon => ("zones", !zones.is_empty()),
            Operation::PersonCrossingLine => ("lines", !lines.is_empty()),
            Operation::Any => ("zones or lines", !zones.is_empty() || !lines.is_empty()),
        };
        if !there && self.errors.is_empty() {
            self.error(
                "configuration",
                format!("nothing to watch; the operation needs {need}"),
            );
        }
        (zones, lines)
    }

    /// A value, or what its text holds when it is JSON in a text; the forms with quotes are of Video Analyzer and of
    /// deployment manifests.
    fn unquoted(&mut self, place: &str, value: Value) -> Option<Value> {
        let Value::String(text) = value else {
            return Some(value);
        };
        match serde_json::from_str(text.trim_start_matches('\u{feff}').trim()) {
            Ok(inner) => Some(inner),
            Err(error) => {
                self.error(place, format!("not JSON: {error}"));
                None
            }
        }
    }

    /// Zones or lines with their places, those of the other operation left out with a warning.
    fn elements(&mut self, config: &Object, kind: Kind) -> Vec<(String, Object)> {
        let member = match kind {
            Kind::Zone => "zones",
            Kind::Line => "lines",
        };
        let unwanted = match self.options.operation {
            Operation::PersonCrossingPolygon => kind == Kind::Line,
            Operation::PersonCrossingLine => kind == Kind::Zone,
            Operation::Any => false,
        };
        let list = match find(config, member) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.error(member, "not a list; give […]");
                return Vec::new();
            }
        };
        if unwanted && !list.is_empty() {
            self.warn(member, "not watched by this operation, read over");
            return Vec::new();
        }
        if list.len() > MAX_ELEMENTS {
            self.error(
                member,
                format!("{} are more than the limit of {MAX_ELEMENTS}", list.len()),
            );
            return Vec::new();
        }
        let mut elements = Vec::new();
        for (index, element) in list.iter().enumerate() {
            let number = index + 1;
            match element {
                Value::Object(element) => {
                    // Video Analyzer wraps name and place once more: {"zone": {…}, "events": […]}.
                    let inner = match find(element, kind.word()) {
                        Some(Value::Object(inner)) if find(inner, "name").is_some() => Some(inner),
                        _ => None,
                    };
                    let mut members = element.clone();
                    if let Some(inner) = inner {
                        members.remove(kind.word());
                        members.extend(inner.clone());
                    }
                    let name = text(&members, "name").unwrap_or_default();
                    let place = if name.is_empty() {
                        format!("{} number {number}", kind.word())
                    } else {
                        format!("{} {name:?}", kind.word())
                    };
                    elements.push((place, members));
                }
                _ => self.error(
                    &format!("{} number {number}", kind.word()),
                    "not an object; give {…}",
                ),
            }
        }
        elements
    }

    fn zone(&mut self, place: &str, members: &Object) -> Option<Zone> {
        let crossing = self.events(place, members, Kind::Zone);
        let polygon = self.points(&format!("{place}: polygon"), find(members, "polygon"));
        if let Some(value) = find(members, "threshold") {
            self.first_generation_threshold(&format!("{place}: threshold"), value);
        }
        if find(members, "target_side").is_some_and(|v| !v.is_null()) {
            self.warn(
                &format!("{place}: target_side"),
                "orientation is not implemented, read over",
            );
        }
        let (crossing, polygon) = (crossing?, polygon?);
        let mut zone = Zone::new(text(members, "name").unwrap_or_default(), polygon);
        zone.focus = crossing.focus;
        if let Some(threshold) = crossing.threshold {
            zone.enter_depth = Threshold::Width(threshold);
            // Less than the default asks for sharpness on both sides.
            if threshold < DEFAULT_THRESHOLD {
                zone.exit_depth = Threshold::Width(threshold);
            }
        }
        Some(zone)
    }

    fn line(&mut self, place: &str, members: &Object) -> Option<CrossingLine> {
        let crossing = self.events(place, members, Kind::Line);
        let at = format!("{place}: line");
        let given = find(members, "line")
            .cloned()
            .unwrap_or_else(|| Value::Object(members.clone()));
        let ends = match self.unquoted(&at, given)? {
            Value::Object(ends) => {
                match (find(&ends, "start"), find(&ends, "end")) {
                    (Some(start), Some(end)) => Value::Array(vec![start.clone(), end.clone()]),
                    _ => {
                        self.error(&at, "start or end is missing; give {\"start\": {\"x\", \"y\"}, \"end\": {\"x\", \"y\"}}");
                        return None;
                    }
                }
            }
            other => other,
        };
        let points = self.points(&at, Some(&ends))?;
        let [start, end] = points[..] else {
            self.error(&at, format!("{} points; a line has two", points.len()));
            return None;
        };
        let crossing = crossing?;
        let mut line = CrossingLine::new(text(members, "name").unwrap_or_default(), start, end);
        line.focus = crossing.focus;
        line.band = crossing.threshold.map_or(Threshold::Auto, Threshold::Width);
        Some(line)
    }

    fn points(&mut self, place: &str, value: Option<&Value>) -> Option<Vec<Point>> {
        let list = match value.cloned().map(|value| self.unquoted(place, value)) {
            None | Some(Some(Value::Null)) => {
                self.error(place, "missing; give a list of points [[x, y], …]");
                return None;
            }
            Some(None) => return None,
            Some(Some(Value::Array(list))) => list,
            Some(Some(_)) => {
                self.error(place, "not a list of points; give [[x, y], …]");
                return None;
            }
        };
        if list.len() > MAX_CORNERS {
            self.error(
                place,
                format!("{} points are more than the limit of {MAX_CORNERS}", list.len()),
            );
            return None;
        }
        let point = |value: &Value| -> Option<Point> {
            match value {
                Value::Array(pair) => match &pair[..] {
                    [x, y] => Some(Point::new(number(x)?, number(y)?)),
                    _ => None,
                },
                Value::Object(point) => {
                    Some(Point::new(number(find(point, "x")?)?, number(find(point, "y")?)?))
                }
                _ => None,
            }
        };
        let mut points = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            match point(value) {
                Some(point) => points.push(point),
                None => {
                    self.error(
                        place,
                        format!("point {} is not [x, y] with two numbers", index + 1),
                    );
                    return None;
                }
            }
        }
        Some(points)
    }

    /// What the events of an element ask for; `None` after an error. Without events the defaults apply.
    fn events(&mut self, place: &str, members: &Object, kind: Kind) -> Option<Crossing> {
        let list = match find(members, "events") {
            None | Some(Value::Null) => return Some(Crossing::default()),
            Some(Value::Array(list)) if list.is_empty() => return Some(Crossing::default()),
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.error(&format!("{place}: events"), "not a list; give […]");
                return None;
            }
        };
        let mut found: Option<Crossing> = None;
        let before = self.errors.len();
        for event in list {
            let Value::Object(event) = event else {
                self.error(&format!("{place}: events"), "an event is not an object; give {…}");
                continue;
            };
            let written = text(event, "type").or_else(|| text(event, "eventType"));
            let written = written.unwrap_or_else(|| kind.event().to_owned());
            let word: String = written
                .to_ascii_lowercase()
                .chars()
                .filter(|c| *c != '_')
                .collect();
            match (kind, word.as_str()) {
                (Kind::Zone, "zonecrossing" | "enter" | "exit") | (Kind::Line, "linecrossing") => {
                    let crossing = self.crossing(place, event);
                    // `enter` and `exit` are listed side by side in the first generation.
                    found.get_or_insert(crossing);
                }
                (_, "count" | "zonedwelltime" | "persondistance" | "peopledistance") => {
                    self.error(
                        &format!("{place}: events"),
                        format!(
                            "type {written:?} is not implemented; remove it, {:?} is",
                            kind.event()
                        ),
                    );
                }
                _ => {
                    self.error(
                        &format!("{place}: events"),
                        format!(
                            "no type {written:?} for a {}; give {:?}",
                            kind.word(),
                            kind.event()
                        ),
                    );
                }
            }
        }
        (self.errors.len() == before).then(|| found.unwrap_or_default())
    }

    fn crossing(&mut self, place: &str, event: &Object) -> Crossing {
        // Video Analyzer has no `config` around these.
        let config = match find(event, "config") {
            Some(Value::Object(config)) => config,
            _ => event,
        };
        if let Some(trigger) = text(config, "trigger")
            && !is(&trigger, "event")
        {
            let message = format!("{trigger:?} is not possible for crossings; give \"event\"");
            self.error(&format!("{place}: trigger"), message);
        }
        for name in ["output_frequency", "outputFrequency"] {
            if find(config, name).and_then(number).is_some_and(|n| n != 1.0) {
                self.error(&format!("{place}: {name}"), "only 1, every event, is implemented");
            }
        }
        let focus = match text(config, "focus") {
            None => Focus::default(),
            Some(word) => self.focus(&format!("{place}: focus"), &word),
        };
        let threshold = match find(config, "threshold") {
            None | Some(Value::Null) => None,
            Some(value) => self.threshold(&format!("{place}: threshold"), value),
        };
        Crossing { threshold, focus }
    }

    fn focus(&mut self, place: &str, written: &str) -> Focus {
        let word: String = written
            .to_ascii_lowercase()
            .chars()
            .filter(|c| *c != '_')
            .collect();
        match word.as_str() {
            "footprint" => Focus::Footprint,
            "bottomcenter" => Focus::BottomCenter,
            "center" => Focus::Center,
            _ => {
                self.error(
                    place,
                    format!("no focus {written:?}; give footprint, bottom_center or center"),
                );
                Focus::default()
            }
        }
    }

    fn threshold(&mut self, place: &str, value: &Value) -> Option<f64> {
        match number(value) {
            Some(share) if (0.0..1.0).contains(&share) => Some(share),
            Some(pixels) if (1.0..self.options.processed_width).contains(&pixels) => {
                Some(pixels / self.options.processed_width)
            }
            _ => {
                let width = self.options.processed_width;
                let message = format!(
                    "{value} is no threshold; give pixels of a frame {width} wide from 1 up, or a share of the width below 1"
                );
                self.error(place, message);
                None
            }
        }
    }

    /// The first generation put a confidence in percent beside the polygon.
    fn first_generation_threshold(&mut self, place: &str, value: &Value) {
        match number(value) {
            Some(_) => self.warn(
                place,
                "beside the polygon this was a confidence in percent, read over: the detector's own threshold decides; for a depth put it into the event's config",
            ),
            None => self.error(place, format!("{value} is no number")),
        }
    }
}

fn is(name: &str, word: &str) -> bool {
    name.eq_ignore_ascii_case(word)
}

/// A member, upper and lower case alike; the exact name first.
fn find<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| {
        object
            .iter()
            .find(|(key, _)| is(key, name))
            .map(|(_, value)| value)
    })
}

fn text(object: &Object, name: &str) -> Option<String> {
    match find(object, name)? {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A finite number, also as text.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}
