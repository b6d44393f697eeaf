//! The engine compared with exact rules on random walks: integers, no rounding, no shortcuts.

use crate::support::Random;
use lva_zones::*;
use proptest::prelude::*;

/// Coordinates are integers on this grid.
const GRID: i64 = 64;

type Point2 = (i64, i64);
/// Ins and outs, or lefts and rights, of each zone or line.
type Pairs = Vec<(usize, usize)>;

/// Twice the area of a triangle: above 0 when `p` lies to the right of who looks from `a` to `b`, y running down.
fn side_change(a: Point2, b: Point2, p: Point2) -> i64 {
    (b.0 - a.0) * (p.1 - a.1) - (b.1 - a.1) * (p.0 - a.0)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Inside,
    On,
    Outside,
}

fn between(a: Point2, b: Point2, p: Point2) -> bool {
    side_change(a, b, p) == 0
        && (a.0.min(b.0)..=a.0.max(b.0)).contains(&p.0)
        && (a.1.min(b.1)..=a.1.max(b.1)).contains(&p.1)
}

fn edges(ring: &[Point2]) -> impl Iterator<Item = (Point2, Point2)> + '_ {
    ring.iter().copied().zip(ring.iter().copied().cycle().skip(1))
}

/// Even-odd rule with integers.
fn locate(ring: &[Point2], p: Point2) -> Where {
    let mut inside = false;
    for (a, b) in edges(ring) {
        if between(a, b, p) {
            return Where::On;
        }
        if (a.1 > p.1) != (b.1 > p.1) && (side_change(a, b, p) < 0) == (b.1 > a.1) {
            inside = !inside;
        }
    }
    if inside { Where::Inside } else { Where::Outside }
}

/// Visits of a walk: how often the zone is entered and left, with steps through it.
fn visits(ring: &[Point2], walk: &[Point2]) -> (usize, usize) {
    let (mut enters, mut exits) = (0, 0);
    let mut inside = false;
    for (index, p) in walk.iter().enumerate() {
        let now = match locate(ring, *p) {
            Where::Inside => true,
            Where::Outside => false,
            Where::On => inside,
        };
        if index > 0 && !inside {
            // Every whole stretch of the step inside is a visit, the last one of a step that ends inside goes on.
            let stretches = stretches(ring, walk[index - 1], *p);
            let whole = stretches.saturating_sub(usize::from(now && locate(ring, *p) == Where::Inside));
            enters += whole;
            exits += whole;
        }
        match (inside, now) {
            (false, true) => enters += 1,
            (true, false) => exits += 1,
            _ => {}
        }
        inside = now;
    }
    // Who is still inside vanishes there.
    (enters, exits + usize::from(inside))
}

/// How many open stretches of a step lie inside, exactly: the step is cut wherever it meets an edge, and each piece is
/// looked at in its middle.
fn stretches(ring: &[Point2], from: Point2, to: Point2) -> usize {
    if from == to {
        return 0;
    }
    let step = (to.0 - from.0, to.1 - from.1);
    // Parts of the step as fractions with a positive denominator.
    let mut cuts: Vec<(i64, i64)> = vec![(0, 1), (1, 1)];
    for (a, b) in edges(ring) {
        let edge = (b.0 - a.0, b.1 - a.1);
        let denominator = step.0 * edge.1 - step.1 * edge.0;
        if denominator == 0 {
            for end in [a, b] {
                if side_change(from, to, end) == 0 {
                    let along = (end.0 - from.0) * step.0 + (end.1 - from.1) * step.1;
                    cuts.push((along, step.0 * step.0 + step.1 * step.1));
                }
            }
            continue;
        }
        let (u, v) = (a.0 - from.0, a.1 - from.1);
        let (t, s) = (u * edge.1 - v * edge.0, u * step.1 - v * step.0);
        let sign = denominator.signum();
        let (t, s, denominator) = (t * sign, s * sign, denominator * sign);
        if (0..=denominator).contains(&s) && (0..=denominator).contains(&t) {
            cuts.push((t, denominator));
        }
    }
    cuts.retain(|(n, d)| (0..=*d).contains(n));
    cuts.sort_by(|(a, b), (c, d)| (i128::from(*a) * i128::from(*d)).cmp(&(i128::from(*c) * i128::from(*b))));
    cuts.dedup_by(|(a, b), (c, d)| i128::from(*a) * i128::from(*d) == i128::from(*c) * i128::from(*b));
    let mut count = 0;
    let mut before = false;
    for pair in cuts.windows(2) {
        let ((a, b), (c, d)) = (pair[0], pair[1]);
        // The middle of both, on a grid fine enough to hold it.
        let (n, m) = (a * d + c * b, 2 * b * d);
        let scaled = |p: Point2| (p.0 * m, p.1 * m);
        let middle = (from.0 * m + step.0 * n, from.1 * m + step.1 * n);
        let fine: Vec<Point2> = ring.iter().map(|p| scaled(*p)).collect();
        let inside = locate_wide(&fine, middle) == Where::Inside;
        count += usize::from(inside && !before);
        before = inside;
    }
    count
}

