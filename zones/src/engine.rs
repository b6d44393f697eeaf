//! People in, events out.
// People are large and change places when somebody joins or leaves: boxes keep that cheap, and are used again.
#![allow(clippy::vec_box, clippy::borrowed_box)]

mod counts;
mod group;
mod line_state;
mod motion;
mod person;
mod zone_state;

use crate::event::{DwellTime, EventKind, Reason, SpatialEvent, Why};
use crate::geometry::Flat;
use crate::ground::{Ground, GroundPoint, Place, footprint};
use crate::observation::{BoundingBox, Observation, TrackId};
use crate::scene::{CheckedLine, CheckedZone, Scene};
pub use counts::LineCounts;
use group::{CountState, DistanceStates, EveryNth, GroupEvent};
use person::{Person, Sights};
use std::sync::Arc;
use thiserror::Error;
use zone_state::{Standing, ZoneState};

/// Most people in one frame.
pub const MAX_PEOPLE: usize = 1024;

/// Most people remembered at a time, those lately lost among them. Further ones are not watched, and
/// [counted](EngineStats::unwatched).
pub const MAX_WATCHED: usize = 4096;

/// How long someone unseen is remembered at lines, in ticks: longer than any tracker keeps an identity.
const MEMORY: u64 = 10 * 90_000;

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
    /// In the order of their numbers.
    people: Vec<Box<Person>>,
    /// People of before, whose memory is used again.
    spare: Vec<Box<Person>>,
    zones: Vec<ZoneWide>,
    lines: Vec<LineWide>,
    last_time: Option<u64>,
    stats: EngineStats,
    crossings: Vec<(f64, u32)>,
    places: Vec<(TrackId, GroundPoint)>,
    /// People in each zone.
    visits: Vec<u32>,
    /// Keys and places of a frame's events.
    order: Vec<((u64, Option<TrackId>), usize)>,
}

/// What is known of a zone beyond its people.
#[derive(Debug, Clone, Default)]
struct ZoneWide {
    closed: bool,
    crossings: EveryNth,
    dwell: EveryNth,
    count: CountState,
    distance: DistanceStates,
}

/// What is known of a line beyond its people.
#[derive(Debug, Clone, Default)]
struct LineWide {
    closed: bool,
    nth: EveryNth,
    counts: LineCounts,
}

/// Where somebody is.
#[derive(Clone, Copy)]
pub(super) struct Sight {
    pub(super) time: u64,
    pub(super) at: Flat,
    /// Of the person, in units of the frame's width.
    pub(super) height: f64,
    /// The sight before of the same point.
    pub(super) before: Option<(u64, Flat)>,
    /// Of this sight, counted from 1.
    pub(super) number: u32,
}

