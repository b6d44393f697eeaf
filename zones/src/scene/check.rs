//! Checks of zones and lines. Each check reports all errors.

use super::*;
use crate::geometry::{distance, is_flat, self_crossing};

/// Lengths below this are none, in units of the frame's width: a tenth of a pixel where there are a thousand.
const NO_LENGTH: f64 = 1e-4;

pub(super) fn names(zones: &[Zone], lines: &[CrossingLine], errors: &mut Vec<SceneFinding>) {
    let all = zones.iter().map(|z| ("zone", &z.name)).enumerate();
    let all = all.chain(lines.iter().map(|l| ("line", &l.name)).enumerate());
    let mut seen = std::collections::BTreeSet::new();
    for (index, (kind, name)) in all {
        let number = index + 1;
        if name.is_empty() {
            errors.push(SceneFinding::NoName { kind, number });
        } else if name.chars().nth(MAX_NAME_CHARS).is_some() {
            errors.push(SceneFinding::LongName { kind, number });
        } else if name.chars().any(is_control) {
            errors.push(SceneFinding::ControlInName { kind, number });
        } else if !seen.insert(name) {
            errors.push(SceneFinding::DuplicateName { name: name.clone() });
        }
    }
}

/// Control characters, separators of lines, and the marks that turn the direction of all that follows.
fn is_control(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Coordinates far outside the frame are errors of unit; those slightly outside are intended.
fn check_points(
    element: &str,
    member: &'static str,
    points: &[Point],
    errors: &mut Vec<SceneFinding>,
    warnings: &mut Vec<SceneWarning>,
) -> bool {
    let before = errors.len();
    for point in points {
        for value in [point.x, point.y] {
            // Written so that NaN fails.
            if !(-2.0..=3.0).contains(&value) {
                errors.push(SceneFinding::BadNumber {
                    element: element.to_owned(),
                    member,
                    value,
                    expected: "a fraction of the frame, 0 to 1",
                });
            }
        }
        if !(0.0..=1.0).contains(&point.x) || !(0.0..=1.0).contains(&point.y) {
            warnings.push(SceneWarning::OutsideFrame {
                element: element.to_owned(),
                point: *point,
            });
        }
    }
    errors.len() == before
}

pub(super) fn check_share(
    element: &str,
    member: &'static str,
    threshold: Threshold,
    errors: &mut Vec<SceneFinding>,
) {
    let value = threshold.largest();
    if !(0.0..1.0).contains(&value) {
        let expected = "a share of the frame's width, 0 to below 1";
        errors.push(SceneFinding::BadNumber {
            element: element.to_owned(),
            member,
            value,
            expected,
        });
    }
}

pub(super) fn zone(
    zone: Zone,
    plane: Plane,
    errors: &mut Vec<SceneFinding>,
    warnings: &mut Vec<SceneWarning>,
) -> Option<(Outline, Vec<CheckedZone>)> {
    let name = zone.name.clone();
    let before = errors.len();
    zone.check_rules(errors);
    check_share(&name, "threshold", zone.enter_depth, errors);
    check_share(&name, "exit threshold", zone.exit_depth, errors);
    let count = zone.polygon.len();
    if count > MAX_CORNERS {
        errors.push(SceneFinding::TooMany {
            what: format!("corners of zone {name:?}"),
            count,
            limit: MAX_CORNERS,
        });
        return None;
    }
    if !check_points(&name, "polygon", &zone.polygon, errors, warnings) {
        return None;
    }
    let mut corners = zone.polygon.clone();
    corners.dedup();
    if corners.len() > 1 && corners.first() == corners.last() {
        corners.pop();
    }
    if corners.len() < 3 {
        errors.push(SceneFinding::TooFewCorners {
            zone: name,
            corners: corners.len(),
        });
        return None;
    }
    let ring: Vec<_> = corners.iter().map(|corner| plane.to_plane(*corner)).collect();
    if is_flat(&ring, NO_LENGTH) {
        errors.push(SceneFinding::NoArea { zone: name });
        return None;
    }
    if let Some((first, second)) = self_crossing(&ring) {
        errors.push(SceneFinding::SelfCrossing {
            zone: name,
            first,
            second,
        });
        return None;
    }
    if errors.len() > before {
        return None;
    }
    let (extended, sides) = plane.extended(&corners);
    let plain = Area::new(&ring, &(1..=ring.len() as u32).collect::<Vec<_>>());
    let area = match self_crossing(&extended) {
        None => Area::new(&extended, &sides),
        // Folds below the border.
        Some(_) => plain.clone(),
    };
    let greatest_depth = area.greatest_depth(plane.frame_height());
    let checked = zone.checked(&area, &plain);
    if greatest_depth <= 0.0 {
        warnings.push(SceneWarning::OutOfFrame { zone: name.clone() });
    }
    for zone in &checked {
        let enter_depth = zone.enter_depth.largest();
        if greatest_depth > 0.0 && greatest_depth <= enter_depth && zone.enter_depth != Threshold::Auto {
            warnings.push(SceneWarning::TooShallow {
                zone: name.clone(),
                enter_depth,
                greatest_depth,
            });
            break;
        }
    }
    let outline = Outline {
        name,
        points: ring.into_iter().map(|c| plane.to_frame(c)).collect(),
        kind: OutlineKind::Zone,
    };
    Some((outline, checked))
}

pub(super) fn line(
    line: CrossingLine,
    plane: Plane,
    errors: &mut Vec<SceneFinding>,
    warnings: &mut Vec<SceneWarning>,
) -> Option<(Outline, CheckedLine)> {
    let name = line.name.clone();
    check_share(&name, "threshold", line.band, errors);
    if !check_points(&name, "line", &[line.start, line.end], errors, warnings) {
        return None;
    }
    if distance(plane.to_plane(line.start), plane.to_plane(line.end)) < NO_LENGTH {
        errors.push(SceneFinding::NoLength { line: name });
        return None;
    }
    let (start, end) = match line.focus {
        Focus::Center => (line.start, line.end),
        Focus::Footprint | Focus::BottomCenter => plane.continued(line.start, line.end),
    };
    let segment = Segment::new(plane.to_plane(start), plane.to_plane(end));
    let checked = CheckedLine {
        name: name.as_str().into(),
        segment,
        focus: line.focus,
        band: line.band,
        sample_every: line.sample_every.max(1),
        classes: line.classes,
    };
    let outline = Outline {
        name,
        points: vec![line.start, line.end],
        kind: OutlineKind::Line,
    };
    Some((outline, checked))
}
