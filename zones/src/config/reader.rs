//! The members of a configuration, one by one.

use super::{ConfigFinding, ConfigOptions, Elements, Operation};
use crate::observation::Point;
use crate::scene::{
    Aggregation, CountWatch, CrossingLine, DEFAULT_THRESHOLD, DistanceWatch, DwellWatch, Focus, MAX_CORNERS,
    MAX_ELEMENTS, Threshold, Trigger, Zone,
};
use serde_json::{Map, Value};

type Object = Map<String, Value>;

pub(super) struct Reader {
    options: ConfigOptions,
    pub(super) errors: Vec<ConfigFinding>,
    pub(super) warnings: Vec<ConfigFinding>,
}

/// What an event of a zone or line says, whatever its type.
#[derive(Debug, Clone, Copy)]
struct Asked {
    threshold: Option<f64>,
    focus: Focus,
    every_nth: u32,
    trigger: Trigger,
    aggregation: Aggregation,
    minimum_ft: Option<f64>,
    maximum_ft: Option<f64>,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            threshold: None,
            focus: Focus::default(),
            every_nth: 1,
            trigger: Trigger::Event,
            aggregation: Aggregation::Mode,
            minimum_ft: None,
            maximum_ft: None,
        }
    }
}

impl Asked {
    fn depth(&self) -> Threshold {
        self.threshold.map_or(Threshold::Auto, Threshold::Width)
    }

    /// How far outside one must be to have left: less than the default asks for sharpness on both sides.
    fn exit_depth(&self) -> Threshold {
        match self.threshold {
            Some(threshold) if threshold < DEFAULT_THRESHOLD => Threshold::Width(threshold),
            _ => Threshold::Auto,
        }
    }
}

/// The types of events of an element; the first of each counts.
#[derive(Debug, Clone, Copy, Default)]
struct Events {
    crossing: Option<Asked>,
    dwell: Option<Asked>,
    count: Option<Asked>,
    distance: Option<Asked>,
}

/// A type of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Crossing,
    Dwell,
    Count,
    Distance,
}

impl Type {
    fn of(word: &str) -> Option<Self> {
        match word {
            "zonecrossing" | "linecrossing" | "enter" | "exit" => Some(Self::Crossing),
            "zonedwelltime" => Some(Self::Dwell),
            "count" => Some(Self::Count),
            "persondistance" | "peopledistance" => Some(Self::Distance),
            _ => None,
        }
    }

    /// Whether an operation carries it out.
    fn is_of(self, operation: Operation) -> bool {
        match operation {
            Operation::Any => true,
            Operation::PersonCrossingPolygon => matches!(self, Self::Crossing | Self::Dwell),
            Operation::PersonCrossingLine => self == Self::Crossing,
            Operation::PersonCount => self == Self::Count,
            Operation::PersonDistance => self == Self::Distance,
        }
    }

