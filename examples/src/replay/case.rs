//! Reads a case.

use std::collections::BTreeMap;

use lva_zones::{
    BoundingBox, Classes, CrossingLine, Detection, DwellRule, Focus, Observation, Point, Scene, SceneOptions,
    Threshold, TrackId, TrackerOptions, Zone,
};
use serde::Deserialize;
use serde_json::Value;

use super::MAX_CASE_FRAMES;

#[derive(Deserialize)]
struct WrittenCase {
    scene: WrittenScene,
    tracker: Option<WrittenTracker>,
    frames: Vec<WrittenFrame>,
}

#[derive(Deserialize)]
struct WrittenScene {
    width: f64,
    height: f64,
    #[serde(default)]
    lines: Vec<WrittenLine>,
    #[serde(default)]
    zones: Vec<WrittenZone>,
    focus: Option<String>,
    line_threshold: Option<f64>,
    zone_threshold: Option<f64>,
    hold_ms: Option<f64>,
    lost_grace_ms: Option<f64>,
    tracker: Option<WrittenTracker>,
}

#[derive(Deserialize)]
struct WrittenTracker {
    high_score: Option<f32>,
    low_score: Option<f32>,
    new_track_score: Option<f32>,
    confirm_ms: Option<f64>,
    duplicate_confirm_ms: Option<f64>,
    tentative_ms: Option<f64>,
    lost_ms: Option<f64>,
}

impl WrittenTracker {
    fn over(&self, base: TrackerOptions) -> Result<TrackerOptions, String> {
        let score = |name: &str, given: Option<f32>, base: f32| match given {
            None => Ok(base),
            Some(score) if (0.0..=1.0).contains(&score) => Ok(score),
            Some(score) => Err(format!("tracker: {name} is {score}; give a score from 0 to 1")),
        };
        Ok(TrackerOptions {
            high_score: score("high_score", self.high_score, base.high_score)?,
            low_score: score("low_score", self.low_score, base.low_score)?,
            new_track_score: score("new_track_score", self.new_track_score, base.new_track_score)?,
            confirm_ms: milliseconds("confirm_ms", self.confirm_ms, base.confirm_ms)?,
            duplicate_confirm_ms: milliseconds(
                "duplicate_confirm_ms",
                self.duplicate_confirm_ms,
                base.duplicate_confirm_ms,
            )?,
            tentative_ms: milliseconds("tentative_ms", self.tentative_ms, base.tentative_ms)?,
            lost_ms: milliseconds("lost_ms", self.lost_ms, base.lost_ms)?,
            ..base
        })
    }
}

#[derive(Deserialize)]
struct WrittenLine {
    name: String,
    start: [f64; 2],
    end: [f64; 2],
    classes: Option<Vec<u16>>,
}

#[derive(Deserialize)]
struct WrittenZone {
    name: String,
    polygon: Vec<[f64; 2]>,
    #[serde(default)]
    dwell_limits_ms: Vec<f64>,
    classes: Option<Vec<u16>>,
}

#[derive(Deserialize)]
struct WrittenFrame {
    t_ms: f64,
    people: Option<Vec<Vec<Value>>>,
    detections: Option<Vec<Vec<f64>>>,
}

/// A case that can be played.
pub(super) struct Case {
    pub(super) scene: Scene,
    pub(super) focus: Focus,
    pub(super) frames: Vec<Frame>,
    /// The case's ids of people, by track.
    pub(super) names: Vec<Value>,
    /// Where people stand in double precision, by frame and track.
    pub(super) anchors: BTreeMap<(usize, u64), Point>,
    /// Whether the tracker assigns the identities.
    pub(super) tracked: bool,
    /// Whether detections have classes.
    pub(super) classified: bool,
    pub(super) tracker: TrackerOptions,
    /// The first frame's time if it is below 0: times are relative to it.
    pub(super) begin_ms: f64,
}

pub(super) struct Frame {
    pub(super) time: u64,
    pub(super) seen: Seen,
}

pub(super) enum Seen {
    People(Vec<Observation>),
    Detections(Vec<Detection>),
}

impl Case {
    pub(super) fn read(value: Value) -> Result<Self, String> {
        let written: WrittenCase = serde_json::from_value(value).map_err(|e| e.to_string())?;
        if written.frames.len() > MAX_CASE_FRAMES {
            return Err(format!(
                "{} frames; the limit is {MAX_CASE_FRAMES}",
                written.frames.len()
            ));
        }
        let focus = match written.scene.focus.as_deref() {
            None | Some("bottom_center") => Focus::BottomCenter,
            Some("footprint") => Focus::Footprint,
            Some("center") => Focus::Center,
            Some(other) => {
                return Err(format!(
                    "no focus {other:?}; give footprint, bottom_center or center"
                ));
            }
        };
        let mut tracker = TrackerOptions::default();
        for options in written.scene.tracker.iter().chain(&written.tracker) {
            tracker = options.over(tracker)?;
        }
        let scene = scene(written.scene, focus)?;
        let tracked = written.frames.iter().any(|frame| frame.detections.is_some());
        let first = written.frames.first().map_or(0.0, |frame| frame.t_ms);
        let mut case = Self {
            scene,
            focus,
            frames: Vec::with_capacity(written.frames.len()),
            names: Vec::new(),
            anchors: BTreeMap::new(),
            tracked,
            classified: false,
            tracker,
            begin_ms: first.min(0.0),
        };
        let mut numbers: BTreeMap<String, u64> = BTreeMap::new();
        for (index, frame) in written.frames.into_iter().enumerate() {
            let seen = match (frame.people, frame.detections) {
                (None, Some(found)) => {
                    case.classified |= found.iter().any(|row| row.len() == 6);
                    let found: Result<_, String> = found.iter().map(|row| detection(row)).collect();
                    Seen::Detections(found.map_err(|e| format!("frame {index}: {e}"))?)
                }
                (people, None) if !tracked => {
                    let people = people.unwrap_or_default();
                    let known = people.iter().map(|row| case.person(index, row, &mut numbers));
                    Seen::People(
                        known
                            .collect::<Result<_, _>>()
                            .map_err(|e| format!("frame {index}: {e}"))?,
                    )
                }
                // A frame in which nothing was detected.
                (None, None) => Seen::Detections(Vec::new()),
                _ => {
                    return Err(format!(
                        "frame {index}: people and detections in one case; give one of them"
                    ));
                }
            };
            let ticks = (frame.t_ms - case.begin_ms) * 90.0;
            if !(0.0..=1e18).contains(&ticks) {
                return Err(format!(
                    "frame {index}: t_ms is {}; times start at the first frame and do not run backwards",
                    frame.t_ms
                ));
            }
            case.frames.push(Frame {
                time: ticks.round() as u64,
                seen,
            });
        }
        Ok(case)
    }

