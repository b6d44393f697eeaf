//! People who come, cross, loiter, meet and leave: each follows a plan, gives way to the others, and
//! leaves a track that frames and events are read from.

use crate::body::{Body, Gesture, Pose};
use crate::plaza::{GATES, STOPS};
use crate::random::Random;
use glam::Vec2;

/// Steps of the simulation a second.
pub(crate) const STEPS_PER_SECOND: u32 = 50;
const STEP: f32 = 1.0 / STEPS_PER_SECOND as f32;
/// The crowd walks this long before the first frame, so that the square is not empty.
const LEAD_SECONDS: f32 = 14.0;

/// One thing that a person means to do.
#[derive(Debug, Clone, Copy)]
enum Intent {
    Walk {
        to: Vec2,
        speed: f32,
    },
    Stay {
        until: f32,
        at_least: f32,
        gesture: Gesture,
        face: Option<Vec2>,
    },
}

/// Where a person was at one step.
#[derive(Debug, Clone, Copy)]
struct Step {
    at: Vec2,
    heading: f32,
    speed: f32,
    phase: f32,
    gesture: Gesture,
}

/// A person of the crowd with the whole way walked.
#[derive(Debug, Clone)]
pub(crate) struct Walker {
    pub(crate) body: Body,
    /// Step number of the first entry of the track, counted from the first frame; may be negative.
    born: i64,
    track: Vec<Step>,
}

impl Walker {
    /// The pose at a time, or `None` before coming and after leaving.
    pub(crate) fn pose_at(&self, seconds: f64) -> Option<Pose> {
        let exact = seconds * f64::from(STEPS_PER_SECOND) - self.born as f64;
        if exact < 0.0 {
            return None;
        }
        let index = exact as usize;
        let (a, b) = (self.track.get(index)?, self.track.get(index + 1)?);
        let t = (exact - index as f64) as f32;
        Some(Pose {
            root: a.at.lerp(b.at, t),
            heading: a.heading + (b.heading - a.heading) * t,
            speed: a.speed + (b.speed - a.speed) * t,
            phase: a.phase + (b.phase - a.phase) * t,
            gesture: a.gesture,
            clock: seconds as f32 + self.born as f32 * STEP,
        })
    }

    /// Ground positions from the first frame on: seconds and metres, one a step.
    pub(crate) fn ground_track(&self) -> impl Iterator<Item = (f64, Vec2)> + '_ {
        self.track.iter().enumerate().filter_map(|(i, step)| {
            let number = self.born + i as i64;
            (number >= 0).then(|| (number as f64 / f64::from(STEPS_PER_SECOND), step.at))
        })
    }
}

/// Lets a crowd live through `seconds` and returns everybody who was there.
pub(crate) fn live(seed: u64, seconds: f32, obstacles: &[(Vec2, f32)]) -> Vec<Walker> {
    let mut crowd = Crowd {
        present: Vec::new(),
        gone: Vec::new(),
        random: Random::new(seed, 8),
        joined: 0,
    };
    let first = -(LEAD_SECONDS * STEPS_PER_SECOND as f32) as i64;
    let last = libm::ceilf(seconds * STEPS_PER_SECOND as f32) as i64 + 2;
    let mut next_arrival = -LEAD_SECONDS;
    let mut visitor_due = true;
    for step in first..=last {
        let now = step as f32 * STEP;
        if visitor_due && now >= 0.5 {
            // In every clip, a person walks into the middle of the square early on.
            visitor_due = false;
            crowd.loiterer(step, GATES[0], STOPS[0], now);
        }
        if now >= next_arrival {
            crowd.arrive(step, now);
            next_arrival = now + crowd.random.between(1.9, 4.4);
        }
        crowd.step(now, obstacles);
    }
    let mut all = crowd.gone;
    all.extend(crowd.present);
    all.retain(|actor| actor.walker.born + actor.walker.track.len() as i64 > 1);
    all.sort_by_key(|actor| actor.number);
    all.into_iter().map(|actor| actor.walker).collect()
}

#[derive(Debug)]
struct Actor {
    number: usize,
    walker: Walker,
    plan: Vec<Intent>,
    /// Index into the plan, and seconds spent on that intent.
    intent: usize,
    spent: f32,
    at: Vec2,
    velocity: Vec2,
    heading: f32,
    phase: f32,
}

#[derive(Debug)]
struct Crowd {
    present: Vec<Actor>,
    gone: Vec<Actor>,
    random: Random,
    joined: usize,
}