/// What holds at all zones.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) hold: u64,
    pub(super) appear: u64,
    pub(super) jump_through: bool,
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
            zones: vec![ZoneWide::default(); scene.zones.len()],
            lines: vec![LineWide::default(); scene.lines.len()],
            scene,
            people: Vec::new(),
            spare: Vec::new(),
            last_time: None,
            stats: EngineStats::default(),
            crossings: Vec::new(),
            places: Vec::new(),
            visits: Vec::new(),
            order: Vec::new(),
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

    /// Forgets everybody: for a new session or after a jump of the clock. Open visits have no exit then; counts of
    /// lines stay.
    pub fn reset(&mut self) {
        self.people.clear();
        for zone in &mut self.zones {
            *zone = ZoneWide::default();
        }
        self.last_time = None;
    }

    /// Learns the ground, or forgets it: a calibration that comes later, or was found wrong. Distances and speeds count
    /// from the next frame on.
    pub fn set_ground(&mut self, ground: Option<Ground>) {
        self.scene.ground = ground;
        for person in &mut self.people {
            person.motion.clear();
            person.last.place = None;
        }
    }

    /// People confirmed inside a zone now, by its name; those within the grace of loss too. `None`: no such zone.
    pub fn occupancy(&self, zone: &str) -> Option<usize> {
        let index = self.scene.zones.iter().position(|z| &*z.name == zone)?;
        let inside = |person: &&Box<Person>| person.zones.get(index).is_some_and(ZoneState::is_visiting);
        Some(self.people.iter().filter(inside).count())
    }

    /// Whether a person's point lay inside a zone when they were last seen, before any threshold or hold. `None`: no
    /// such zone, or nobody of that number is remembered.
    pub fn is_inside(&self, track: TrackId, zone: &str) -> Option<bool> {
        let index = self.scene.zones.iter().position(|z| &*z.name == zone)?;
        let person = self.people.iter().find(|person| person.last.track == track)?;
        person.zones.get(index).map(ZoneState::is_inside)
    }

    /// How often a line was crossed since the engine began, by its name; every crossing, also those that are not told
    /// because only every so many-th is. `None`: no such line.
    pub fn line_counts(&self, line: &str) -> Option<&LineCounts> {
        let index = self.scene.lines.iter().position(|l| &*l.name == line)?;
        self.lines.get(index).map(|line| &line.counts)
    }

    /// A person as known here: with the place on the ground, where both are known.
    pub fn placed(&self, observation: &Observation) -> Observation {
        let known = self
            .people
            .iter()
            .find(|person| person.last.track == observation.track);
        Observation {
            place: known.and_then(|person| person.last.place),
            ..*observation
        }
    }

    /// Takes one frame. To be called for frames without people too: time passes there as well.
    ///
    /// Events come in the order of their times, counts and distances last. A frame of the same time as the one before
    /// changes nothing for people who were in that one.
    ///
    /// # Errors
    ///
    /// [`EngineError`]; the state is then as before.
    pub fn update(
        &mut self,
        timestamp_90k: u64,
        people: &[Observation],
    ) -> Result<Vec<SpatialEvent>, EngineError> {
        let mut events = Vec::new();
        self.update_into(timestamp_90k, people, &mut events)?;
        Ok(events)
    }

    /// The same into a list of the caller's, which is cleared first. With people who are known, no more events than in
    /// frames before, and no count or distance to tell, this allocates nothing.
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
        if let Some(bad) = people.iter().find(|p| !p.bbox.is_sound() || !p.steady.is_sound()) {
            let bbox = if bad.bbox.is_sound() { bad.steady } else { bad.bbox };
            return Err(EngineError::BadBox {
                track: bad.track,
                bbox,
            });
        }
        let repeated = self.last_time == Some(timestamp_90k);
        self.last_time = Some(timestamp_90k);
        self.open_and_close(timestamp_90k, events);
        for observation in people {
            self.observe(timestamp_90k, observation, events);
        }
        self.miss(timestamp_90k, events);
        self.sort(events);
        if !repeated {
            self.tell_groups(timestamp_90k, events);
        }
        Ok(())
    }

    /// In the order of their times and people; what is equal in both stays as it came. Events are large: each is moved
    /// once, and no memory is asked for.
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
        // Each goes where it belongs, and makes room for the next one, until the circle is closed.
        for start in 0..order.len() {
            let mut place = start;
            while let Some((_, slot)) = order.get_mut(place) {
                let from = std::mem::replace(slot, place);
                if from == start || from == place {
                    break;
                }
                events.swap(place, from);
                place = from;
            }
        }
    }

    /// Zones and lines whose schedule begins or ends.
    fn open_and_close(&mut self, now: u64, events: &mut Vec<SpatialEvent>) {
        for (index, zone) in self.scene.zones.iter().enumerate() {
            let closed = !zone.schedule.is_open(now);
            let Some(wide) = self.zones.get_mut(index) else {
                continue;
            };
            if closed && !wide.closed {
                for person in &mut self.people {
                    let (last, seen) = (person.last, (person.last_seen, person.sights_of(zone.focus)));
                    if let Some(state) = person.zones.get_mut(index) {
                        let speed = state.speed();
                        state.vanish(seen, now, Reason::Closed, |happened| {
                            tell_zone(zone, wide, now, &last, happened, speed, events);
                        });
                        *state = ZoneState::default();
                    }
                    if let Some(standing) = person.standings.get_mut(index) {
                        *standing = Standing::default();
                    }
                }
                wide.count = CountState::default();
                wide.distance = DistanceStates::default();
            }
            wide.closed = closed;
        }
        for (index, line) in self.scene.lines.iter().enumerate() {
            let closed = !line.schedule.is_open(now);
            let Some(wide) = self.lines.get_mut(index) else {
                continue;
            };
            if closed && !wide.closed {
                for person in &mut self.people {
                    if let Some(state) = person.lines.get_mut(index) {
                        *state = Default::default();
                    }
                }
            }
            wide.closed = closed;
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
                person.begin(*observation, now, self.zones.len(), self.lines.len());
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
            // The exit was reported: what comes is a new visit.
            person.forget_zones();
            person.gone = false;
        }
        person.last = Observation {
            place: None,
            ..*observation
        };
        person.last_seen = now;
        if !observation.confirmed {
            person.wait(now, observation.steady);
            return;
        }
        let mut watched = Watched {
            scene: &self.scene,
            zones: &mut self.zones,
            lines: &mut self.lines,
            crossings: &mut self.crossings,
            now,
            events,
        };
        for index in 0..person.pending.len() {
            if let Some((time, bbox)) = person.pending.get(index).copied() {
                watched.step(person, time, &bbox);
            }
        }
        person.pending.clear();
        watched.step(person, now, &observation.steady);
    }

    /// Time passes for those who are not seen.
    fn miss(&mut self, now: u64, events: &mut Vec<SpatialEvent>) {
        let scene = &self.scene;
        let mut index = 0;
        while let Some(person) = self.people.get_mut(index) {
            let unseen = now - person.last_seen;
            if unseen > scene.lost_grace && !person.gone {
                person.gone = true;
                let (last, last_seen) = (person.last, person.last_seen);
                for (index, (zone, wide)) in scene.zones.iter().zip(&mut self.zones).enumerate() {
                    let seen = (last_seen, person.sights_of(zone.focus));
                    let Some(state) = person.zones.get_mut(index) else {
                        continue;
                    };
                    let speed = state.speed();
                    state.vanish(seen, now, Reason::Vanished, |happened| {
                        tell_zone(zone, wide, now, &last, happened, speed, events);
                    });
                    if let Some(standing) = person.standings.get_mut(index) {
                        *standing = state.standing();
                    }
                }
            }
            if unseen > MEMORY.max(scene.lost_grace) {
                let person = self.people.remove(index);
                self.spare.push(person);
            } else {
                index += 1;
            }
        }
    }

    /// Counts and distances of the zones that ask for them.
    fn tell_groups(&mut self, now: u64, events: &mut Vec<SpatialEvent>) {
        self.visits.clear();
        self.visits.resize(self.scene.zones.len(), 0);
        for person in &self.people {
            for (visits, standing) in self.visits.iter_mut().zip(&person.standings) {
                *visits += u32::from(*standing == Standing::Visiting);
            }
        }
        for (index, zone) in self.scene.zones.iter().enumerate() {
            let Some(wide) = self.zones.get_mut(index).filter(|wide| !wide.closed) else {
                continue;
            };
            let inside = |person: &&Box<Person>| person.standings.get(index) == Some(&Standing::Visiting);
            if let Some(watch) = &zone.count {
                let people = self.visits.get(index).copied().unwrap_or_default();
                if let Some(told) = wide.count.frame(watch, now, people) {
                    let people = self
                        .people
                        .iter()
                        .filter(inside)
                        .map(|person| person.last)
                        .collect();
                    events.push(told.into_event(now, people, &zone.name));
                }
            }
            if let Some(watch) = &zone.distance {
                self.places.clear();
                for person in self.people.iter().filter(inside) {
                    // Judged by the point that the watch asks for; the place told is that of the footprint.
                    let at = zone_point(&self.scene, &person.last.steady, zone);
                    if let Some(at) = at {
                        self.places.push((person.last.track, at));
                    }
                }
                let places = self.scene.ground.is_some().then_some(&self.places[..]);
                if let Some(told) = wide.distance.frame(watch, now, places) {
                    let violators = wide.distance.told_violators();
                    let about = |person: &&Box<Person>| violators.contains(&person.last.track);
                    let people = self
                        .people
                        .iter()
                        .filter(about)
                        .map(|person| person.last)
                        .collect();
                    events.push(told.into_event(now, people, &zone.name));
                }
            }
        }
    }
}

