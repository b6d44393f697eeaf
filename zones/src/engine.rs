//! People in, events out.

mod line_state;
mod zone_state;

use crate::event::{EventKind, SpatialEvent, Why};
use crate::geometry::Flat;
use crate::observation::{BoundingBox, Observation, TrackId};
use crate::scene::Scene;
use line_state::LineState;
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;
use zone_state::ZoneState;

/// Most people in one frame.
pub const MAX_PEOPLE: usize = 1024;

/// Most people remembered at a time, those lately lost among them. Further ones are not watched, and
/// [counted](EngineStats::unwatched).
pub const MAX_WATCHED: usize = 4096;

/// How long someone unseen is remembered at lines, in ticks: longer than any tracker keeps an identity.
const MEMORY: u64 = 10 * 90_000;

/// Samples of an unconfirmed person that are kept for the moment of confirmation.
const MAX_PENDING: usize = 32;

/// A frame that the engine cannot take. Nothing has changed then; the next frame may be given.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The caller's frames are out of order, or its clock jumped: [`Engine::reset`] begins anew.
    #[error(
        "time goes backwards: frame at {given}, after one at {last}; give frames in order, or reset after a jump"
    )]
    TimeBackwards {
        /// Time of the frame, in ticks of 1/90000 s.
        given: u64,
        /// Time of the frame before.
        last: u64,
    },
    /// More people than [`MAX_PEOPLE`].
    #[error("{given} people in a frame, the limit is {MAX_PEOPLE}; keep the most certain ones")]
    TooManyPeople {
        /// How many.
        given: usize,
    },
    /// A box that is no box: not finite, without area, or ten frames away.
    #[error("box {bbox:?} of track {track} is no box; drop it before")]
    BadBox {
        /// Whose.
        track: TrackId,
        /// The box.
        bbox: BoundingBox,
    },
}

/// What the engine left out, since the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineStats {
    /// Observations of a person who had been observed at the same time already.
    pub repeated: u64,
    /// Observations of people beyond [`MAX_WATCHED`].
    pub unwatched: u64,
}

/// Watches people at the lines and zones of a scene.
///
/// ```
/// use lva_zones::*;
///
/// let door = Zone::new("door", [(0.4, 0.0), (0.6, 0.0), (0.6, 1.0), (0.4, 1.0)].map(|(x, y)| Point::new(x, y)));
/// let mut engine = Engine::new(Scene::new(vec![door], vec![], SceneOptions::default()).unwrap());
/// let mut events = Vec::new();
/// for frame in 0..30 {
///     // Somebody walks from left to right, 15 frames a second.
///     let person = BoundingBox::new(0.04 * frame as f32 - 0.1, 0.3, 0.1, 0.4);
///     events.extend(engine.update(frame * 6000, &[Observation::new(TrackId(1), person)])?);
/// }
/// let kinds: Vec<_> = events.iter().map(|e| e.kind).collect();
/// assert!(matches!(kinds[..], [EventKind::Enter { side: Some(4) }, EventKind::Exit { side: Some(2), .. }]));
/// # Ok::<(), EngineError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Engine {
    scene: Scene,
    people: BTreeMap<TrackId, Person>,
    last_time: Option<u64>,
    stats: EngineStats,
}

#[derive(Debug, Clone)]
struct Person {
    last: Observation,
    last_seen: u64,
    gone: bool,
    pending: Vec<(u64, BoundingBox)>,
    zones: Vec<ZoneState>,
    lines: Vec<LineState>,
}

/// Where somebody is.
#[derive(Clone, Copy)]
pub(super) struct Sight {
    pub(super) time: u64,
    pub(super) at: Flat,
    /// Of the person, in units of the frame's width.
    pub(super) height: f64,
}

/// One event of one element, before it knows its frame and person.
pub(super) struct Happened {
    pub(super) time: u64,
    pub(super) kind: EventKind,
    pub(super) why: Why,
}

impl Engine {
    /// Begins to watch a scene.
    pub fn new(scene: Scene) -> Self {
        Self {
            scene,
            people: BTreeMap::new(),
            last_time: None,
            stats: EngineStats::default(),
        }
    }

    /// The scene.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// What was left out so far.
    pub fn stats(&self) -> EngineStats {
        self.stats
    }

    /// Forgets everybody: for a new session or after a jump of the clock. Open visits have no exit then.
    pub fn reset(&mut self) {
        self.people.clear();
        self.last_time = None;
    }

    /// People confirmed inside a zone now, by its name; those within the grace of loss too. `None`: no such zone.
    pub fn occupancy(&self, zone: &str) -> Option<usize> {
        let index = self.scene.zones.iter().position(|z| &*z.name == zone)?;
        let inside = |person: &&Person| person.zones.get(index).is_some_and(ZoneState::is_visiting);
        Some(self.people.values().filter(inside).count())
    }