/// The same rule on numbers that are too large for products of 64 bits.
fn locate_wide(ring: &[Point2], p: Point2) -> Where {
    let side_change = |a: Point2, b: Point2| {
        i128::from(b.0 - a.0) * i128::from(p.1 - a.1) - i128::from(b.1 - a.1) * i128::from(p.0 - a.0)
    };
    let mut inside = false;
    for (a, b) in edges(ring) {
        let changed_at = side_change(a, b);
        let within =
            (a.0.min(b.0)..=a.0.max(b.0)).contains(&p.0) && (a.1.min(b.1)..=a.1.max(b.1)).contains(&p.1);
        if changed_at == 0 && within {
            return Where::On;
        }
        if (a.1 > p.1) != (b.1 > p.1) && (changed_at < 0) == (b.1 > a.1) {
            inside = !inside;
        }
    }
    if inside { Where::Inside } else { Where::Outside }
}

/// Crossings of a segment to the left and to the right.
fn crossings(line: (Point2, Point2), walk: &[Point2]) -> (usize, usize) {
    let (mut left, mut right) = (0, 0);
    let mut side = 0;
    for (index, p) in walk.iter().enumerate() {
        let now = match side_change(line.0, line.1, *p).signum() {
            0 => side,
            other => other,
        };
        if side != 0 && now != side {
            let from = walk[index - 1];
            let (a, b) = (
                side_change(from, *p, line.0).signum(),
                side_change(from, *p, line.1).signum(),
            );
            if a * b <= 0 {
                if now < 0 { left += 1 } else { right += 1 }
            }
        }
        side = now;
    }
    (left, right)
}

/// Rings of which one is concave: a stretch through it may be several.
const RINGS: [&[Point2]; 4] = [
    &[(16, 16), (48, 16), (48, 48), (16, 48)],
    &[(10, 30), (32, 8), (54, 30), (32, 52)],
    &[
        (8, 8),
        (56, 8),
        (56, 56),
        (40, 56),
        (40, 24),
        (24, 24),
        (24, 56),
        (8, 56),
    ],
    &[(5, 50), (33, 7), (60, 44), (31, 33)],
];
const LINES: [(Point2, Point2); 3] = [((32, 8), (32, 56)), ((8, 40), (56, 24)), ((20, 20), (44, 44))];

fn place(p: Point2) -> Point {
    Point::new(p.0 as f64 / GRID as f64, p.1 as f64 / GRID as f64)
}

fn exact_scene() -> Scene {
    let zones = RINGS.iter().enumerate().map(|(n, ring)| Zone {
        focus: Focus::Center,
        enter_depth: Threshold::Width(0.0),
        exit_depth: Threshold::Width(0.0),
        ..Zone::new(format!("z{n}"), ring.iter().map(|p| place(*p)))
    });
    let lines = LINES.iter().enumerate().map(|(n, (start, end))| CrossingLine {
        focus: Focus::Center,
        band: Threshold::Width(0.0),
        ..CrossingLine::new(format!("l{n}"), place(*start), place(*end))
    });
    let options = SceneOptions {
        aspect: 1.0,
        hold_ms: 0,
        ..SceneOptions::default()
    };
    Scene::new(zones.collect(), lines.collect(), options).expect("a valid scene")
}

