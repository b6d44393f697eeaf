//! One event in words: the members that all published forms share.

use crate::event::{DistanceReport, DistanceState, EventKind, SpatialEvent};
use crate::observation::TICKS;

/// A value that one form writes as a number and another as a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Whole(u64),
    Number(f64),
}

impl Value {
    /// As Video Analyzer writes it: numbers with a point, what is not known as `inf`.
    pub(super) fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Whole(number) => format!("{number}.0"),
            Self::Number(number) => decimal(number),
        }
    }
}

/// A number with a point, as `1.0` and `7132.5`.
pub(super) fn decimal(number: f64) -> String {
    format!("{number:?}")
}

/// Name of the event since 2021; in 2020 all of zones were one.
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
pub(super) fn first_name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Enter { .. } | EventKind::Exit { .. } => "personZoneEvent",
        other => name(other),
    }
}

/// The edge, where it is known.
fn side(of: Option<u32>) -> Value {
    Value::Text(of.map_or_else(String::new, |side| side.to_string()))
}

/// The properties but for the tracking id; an unknown side is empty.
pub(super) fn properties(event: &SpatialEvent) -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::Text(text.to_owned());
    match &event.kind {
        EventKind::Cross(direction) => vec![("status", text(direction.status()))],
        EventKind::Enter { side: of } => vec![("status", text("Enter")), ("side", side(*of))],
        EventKind::Exit { side: of, .. } => vec![("status", text("Exit")), ("side", side(*of))],
        EventKind::Dwell(dwell) => {
            let mut all = vec![
                ("status", text("Exit")),
                ("side", side(dwell.side)),
                ("dwellTime", milliseconds(dwell.dwell_90k)),
                ("dwellFrames", Value::Whole(dwell.dwell_frames.into())),
            ];
            if let Some(speed) = dwell.speed {
                all.push(("avgSpeed", Value::Number(speed.average_ft_s)));
                all.push(("minSpeed", Value::Number(speed.minimum_ft_s)));
            }
            all
        }
        // Not in the contract, where a dwell is only told at its end: a status of its own keeps them apart.
        EventKind::DwellExceeded { limit_90k, dwell_90k } => vec![
            ("status", text("Dwelling")),
            ("dwellTime", milliseconds(*dwell_90k)),
            ("dwellLimit", milliseconds(*limit_90k)),
        ],
        EventKind::Count { people, .. } => vec![("personCount", Value::Whole((*people).into()))],
        EventKind::Distance(report) => distance(report),
    }
}

fn distance(report: &DistanceReport) -> Vec<(&'static str, Value)> {
    let infinity = || Value::Text("Infinity".to_owned());
    vec![
        ("personCount", Value::Whole(report.people.into())),
        ("averageDistance", Value::Number(report.average_ft)),
        (
            "minimumDistanceThreshold",
            report.minimum_ft.map_or(Value::Number(0.0), Value::Number),
        ),
        (
            "maximumDistanceThreshold",
            report.maximum_ft.map_or_else(infinity, Value::Number),
        ),
        ("eventName", Value::Text(report.state.word().to_owned())),
        (
            "distanceViolationPersonCount",
            Value::Whole(report.violators.into()),
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
    // To the microsecond: what is finer is noise of the interpolation.
    Value::Number((ticks as f64 / TICKS * 1e6).round() / 1e3)
}