/// Where a person stands for the distances of a zone.
fn zone_point(scene: &Scene, bbox: &BoundingBox, zone: &CheckedZone) -> Option<GroundPoint> {
    let (at, _) = scene.plane.anchor(bbox, zone.focus);
    scene.ground.as_ref()?.at(scene.plane.point(at))
}

/// What one person's step needs of everything else.
struct Watched<'a> {
    scene: &'a Scene,
    zones: &'a mut [ZoneWide],
    lines: &'a mut [LineWide],
    crossings: &'a mut Vec<(f64, u32)>,
    now: u64,
    events: &'a mut Vec<SpatialEvent>,
}

impl Watched<'_> {
    fn step(&mut self, person: &mut Person, time: u64, bbox: &BoundingBox) {
        let (scene, now) = (self.scene, self.now);
        let mut speed = None;
        if let Some(ground) = &scene.ground {
            person.last.place = ground.at(footprint(bbox)).map(|ground| Place {
                ground,
                speed_ft_s: person.motion.add(time, ground),
            });
            speed = person.last.place.map(|place| place.speed_ft_s);
        }
        let rules = Rules {
            hold: scene.hold,
            appear: scene.appear,
            jump_through: scene.jump_through,
        };
        let sights = Sights::new(scene, &mut person.ways, time, bbox);
        let last = &person.last;
        let states = person.zones.iter_mut().zip(&mut person.standings);
        for ((zone, wide), (state, standing)) in scene.zones.iter().zip(&mut *self.zones).zip(states) {
            // Feet out of view are nowhere: what is known stays so.
            let Some(sight) = sights.of(zone.focus).filter(|_| !wide.closed) else {
                continue;
            };
            if *standing == Standing::Away
                && let Some((_, from)) = sight.before
                && zone.area.is_passed_by(from, sight.at)
            {
                continue;
            }
            let visit = state.speed();
            state.step(zone, rules, sight, speed, self.crossings, |happened| {
                tell_zone(zone, wide, now, last, happened, visit, self.events);
            });
            *standing = state.standing();
        }
        for ((line, wide), state) in scene.lines.iter().zip(&mut *self.lines).zip(&mut person.lines) {
            let Some(sight) = sights.of(line.focus).filter(|_| !wide.closed) else {
                continue;
            };
            if let Some(happened) = state.step(line, scene.hold, sight) {
                tell_line(line, wide, now, last, happened, self.events);
            }
        }
    }
}