    /// Takes one frame. To be called for frames without people too: time passes there as well.
    ///
    /// Events come in the order of their times. A frame of the same time as the one before changes nothing for people
    /// who were in that one.
    ///
    /// # Errors
    ///
    /// [`EngineError`]; the state is then as before.
    pub fn update(
        &mut self,
        timestamp_90k: u64,
        people: &[Observation],
    ) -> Result<Vec<SpatialEvent>, EngineError> {
        if let Some(last) = self.last_time.filter(|last| *last > timestamp_90k) {
            return Err(EngineError::TimeBackwards {
                given: timestamp_90k,
                last,
            });
        }
        if people.len() > MAX_PEOPLE {
            return Err(EngineError::TooManyPeople { given: people.len() });
        }
        if let Some(bad) = people.iter().find(|p| !p.bbox.is_sound() || !p.steady.is_sound()) {
            let bbox = if bad.bbox.is_sound() { bad.steady } else { bad.bbox };
            return Err(EngineError::BadBox {
                track: bad.track,
                bbox,
            });
        }
        self.last_time = Some(timestamp_90k);
        let mut events = Vec::new();
        for observation in people {
            self.observe(timestamp_90k, observation, &mut events);
        }
        self.miss(timestamp_90k, &mut events);
        events.sort_by_key(|event| (event.time_90k, event.person.track));
        Ok(events)
    }

    fn observe(&mut self, now: u64, observation: &Observation, events: &mut Vec<SpatialEvent>) {
        let known = self.people.contains_key(&observation.track);
        if !known && self.people.len() >= MAX_WATCHED {
            self.stats.unwatched += 1;
            return;
        }
        let scene = &self.scene;
        let person = self.people.entry(observation.track).or_insert_with(|| Person {
            last: *observation,
            last_seen: now,
            gone: false,
            pending: Vec::new(),
            zones: vec![ZoneState::default(); scene.zones.len()],
            lines: vec![LineState::default(); scene.lines.len()],
        });
        if known && person.last_seen == now {
            self.stats.repeated += 1;
            return;
        }
        if person.gone {
            // The exit was reported: what comes is a new visit.
            person.zones.fill(ZoneState::default());
            person.gone = false;
        }
        person.last = *observation;
        person.last_seen = now;
        if !observation.confirmed {
            if person.pending.len() < MAX_PENDING {
                person.pending.push((now, observation.steady));
            }
            return;
        }
        for (time, bbox) in std::mem::take(&mut person.pending) {
            person.step(scene, time, &bbox, now, events);
        }
        person.step(scene, now, &observation.steady, now, events);
    }

    /// Time passes for those who are not seen.
    fn miss(&mut self, now: u64, events: &mut Vec<SpatialEvent>) {
        let scene = &self.scene;
        self.people.retain(|_, person| {
            let unseen = now - person.last_seen;
            if unseen > scene.lost_grace && !person.gone {
                person.gone = true;
                for (zone, state) in scene.zones.iter().zip(&mut person.zones) {
                    if let Some(happened) = state.vanish(person.last_seen, now) {
                        events.push(happened.into_event(now, &person.last, &zone.name));
                    }
                }
            }
            unseen <= MEMORY.max(scene.lost_grace)
        });
    }
}

impl Person {
    fn step(
        &mut self,
        scene: &Scene,
        time: u64,
        bbox: &BoundingBox,
        now: u64,
        events: &mut Vec<SpatialEvent>,
    ) {
        let height = scene.plane.height(bbox);
        for (zone, state) in scene.zones.iter().zip(&mut self.zones) {
            let (at, cut) = scene.plane.anchor(bbox, zone.focus);
            // Feet out of view are nowhere: what is known stays so.
            if !cut {
                state.step(zone, scene, Sight { time, at, height }, |happened| {
                    events.push(happened.into_event(now, &self.last, &zone.name));
                });
            }
        }
        for (line, state) in scene.lines.iter().zip(&mut self.lines) {
            let (at, cut) = scene.plane.anchor(bbox, line.focus);
            if !cut && let Some(happened) = state.step(line, scene.hold, Sight { time, at, height }) {
                events.push(happened.into_event(now, &self.last, &line.name));
            }
        }
    }
}

impl Happened {
    fn into_event(self, now: u64, person: &Observation, name: &Arc<str>) -> SpatialEvent {
        SpatialEvent {
            timestamp_90k: now,
            time_90k: self.time,
            person: *person,
            name: Arc::clone(name),
            kind: self.kind,
            why: self.why,
        }
    }
}

/// The time at a part of a step.
pub(super) fn time_at(from: u64, to: u64, part: f64) -> u64 {
    // Over a step of ages the product is rounded, maybe beyond the end.
    from.saturating_add(((to - from) as f64 * part.clamp(0.0, 1.0)) as u64)
        .min(to)
}
