//! People in, events out.
// People are large and move in the list when one joins or leaves: boxes keep that cheap, and are reused.
#![allow(clippy::vec_box, clippy::borrowed_box)]

mod counts;
mod group;
mod line_state;
mod lingering;
mod motion;
mod person;
mod step;
mod zone_state;

use crate::event::{EventCause, EventKind, SpatialEvent};
use crate::geometry::{Feet, Vec2};
use crate::ground::{Ground, GroundPoint};
use crate::observation::{Observation, TrackId};
use crate::scene::{CheckedZone, Scene};
use crate::time::SECOND;
pub use counts::LineCounts;
use group::{CountState, DistanceStates, EventSampler, GroupEvent};
use lva_media_types::BoundingBox;
use person::{Person, Sight};
use std::sync::Arc;
use step::{StepContext, emit_zone_event};
use thiserror::Error;
use zone_state::{ZonePresence, ZoneState};

/// Most people in one frame.
pub const MAX_PEOPLE: usize = 1024;

/// Most people remembered at a time, including recently lost ones. More are ignored and
/// [counted](EngineStats::unwatched).
pub const MAX_WATCHED: usize = 4096;

/// How long lines remember an unseen person, in ticks: longer than any tracker keeps an identity.
const MEMORY: u64 = 10 * SECOND;

/// A frame that the engine rejects. Its state is unchanged, and it accepts the next frame.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Frames are out of order, or the clock jumped: [`Engine::reset`] starts over.
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
    /// A box that is not [in fractions](BoundingBox::is_in_fractions) of the frame: pixels, NaN or infinite.
    #[error(
        "the box of track {track} ({bbox}) is not in fractions of the frame, 0 to 1; divide pixels by width and height"
    )]
    NotFractions {
        /// Whose.
        track: TrackId,
        /// The box, as given.
        bbox: BoundingBox,
    },
}

/// What the engine ignored since it was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct EngineStats {
    /// Observations whose box has no area, as at the frame's border.
    pub invalid: u64,
    /// Further observations of a person at the same time.
    pub repeated: u64,
    /// Observations of people beyond [`MAX_WATCHED`].
    pub unwatched: u64,
}

/// Turns observations of people, whose boxes are in fractions of the frame, into events at the lines and zones of a scene.
///
/// ```
/// use lva_zones::*;
///
/// let door = Zone::new("door", [(0.4, 0.0), (0.6, 0.0), (0.6, 1.0), (0.4, 1.0)].map(|(x, y)| Point::new(x, y)));
/// let mut engine = Engine::new(Scene::new(vec![door], vec![], SceneOptions::default()).unwrap());
/// let mut events = Vec::new();
/// for frame in 0..30 {
///     // A person walks from left to right, 15 frames a second.
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
    /// In the order of their track ids.
    people: Vec<Box<Person>>,
    /// Forgotten people, whose memory is reused.
    spare: Vec<Box<Person>>,
    zones: Vec<ZoneStats>,
    lines: Vec<LineStats>,
    last_time: Option<u64>,
    stats: EngineStats,
    crossings: Vec<(f64, u32)>,
    ground_points: Vec<(TrackId, GroundPoint)>,
    /// People in each zone.
    visits: Vec<u32>,
    /// Sort keys and indices of a frame's events.
    order: Vec<((u64, Option<TrackId>), usize)>,
}

/// State of a zone beyond that of its people.
#[derive(Debug, Clone, Default)]
struct ZoneStats {
    crossings: EventSampler,
    dwell: EventSampler,
    count: CountState,
    distance: DistanceStates,
}

/// State of a line beyond that of its people.
#[derive(Debug, Clone, Default)]
struct LineStats {
    sampler: EventSampler,
    counts: LineCounts,
}

/// One position of a person's point.
#[derive(Clone, Copy)]
pub(super) struct PositionSample {
    pub(super) time: u64,
    pub(super) at: Vec2,
    /// The same point of the box as the detector gave it: it jitters, and does not go on where a person stops.
    pub(super) given: Vec2,
    /// Height of the person, in units of the frame's width.
    pub(super) height: f64,
    /// The sample before it.
    pub(super) before: Option<(u64, Vec2)>,
    /// Number of this sample, counted from 1.
    pub(super) number: u32,
}

