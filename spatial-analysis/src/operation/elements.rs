//! Zones and lines of a configuration, in all its generations.

mod events;

use lva_zones::{
    CountRule, CrossingLine, DistanceRule, DwellRule, MAX_CORNERS, MAX_ELEMENTS, Point, Scene, SceneError,
    SceneOptions, Zone,
};
use serde_json::Value;

use super::error::{Finding, OperationError, shown};
use super::json::{Object, find, number, parse, string};
use super::kind::OperationKind;
use super::members::{ELEMENTS, ENDS, LINE, Level, ZONE};
use super::settings::{Settings, milliseconds};

/// How often JSON may be quoted as a string.
const MAX_QUOTED: usize = 3;

/// Zones and lines, with what was ignored or looks unusual.
pub(super) struct Elements {
    pub(super) zones: Vec<Zone>,
    pub(super) lines: Vec<CrossingLine>,
    pub(super) settings: Settings,
    /// Classes that zones, lines and events name, which have their places here.
    pub(super) named: Vec<String>,
    pub(super) warnings: Vec<Finding>,
}

impl Elements {
    /// Reads a `SPACEANALYTICS_CONFIG`: an object, or a string that holds one. Settings that stand around it hold where it has
    /// none of its own.
    pub(super) fn read(config: Value, around: &Object, kind: OperationKind) -> Result<Self, OperationError> {
        let mut reader = ElementReader {
            kind,
            errors: Vec::new(),
            warnings: Vec::new(),
            settings: Settings::default(),
            named: Vec::new(),
        };
        let (zones, lines) = reader.elements(config, around);
        let ElementReader {
            errors: mut findings,
            mut warnings,
            settings,
            named,
            ..
        } = reader;
        match Scene::new(zones.clone(), lines.clone(), SceneOptions::default()) {
            Ok(scene) if findings.is_empty() => {
                warnings.extend(scene.warnings().iter().map(Finding::from));
                Ok(Self {
                    zones,
                    lines,
                    settings,
                    named,
                    warnings,
                })
            }
            checked => {
                // Errors of the elements that could be read belong to the same report.
                findings.extend(
                    checked
                        .err()
                        .iter()
                        .flat_map(SceneError::findings)
                        .map(Finding::from),
                );
                Err(OperationError::Invalid { findings })
            }
        }
    }
}

struct ElementReader {
    kind: OperationKind,
    settings: Settings,
    named: Vec<String>,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

/// A zone or a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ElementKind {
    Zone,
    Line,
}

impl ElementKind {
    fn word(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::Line => "line",
        }
    }

    /// The member that holds the array.
    fn member(self) -> &'static str {
        match self {
            Self::Zone => "zones",
            Self::Line => "lines",
        }
    }

    fn level(self) -> Level {
        match self {
            Self::Zone => ZONE,
            Self::Line => LINE,
        }
    }

    fn default_event(self) -> &'static str {
        match self {
            Self::Zone => "zonecrossing",
            Self::Line => "linecrossing",
        }
    }

    fn events(self) -> &'static str {
        match self {
            Self::Zone => "\"zonecrossing\", \"zonedwelltime\", \"count\" or \"persondistance\"",
            Self::Line => "\"linecrossing\"",
        }
    }
}

impl ElementReader {
    fn error(&mut self, place: &str, message: impl Into<String>) {
        self.errors.push(Finding::new(place, message));
    }

    fn warn(&mut self, place: &str, message: impl Into<String>) {
        self.warnings.push(Finding::new(place, message));
    }