impl Crowd {
    fn arrive(&mut self, step: i64, now: f32) {
        let from = self.random.pick(&GATES);
        match self.random.below(20) {
            0..=8 => {
                let to = self.gate_far_from(from);
                let speed = self.pace();
                self.join(step, from, vec![Intent::Walk { to, speed }]);
            }
            9..=13 => {
                let stop = self.random.pick(&STOPS);
                self.loiterer(step, from, stop, now);
            }
            14..=16 => {
                // Two who walk side by side.
                let to = self.gate_far_from(from);
                let speed = self.pace() * 0.92;
                let beside = (to - from).perp().normalize_or_zero() * 0.72;
                self.join(step, from, vec![Intent::Walk { to, speed }]);
                self.join(
                    step,
                    from + beside,
                    vec![Intent::Walk {
                        to: to + beside,
                        speed,
                    }],
                );
            }
            _ => self.meeting(step, from, now),
        }
    }

    /// Someone who stops for a while and goes on.
    fn loiterer(&mut self, step: i64, from: Vec2, stop: Vec2, now: f32) {
        let to = self.gate_far_from(from);
        let near = self.free_spot(stop) - stop;
        let gesture = self
            .random
            .pick(&[Gesture::Phone, Gesture::Pockets, Gesture::Free]);
        let (come, go) = (self.pace(), self.pace());
        let at_least = self.random.between(5.0, 13.0);
        let plan = vec![
            Intent::Walk {
                to: stop + near,
                speed: come,
            },
            Intent::Stay {
                until: now,
                at_least,
                gesture,
                face: None,
            },
            Intent::Walk { to, speed: go },
        ];
        self.join(step, from, plan);
    }

    /// Two who come from different sides, talk, and part.
    fn meeting(&mut self, step: i64, from: Vec2, now: f32) {
        let other = self.gate_far_from(from);
        let stop = self.random.pick(&STOPS);
        let stop = self.free_spot(stop);
        let half = (other - from).normalize_or_zero() * self.random.between(0.4, 0.55);
        let speed = self.pace();
        let longest = from.distance(stop).max(other.distance(stop));
        let until = now + longest / speed + self.random.between(6.0, 12.0);
        for (start, spot, friend) in [
            (from, stop - half, stop + half),
            (other, stop + half, stop - half),
        ] {
            let away = self.gate_far_from(stop);
            let plan = vec![
                Intent::Walk { to: spot, speed },
                Intent::Stay {
                    until,
                    at_least: 1.0,
                    gesture: Gesture::Talk,
                    face: Some(friend),
                },
                Intent::Walk { to: away, speed },
            ];
            self.join(step, start, plan);
        }
    }

    /// A position near `stop` that no other person has chosen.
    fn free_spot(&mut self, stop: Vec2) -> Vec2 {
        let mut spot = stop;
        for _ in 0..24 {
            spot = stop + Vec2::new(self.random.between(-1.1, 1.1), self.random.between(-0.9, 0.9));
            let taken = self
                .present
                .iter()
                .flat_map(|actor| &actor.plan)
                .any(|intent| matches!(intent, Intent::Walk { to, .. } if to.distance(spot) < 0.95));
            if !taken {
                break;
            }
        }
        spot
    }

    fn pace(&mut self) -> f32 {
        self.random.between(1.0, 1.65)
    }

    fn gate_far_from(&mut self, from: Vec2) -> Vec2 {
        for _ in 0..16 {
            let gate = self.random.pick(&GATES);
            if gate.distance(from) > 9.0 {
                return gate;
            }
        }
        GATES[0]
    }

    fn join(&mut self, step: i64, at: Vec2, plan: Vec<Intent>) {
        let body = Body::random(&mut self.random);
        let heading = match plan.first() {
            Some(Intent::Walk { to, .. }) => libm::atan2f(to.y - at.y, to.x - at.x),
            _ => 0.0,
        };
        let phase = self.random.between(0.0, std::f32::consts::TAU);
        self.present.push(Actor {
            number: self.joined,
            walker: Walker {
                body,
                born: step,
                track: Vec::new(),
            },
            plan,
            intent: 0,
            spent: 0.0,
            at,
            velocity: Vec2::ZERO,
            heading,
            phase,
        });
        self.joined += 1;
    }

    fn step(&mut self, now: f32, obstacles: &[(Vec2, f32)]) {
        let places: Vec<(Vec2, Vec2)> = self.present.iter().map(|a| (a.at, a.velocity)).collect();
        for (index, actor) in self.present.iter_mut().enumerate() {
            actor.step(now, index, &places, obstacles);
        }
        let (present, gone) = self.present.drain(..).partition(|a| a.intent < a.plan.len());
        self.present = present;
        self.gone.extend::<Vec<Actor>>(gone);
    }
}

