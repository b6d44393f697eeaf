//! Names and properties of events, which all published forms share.

use crate::event::{DistanceReport, DistanceState, EventKind, SpatialEvent};
use crate::time::seconds;

/// A value that one form writes as a number and another as a string.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    String(String),
    Integer(u64),
    Float(f64),
}

impl Value {
    /// As Video Analyzer writes it: numbers with a decimal point.
    pub(super) fn into_string(self) -> String {
        match self {
            Self::String(text) => text,
            Self::Integer(number) => format!("{number}.0"),
            Self::Float(number) => decimal(number),
        }
    }
}

/// A number with a decimal point, such as `1.0` and `7132.5`.
pub(super) fn decimal(number: f64) -> String {
    format!("{number:?}")
}

/// Name of the event since 2021.
pub(super) fn name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Cross(_) => "personLineEvent",
        EventKind::Enter { .. } | EventKind::Exit { .. } => "personZoneEnterExitEvent",
        EventKind::Dwell(_) | EventKind::DwellExceeded { .. } => "personZoneDwellTimeEvent",
        EventKind::Count { .. } => "personCountEvent",
        EventKind::Distance(_) => "personDistanceEvent",
    }
}

/// Name of the event in the first edition.
pub(super) fn name_2020(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Enter { .. } | EventKind::Exit { .. } => "personZoneEvent",
        other => name(other),
    }
}

/// The edge, where it is known.
fn side(of: Option<u32>) -> Value {
    Value::String(of.map_or_else(String::new, |side| side.to_string()))
}

/// The properties except the tracking id; an unknown side is empty.
pub(super) fn properties(event: &SpatialEvent) -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::String(text.to_owned());
    match &event.kind {
        EventKind::Cross(direction) => vec![("status", text(direction.status()))],
        EventKind::Enter { side: of } => vec![("status", text("Enter")), ("side", side(*of))],
        EventKind::Exit { side: of, .. } => vec![("status", text("Exit")), ("side", side(*of))],
        EventKind::Dwell(dwell) => {
            let mut all = vec![
                ("status", text("Exit")),
                ("side", side(dwell.side)),
                ("dwellTime", milliseconds(dwell.dwell_90k)),
                ("dwellFrames", Value::Integer(dwell.dwell_frames.into())),
            ];
            if let Some(speed) = dwell.speed {
                all.push(("avgSpeed", Value::Float(speed.average_ft_s)));
                all.push(("minSpeed", Value::Float(speed.minimum_ft_s)));
            }
            all
        }
        // The contract reports a dwell at its end only; a separate status distinguishes this event.
        EventKind::DwellExceeded { limit_90k, dwell_90k } => vec![
            ("status", text("Dwelling")),
            ("dwellTime", milliseconds(*dwell_90k)),
            ("dwellLimit", milliseconds(*limit_90k)),
        ],
        EventKind::Count { people, .. } => vec![("personCount", Value::Integer((*people).into()))],
        EventKind::Distance(report) => distance(report),
    }
}

fn distance(report: &DistanceReport) -> Vec<(&'static str, Value)> {
    let infinity = || Value::String("Infinity".to_owned());
    vec![
        ("personCount", Value::Integer(report.people.into())),
        ("averageDistance", Value::Float(report.average_ft)),
        (
            "minimumDistanceThreshold",
            report.minimum_ft.map_or(Value::Float(0.0), Value::Float),
        ),
        (
            "maximumDistanceThreshold",
            report.maximum_ft.map_or_else(infinity, Value::Float),
        ),
        ("eventName", Value::String(report.state.word().to_owned())),
        (
            "distanceViolationPersonCount",
            Value::Integer(report.violators.into()),
        ),
    ]
}

/// Video Analyzer's word for a state.
pub(super) fn analyzer_word(state: DistanceState) -> &'static str {
    match state {
        DistanceState::Unknown => "Unknown",
        known => known.word(),
    }
}

fn milliseconds(ticks: u64) -> Value {
    // To the microsecond: the interpolation is not more precise.
    Value::Float((seconds(ticks) * 1e6).round() / 1e3)
}
