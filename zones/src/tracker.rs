//! Which box is whom: identities for bare detections.

mod assignment;
mod kalman;
mod stationary;
mod track;

use crate::observation::{Detection, Observation, TrackId, ticks_of_ms};
use assignment::Costs;
use stationary::Places;
pub use stationary::StationaryOptions;
use thiserror::Error;
use track::{Phase, Track, center};

/// Most detections of a frame that are looked at; of more, the most certain ones. The rest is
/// [counted](TrackerStats::beyond_limit).
pub const MAX_DETECTIONS: usize = 512;

/// Most tracks kept at a time, lost ones among them. Beyond it nothing new is born, and
/// [counted](TrackerStats::unborn).
pub const MAX_TRACKS: usize = 1024;

/// From this share of the smaller of two boxes in the other on, a new track may be a second box of somebody.
const TWIN_PART: f64 = 0.3;

/// Settings of a [`Tracker`]. Times are in milliseconds of media time, so they hold at any frame rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackerOptions {
    /// Width of the frame by its height. Default 16/9.
    pub aspect: f64,
    /// Score from which a detection is matched first. Default 0.5.
    pub high_score: f32,
    /// Score below which a detection is left out; between it and `high_score` it only continues a track that was not
    /// matched otherwise. Default 0.1. Too high: people break off when half hidden; too low: tracks hang on to shadows.
    pub low_score: f32,
    /// Score from which a detection that matches nothing becomes a new track. Default 0.5.
    pub birth_score: f32,
    /// How long a track must have been seen to be confirmed, in two frames at least, three if it was missed between.
    /// Default 120 ms: the third frame at 15
    /// frames a second, the second at 2. Shorter: false alarms count; longer: people count late.
    pub confirm_ms: u64,
    /// The same for a track that began with a box in good part over somebody else's, which is often a second box of
    /// the same person. Default 600 ms; `confirm_ms` where that is longer.
    pub twin_ms: u64,
    /// How long an unconfirmed track may be unseen. Default 200 ms: two frames missed at 15 a second, none at 2. Too
    /// long: flashes add up to people.
    pub tentative_ms: u64,
    /// How long a confirmed track may be unseen and be found again. Default 2000 ms. Too short: hidden people come
    /// back as others; too long: somebody else may be taken for them.
    pub lost_ms: u64,
    /// Removal of what stands at one place for very long. Default `None`: it is followed as everybody else.
    pub stationary: Option<StationaryOptions>,
}

impl Default for TrackerOptions {
    fn default() -> Self {
        Self {
            aspect: 16.0 / 9.0,
            high_score: 0.5,
            low_score: 0.1,
            birth_score: 0.5,
            confirm_ms: 120,
            twin_ms: 600,
            tentative_ms: 200,
            lost_ms: 2000,
            stationary: None,
        }
    }
}

/// A frame that the tracker cannot take. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrackerError {
    /// The caller's frames are out of order, or its clock jumped: [`Tracker::reset`] begins anew.
    #[error(
        "time goes backwards: frame at {given}, after one at {last}; give frames in order, or reset after a jump"
    )]
    TimeBackwards {
        /// Time of the frame, in ticks of 1/90000 s.
        given: u64,
        /// Time of the frame before.
        last: u64,
    },
}

/// What the tracker left out, since the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrackerStats {
    /// Detections whose box or score is no number, or whose box has no area.
    pub unsound: u64,
    /// Detections beyond [`MAX_DETECTIONS`] in a frame.
    pub beyond_limit: u64,
    /// Detections that found [`MAX_TRACKS`] tracks before them.
    pub unborn: u64,
    /// Detections of frames with the time of the frame before.
    pub repeated: u64,
    /// Detections that nearly cover a matched one: the same person twice.
    pub doubled: u64,
    /// Tracks that were lost and found again.
    pub refound: u64,
    /// Sights of what stands at one place for too long, see [`TrackerOptions::stationary`].
    pub stationary: u64,
}