fn tell_line(
    line: &CheckedLine,
    wide: &mut LineWide,
    now: u64,
    person: &Observation,
    happened: Happened,
    events: &mut Vec<SpatialEvent>,
) {
    if let EventKind::Cross(direction) = happened.kind {
        wide.counts.add(person.class, direction);
    }
    if wide.nth.passes(line.every_nth) {
        events.push(happened.into_event(now, person, &line.name));
    }
}

/// Tells of a zone what was asked for.
fn tell_zone(
    zone: &CheckedZone,
    wide: &mut ZoneWide,
    now: u64,
    person: &Observation,
    happened: Happened,
    speed: Option<crate::event::VisitSpeed>,
    events: &mut Vec<SpatialEvent>,
) {
    let ended = match happened.kind {
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
            events.push(happened.into_event(now, person, &zone.name));
            return;
        }
        _ => None,
    };
    let dwell = ended
        .filter(|_| zone.dwell.is_some_and(|nth| wide.dwell.passes(nth)))
        .map(|dwell| Happened {
            time: happened.time,
            kind: EventKind::Dwell(dwell),
            why: happened.why,
        });
    if zone.crossings.is_some_and(|nth| wide.crossings.passes(nth)) {
        events.push(happened.into_event(now, person, &zone.name));
    }
    if let Some(dwell) = dwell {
        events.push(dwell.into_event(now, person, &zone.name));
    }
}

impl Happened {
    fn into_event(self, now: u64, person: &Observation, name: &Arc<str>) -> SpatialEvent {
        SpatialEvent {
            timestamp_90k: now,
            time_90k: self.time,
            person: Some(*person),
            people: Vec::new(),
            name: Arc::clone(name),
            kind: self.kind,
            why: self.why,
        }
    }
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
