//! Identities for detections.

mod assignment;
mod kalman;
mod stationary;
mod track;

use crate::observation::{Observation, TrackId};
use crate::overlap::{edges, iou, overlap_ratio};
use crate::time::ticks_of_ms;
use assignment::Costs;
use lva_media_types::{BoundingBox, Detection};
use stationary::Spots;
pub use stationary::StationaryOptions;
use thiserror::Error;
use track::{Phase, Track, center};

/// Most detections of a frame; of more, the most confident ones are used and the rest is
/// [counted](TrackerStats::beyond_limit).
pub const MAX_DETECTIONS: usize = 512;

/// Most tracks at a time, including lost ones. Detections that would begin more are
/// [counted](TrackerStats::rejected_new).
pub const MAX_TRACKS: usize = 1024;

/// A new track whose box overlaps another by more than this share of the smaller one may be a duplicate.
const DUPLICATE_OVERLAP: f64 = 0.3;

/// Settings of a [`Tracker`]. Times are milliseconds of media time and hold at any frame rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackerOptions {
    /// Width of the frame by its height. Default 16/9.
    pub aspect: f64,
    /// Score from which a detection is matched first. Default 0.5.
    pub high_score: f32,
    /// Detections below this score are ignored; those between it and `high_score` only continue tracks that are otherwise
    /// unmatched. Default 0.1. Too high: tracks end when people are half hidden. Too low: tracks stick to shadows.
    pub low_score: f32,
    /// Score from which a detection that matches nothing becomes a new track. Default 0.5.
    pub new_track_score: f32,
    /// How long a track must have been seen to be confirmed, in at least two frames, or three if it was missed in between.
    /// Default 120 ms: the third frame at 15 frames a second, the second at 2. Shorter: false alarms count. Longer: people
    /// count late.
    pub confirm_ms: u64,
    /// The same for a track whose first box overlaps that of another track, which is often a second box of the same person.
    /// Default 600 ms; `confirm_ms` where that is longer.
    pub duplicate_confirm_ms: u64,
    /// How long an unconfirmed track may be unseen. Default 200 ms: two missed frames at 15 frames a second, none at 2. Too
    /// long: false alarms add up to people.
    pub tentative_ms: u64,
    /// How long a confirmed track may be unseen and still be found again. Default 2000 ms. Too short: hidden people come
    /// back with a new identity. Too long: another person may be taken for them.
    pub lost_ms: u64,
    /// Removes objects that stay at one place for very long. Default `None`: they are tracked like people.
    pub stationary: Option<StationaryOptions>,
}

impl Default for TrackerOptions {
    fn default() -> Self {
        Self {
            aspect: 16.0 / 9.0,
            high_score: 0.5,
            low_score: 0.1,
            new_track_score: 0.5,
            confirm_ms: 120,
            duplicate_confirm_ms: 600,
            tentative_ms: 200,
            lost_ms: 2000,
            stationary: None,
        }
    }
}

/// A frame that the tracker rejects. Its state is unchanged.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum TrackerError {
    /// Frames are out of order, or the clock jumped: [`Tracker::reset`] starts over.
    #[error(
        "time goes backwards: frame at {given}, after one at {last}; give frames in order, or reset after a jump"
    )]
    TimeBackwards {
        /// Time of the frame, in ticks of 1/90000 s.
        given: u64,
        /// Time of the frame before.
        last: u64,
    },
    /// A box that is not [in fractions](BoundingBox::is_in_fractions) of the frame: pixels, NaN or infinite.
    #[error(
        "the box of detection {index} ({bbox}) is not in fractions of the frame, 0 to 1; divide pixels by width and height"
    )]
    NotFractions {
        /// Its index in the frame's detections.
        index: usize,
        /// The box, as given.
        bbox: BoundingBox,
    },
}

/// What the tracker ignored and reidentified since it was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct TrackerStats {
    /// Detections whose box has no area, as at the frame's border, or whose score is NaN.
    pub invalid: u64,
    /// Detections beyond [`MAX_DETECTIONS`] in a frame.
    pub beyond_limit: u64,
    /// Detections that would have begun a track beyond [`MAX_TRACKS`].
    pub rejected_new: u64,
    /// Detections of frames with the time of the previous frame.
    pub repeated: u64,
    /// Detections that nearly cover a matched one: duplicates of a person.
    pub duplicates: u64,
    /// Tracks that were lost and found again.
    pub reidentified: u64,
    /// Observations removed because of [`TrackerOptions::stationary`].
    pub stationary: u64,
}

/// Assigns identities to detections, whose boxes are in fractions of the frame, frame by frame.
///
/// Confident detections are matched with all tracks by the overlap of boxes, widened by the uncertainty of a track's
/// position. Less confident ones continue tracks that are still unmatched. Then lost tracks are matched at their last
/// observation, and the remaining confident detections begin new tracks. The two stages follow ByteTrack (Zhang et al.,
/// 2022), the last observation OC-SORT (Cao et al., 2023), the widened boxes C-BIoU (Yang et al., 2023). All times are media
/// time: slow and irregular frame rates only add uncertainty.
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
    spots: Spots,
    stats: TrackerStats,
    /// `None` only while a frame is processed.
    scratch: Option<Scratch>,
}