    fn elements(&mut self, config: Value, around: &Object) -> (Vec<Zone>, Vec<CrossingLine>) {
        let (mut zones, mut lines) = (Vec::new(), Vec::new());
        let mut config = match self.unquoted("configuration", config) {
            Some(Value::Object(config)) => config,
            other => {
                if other.is_some() {
                    let message = "not an object; give {\"zones\": […]} or {\"lines\": […]}";
                    self.error("configuration", message);
                }
                return (zones, lines);
            }
        };
        for (place, zone) in self.array(&config, ElementKind::Zone, self.kind.has_zones()) {
            zones.extend(self.zone(&place, &zone));
        }
        for (place, line) in self.array(&config, ElementKind::Line, self.kind.has_lines()) {
            lines.extend(self.line(&place, &line));
        }
        self.warnings.extend(ELEMENTS.unread("", &config));
        for (name, value) in around {
            if find(&config, name).is_none() {
                config.insert(name.clone(), value.clone());
            }
        }
        self.settings = Settings::read(&config, &mut self.errors, &mut self.warnings);
        if zones.is_empty() && lines.is_empty() && self.errors.is_empty() {
            let needed = match (self.kind.has_zones(), self.kind.has_lines()) {
                (true, true) => "zones or lines",
                (true, false) => "zones",
                (false, _) => "lines",
            };
            self.error(
                "configuration",
                format!("nothing to watch; the operation needs {needed}"),
            );
        }
        (zones, lines)
    }

    /// A value, or the JSON inside a string: Video Analyzer and deployment manifests have it quoted, and some tools once more.
    fn unquoted(&mut self, place: &str, mut value: Value) -> Option<Value> {
        for _ in 0..MAX_QUOTED {
            let Value::String(text) = &value else { break };
            value = match parse(text, &mut self.warnings) {
                Ok(inner) => inner,
                Err(error) => {
                    self.error(place, error.to_string());
                    return None;
                }
            };
        }
        Some(value)
    }