    /// What an operation does where a zone or line names no events.
    fn default_of(operation: Operation) -> Self {
        match operation {
            Operation::Any | Operation::PersonCrossingPolygon | Operation::PersonCrossingLine => {
                Self::Crossing
            }
            Operation::PersonCount => Self::Count,
            Operation::PersonDistance => Self::Distance,
        }
    }
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
            Operation::PersonCrossingPolygon | Operation::PersonCount | Operation::PersonDistance => {
                ("zones", !zones.is_empty())
            }
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
            Operation::PersonCrossingPolygon | Operation::PersonCount | Operation::PersonDistance => {
                kind == Kind::Line
            }
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
        let events = self.events(place, members, Kind::Zone);
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
        let (events, polygon) = (events?, polygon?);
        let mut zone = Zone::new(text(members, "name").unwrap_or_default(), polygon);
        zone.crossings = events.crossing.is_some();
        // A zone that is only dwelt in or counted has the depths of that.
        let base = events
            .crossing
            .or(events.dwell)
            .or(events.count)
            .or(events.distance);
        let base = base.unwrap_or_default();
        zone.focus = base.focus;
        zone.enter_depth = base.depth();
        zone.exit_depth = base.exit_depth();
        zone.every_nth = base.every_nth;
        zone.dwell = events.dwell.map(|asked| DwellWatch {
            at_exit: true,
            limits_ms: Vec::new(),
            every_nth: asked.every_nth,
            focus: asked.focus,
            enter_depth: asked.depth(),
            exit_depth: asked.exit_depth(),
        });
        zone.count = events.count.map(|asked| CountWatch {
            trigger: asked.trigger,
            aggregation: asked.aggregation,
            every_nth: asked.every_nth,
            focus: asked.focus,
            depth: asked.depth(),
        });
        zone.distance = events.distance.map(|asked| DistanceWatch {
            trigger: asked.trigger,
            aggregation: asked.aggregation,
            every_nth: asked.every_nth,
            focus: asked.focus,
            depth: asked.depth(),
            minimum_ft: asked.minimum_ft,
            maximum_ft: asked.maximum_ft,
        });
        Some(zone)
    }

    fn line(&mut self, place: &str, members: &Object) -> Option<CrossingLine> {
        let events = self.events(place, members, Kind::Line);
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
        let crossing = events?.crossing.unwrap_or_default();
        let mut line = CrossingLine::new(text(members, "name").unwrap_or_default(), start, end);
        line.focus = crossing.focus;
        line.band = crossing.depth();
        line.every_nth = crossing.every_nth;
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
    fn events(&mut self, place: &str, members: &Object, kind: Kind) -> Option<Events> {
        let operation = self.options.operation;
        let mut found = Events::default();
        let list = match find(members, "events") {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(list)) => &list[..],
            Some(_) => {
                self.error(&format!("{place}: events"), "not a list; give […]");
                return None;
            }
        };
        let before = self.errors.len();
        for event in list {
            let Value::Object(event) = event else {
                self.error(&format!("{place}: events"), "an event is not an object; give {…}");
                continue;
            };
            let written = text(event, "type").or_else(|| text(event, "eventType"));
            let default = match Type::default_of(operation) {
                Type::Count => "count",
                Type::Distance => "persondistance",
                _ => kind.event(),
            };
            let written = written.unwrap_or_else(|| default.to_owned());
            let word: String = written
                .to_ascii_lowercase()
                .chars()
                .filter(|c| *c != '_')
                .collect();
            let fits = match kind {
                Kind::Zone => word != "linecrossing",
                Kind::Line => word == "linecrossing",
            };
            let Some(asked) = Type::of(&word).filter(|_| fits) else {
                let known = match kind {
                    Kind::Zone => "\"zonecrossing\", \"zonedwelltime\", \"count\" or \"persondistance\"",
                    Kind::Line => "\"linecrossing\"",
                };
                self.error(
                    &format!("{place}: events"),
                    format!("no type {written:?} for a {}; give {known}", kind.word()),
                );
                continue;
            };
            if !asked.is_of(operation) {
                self.warn(
                    &format!("{place}: events"),
                    format!("type {written:?} belongs to another operation, read over"),
                );
                continue;
            }
            let content = self.asked(place, event, asked);
            let slot = match asked {
                Type::Crossing => &mut found.crossing,
                Type::Dwell => &mut found.dwell,
                Type::Count => &mut found.count,
                Type::Distance => &mut found.distance,
            };
            // `enter` and `exit` are listed side by side in the first generation.
            slot.get_or_insert(content);
        }
        let nothing = found.crossing.is_none()
            && found.dwell.is_none()
            && found.count.is_none()
            && found.distance.is_none();
        if nothing {
            let asked = Some(Asked::default());
            match Type::default_of(operation) {
                Type::Count => found.count = asked,
                Type::Distance => found.distance = asked,
                Type::Crossing | Type::Dwell => found.crossing = asked,
            }
        }
        (self.errors.len() == before).then_some(found)
    }

    fn asked(&mut self, place: &str, event: &Object, of: Type) -> Asked {
        // Video Analyzer has no `config` around these.
        let config = match find(event, "config") {
            Some(Value::Object(config)) => config,
            _ => event,
        };
        let is_group = matches!(of, Type::Count | Type::Distance);
        let mut asked = Asked::default();
        if let Some(word) = text(config, "trigger") {
            let at = format!("{place}: trigger");
            if is(&word, "interval") && is_group {
                asked.trigger = Trigger::Interval { milliseconds: 1000 };
            } else if !is(&word, "event") {
                let message = if is_group {
                    format!("no trigger {word:?}; give \"event\" or \"interval\"")
                } else {
                    format!("{word:?} is not possible for crossings; give \"event\"")
                };
                self.error(&at, message);
            }
        }
        if let Some(seconds) = self.quantity(place, config, &["interval"], 0.001, 86_400.0, "seconds")
            && let Trigger::Interval { milliseconds } = &mut asked.trigger
        {
            *milliseconds = (seconds * 1000.0).round() as u64;
        }
        let nth = self.quantity(
            place,
            config,
            &["output_frequency", "outputFrequency"],
            1.0,
            1e9,
            "a whole number, every so many-th event is told",
        );
        asked.every_nth = nth.map_or(1, |nth| nth.round() as u32);
        if let Some(word) = text(config, "aggregation_method").or_else(|| text(config, "aggregationMethod")) {
            if is(&word, "average") {
                asked.aggregation = Aggregation::Average;
            } else if !is(&word, "mode") {
                self.error(
                    &format!("{place}: aggregation_method"),
                    format!("no method {word:?}; give \"mode\" or \"average\""),
                );
            }
        }
        if of == Type::Distance {
            let least = ["minimum_distance_threshold", "minimumDistanceThreshold"];
            asked.minimum_ft = self.quantity(place, config, &least, 0.0, 10_000.0, "feet");
            let most = ["maximum_distance_threshold", "maximumDistanceThreshold"];
            let unlimited = most
                .iter()
                .any(|name| text(config, name).is_some_and(|t| is(&t, "infinity")));
            if !unlimited {
                asked.maximum_ft = self.quantity(place, config, &most, 0.0, 10_000.0, "feet");
            }
            if asked.minimum_ft.is_none() && asked.maximum_ft.is_none() {
                asked.minimum_ft = DistanceWatch::default().minimum_ft;
            }
        }
        if let Some(word) = text(config, "focus") {
            asked.focus = self.focus(&format!("{place}: focus"), &word);
        }
        asked.threshold = match find(config, "threshold") {
            None | Some(Value::Null) => None,
            Some(value) => self.threshold(&format!("{place}: threshold"), value),
        };
        asked
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