/// Buffers that are reused from frame to frame.
#[derive(Debug, Clone)]
struct Scratch {
    filtered: Vec<Detection>,
    free: Vec<bool>,
    rows: Vec<usize>,
    columns: Vec<usize>,
    /// Centres of the columns' boxes.
    centers: Vec<(f64, f64)>,
    costs: Costs,
}

/// With which box of a track detections are compared.
#[derive(Debug, Clone, Copy)]
enum Association {
    Prediction,
    LastObservation,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            filtered: Vec::with_capacity(INITIAL_CAPACITY),
            free: Vec::with_capacity(INITIAL_CAPACITY),
            rows: Vec::with_capacity(INITIAL_CAPACITY),
            columns: Vec::with_capacity(INITIAL_CAPACITY),
            centers: Vec::with_capacity(INITIAL_CAPACITY),
            costs: Costs::with_capacity(INITIAL_CAPACITY),
        }
    }
}

/// Number of people for which memory is allocated at the start.
const INITIAL_CAPACITY: usize = 64;

impl Tracker {
    /// A tracker without tracks. Settings that are NaN or out of range fall back to their defaults.
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
            new_track_score: score(options.new_track_score, default.new_track_score),
            ..options
        };
        Self {
            options,
            tracks: Vec::with_capacity(INITIAL_CAPACITY * 2),
            next: 1,
            last_time: None,
            last_seen: Vec::new(),
            spots: Spots::default(),
            stats: TrackerStats::default(),
            scratch: Some(Scratch::default()),
        }
    }

    /// What was ignored and reidentified so far.
    pub fn stats(&self) -> TrackerStats {
        self.stats
    }

    /// Current number of tracks, including lost and unconfirmed ones.
    pub fn track_count(&self) -> usize {
        self.tracks.len()
    }

    /// Forgets all tracks: for a new session or after a jump of the clock. Their ids are not reused.
    pub fn reset(&mut self) {
        self.tracks.clear();
        self.last_time = None;
        self.last_seen.clear();
        self.spots.clear();
    }

    /// Processes the detections of one frame, boxes in fractions of the frame, and returns its people in the order of their ids,
    /// including unconfirmed ones. Detections without area are skipped and [counted](TrackerStats::invalid). Call it for frames
    /// without detections too. A frame with the time of the previous one gives the same result.
    ///
    /// # Errors
    ///
    /// [`TrackerError`]; the state is unchanged.
    pub fn update(
        &mut self,
        timestamp_90k: u64,
        detections: &[Detection],
    ) -> Result<Vec<Observation>, TrackerError> {
        let mut seen = Vec::new();
        self.update_into(timestamp_90k, detections, &mut seen)?;
        Ok(seen)
    }

    /// Like [`update`](Self::update), into a vector of the caller's, which is cleared first. Allocates nothing once earlier
    /// frames had as many people.
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
        if let Some(last) = self.last_time.filter(|last| *last > timestamp_90k) {
            return Err(TrackerError::TimeBackwards {
                given: timestamp_90k,
                last,
            });
        }
        let mut boxes = detections.iter().map(|detection| detection.bbox).enumerate();
        if let Some((index, bbox)) = boxes.find(|(_, bbox)| !bbox.is_in_fractions()) {
            return Err(TrackerError::NotFractions { index, bbox });
        }
        if self.last_time == Some(timestamp_90k) {
            self.stats.repeated += detections.len() as u64;
            seen.extend_from_slice(&self.last_seen);
            return Ok(());
        }
        self.last_time = Some(timestamp_90k);
        for track in &mut self.tracks {
            track.predict(timestamp_90k);
        }
        let mut scratch = self.scratch.take().unwrap_or_default();
        self.filter_detections(detections, &mut scratch.filtered);
        scratch.free.clear();
        scratch.free.resize(scratch.filtered.len(), true);
        self.match_all(timestamp_90k, &mut scratch);
        self.spawn_tracks(timestamp_90k, &scratch.filtered, &scratch.free);
        self.scratch = Some(scratch);
        self.prune_tracks(timestamp_90k);
        seen.extend(self.tracks.iter().filter_map(|t| t.observation(timestamp_90k)));
        // Ids are unique, so an unstable sort, which does not allocate, suffices.
        seen.sort_unstable_by_key(|observation| observation.track);
        if let Some(options) = &self.options.stationary {
            self.stats.stationary += self
                .spots
                .remove(timestamp_90k, options, self.options.aspect, seen);
        }
        self.last_seen.clone_from(seen);
        Ok(())
    }

    /// Valid detections, the most confident first.
    fn filter_detections(&mut self, detections: &[Detection], filtered: &mut Vec<Detection>) {
        filtered.clear();
        for detection in detections {
            if !detection.bbox.has_area() || detection.score.is_nan() {
                self.stats.invalid += 1;
            } else if detection.score >= self.options.low_score {
                filtered.push(*detection);
            }
        }
        // By their values, so that the detector's order does not matter; detections that compare equal are identical.
        let key = |d: &Detection| [d.bbox.left, d.bbox.top, d.bbox.width, d.bbox.height];
        filtered.sort_unstable_by(|a, b| {
            let by_place = || {
                let pairs = key(a).into_iter().zip(key(b));
                pairs
                    .map(|(x, y)| x.total_cmp(&y))
                    .find(|o| o.is_ne())
                    .unwrap_or(a.class.cmp(&b.class))
            };
            b.score.total_cmp(&a.score).then_with(by_place)
        });
        self.stats.beyond_limit += filtered.len().saturating_sub(MAX_DETECTIONS) as u64;
        filtered.truncate(MAX_DETECTIONS);
    }

    fn match_all(&mut self, now: u64, scratch: &mut Scratch) {
        let high = self.options.high_score;
        let is_high = |d: &Detection| d.score >= high;
        let any = |_: &Detection| true;
        type Chooses = fn(&Track) -> bool;
        let known: Chooses = |t| t.phase != Phase::Tentative;
        let tracked: Chooses = |t| t.phase == Phase::Tracked;
        let tentative: Chooses = |t| t.phase == Phase::Tentative;
        self.match_stage(now, scratch, known, is_high, Association::Prediction);
        self.match_stage(now, scratch, tracked, any, Association::Prediction);
        self.match_stage(now, scratch, tentative, is_high, Association::Prediction);
        self.match_stage(now, scratch, known, is_high, Association::LastObservation);
    }

    fn match_stage(
        &mut self,
        now: u64,
        scratch: &mut Scratch,
        of_tracks: fn(&Track) -> bool,
        of_detections: impl Fn(&Detection) -> bool,
        by: Association,
    ) {
        let aspect = self.options.aspect;
        let Scratch {
            filtered,
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
        let left = filtered.iter().zip(&*free).enumerate();
        columns.extend(
            left.filter(|(_, (d, free))| **free && of_detections(d))
                .map(|(index, _)| index),
        );
        if rows.is_empty() || columns.is_empty() {
            return;
        }
        centers.clear();
        let chosen = columns.iter().filter_map(|index| filtered.get(*index));
        centers.extend(chosen.map(|detection| center(&detection.bbox)));
        let detection = |column: usize| filtered.get(*columns.get(column)?);
        costs.fill(rows.len(), columns.len(), |row, pairs| {
            let Some(track) = rows.get(row).and_then(|index| self.tracks.get(*index)) else {
                return;
            };
            match by {
                Association::Prediction => {
                    let prediction = track.predicted(aspect);
                    let near = centers
                        .iter()
                        .enumerate()
                        .filter(|(_, at)| !prediction.is_beyond(**at));
                    pairs.extend(near.filter_map(|(column, _)| {
                        Some((column, track.cost_predicted(&prediction, detection(column)?)?))
                    }));
                }
                Association::LastObservation => pairs.extend(
                    (0..columns.len())
                        .filter_map(|column| Some((column, track.cost_last_seen(detection(column)?, now)?))),
                ),
            }
        });
        for (row, column) in rows.iter().zip(costs.assign()) {
            let Some(index) = column.and_then(|column| columns.get(column)) else {
                continue;
            };
            let (Some(track), Some(detection)) = (self.tracks.get_mut(*row), filtered.get(*index)) else {
                continue;
            };
            if track.phase == Phase::Lost {
                self.stats.reidentified += 1;
            }
            track.found(now, detection, aspect);
            if let Some(slot) = free.get_mut(*index) {
                *slot = false;
            }
        }
    }

    fn spawn_tracks(&mut self, now: u64, detections: &[Detection], free: &[bool]) {
        for (detection, free) in detections.iter().zip(free) {
            if !free || detection.score < self.options.new_track_score {
                continue;
            }
            // A box that nearly covers a matched one escaped the detector's own suppression.
            let covers = |t: &Track| {
                t.is_seen_at(now)
                    && t.class == detection.class
                    && iou(edges(&t.bbox), edges(&detection.bbox)) > 0.75
            };
            // A box that overlaps a matched one may be a duplicate of the same person.
            let duplicate = self.tracks.iter().any(|t| {
                t.is_seen_at(now)
                    && t.class == detection.class
                    && overlap_ratio(edges(&t.bbox), edges(&detection.bbox)) > DUPLICATE_OVERLAP
            });
            if self.tracks.iter().any(covers) {
                self.stats.duplicates += 1;
            } else if self.tracks.len() >= MAX_TRACKS {
                self.stats.rejected_new += 1;
            } else {
                let confirm_ms = if duplicate {
                    self.options.confirm_ms.max(self.options.duplicate_confirm_ms)
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

    fn prune_tracks(&mut self, now: u64) {
        let (tentative, lost) = (
            ticks_of_ms(self.options.tentative_ms),
            ticks_of_ms(self.options.lost_ms),
        );
        for track in &mut self.tracks {
            if !track.is_seen_at(now) {
                track.mark_missed();
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