    /// Zones or lines with their places in the configuration.
    fn array(&mut self, config: &Object, kind: ElementKind, wanted: bool) -> Vec<(String, Object)> {
        let member = kind.member();
        let list = match find(config, member) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.error(member, "not an array; give […]");
                return Vec::new();
            }
        };
        if !wanted && !list.is_empty() {
            self.warn(member, "not watched by this operation, ignored");
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
            let numbered = format!("{} number {}", kind.word(), index + 1);
            let Value::Object(element) = element else {
                self.error(&numbered, "not an object; give {…}");
                continue;
            };
            // Video Analyzer has one more level: {"zone": {…}, "events": […]}.
            let inner = match find(element, kind.word()) {
                Some(Value::Object(inner)) if find(inner, "name").is_some() => Some(inner),
                _ => None,
            };
            let mut members = element.clone();
            if let Some(inner) = inner {
                members.remove(kind.word());
                members.extend(inner.clone());
            }
            let name = string(&members, "name").unwrap_or_default();
            let place = if name.is_empty() {
                numbered
            } else {
                format!("{} {:?}", kind.word(), shown(&name))
            };
            let unread = kind.level().unread(&format!("{place}: "), &members);
            self.warnings.extend(unread);
            elements.push((place, members));
        }
        elements
    }

    fn zone(&mut self, place: &str, members: &Object) -> Option<Zone> {
        let events = self.events(place, members, ElementKind::Zone);
        let polygon = self.points(&format!("{place}: polygon"), find(members, "polygon"));
        if let Some(value) = find(members, "threshold") {
            self.confidence(&format!("{place}: threshold"), value, "polygon");
        }
        let limits = self.dwell_limits(place, members);
        if find(members, "target_side").is_some_and(|v| !v.is_null()) {
            self.warn(
                &format!("{place}: target_side"),
                "orientation is not implemented, ignored",
            );
        }
        let (events, polygon) = (events?, polygon?);
        let base = events.first().cloned().unwrap_or_default();
        let mut zone = Zone::new(string(members, "name").unwrap_or_default(), polygon);
        zone.crossings = events.crossing.is_some();
        zone.focus = base.focus;
        zone.enter_depth = base.depth();
        zone.exit_depth = base.exit_depth();
        zone.sample_every = base.sample_every;
        zone.classes = base.classes.clone();
        let dwells = events.dwell.is_some();
        let dwell = events.dwell.or_else(|| (!limits.is_empty()).then_some(base));
        zone.dwell = dwell.map(|event| DwellRule {
            at_exit: dwells,
            limits_ms: limits,
            sample_every: event.sample_every,
            focus: event.focus,
            enter_depth: event.depth(),
            exit_depth: event.exit_depth(),
            classes: event.classes,
        });
        zone.count = events.count.map(|event| CountRule {
            trigger: event.trigger,
            aggregation: event.aggregation,
            sample_every: event.sample_every,
            focus: event.focus,
            depth: event.depth(),
            classes: event.classes,
        });
        zone.distance = events.distance.map(|event| DistanceRule {
            trigger: event.trigger,
            aggregation: event.aggregation,
            sample_every: event.sample_every,
            focus: event.focus,
            depth: event.depth(),
            classes: event.classes.clone(),
            minimum_ft: event.minimum_ft,
            maximum_ft: event.maximum_ft,
        });
        Some(zone)
    }

    fn line(&mut self, place: &str, members: &Object) -> Option<CrossingLine> {
        let events = self.events(place, members, ElementKind::Line);
        let at = format!("{place}: line");
        if let Some(value) = find(members, "threshold") {
            self.confidence(&format!("{place}: threshold"), value, "line");
        }
        let beside = find(members, "line").is_none();
        let given = find(members, "line")
            .cloned()
            .unwrap_or_else(|| Value::Object(members.clone()));
        let ends = match self.unquoted(&at, given)? {
            Value::Object(ends) => match (find(&ends, "start"), find(&ends, "end")) {
                (Some(start), Some(end)) => {
                    if !beside {
                        self.warnings.extend(ENDS.unread(&format!("{at}: "), &ends));
                    }
                    Value::Array(vec![start.clone(), end.clone()])
                }
                _ => {
                    let form = "{\"start\": {\"x\", \"y\"}, \"end\": {\"x\", \"y\"}}";
                    self.error(&at, format!("start or end is missing; give {form}"));
                    return None;
                }
            },
            other => other,
        };
        let points = self.points(&at, Some(&ends))?;
        let [start, end] = points[..] else {
            self.error(&at, format!("{} points; a line has two", points.len()));
            return None;
        };
        let crossing = events?.crossing.unwrap_or_default();
        let mut line = CrossingLine::new(string(members, "name").unwrap_or_default(), start, end);
        line.focus = crossing.focus;
        line.band = crossing.depth();
        line.sample_every = crossing.sample_every;
        line.classes = crossing.classes;
        Some(line)
    }

    /// Times in a visit at which it is reported.
    fn dwell_limits(&mut self, place: &str, members: &Object) -> Vec<u64> {
        let list = match find(members, "dwell_limits_ms") {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(list)) => &list[..],
            Some(one) => std::slice::from_ref(one),
        };
        let limits: Option<Vec<u64>> = list.iter().map(milliseconds).collect();
        limits.unwrap_or_else(|| {
            let message = "give milliseconds, one number or an array of them";
            self.error(&format!("{place}: dwell_limits_ms"), message);
            Vec::new()
        })
    }

    fn points(&mut self, place: &str, value: Option<&Value>) -> Option<Vec<Point>> {
        let list = match value.cloned().map(|value| self.unquoted(place, value)) {
            None | Some(Some(Value::Null)) => {
                self.error(place, "missing; give an array of points [[x, y], …]");
                return None;
            }
            Some(None) => return None,
            Some(Some(Value::Array(list))) => list,
            Some(Some(_)) => {
                self.error(place, "not an array of points; give [[x, y], …]");
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
        let points: Vec<Option<Point>> = list.iter().map(point).collect();
        if let Some(index) = points.iter().position(Option::is_none) {
            self.error(
                place,
                format!("point {} is not [x, y] with two numbers", index + 1),
            );
        }
        points.into_iter().collect()
    }

    /// In the first generation, a threshold next to the polygon is a confidence in percent.
    fn confidence(&mut self, place: &str, value: &Value, beside: &str) {
        match number(value) {
            Some(_) => self.warn(
                place,
                format!(
                    "next to the {beside} this is a confidence in percent, ignored: the detector's own threshold decides; for a depth put it into the event's config"
                ),
            ),
            None => self.error(place, format!("{value} is not a number")),
        }
    }
}

/// `[x, y]` or `{"x", "y"}`.
fn point(value: &Value) -> Option<Point> {
    match value {
        Value::Array(pair) => match &pair[..] {
            [x, y] => Some(Point::new(number(x)?, number(y)?)),
            _ => None,
        },
        Value::Object(point) => Some(Point::new(number(find(point, "x")?)?, number(find(point, "y")?)?)),
        _ => None,
    }
}