/// Enters and exits of each zone, lefts and rights of each line.
fn counted(walk: &[Point2]) -> (Pairs, Pairs) {
    let mut engine = Engine::new(exact_scene());
    let (mut zones, mut lines) = (vec![(0, 0); RINGS.len()], vec![(0, 0); LINES.len()]);
    let mut note = |events: Vec<SpatialEvent>| {
        for event in events {
            let index: usize = event.name[1..].parse().expect("a number");
            match event.kind {
                EventKind::Enter { .. } => zones[index].0 += 1,
                EventKind::Exit { .. } => zones[index].1 += 1,
                EventKind::Cross(Direction::Left) => lines[index].0 += 1,
                EventKind::Cross(Direction::Right) => lines[index].1 += 1,
                _ => {}
            }
        }
    };
    for (n, p) in walk.iter().enumerate() {
        let at = place(*p);
        let bbox = BoundingBox::new(at.x as f32 - 0.0625, at.y as f32 - 0.0625, 0.125, 0.125);
        note(
            engine
                .update(n as u64 * 9000, &[Observation::new(TrackId(1), bbox)])
                .expect("valid"),
        );
    }
    note(
        engine
            .update(walk.len() as u64 * 9000 + 900_000, &[])
            .expect("valid"),
    );
    (zones, lines)
}

#[test]
fn ten_thousand_random_walks_count_as_the_exact_oracle_counts() {
    let mut random = Random::new(20);
    let mut somewhere = |size: i64| (random.unit() * (size + 1) as f64) as i64;
    let mut events = 0;
    for number in 0..10_000 {
        // Half of them jump anywhere, half go in small steps.
        let small = number % 2 == 0;
        let mut p = (somewhere(GRID), somewhere(GRID));
        let walk: Vec<Point2> = (0..20)
            .map(|_| {
                if small {
                    p.0 = (p.0 + somewhere(12) - 6).clamp(0, GRID);
                    p.1 = (p.1 + somewhere(12) - 6).clamp(0, GRID);
                } else {
                    p = (somewhere(GRID), somewhere(GRID));
                }
                p
            })
            .collect();
        let (zones, lines) = counted(&walk);
        for (index, found) in zones.iter().enumerate() {
            assert_eq!(
                *found,
                visits(RINGS[index], &walk),
                "walk {number}, zone {index}: {walk:?}"
            );
            events += found.0 + found.1;
        }
        for (index, found) in lines.iter().enumerate() {
            assert_eq!(
                *found,
                crossings(LINES[index], &walk),
                "walk {number}, line {index}: {walk:?}"
            );
            events += found.0 + found.1;
        }
    }
    assert!(events > 100_000, "{events}");
}

fn walks() -> impl Strategy<Value = Vec<Point2>> {
    prop::collection::vec((0..=GRID, 0..=GRID), 2..30)
}