/// Gives detections identities, frame by frame.
///
/// Confident detections are matched with all tracks by the overlap of boxes that are widened by what is not known about
/// a track's place; the less confident ones continue tracks that are left over; then lost tracks are looked for where
/// they were last seen; what is still left over begins new tracks. The idea of the two stages is ByteTrack's (Zhang et
/// al., 2022), of the last observation OC-SORT's (Cao et al., 2023), of the widened boxes C-BIoU's (Yang et al., 2023).
/// All times are media time: slow and irregular feeds differ in how much is not known, and in nothing else.
///
/// ```
/// use lva_zones::{BoundingBox, Detection, Tracker, TrackerOptions};
///
/// let mut tracker = Tracker::new(TrackerOptions::default());
/// let mut seen = Vec::new();
/// for frame in 0..4 {
///     let bbox = BoundingBox::new(0.1 + 0.01 * frame as f32, 0.3, 0.1, 0.4);
///     seen = tracker.update(frame * 6000, &[Detection { bbox, class: 0, score: 0.9 }])?;
/// }
/// assert!(seen.len() == 1 && seen[0].confirmed);
/// # Ok::<(), lva_zones::TrackerError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tracker {
    options: TrackerOptions,
    tracks: Vec<Track>,
    next: u64,
    last_time: Option<u64>,
    last_seen: Vec<Observation>,
    places: Places,
    stats: TrackerStats,
    /// Taken while a frame is looked at.
    scratch: Option<Scratch>,
}

/// Memory of a frame, used again for the next one.
#[derive(Debug, Clone)]
struct Scratch {
    admitted: Vec<Detection>,
    free: Vec<bool>,
    rows: Vec<usize>,
    columns: Vec<usize>,
    /// Of the columns' boxes.
    centers: Vec<(f64, f64)>,
    costs: Costs,
}

/// Where detections are compared with a track.
#[derive(Debug, Clone, Copy)]
enum By {
    Prediction,
    LastSight,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            admitted: Vec::with_capacity(ROOM),
            free: Vec::with_capacity(ROOM),
            rows: Vec::with_capacity(ROOM),
            columns: Vec::with_capacity(ROOM),
            centers: Vec::with_capacity(ROOM),
            costs: Costs::with_room(ROOM),
        }
    }
}

/// People for whom there is memory from the start.
const ROOM: usize = 64;

impl Tracker {
    /// A tracker that has seen nothing. Settings that are no number fall back to their defaults.
    pub fn new(options: TrackerOptions) -> Self {
        let default = TrackerOptions::default();
        let score = |given: f32, default: f32| if given.is_nan() { default } else { given };
        let options = TrackerOptions {
            aspect: if (0.01..=100.0).contains(&options.aspect) {
                options.aspect
            } else {
                default.aspect
            },
            high_score: score(options.high_score, default.high_score),
            low_score: score(options.low_score, default.low_score),
            birth_score: score(options.birth_score, default.birth_score),
            ..options
        };
        Self {
            options,
            tracks: Vec::with_capacity(ROOM * 2),
            next: 1,
            last_time: None,
            last_seen: Vec::new(),
            places: Places::default(),
            stats: TrackerStats::default(),
            scratch: Some(Scratch::default()),
        }
    }

    /// What was left out so far.
    pub fn stats(&self) -> TrackerStats {
        self.stats
    }

    /// Tracks kept at the moment: seen ones, lost ones and unconfirmed ones.
    pub fn track_count(&self) -> usize {
        self.tracks.len()
    }

    /// Forgets all tracks: for a new session or after a jump of the clock. Their numbers are not used again.
    pub fn reset(&mut self) {
        self.tracks.clear();
        self.last_time = None;
        self.last_seen.clear();
        self.places.clear();
    }

    /// Takes one frame and says who is in it, in the order of their numbers; also unconfirmed ones, marked so. To be
    /// called for frames without detections too. A frame of the same time as the one before gives the same answer.
    ///
    /// # Errors
    ///
    /// [`TrackerError`]; the state is then as before.
    pub fn update(
        &mut self,
        timestamp_90k: u64,
        detections: &[Detection],
    ) -> Result<Vec<Observation>, TrackerError> {
        let mut seen = Vec::new();
        self.update_into(timestamp_90k, detections, &mut seen)?;
        Ok(seen)
    }

