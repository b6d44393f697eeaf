//! True events from the tracks: feet against polygons and lines on the ground.

use crate::crowd::Walker;
use crate::plaza::{LINES, ZONES};
use crate::truth::{Crossing, TrueEvent};
use glam::Vec2;

/// All events at the suggested zones and lines before `end_seconds`, in order.
pub(crate) fn true_events(walkers: &[Walker], fps: u32, end_seconds: f64) -> Vec<TrueEvent> {
    let mut events = Vec::new();
    for (person, walker) in walkers.iter().enumerate() {
        let mut previous: Option<(f64, Vec2)> = None;
        for (seconds, at) in walker
            .ground_track()
            .take_while(|(seconds, _)| *seconds < end_seconds)
        {
            let mut note = |seconds: f64, boundary: &str, status| {
                events.push(TrueEvent {
                    seconds,
                    frame: libm::ceil(seconds * f64::from(fps)) as u64,
                    person: person as u32,
                    boundary: boundary.to_owned(),
                    status,
                });
            };
            for (name, corners) in ZONES {
                let inside = contains(corners, at);
                match previous {
                    None if inside => note(seconds, name, Crossing::Enter),
                    Some((before, from)) if inside != contains(corners, from) => {
                        let part = boundary_part(corners, from, at, inside);
                        let status = if inside { Crossing::Enter } else { Crossing::Exit };
                        note(before + (seconds - before) * part, name, status);
                    }
                    _ => {}
                }
            }
            if let Some((before, from)) = previous {
                for (name, start, end) in LINES {
                    if let Some((part, status)) = cross(start, end, from, at) {
                        note(before + (seconds - before) * part, name, status);
                    }
                }
            }
            previous = Some((seconds, at));
        }
    }
    events.sort_by(|a, b| a.seconds.total_cmp(&b.seconds).then(a.person.cmp(&b.person)));
    events
}

/// Even-odd rule.
fn contains(corners: &[Vec2], p: Vec2) -> bool {
    let mut inside = false;
    for (i, a) in corners.iter().enumerate() {
        let b = corners[(i + 1) % corners.len()];
        if (a.y > p.y) != (b.y > p.y) && p.x < a.x + (b.x - a.x) * (p.y - a.y) / (b.y - a.y) {
            inside = !inside;
        }
    }
    inside
}

/// The part of the step at which it crosses the polygon's boundary, by halving.
fn boundary_part(corners: &[Vec2], from: Vec2, to: Vec2, ends_inside: bool) -> f64 {
    let (mut low, mut high) = (0.0f32, 1.0f32);
    for _ in 0..12 {
        let middle = (low + high) / 2.0;
        if contains(corners, from.lerp(to, middle)) == ends_inside {
            high = middle
        } else {
            low = middle
        }
    }
    f64::from(high)
}

/// Whether the step crosses the line between its ends, at which part of the step, and to which side.
///
/// On the ground `y` points away from the camera, up in the picture, so that left on the ground is
/// left in the picture.
fn cross(start: Vec2, end: Vec2, from: Vec2, to: Vec2) -> Option<(f64, Crossing)> {
    let line = end - start;
    let (before, after) = (line.perp_dot(from - start), line.perp_dot(to - start));
    if (before >= 0.0) == (after >= 0.0) {
        return None;
    }
    let part = before / (before - after);
    let along = (from.lerp(to, part) - start).dot(line) / line.length_squared();
    let status = if after > before {
        Crossing::CrossLeft
    } else {
        Crossing::CrossRight
    };
    (0.0..=1.0).contains(&along).then_some((f64::from(part), status))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: [Vec2; 4] = [
        Vec2::new(0.0, 0.0),
        Vec2::new(2.0, 0.0),
        Vec2::new(2.0, 2.0),
        Vec2::new(0.0, 2.0),
    ];

    #[test]
    fn a_step_over_the_edge_is_dated_where_it_crosses() {
        let part = boundary_part(&SQUARE, Vec2::new(-0.3, 1.0), Vec2::new(0.1, 1.0), true);
        assert!((part - 0.75).abs() < 1e-3);
    }

    #[test]
    fn sides_are_those_of_someone_who_looks_along_the_line() {
        let (start, end) = (Vec2::new(0.0, 0.0), Vec2::new(0.0, 10.0));
        let (left, right) = (Vec2::new(-1.0, 5.0), Vec2::new(1.0, 5.0));
        assert_eq!(cross(start, end, right, left), Some((0.5, Crossing::CrossLeft)));
        assert_eq!(cross(start, end, left, right), Some((0.5, Crossing::CrossRight)));
        assert_eq!(
            cross(start, end, left + Vec2::Y * 9.0, right + Vec2::Y * 9.0),
            None
        );
    }
}
