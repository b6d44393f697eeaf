//! Settings of the tracker and of all zones and lines, beside them. They are this project's: the contract has none.

use lva_zones::{SceneOptions, TrackerOptions};
use serde_json::Value;

use super::error::{Finding, shown};
use super::json::{Object, find, number};
use super::members::unknown;

/// Longest time that can be given, in milliseconds: a day.
const MAX_MS: f64 = 86_400_000.0;

/// Most classes of an operation.
const MAX_CLASSES: usize = 256;

/// Members of `tracker`.
const TRACKER: [&str; 7] = [
    "high_score",
    "low_score",
    "new_track_score",
    "confirm_ms",
    "duplicate_confirm_ms",
    "tentative_ms",
    "lost_ms",
];

/// What is given; the rest is as in the session's options.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Settings {
    scores: [Option<f32>; 3],
    times: [Option<u64>; 4],
    hold_ms: Option<u64>,
    lost_grace_ms: Option<u64>,
    /// Classes that are followed where a zone, line or event names none, by name.
    pub(super) classes: Option<Vec<String>>,
}

impl Settings {
    /// Reads `tracker`, `classes`, `hold_ms` and `lost_grace_ms` of an object.
    pub(super) fn read(members: &Object, errors: &mut Vec<Finding>, warnings: &mut Vec<Finding>) -> Self {
        let mut settings = Self {
            hold_ms: time(members, "", "hold_ms", errors),
            lost_grace_ms: time(members, "", "lost_grace_ms", errors),
            classes: classes(members, "", errors),
            ..Self::default()
        };
        match find(members, "tracker") {
            None | Some(Value::Null) => {}
            Some(Value::Object(tracker)) => {
                let [high, low, new, confirm, duplicate, tentative, lost] = TRACKER;
                settings.scores = [high, low, new].map(|name| score(tracker, name, errors));
                settings.times = [confirm, duplicate, tentative, lost]
                    .map(|name| time(tracker, "tracker: ", name, errors));
                let unread = tracker
                    .keys()
                    .filter(|name| !TRACKER.iter().any(|known| name.eq_ignore_ascii_case(known)));
                warnings.extend(unread.map(|name| {
                    let about = unknown(name, TRACKER.into_iter());
                    Finding::new(format!("tracker: {}", shown(name)), about)
                }));
            }
            Some(_) => errors.push(Finding::new(
                "tracker",
                "not an object; give {\"new_track_score\": …}",
            )),
        }
        settings
    }

    pub(super) fn tracker(&self, options: TrackerOptions) -> TrackerOptions {
        let ([high, low, new], [confirm, duplicate, tentative, lost]) = (self.scores, self.times);
        TrackerOptions {
            high_score: high.unwrap_or(options.high_score),
            low_score: low.unwrap_or(options.low_score),
            new_track_score: new.unwrap_or(options.new_track_score),
            confirm_ms: confirm.unwrap_or(options.confirm_ms),
            duplicate_confirm_ms: duplicate.unwrap_or(options.duplicate_confirm_ms),
            tentative_ms: tentative.unwrap_or(options.tentative_ms),
            lost_ms: lost.unwrap_or(options.lost_ms),
            ..options
        }
    }

    pub(super) fn scene(&self, options: SceneOptions) -> SceneOptions {
        SceneOptions {
            hold_ms: self.hold_ms.unwrap_or(options.hold_ms),
            lost_timeout_ms: self.lost_grace_ms.unwrap_or(options.lost_timeout_ms),
            ..options
        }
    }
}

fn score(tracker: &Object, name: &'static str, errors: &mut Vec<Finding>) -> Option<f32> {
    let value = find(tracker, name).filter(|value| !value.is_null())?;
    let score = number(value).filter(|score| (0.0..=1.0).contains(score));
    if score.is_none() {
        let message = format!("{value} is not possible; give a score from 0 to 1");
        errors.push(Finding::new(format!("tracker: {name}"), message));
    }
    score.map(|score| score as f32)
}

fn time(members: &Object, place: &str, name: &'static str, errors: &mut Vec<Finding>) -> Option<u64> {
    let value = find(members, name).filter(|value| !value.is_null())?;
    let time = milliseconds(value);
    if time.is_none() {
        let message = format!("{value} is not possible; give milliseconds from 0 to {MAX_MS}");
        errors.push(Finding::new(format!("{place}{name}"), message));
    }
    time
}

/// A time in milliseconds, at most a day.
pub(super) fn milliseconds(value: &Value) -> Option<u64> {
    let time = number(value).filter(|time| (0.0..=MAX_MS).contains(time))?;
    Some(time.round() as u64)
}

/// The names of classes, or their numbers, of a member `classes`.
pub(super) fn classes(members: &Object, place: &str, errors: &mut Vec<Finding>) -> Option<Vec<String>> {
    let value = find(members, "classes").filter(|value| !value.is_null())?;
    let names: Option<Vec<String>> = match value {
        Value::String(name) => Some(name.split(',').map(|name| name.trim().to_owned()).collect()),
        Value::Number(number) => Some(vec![number.to_string()]),
        Value::Array(names) => names
            .iter()
            .map(|name| match name {
                Value::String(name) => Some(name.trim().to_owned()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            })
            .collect(),
        _ => None,
    };
    let names = names.filter(|names| {
        (1..=MAX_CLASSES).contains(&names.len()) && names.iter().all(|name| !name.is_empty())
    });
    if names.is_none() {
        let message = "give the names of classes that the model has, [\"person\", …]";
        errors.push(Finding::new(format!("{place}classes"), message));
    }
    names
}