/// Counts of a walk in a scene moved and scaled; sizes are powers of two, so that numbers stay exact.
fn counted_in(
    shift: (f64, f64),
    scale: f64,
    ids: impl Fn(u64) -> u64,
    double: bool,
    walk: &[Point2],
) -> Vec<usize> {
    let map = |p: Point2| {
        let at = place(p);
        Point::new(at.x * scale + shift.0, at.y * scale + shift.1)
    };
    let zones = RINGS.iter().enumerate().map(|(n, ring)| Zone {
        focus: Focus::Center,
        enter_depth: Threshold::Width(0.0),
        exit_depth: Threshold::Width(0.0),
        ..Zone::new(format!("z{n}"), ring.iter().map(|p| map(*p)))
    });
    let lines = LINES.iter().enumerate().map(|(n, (start, end))| CrossingLine {
        focus: Focus::Center,
        band: Threshold::Width(0.0),
        ..CrossingLine::new(format!("l{n}"), map(*start), map(*end))
    });
    let options = SceneOptions {
        aspect: 1.0,
        hold_ms: 0,
        ..SceneOptions::default()
    };
    let mut engine = Engine::new(Scene::new(zones.collect(), lines.collect(), options).expect("valid"));
    let mut counts = vec![0; 4 * (RINGS.len() + LINES.len())];
    for (n, p) in walk.iter().enumerate() {
        let at = map(*p);
        let size = 0.125 * scale;
        let bbox = BoundingBox::new(
            (at.x - size / 2.0) as f32,
            (at.y - size / 2.0) as f32,
            size as f32,
            size as f32,
        );
        // Another person stands far away, before or after in the list.
        let other = Observation::new(TrackId(ids(2)), BoundingBox::new(2.0, 2.0, 0.125, 0.125));
        let mut people = vec![Observation::new(TrackId(ids(1)), bbox), other];
        if n % 2 == 1 {
            people.reverse();
        }
        for _ in 0..if double { 2 } else { 1 } {
            for event in engine.update(n as u64 * 9000, &people).expect("valid") {
                let index: usize = event.name[1..].parse().expect("a number");
                let base = if event.name.starts_with('z') {
                    0
                } else {
                    4 * RINGS.len()
                };
                let kind = match event.kind {
                    EventKind::Enter { .. } | EventKind::Cross(Direction::Left) => 0,
                    _ => 1,
                };
                counts[base + 4 * index + kind] += 1;
            }
        }
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn moving_scaling_renaming_and_doubling_frames_change_no_count(walk in walks(), power in 0u32..3, dx in 0i64..64, dy in 0i64..64) {
        let plain = counted_in((0.0, 0.0), 1.0, |id| id, false, &walk);
        let scale = 0.5f64.powi(power as i32);
        let shift = (dx as f64 / 64.0, dy as f64 / 64.0);
        prop_assert_eq!(&plain, &counted_in(shift, scale, |id| id, false, &walk));
        prop_assert_eq!(&plain, &counted_in((0.0, 0.0), 1.0, |id| 1000 - 7 * id, false, &walk));
        prop_assert_eq!(&plain, &counted_in((0.0, 0.0), 1.0, |id| id, true, &walk));
    }

    #[test]
    fn time_reversed_the_ins_are_outs_and_lefts_are_rights(walk in walks()) {
        // From outside to outside: who begins inside appears there, and who ends there vanishes.
        let walk: Vec<Point2> = std::iter::once((0, 0)).chain(walk).chain([(0, 0)]).collect();
        let reversed: Vec<Point2> = walk.iter().rev().copied().collect();
        let ((zones, lines), (zones_back, lines_back)) = (counted(&walk), counted(&reversed));
        // On an edge or a line one is still where one was, which another direction of time judges otherwise.
        let touches = walk.iter().any(|p| RINGS.iter().any(|ring| locate(ring, *p) == Where::On)
            || LINES.iter().any(|(a, b)| side_change(*a, *b, *p) == 0));
        if !touches {
            for ((a, b), (c, d)) in zones.iter().zip(&zones_back) {
                prop_assert_eq!((a, b), (d, c));
            }
            for ((left, right), (left_back, right_back)) in lines.iter().zip(&lines_back) {
                prop_assert_eq!((left, right), (right_back, left_back));
            }
        }
    }

    #[test]
    fn steps_cut_in_two_change_no_count_of_convex_zones_and_lines(walk in walks()) {
        // On even numbers the middle of a step is on the grid.
        let walk: Vec<Point2> = walk.iter().map(|p| (p.0 / 2 * 2, p.1 / 2 * 2)).collect();
        let mut cut = vec![walk[0]];
        for pair in walk.windows(2) {
            cut.push(((pair[0].0 + pair[1].0) / 2, (pair[0].1 + pair[1].1) / 2));
            cut.push(pair[1]);
        }
        // On an edge or a line one is still where one was: a stop there may join what a step without it keeps apart.
        let touches = cut.iter().any(|p| RINGS[..2].iter().any(|ring| locate(ring, *p) == Where::On)
            || LINES.iter().any(|(a, b)| side_change(*a, *b, *p) == 0));
        if !touches {
            let ((zones, lines), (zones_cut, lines_cut)) = (counted(&walk), counted(&cut));
            prop_assert_eq!(&zones[..2], &zones_cut[..2]);
            prop_assert_eq!(lines, lines_cut);
        }
    }
}