    fn person(
        &mut self,
        frame: usize,
        row: &[Value],
        numbers: &mut BTreeMap<String, u64>,
    ) -> Result<Observation, String> {
        let [id, rest @ ..] = row else {
            return Err("an empty row; give [id, left, top, width, height]".to_owned());
        };
        let numbers_given: Option<Vec<f64>> = rest.iter().map(Value::as_f64).collect();
        let Some([l, t, w, h]) = numbers_given.and_then(|n| <[f64; 4]>::try_from(n).ok()) else {
            return Err(format!("a row of {id}: give [id, left, top, width, height]"));
        };
        let next = numbers.len() as u64;
        let number = *numbers.entry(id.to_string()).or_insert(next);
        if number == next {
            self.names.push(id.clone());
        }
        // The first row of a person in a frame counts, as in the engine.
        self.anchors
            .entry((frame, number))
            .or_insert_with(|| Point::new(l + w / 2.0, t + h * self.focus.depth_in_box()));
        let bbox = BoundingBox::new(l as f32, t as f32, w as f32, h as f32);
        if !bbox.is_in_fractions() {
            return Err(format!(
                "the box of {id}, {bbox}, is not in fractions of the frame, 0 to 1"
            ));
        }
        Ok(Observation::new(TrackId(number), bbox))
    }
}

fn detection(row: &[f64]) -> Result<Detection, String> {
    let (l, t, w, h, score, class) = match *row {
        [l, t, w, h, score] => (l, t, w, h, score, 0.0),
        [l, t, w, h, score, class] if class.fract() == 0.0 && (0.0..=65_535.0).contains(&class) => {
            (l, t, w, h, score, class)
        }
        _ => return Err("a detection is [left, top, width, height, score] and, from 0, a class".to_owned()),
    };
    Ok(Detection {
        bbox: BoundingBox::new(l as f32, t as f32, w as f32, h as f32),
        class: class as u16,
        score: score as f32,
    })
}

fn milliseconds(name: &str, given: Option<f64>, default: u64) -> Result<u64, String> {
    match given {
        None => Ok(default),
        Some(ms) if (0.0..=1e12).contains(&ms) => Ok(ms.round() as u64),
        Some(ms) => Err(format!("{name} is {ms}; give milliseconds from 0 up")),
    }
}

fn classes(given: Option<&[u16]>) -> Classes {
    given.map_or_else(Classes::default, |classes| Classes::only(classes.iter().copied()))
}

fn scene(written: WrittenScene, focus: Focus) -> Result<Scene, String> {
    let point = |[x, y]: [f64; 2]| Point::new(x, y);
    let options = SceneOptions {
        aspect: written.width / written.height,
        hold_ms: milliseconds("hold_ms", written.hold_ms, 200)?,
        lost_timeout_ms: milliseconds("lost_grace_ms", written.lost_grace_ms, 1000)?,
        ..SceneOptions::default()
    };
    let threshold = |given: Option<f64>| given.map_or(Threshold::Auto, Threshold::Width);
    let depth = threshold(written.zone_threshold);
    let band = threshold(written.line_threshold);
    let mut zones = Vec::with_capacity(written.zones.len());
    for zone in written.zones {
        let limits: Result<Vec<u64>, String> = zone
            .dwell_limits_ms
            .iter()
            .map(|ms| milliseconds("dwell_limits_ms", Some(*ms), 0))
            .collect();
        let limits_ms = limits?;
        let dwell = (!limits_ms.is_empty()).then_some(DwellRule {
            at_exit: false,
            limits_ms,
            sample_every: 1,
            focus,
            enter_depth: depth,
            exit_depth: depth,
            classes: classes(zone.classes.as_deref()),
        });
        zones.push(Zone {
            focus,
            enter_depth: depth,
            exit_depth: depth,
            dwell,
            classes: classes(zone.classes.as_deref()),
            ..Zone::new(zone.name, zone.polygon.into_iter().map(point))
        });
    }
    let lines = written.lines.into_iter().map(|line| CrossingLine {
        focus,
        band,
        classes: classes(line.classes.as_deref()),
        ..CrossingLine::new(line.name, point(line.start), point(line.end))
    });
    Scene::new(zones, lines.collect(), options).map_err(|error| {
        let findings = error.findings().iter().map(ToString::to_string);
        findings.collect::<Vec<_>>().join("; ")
    })
}