impl Actor {
    fn step(&mut self, now: f32, me: usize, places: &[(Vec2, Vec2)], obstacles: &[(Vec2, f32)]) {
        let Some(&intent) = self.plan.get(self.intent) else {
            return;
        };
        self.spent += STEP;
        let (wanted, gesture, face) = match intent {
            Intent::Walk { to, speed } => {
                let way = to - self.at;
                let last = self.intent + 1 == self.plan.len();
                let near = if last { 0.6 } else { 0.12 };
                // No person is blocked forever: after a generous time the next intent starts.
                if way.length() < near || self.spent > 40.0 {
                    self.next();
                }
                let slow = if last {
                    1.0
                } else {
                    (way.length() / 0.8).clamp(0.25, 1.0)
                };
                (way.normalize_or_zero() * (speed * slow), Gesture::Free, None)
            }
            Intent::Stay {
                until,
                at_least,
                gesture,
                face,
            } => {
                if now >= until && self.spent >= at_least {
                    self.next();
                }
                (Vec2::ZERO, gesture, face)
            }
        };
        let walking = wanted != Vec2::ZERO;
        let mut push = Vec2::ZERO;
        if walking {
            push = self.give_way(wanted, me, places) + self.walk_around(wanted, obstacles);
        }
        let target = (wanted + push).clamp_length_max(wanted.length() * 1.25);
        let change = (target - self.velocity).clamp_length_max(2.6 * STEP);
        self.velocity += change;
        self.at += self.velocity * STEP;
        let speed = self.velocity.length();
        self.turn(speed, face);
        self.phase += speed * STEP * self.walker.body.phase_per_metre(speed);
        self.walker.track.push(Step {
            at: self.at,
            heading: self.heading,
            speed,
            phase: self.phase,
            gesture: if speed < 0.35 { gesture } else { Gesture::Free },
        });
    }

    fn next(&mut self) {
        self.intent += 1;
        self.spent = 0.0;
    }

    /// Steps aside for people on a course that comes too near within two seconds.
    fn give_way(&self, wanted: Vec2, me: usize, places: &[(Vec2, Vec2)]) -> Vec2 {
        let mut push = Vec2::ZERO;
        for (other, &(at, velocity)) in places.iter().enumerate() {
            if other == me {
                continue;
            }
            let gap = at - self.at;
            let distance = gap.length().max(0.01);
            if distance > 3.0 {
                continue;
            }
            if distance < 0.75 {
                push -= gap / distance * (1.6 * (0.75 - distance) / 0.75);
            }
            let closing = self.velocity - velocity;
            let when = (gap.dot(closing) / closing.length_squared().max(0.04)).clamp(0.0, 2.0);
            let miss = gap - closing * when;
            if when > 0.0 && miss.length() < 0.75 && gap.dot(wanted) > 0.0 {
                // To the side on which the other already passes; dead ahead, to the right.
                let side = if wanted.perp_dot(miss) >= 0.0 { -1.0 } else { 1.0 };
                push += wanted.perp() * (side * 0.55 * (1.0 - when / 2.0));
            }
        }
        push
    }

    fn walk_around(&self, wanted: Vec2, obstacles: &[(Vec2, f32)]) -> Vec2 {
        let mut push = Vec2::ZERO;
        for &(center, radius) in obstacles {
            let gap = center - self.at;
            let distance = gap.length().max(0.01);
            let clearance = radius + 0.35;
            if distance > clearance + 1.2 {
                continue;
            }
            let near = ((clearance + 1.2 - distance) / 1.2).clamp(0.0, 1.6);
            if distance < clearance + 0.25 {
                push -= gap / distance * (2.0 * near);
            }
            let ahead = gap.dot(wanted) / (distance * wanted.length().max(0.01));
            if ahead > 0.2 {
                let side = if wanted.perp_dot(gap) >= 0.0 { -1.0 } else { 1.0 };
                push += wanted.perp() * (side * near * ahead);
            }
        }
        push
    }

    fn turn(&mut self, speed: f32, face: Option<Vec2>) {
        let toward = if speed > 0.25 {
            self.velocity
        } else if let Some(face) = face {
            face - self.at
        } else {
            return;
        };
        let mut change = libm::atan2f(toward.y, toward.x) - self.heading;
        let turn = std::f32::consts::TAU;
        change -= turn * libm::roundf(change / turn);
        self.heading += change.clamp(-4.0 * STEP, 4.0 * STEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_keep_a_humane_speed_and_never_jump() {
        for walker in live(9, 40.0, &[]) {
            for pair in walker.track.windows(2) {
                assert!(pair[0].at.distance(pair[1].at) < 2.4 * STEP);
                assert!((pair[1].heading - pair[0].heading).abs() < 0.1);
            }
        }
    }

    #[test]
    fn everybody_who_has_time_leaves() {
        let walkers = live(4, 120.0, &[]);
        let early = walkers
            .iter()
            .filter(|w| w.born < 20 * i64::from(STEPS_PER_SECOND));
        for walker in early {
            assert!(
                walker.pose_at(119.0).is_none(),
                "someone who came early is still there"
            );
        }
    }

    #[test]
    fn there_is_always_company() {
        let walkers = live(21, 60.0, &[]);
        for second in 0..60 {
            let present = walkers
                .iter()
                .filter(|w| w.pose_at(f64::from(second)).is_some())
                .count();
            assert!(present >= 3, "{present} people at {second} s");
        }
        assert!(walkers.len() >= 12);
    }
}