/// Settings of all zones.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) hold: u64,
    pub(super) appear: u64,
    pub(super) jump_through: bool,
}

/// An event of one line or zone, without its frame and person.
pub(super) struct ElementEvent {
    pub(super) time: u64,
    pub(super) kind: EventKind,
    pub(super) cause: EventCause,
}

impl Engine {
    /// An engine for a scene.
    pub fn new(scene: Scene) -> Self {
        Self {
            zones: vec![ZoneStats::default(); scene.zones.len()],
            lines: vec![LineStats::default(); scene.lines.len()],
            scene,
            people: Vec::new(),
            spare: Vec::new(),
            last_time: None,
            stats: EngineStats::default(),
            crossings: Vec::new(),
            ground_points: Vec::new(),
            visits: Vec::new(),
            order: Vec::new(),
        }
    }

    /// The scene.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// What was ignored so far.
    pub fn stats(&self) -> EngineStats {
        self.stats
    }

    /// Forgets all people: for a new session or after a jump of the clock. Open visits end without an exit; counts of lines
    /// stay.
    pub fn reset(&mut self) {
        self.people.clear();
        for zone in &mut self.zones {
            *zone = ZoneStats::default();
        }
        self.last_time = None;
    }

    /// Sets or clears the ground, for a calibration that arrives later or proved wrong. Distances and speeds use it from
    /// the next frame on.
    pub fn set_ground(&mut self, ground: Option<Ground>) {
        self.scene.ground = ground;
        for person in &mut self.people {
            person.motion.clear();
            person.last.ground_position = None;
        }
    }

    /// Number of people confirmed inside a zone now, including people within the lost timeout. `None`: no zone has this name.
    pub fn occupancy(&self, zone: &str) -> Option<usize> {
        let index = self.scene.zones.iter().position(|z| &*z.name == zone)?;
        let inside = |person: &&Box<Person>| person.zones.get(index).is_some_and(ZoneState::is_visiting);
        Some(self.people.iter().filter(inside).count())
    }

    /// Whether a person's point was inside a zone when last seen, without threshold and hold. `None`: no zone has this name,
    /// or the track is not remembered.
    pub fn is_inside(&self, track: TrackId, zone: &str) -> Option<bool> {
        let index = self.scene.zones.iter().position(|z| &*z.name == zone)?;
        let person = self.people.iter().find(|person| person.last.track == track)?;
        person.zones.get(index).map(ZoneState::is_inside)
    }

    /// How often a line was crossed since the engine was created, including crossings that
    /// [`sample_every`](crate::CrossingLine::sample_every) does not report. `None`: no line has this name.
    pub fn line_counts(&self, line: &str) -> Option<&LineCounts> {
        let index = self.scene.lines.iter().position(|l| &*l.name == line)?;
        self.lines.get(index).map(|line| &line.counts)
    }

    /// An observation with the person's position on the ground, where it is known.
    pub fn with_ground_position(&self, observation: &Observation) -> Observation {
        let known = self
            .people
            .iter()
            .find(|person| person.last.track == observation.track);
        Observation {
            ground_position: known.and_then(|person| person.last.ground_position),
            ..*observation
        }
    }

    /// Processes the people of one frame, boxes in fractions of the frame. Call it for frames without people too, so that time
    /// passes. Observations without area are skipped and [counted](EngineStats::invalid).
    ///
    /// Events are sorted by their times, counts and distances last. A frame with the time of the one before changes nothing
    /// for people who were in that one.
    ///
    /// # Errors
    ///
    /// [`EngineError`]; the state is unchanged.
    pub fn update(
        &mut self,
        timestamp_90k: u64,
        people: &[Observation],
    ) -> Result<Vec<SpatialEvent>, EngineError> {
        let mut events = Vec::new();
        self.update_into(timestamp_90k, people, &mut events)?;
        Ok(events)
    }

