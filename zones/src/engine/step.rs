//! One observation of one person against every zone and line.

use super::person::{Person, PositionSamples, Sight};
use super::zone_state::ZonePresence;
use super::{ElementEvent, LineStats, Rules, ZoneStats};
use crate::event::{DwellTime, EventKind, SpatialEvent, VisitSpeed};
use crate::ground::GroundPosition;
use crate::observation::Observation;
use crate::point::Focus;
use crate::scene::{CheckedLine, CheckedZone, Scene};
use std::sync::Arc;

/// Everything besides the person that a step of a person needs.
pub(super) struct StepContext<'a> {
    pub(super) scene: &'a Scene,
    pub(super) zones: &'a mut [ZoneStats],
    pub(super) lines: &'a mut [LineStats],
    pub(super) crossings: &'a mut Vec<(f64, u32)>,
    pub(super) now: u64,
    pub(super) events: &'a mut Vec<SpatialEvent>,
}

impl StepContext<'_> {
    pub(super) fn step(&mut self, person: &mut Person, sight: &Sight) {
        let (scene, now) = (self.scene, self.now);
        let mut speed = None;
        if let Some(ground) = &scene.ground {
            let footprint = Focus::Footprint.point(&sight.bbox);
            person.last.ground_position = ground.at(footprint).map(|ground| GroundPosition {
                ground,
                speed_ft_s: person.motion.add(sight.time, ground),
            });
            speed = person.last.ground_position.map(|position| position.speed_ft_s);
        }
        let rules = Rules {
            hold: scene.hold,
            appear: scene.appear,
            jump_through: scene.jump_through,
        };
        let feet = person.feet(sight);
        let samples = PositionSamples::new(scene, &mut person.trails, sight, feet);
        let last = &person.last;
        let states = person.zones.iter_mut().zip(&mut person.presences);
        for ((zone, stats), (state, presence)) in scene.zones.iter().zip(&mut *self.zones).zip(states) {
            if !zone.classes.contains(last.class) {
                continue;
            }
            let sample = samples.of(zone.focus);
            if *presence == ZonePresence::Away
                && let Some((_, from)) = sample.before
                && zone.area.is_passed_by(from, sample.at)
                && zone.is_out_of_reach(sample.at, sample.height)
            {
                continue;
            }
            let visit = state.speed();
            state.step(zone, rules, sample, speed, self.crossings, |event| {
                emit_zone_event(zone, stats, now, last, event, visit, self.events);
            });
            *presence = state.presence();
        }
        for ((line, stats), state) in scene.lines.iter().zip(&mut *self.lines).zip(&mut person.lines) {
            if !line.classes.contains(last.class) {
                continue;
            }
            if let Some(event) = state.step(line, scene.hold, samples.of(line.focus)) {
                emit_line_event(line, stats, now, last, event, self.events);
            }
        }
    }
}

fn emit_line_event(
    line: &CheckedLine,
    stats: &mut LineStats,
    now: u64,
    person: &Observation,
    event: ElementEvent,
    events: &mut Vec<SpatialEvent>,
) {
    if let EventKind::Cross(direction) = event.kind {
        stats.counts.add(person.class, direction);
    }
    if stats.sampler.passes(line.sample_every) {
        events.push(event.into_event(now, person, &line.name));
    }
}

/// Reports what the zone's rules ask for.
pub(super) fn emit_zone_event(
    zone: &CheckedZone,
    stats: &mut ZoneStats,
    now: u64,
    person: &Observation,
    event: ElementEvent,
    speed: Option<VisitSpeed>,
    events: &mut Vec<SpatialEvent>,
) {
    let ended = match event.kind {
        EventKind::Exit {
            side,
            dwell_90k,
            dwell_frames,
        } => Some(DwellTime {
            side,
            dwell_90k,
            dwell_frames,
            speed: speed.filter(|_| dwell_frames > 0),
        }),
        EventKind::DwellExceeded { .. } => {
            events.push(event.into_event(now, person, &zone.name));
            return;
        }
        _ => None,
    };
    let dwell = ended
        .filter(|_| zone.dwell.is_some_and(|every| stats.dwell.passes(every)))
        .map(|dwell| ElementEvent {
            time: event.time,
            kind: EventKind::Dwell(dwell),
            cause: event.cause,
        });
    if zone.crossings.is_some_and(|every| stats.crossings.passes(every)) {
        events.push(event.into_event(now, person, &zone.name));
    }
    if let Some(dwell) = dwell {
        events.push(dwell.into_event(now, person, &zone.name));
    }
}

impl ElementEvent {
    fn into_event(self, now: u64, person: &Observation, name: &Arc<str>) -> SpatialEvent {
        SpatialEvent {
            timestamp_90k: now,
            time_90k: self.time,
            person: Some(*person),
            people: Vec::new(),
            name: Arc::clone(name),
            kind: self.kind,
            cause: self.cause,
        }
    }
}