    /// The same into a list of the caller's, which is cleared first. Once there have been frames with as many people
    /// before, this allocates nothing.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn update_into(
        &mut self,
        timestamp_90k: u64,
        detections: &[Detection],
        seen: &mut Vec<Observation>,
    ) -> Result<(), TrackerError> {
        seen.clear();
        match self.last_time {
            Some(last) if timestamp_90k < last => {
                return Err(TrackerError::TimeBackwards {
                    given: timestamp_90k,
                    last,
                });
            }
            Some(last) if timestamp_90k == last => {
                self.stats.repeated += detections.len() as u64;
                seen.extend_from_slice(&self.last_seen);
                return Ok(());
            }
            _ => {}
        }
        self.last_time = Some(timestamp_90k);
        for track in &mut self.tracks {
            track.predict(timestamp_90k);
        }
        let mut scratch = self.scratch.take().unwrap_or_default();
        self.admit(detections, &mut scratch.admitted);
        scratch.free.clear();
        scratch.free.resize(scratch.admitted.len(), true);
        self.match_all(timestamp_90k, &mut scratch);
        self.bear(timestamp_90k, &scratch.admitted, &scratch.free);
        self.scratch = Some(scratch);
        self.bury(timestamp_90k);
        seen.extend(self.tracks.iter().filter_map(|t| t.observation(timestamp_90k)));
        // Numbers are unique, so that this is as good as a stable sort, and needs no memory.
        seen.sort_unstable_by_key(|observation| observation.track);
        if let Some(options) = &self.options.stationary {
            self.stats.stationary += self
                .places
                .remove(timestamp_90k, options, self.options.aspect, seen);
        }
        self.last_seen.clone_from(seen);
        Ok(())
    }

    /// Sound detections, the most certain first.
    fn admit(&mut self, detections: &[Detection], admitted: &mut Vec<Detection>) {
        admitted.clear();
        for detection in detections {
            if !detection.bbox.is_sound() || detection.score.is_nan() {
                self.stats.unsound += 1;
            } else if detection.score >= self.options.low_score {
                admitted.push(*detection);
            }
        }
        // By their values, so that the order in which a detector lists them does not matter; equal ones are the same.
        let key = |d: &Detection| [d.bbox.left, d.bbox.top, d.bbox.width, d.bbox.height];
        admitted.sort_unstable_by(|a, b| {
            let by_place = || {
                let pairs = key(a).into_iter().zip(key(b));
                pairs
                    .map(|(x, y)| x.total_cmp(&y))
                    .find(|o| o.is_ne())
                    .unwrap_or(a.class.cmp(&b.class))
            };
            b.score.total_cmp(&a.score).then_with(by_place)
        });
        self.stats.beyond_limit += admitted.len().saturating_sub(MAX_DETECTIONS) as u64;
        admitted.truncate(MAX_DETECTIONS);
    }

    fn match_all(&mut self, now: u64, scratch: &mut Scratch) {
        let high = self.options.high_score;
        let is_high = |d: &Detection| d.score >= high;
        let any = |_: &Detection| true;
        type Chooses = fn(&Track) -> bool;
        let known: Chooses = |t| t.phase != Phase::Tentative;
        let tracked: Chooses = |t| t.phase == Phase::Tracked;
        let tentative: Chooses = |t| t.phase == Phase::Tentative;
        self.match_stage(now, scratch, known, is_high, By::Prediction);
        self.match_stage(now, scratch, tracked, any, By::Prediction);
        self.match_stage(now, scratch, tentative, is_high, By::Prediction);
        self.match_stage(now, scratch, known, is_high, By::LastSight);
    }

    fn match_stage(
        &mut self,
        now: u64,
        scratch: &mut Scratch,
        of_tracks: fn(&Track) -> bool,
        of_detections: impl Fn(&Detection) -> bool,
        by: By,
    ) {
        let aspect = self.options.aspect;
        let Scratch {
            admitted,
            free,
            rows,
            columns,
            centers,
            costs,
        } = scratch;
        rows.clear();
        let waiting = self.tracks.iter().enumerate();
        rows.extend(
            waiting
                .filter(|(_, t)| !t.is_seen_at(now) && of_tracks(t))
                .map(|(index, _)| index),
        );
        columns.clear();
        let left = admitted.iter().zip(&*free).enumerate();
        columns.extend(
            left.filter(|(_, (d, free))| **free && of_detections(d))
                .map(|(index, _)| index),
        );
        if rows.is_empty() || columns.is_empty() {
            return;
        }
        centers.clear();
        let chosen = columns.iter().filter_map(|index| admitted.get(*index));
        centers.extend(chosen.map(|detection| center(&detection.bbox)));
        let detection = |column: usize| admitted.get(*columns.get(column)?);
        costs.fill(rows.len(), columns.len(), |row, pairs| {
            let Some(track) = rows.get(row).and_then(|index| self.tracks.get(*index)) else {
                return;
            };
            match by {
                By::Prediction => {
                    let place = track.predicted(aspect);
                    let near = centers
                        .iter()
                        .enumerate()
                        .filter(|(_, at)| !place.is_beyond(**at));
                    pairs.extend(near.filter_map(|(column, _)| {
                        Some((column, track.cost_predicted(&place, detection(column)?)?))
                    }));
                }
                By::LastSight => pairs.extend(
                    (0..columns.len())
                        .filter_map(|column| Some((column, track.cost_last_seen(detection(column)?, now)?))),
                ),
            }
        });
        for (row, column) in rows.iter().zip(costs.assign()) {
            let Some(index) = column.and_then(|column| columns.get(column)) else {
                continue;
            };
            let (Some(track), Some(detection)) = (self.tracks.get_mut(*row), admitted.get(*index)) else {
                continue;
            };
            if track.phase == Phase::Lost {
                self.stats.refound += 1;
            }
            track.found(now, detection, aspect);
            if let Some(slot) = free.get_mut(*index) {
                *slot = false;
            }
        }
    }

    fn bear(&mut self, now: u64, detections: &[Detection], free: &[bool]) {
        for (detection, free) in detections.iter().zip(free) {
            if !free || detection.score < self.options.birth_score {
                continue;
            }
            // What hardly differs from a box that is somebody already is a leftover of the detector's suppression.
            let covers = |t: &Track| {
                t.is_seen_at(now) && t.class == detection.class && t.bbox.iou(&detection.bbox) > 0.75
            };
            // Who has somebody's box in large part in their own may be a second box of the same.
            let twin = self.tracks.iter().any(|t| {
                t.is_seen_at(now)
                    && t.class == detection.class
                    && t.bbox.shared_part(&detection.bbox) > TWIN_PART
            });
            if self.tracks.iter().any(covers) {
                self.stats.doubled += 1;
            } else if self.tracks.len() >= MAX_TRACKS {
                self.stats.unborn += 1;
            } else {
                let confirm_ms = if twin {
                    self.options.confirm_ms.max(self.options.twin_ms)
                } else {
                    self.options.confirm_ms
                };
                self.tracks.push(Track::new(
                    TrackId(self.next),
                    now,
                    detection,
                    self.options.aspect,
                    ticks_of_ms(confirm_ms),
                ));
                self.next += 1;
            }
        }
    }

    fn bury(&mut self, now: u64) {
        let (tentative, lost) = (
            ticks_of_ms(self.options.tentative_ms),
            ticks_of_ms(self.options.lost_ms),
        );
        for track in &mut self.tracks {
            if !track.is_seen_at(now) {
                track.miss();
            }
        }
        self.tracks.retain(|track| {
            let longest = match track.phase {
                Phase::Tentative => tentative,
                Phase::Tracked | Phase::Lost => lost,
            };
            track.unseen(now) <= longest
        });
    }
}