    /// Like [`update`](Self::update), into a vector of the caller's, which is cleared first. Does not allocate for known
    /// people, no more events than in earlier frames, and no count or distance to report.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn update_into(
        &mut self,
        timestamp_90k: u64,
        people: &[Observation],
        events: &mut Vec<SpatialEvent>,
    ) -> Result<(), EngineError> {
        events.clear();
        if let Some(last) = self.last_time.filter(|last| *last > timestamp_90k) {
            return Err(EngineError::TimeBackwards {
                given: timestamp_90k,
                last,
            });
        }
        if people.len() > MAX_PEOPLE {
            return Err(EngineError::TooManyPeople { given: people.len() });
        }
        let mut boxes = people
            .iter()
            .flat_map(|p| [(p.track, p.bbox), (p.track, p.smoothed)]);
        if let Some((track, bbox)) = boxes.find(|(_, bbox)| !bbox.is_in_fractions()) {
            return Err(EngineError::NotFractions { track, bbox });
        }
        let repeated = self.last_time == Some(timestamp_90k);
        self.last_time = Some(timestamp_90k);
        for observation in people {
            if observation.bbox.has_area() && observation.smoothed.has_area() {
                self.observe(timestamp_90k, observation, events);
            } else {
                self.stats.invalid += 1;
            }
        }
        self.age_out(timestamp_90k, events);
        self.sort(events);
        if !repeated {
            self.emit_group_events(timestamp_90k, events);
        }
        Ok(())
    }

    /// Sorts by time and track; equal events keep their order. Events are large: each is moved once, and nothing is
    /// allocated.
    fn sort(&mut self, events: &mut [SpatialEvent]) {
        let key = |event: &SpatialEvent| (event.time_90k, event.track());
        if events.is_sorted_by_key(key) {
            return;
        }
        let order = &mut self.order;
        order.clear();
        order.extend(
            events
                .iter()
                .enumerate()
                .map(|(index, event)| (key(event), index)),
        );
        order.sort_unstable();
        // Follows each cycle of the permutation.
        for start in 0..order.len() {
            let mut position = start;
            while let Some((_, slot)) = order.get_mut(position) {
                let from = std::mem::replace(slot, position);
                if from == start || from == position {
                    break;
                }
                events.swap(position, from);
                position = from;
            }
        }
    }

    fn observe(&mut self, now: u64, observation: &Observation, events: &mut Vec<SpatialEvent>) {
        let found = self
            .people
            .binary_search_by_key(&observation.track, |person| person.last.track);
        let index = match found {
            Ok(index) => index,
            Err(_) if self.people.len() >= MAX_WATCHED => {
                self.stats.unwatched += 1;
                return;
            }
            Err(index) => {
                let mut person = self.spare.pop().unwrap_or_default();
                person.reset(*observation, now, self.zones.len(), self.lines.len());
                self.people.insert(index, person);
                index
            }
        };
        let Some(person) = self.people.get_mut(index) else {
            return;
        };
        if found.is_ok() && person.last_seen == now {
            self.stats.repeated += 1;
            return;
        }
        if person.gone {
            // The exit was reported: what follows is a new visit.
            person.forget_zones();
            person.gone = false;
        }
        person.last = Observation {
            ground_position: None,
            ..*observation
        };
        person.last_seen = now;
        let sight = Sight::new(now, observation);
        if !observation.confirmed {
            person.keep_pending(sight);
            return;
        }
        let mut context = StepContext {
            scene: &self.scene,
            zones: &mut self.zones,
            lines: &mut self.lines,
            crossings: &mut self.crossings,
            now,
            events,
        };
        for index in 0..person.pending.len() {
            if let Some(pending) = person.pending.get(index).copied() {
                context.step(person, &pending);
            }
        }
        person.pending.clear();
        context.step(person, &sight);
    }

    /// Ends the visits of people who are not seen any more, and forgets them after a while.
    fn age_out(&mut self, now: u64, events: &mut Vec<SpatialEvent>) {
        let scene = &self.scene;
        let mut index = 0;
        while let Some(person) = self.people.get_mut(index) {
            let unseen = now - person.last_seen;
            if unseen > scene.lost_timeout && !person.gone {
                person.gone = true;
                let (last, last_seen) = (person.last, person.last_seen);
                for (index, (zone, stats)) in scene.zones.iter().zip(&mut self.zones).enumerate() {
                    let seen = (last_seen, person.sample_count(zone.focus));
                    let Some(state) = person.zones.get_mut(index) else {
                        continue;
                    };
                    let speed = state.speed();
                    state.vanish(seen, now, |event| {
                        emit_zone_event(zone, stats, now, &last, event, speed, events);
                    });
                    if let Some(presence) = person.presences.get_mut(index) {
                        *presence = state.presence();
                    }
                }
            }
            if unseen > MEMORY.max(scene.lost_timeout) {
                let person = self.people.remove(index);
                self.spare.push(person);
            } else {
                index += 1;
            }
        }
    }

    /// Counts and distances of zones with such rules.
    fn emit_group_events(&mut self, now: u64, events: &mut Vec<SpatialEvent>) {
        self.visits.clear();
        self.visits.resize(self.scene.zones.len(), 0);
        for person in &self.people {
            for (visits, presence) in self.visits.iter_mut().zip(&person.presences) {
                *visits += u32::from(*presence == ZonePresence::Visiting);
            }
        }
        for (index, zone) in self.scene.zones.iter().enumerate() {
            let Some(stats) = self.zones.get_mut(index) else {
                continue;
            };
            let inside = |person: &&Box<Person>| person.presences.get(index) == Some(&ZonePresence::Visiting);
            if let Some(rule) = &zone.count {
                let people = self.visits.get(index).copied().unwrap_or_default();
                if let Some(reported) = stats.count.frame(rule, now, people) {
                    let people = self
                        .people
                        .iter()
                        .filter(inside)
                        .map(|person| person.last)
                        .collect();
                    events.push(reported.into_event(now, people, &zone.name));
                }
            }
            if let Some(rule) = &zone.distance {
                self.ground_points.clear();
                for person in self.people.iter().filter(inside) {
                    // Distances use the rule's point; the reported position is that of the footprint.
                    let at = zone_point(&self.scene, &person.last.smoothed, zone);
                    if let Some(at) = at {
                        self.ground_points.push((person.last.track, at));
                    }
                }
                let points = self.scene.ground.is_some().then_some(&self.ground_points[..]);
                if let Some(reported) = stats.distance.frame(rule, now, points) {
                    let violators = stats.distance.reported_violators();
                    let violates = |person: &&Box<Person>| violators.contains(&person.last.track);
                    let people = self
                        .people
                        .iter()
                        .filter(violates)
                        .map(|person| person.last)
                        .collect();
                    events.push(reported.into_event(now, people, &zone.name));
                }
            }
        }
    }
}

/// Where a person stands, for the distances of a zone.
fn zone_point(scene: &Scene, bbox: &BoundingBox, zone: &CheckedZone) -> Option<GroundPoint> {
    let at = scene.plane.anchor(bbox, zone.focus, Feet::InView);
    scene.ground.as_ref()?.at(scene.plane.to_frame(at))
}

impl GroupEvent {
    fn into_event(self, now: u64, people: Vec<Observation>, name: &Arc<str>) -> SpatialEvent {
        SpatialEvent {
            timestamp_90k: now,
            time_90k: self.time.min(now),
            person: None,
            people,
            name: Arc::clone(name),
            kind: self.kind,
            cause: self.cause,
        }
    }
}

/// The time at a fraction of a step.
pub(super) fn time_at(from: u64, to: u64, part: f64) -> u64 {
    // For very long steps the product may round beyond the end.
    from.saturating_add(((to - from) as f64 * part.clamp(0.0, 1.0)) as u64)
        .min(to)
}
