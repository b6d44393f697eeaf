//! The state of one camera: frames in, inferences out.

use std::fmt;

use lva_inference::{DetectError, Detection, Detector, DetectorInfo, Frame};
use lva_inference_schema::Inference;
use lva_media_types::MediaTime;
use lva_zones::calibration::{Calibrator, CalibratorOptions};
use lva_zones::ground::Ground;
use lva_zones::report::{IdSource, Reporter};
use lva_zones::{
    Engine, EngineError, EngineStats, Observation, SceneOptions, Tracker, TrackerError, TrackerOptions,
    TrackerStats,
};

use crate::operation::{Operation, OperationError, PERSON};
use crate::options::{AnalysisOptions, Entities};
use crate::padding::Content;
use crate::preview;
use crate::stats::AnalysisStats;

/// Frames up to this much older than the newest one are late and ignored; beyond it the clock has jumped, and the session
/// starts over. In ticks: two seconds, more than any reordering in transit.
const LATE: u64 = 2 * MediaTime::TICKS_PER_SECOND;

/// From the ids of a session to those after a change of its frames' shape: far from the seeds that people choose.
const SEED_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Most classes that a message names.
const MAX_NAMED: usize = 20;

/// A session that cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeginError {
    /// The model does not detect people, or another class that the operation names.
    #[error(
        "the model '{model}' has no class '{class}' among its {classes}: choose a model that finds it, or other \"classes\""
    )]
    NoClass {
        /// Name of the class.
        class: String,
        /// Name of the model.
        model: String,
        /// How many classes it has.
        classes: usize,
    },
    /// The model knows a class that the operation names, but was loaded to report others only.
    #[error(
        "the class '{class}' is not detected here, only {detected}: add it to --classes of the server, or name others in \
         \"classes\""
    )]
    ClassLeftOut {
        /// Name of the class.
        class: String,
        /// The classes that are reported, the first 20 of them.
        detected: String,
    },
    /// Frames without area, or too narrow for distances.
    #[error(
        "frames of {width}x{height} pixels are not possible: send sides above 0 and an aspect between 1:100 and 100:1"
    )]
    FrameSize {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// An impossible camera aspect in [`AnalysisOptions::with_camera_aspect`].
    #[error(
        "a camera picture {aspect} times as wide as high is not possible: give 0.01 to 100, as 1.7778 for 16:9"
    )]
    CameraAspect {
        /// The given aspect.
        aspect: f64,
    },
    /// The operation does not work with frames of this shape, or with these options.
    #[error(transparent)]
    Operation(#[from] OperationError),
}

/// A frame without an answer. The session accepts the next frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The frame does not have the size of [`SpatialAnalysis::with_frame_size`]. The sender is at fault.
    #[error("the frame has {width}x{height} pixels, but {expected_width}x{expected_height} were announced")]
    FrameSize {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// The announced width.
        expected_width: u32,
        /// The announced height.
        expected_height: u32,
    },
    /// The operation cannot be watched in frames of this shape.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// The detector failed.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The detector gave no list for the frame, against its contract.
    #[error("the model '{model}' gave no answer for the frame")]
    NoAnswer {
        /// Name of the model.
        model: String,
    },
    /// The tracker rejected the frame.
    #[error(transparent)]
    Track(#[from] TrackerError),
    /// The engine of lines and zones rejected the frame.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl ProcessError {
    /// Whether later frames of the same sender may well succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::FrameSize { .. } | Self::Begin(_) | Self::NoAnswer { .. } => false,
            Self::Detect(error) => error.is_transient(),
            Self::Track(_) | Self::Engine(_) => true,
        }
    }
}

/// People, lines and zones of one camera.
///
/// It has no clock, no protocol and no thread, and blocks while the detector runs. The frames and their times alone decide. The same frames give the same
/// inferences, ids included.
///
/// ```
/// use lva_inference::{
///     BoundingBox, DetectError, Detection, Detector, DetectorInfo, Frame, ImageView, PixelFormat,
/// };
/// use lva_spatial_analysis::{AnalysisOptions, Operation, SpatialAnalysis};
///
/// /// Detects one person who walks from left to right.
/// struct Walker(DetectorInfo, f32);
///
/// impl Detector for Walker {
///     fn info(&self) -> &DetectorInfo {
///         &self.0
///     }
///
///     fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
///         self.1 += 0.02;
///         let bbox = BoundingBox::from_edges(self.1, 0.3, self.1 + 0.1, 0.7);
///         Ok(frames.iter().map(|_| vec![Detection { bbox, class: 0, score: 0.9 }]).collect())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let operation = Operation::from_json(r#"{"lines": [{"name": "gate", "start": [0.5, 1], "end": [0.5, 0]}]}"#)?;
/// let walker = Walker(DetectorInfo::new("walker", 64, 36), 0.0);
/// let mut analysis = SpatialAnalysis::new(walker, &operation, AnalysisOptions::default(), 1)?;
///
/// let pixels = vec![0; 64 * 36 * 3];
/// let frame = ImageView::packed(&pixels, 64, 36, PixelFormat::Bgr24)?;
/// let mut inferences = Vec::new();
/// for n in 0..45 {
///     inferences.extend(analysis.process(frame, n * 6000)?); // 15 frames a second
/// }
/// assert_eq!(inferences.len(), 2); // the person, then the event
/// assert_eq!(analysis.stats().line_crossings, 1);
/// # Ok(())
/// # }
/// ```
pub struct SpatialAnalysis<D> {
    detector: D,
    /// The size that frames must have, where it was announced.
    announced: Option<(u32, u32)>,
    /// `None` until the first frame.
    shape: Option<Shape>,
    options: AnalysisOptions,
    operation: Operation,
    id_seed: u64,
    rules: Rules,
    newest: Option<u64>,
    stats: AnalysisStats,
}

impl<D: Detector> fmt::Debug for SpatialAnalysis<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpatialAnalysis")
            .field("detector", self.detector.info())
            .field("shape", &self.shape)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

/// The shape of the frames, and where the camera's picture is in them.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shape {
    /// Width by height of the camera's picture.
    aspect: f64,
    content: Content,
}

impl Shape {
    fn new((width, height): (u32, u32), camera_aspect: Option<f64>) -> Result<Self, BeginError> {
        let frame_aspect = f64::from(width) / f64::from(height);
        if !is_possible(frame_aspect) {
            return Err(BeginError::FrameSize { width, height });
        }
        Ok(match camera_aspect {
            None => Self {
                aspect: frame_aspect,
                content: Content::WHOLE,
            },
            Some(aspect) => Self {
                aspect,
                content: Content::centered(aspect, frame_aspect),
            },
        })
    }
}

fn is_possible(aspect: f64) -> bool {
    (0.01..=100.0).contains(&aspect)
}

/// The aspect until the first frame.
fn usual_aspect(options: &AnalysisOptions) -> f64 {
    options.camera_aspect.unwrap_or(SceneOptions::default().aspect)
}

/// The search for the ground, from the people that are seen.
#[derive(Debug)]
struct Calibration {
    calibrator: Calibrator,
    /// Time of the next attempt.
    next: Option<u64>,
}

/// Time between two attempts, in ticks: an attempt takes some tens of milliseconds.
const CALIBRATION_INTERVAL: u64 = 30 * MediaTime::TICKS_PER_SECOND;

/// Calibrations with a higher residual are rejected.
const CALIBRATION_RESIDUAL: f64 = 0.1;

impl Calibration {
    fn new(aspect: f64) -> Self {
        let options = CalibratorOptions {
            aspect,
            ..CalibratorOptions::default()
        };
        Self {
            calibrator: Calibrator::new(options),
            next: None,
        }
    }

    /// Adds the people of a frame; returns the ground once it is found.
    fn add(&mut self, now: u64, people: &[Observation]) -> Option<Ground> {
        self.calibrator.add(people);
        let next = *self.next.get_or_insert(now.saturating_add(CALIBRATION_INTERVAL));
        if now < next {
            return None;
        }
        self.next = Some(now.saturating_add(CALIBRATION_INTERVAL));
        let found = self.calibrator.solve().ok()?;
        if found.residual > CALIBRATION_RESIDUAL {
            return None;
        }
        Ground::pinhole(found.camera).ok()
    }
}

/// Which of a detector's classes are followed.
#[derive(Debug, Clone)]
enum People {
    /// The detector has no class names: it detects people only.
    All,
    Classes(Vec<u16>),
}

impl People {
    fn of(info: &DetectorInfo, wanted: Option<&[String]>) -> Result<Self, BeginError> {
        let person = [PERSON.to_owned()];
        let wanted = wanted.unwrap_or(&person);
        if info.class_names.is_empty() {
            let other = wanted.iter().find(|name| !name.eq_ignore_ascii_case(PERSON));
            return match other {
                None => Ok(Self::All),
                Some(other) => Err(BeginError::NoClass {
                    class: other.clone(),
                    model: info.model.clone(),
                    classes: 0,
                }),
            };
        }
        let class = |wanted: &String| {
            let mut names = info.class_names.iter();
            let by_name = names.position(|name| name.eq_ignore_ascii_case(wanted));
            let by_number = || {
                wanted
                    .parse()
                    .ok()
                    .filter(|&index| index < info.class_names.len())
            };
            let index = by_name.or_else(by_number);
            let class =
                index
                    .and_then(|index| u16::try_from(index).ok())
                    .ok_or_else(|| BeginError::NoClass {
                        class: wanted.clone(),
                        model: info.model.clone(),
                        classes: info.class_names.len(),
                    })?;
            match info.keeps(class) {
                true => Ok(class),
                false => Err(BeginError::ClassLeftOut {
                    class: wanted.clone(),
                    detected: kept_names(info),
                }),
            }
        };
        Ok(Self::Classes(wanted.iter().map(class).collect::<Result<_, _>>()?))
    }

    fn includes(&self, class: u16) -> bool {
        self.classes().is_none_or(|classes| classes.contains(&class))
    }

    /// In the order in which the operation names them.
    fn classes(&self) -> Option<&[u16]> {
        match self {
            Self::All => None,
            Self::Classes(classes) => Some(classes),
        }
    }
}

/// The classes that a detector reports, for a message.
fn kept_names(info: &DetectorInfo) -> String {
    let kept = info.classes_kept.as_deref().unwrap_or_default().iter();
    let names: Vec<&str> = kept.filter_map(|class| info.class_name(*class)).collect();
    match names.get(..MAX_NAMED) {
        Some(first) if names.len() > MAX_NAMED => format!("{} and others", first.join(", ")),
        _ => names.join(", "),
    }
}

/// What an operation makes of the people in the frames.
struct Rules {
    people: People,
    /// The class of the people from whom the ground is found, where others are followed too.
    person: Option<u16>,
    tracker: Tracker,
    engine: Engine,
    reporter: Reporter,
    calibration: Option<Calibration>,
    scene_options: SceneOptions,
}

impl Rules {
    fn new(
        detector: &DetectorInfo,
        operation: &Operation,
        aspect: f64,
        options: AnalysisOptions,
        id_seed: u64,
    ) -> Result<Self, BeginError> {
        let people = People::of(detector, operation.classes())?;
        let scene_options = operation.scene_options(SceneOptions {
            aspect,
            ..options.scene
        });
        let scene = operation.scene_for(scene_options, people.classes())?;
        let tracker = operation.tracker(TrackerOptions {
            aspect,
            ..options.tracker
        });
        let calibration = (operation.calibrates() && scene.needs_ground() && scene.ground().is_none())
            .then(|| Calibration::new(aspect));
        let mut reporter = Reporter::new(options.profile, IdSource::new(id_seed));
        if operation.classes().is_some() {
            reporter = reporter.with_class_names(detector.class_names.clone());
        }
        let person = detector
            .class_names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(PERSON));
        let person = person.and_then(|class| u16::try_from(class).ok());
        Ok(Self {
            person: person.filter(|class| people.includes(*class)),
            people,
            tracker: Tracker::new(tracker),
            engine: Engine::new(scene),
            reporter,
            calibration,
            scene_options,
        })
    }
}

impl<D: Detector> SpatialAnalysis<D> {
    /// A session. The shape of its frames, width by height, is that of the first one; a frame of another shape lets the session
    /// start over, as a jump of the clock does, and with other ids.
    ///
    /// `id_seed` determines the ids of its inferences: sessions whose messages are mixed need different seeds.
    ///
    /// # Errors
    ///
    /// [`BeginError`]; a retry does not help.
    pub fn new(
        detector: D,
        operation: &Operation,
        options: AnalysisOptions,
        id_seed: u64,
    ) -> Result<Self, BeginError> {
        if let Some(aspect) = options.camera_aspect.filter(|aspect| !is_possible(*aspect)) {
            return Err(BeginError::CameraAspect { aspect });
        }
        let rules = Rules::new(
            detector.info(),
            operation,
            usual_aspect(&options),
            options,
            id_seed,
        )?;
        Ok(Self {
            detector,
            announced: None,
            shape: None,
            options,
            operation: operation.clone(),
            id_seed,
            rules,
            newest: None,
            stats: AnalysisStats {
                sessions: 1,
                ..AnalysisStats::default()
            },
        })
    }

    /// The same session for frames of this size (width, height) in pixels alone: others are errors, as in a stream that
    /// announces its format.
    ///
    /// # Errors
    ///
    /// [`BeginError`]; a retry does not help.
    pub fn with_frame_size(mut self, size: (u32, u32)) -> Result<Self, BeginError> {
        self.take_shape(size)?;
        self.announced = Some(size);
        Ok(self)
    }

    /// Adapts the rules to frames of this size.
    fn take_shape(&mut self, size: (u32, u32)) -> Result<(), BeginError> {
        let shape = Shape::new(size, self.options.camera_aspect)?;
        if self.shape == Some(shape) {
            return Ok(());
        }
        // People of another shape are others: they must not have the ids of those before.
        let id_seed = match self.shape {
            None => self.id_seed,
            Some(_) => self.id_seed.wrapping_add(SEED_STEP),
        };
        let detector = self.detector.info();
        self.rules = Rules::new(detector, &self.operation, shape.aspect, self.options, id_seed)?;
        if self.shape.replace(shape).is_some() {
            self.id_seed = id_seed;
            self.newest = None;
            self.stats.restarts += 1;
        }
        Ok(())
    }

    /// Watches another operation from the next frame on. People, visits and counts of zones begin anew, with ids of this
    /// seed, as do [`tracker_stats`](Self::tracker_stats) and [`engine_stats`](Self::engine_stats); the detector, the time and
    /// [`stats`](Self::stats) go on.
    ///
    /// # Errors
    ///
    /// [`BeginError::Operation`], or [`BeginError::NoClass`]: nothing has changed.
    pub fn set_operation(&mut self, operation: &Operation, id_seed: u64) -> Result<(), BeginError> {
        let aspect = self
            .shape
            .map_or_else(|| usual_aspect(&self.options), |shape| shape.aspect);
        self.rules = Rules::new(self.detector.info(), operation, aspect, self.options, id_seed)?;
        self.operation = operation.clone();
        self.id_seed = id_seed;
        Ok(())
    }

    /// Analyses a frame taken at `timestamp_90k`, in ticks of 1/90000 s since 1970.
    ///
    /// Entities come first, then events; most frames have no inferences. A frame up to two seconds older than the newest one
    /// is ignored; an older one means that the clock has jumped back, and the session forgets all people. Both are counted.
    /// A frame with the time of the previous one adds nothing.
    ///
    /// # Errors
    ///
    /// [`ProcessError`]: the state is unchanged, and the session accepts the next frame.
    pub fn process<'a>(
        &mut self,
        frame: impl Into<Frame<'a>>,
        timestamp_90k: u64,
    ) -> Result<Vec<Inference>, ProcessError> {
        self.stats.frames += 1;
        let answer = self.analyze(frame.into(), timestamp_90k);
        self.stats.failed_frames += u64::from(answer.is_err());
        answer
    }

    fn analyze(&mut self, frame: Frame<'_>, timestamp_90k: u64) -> Result<Vec<Inference>, ProcessError> {
        if let Frame::Host(view) = &frame {
            let (width, height) = (view.width(), view.height());
            match self.announced {
                Some((expected_width, expected_height))
                    if (width, height) != (expected_width, expected_height) =>
                {
                    return Err(ProcessError::FrameSize {
                        width,
                        height,
                        expected_width,
                        expected_height,
                    });
                }
                Some(_) => {}
                None => self.take_shape((width, height))?,
            }
        }
        match self.newest {
            Some(newest) if timestamp_90k < newest && newest - timestamp_90k <= LATE => {
                self.stats.late_frames += 1;
                return Ok(Vec::new());
            }
            Some(newest) if timestamp_90k < newest => {
                self.stats.restarts += 1;
                self.reset();
            }
            _ => {}
        }
        let found = self.detector.detect(&[frame])?.pop();
        let found = found.ok_or_else(|| ProcessError::NoAnswer {
            model: self.detector.info().model.clone(),
        })?;
        self.evaluate(timestamp_90k, &found)
    }

    /// From detections to identities, events and inferences.
    fn evaluate(&mut self, timestamp_90k: u64, found: &[Detection]) -> Result<Vec<Inference>, ProcessError> {
        let content = self.shape.map_or(Content::WHOLE, |shape| shape.content);
        let mut people = Vec::with_capacity(found.len());
        for found in found {
            let bbox = content.to_camera(&found.bbox);
            if !self.rules.people.includes(found.class) {
                self.stats.other_classes += 1;
            } else if !bbox.is_valid() || found.score.is_nan() {
                // One bad detection must not cost the frame.
                self.stats.invalid_detections += 1;
            } else {
                people.push(Detection { bbox, ..*found });
            }
        }
        self.stats.people += people.len() as u64;
        let people = self.rules.tracker.update(timestamp_90k, &people)?;
        self.newest = Some(timestamp_90k);
        if let Some(calibration) = &mut self.rules.calibration {
            let is_person = |seen: &&Observation| self.rules.person.is_none_or(|person| seen.class == person);
            let standing: Vec<Observation> = people.iter().filter(is_person).copied().collect();
            if let Some(ground) = calibration.add(timestamp_90k, &standing) {
                self.rules.engine.set_ground(Some(ground));
                self.rules.calibration = None;
            }
        }
        let events = self.rules.engine.update(timestamp_90k, &people)?;
        for event in &events {
            self.stats.count_event(event);
        }
        let mut inferences = match self.options.entities {
            Entities::OfEvents => self.rules.reporter.report(&events),
            Entities::EveryFrame | Entities::Preview => {
                let people: Vec<_> = people
                    .iter()
                    .map(|person| self.rules.engine.with_ground_position(person))
                    .collect();
                self.rules.reporter.report_with_people(&people, &events)
            }
        };
        if self.options.entities == Entities::Preview {
            inferences = preview::marked(inferences, &people, &events, self.rules.scene_options);
        }
        for bbox in inferences.iter_mut().filter_map(Inference::bounding_box_mut) {
            content.to_frame(bbox);
        }
        Ok(inferences)
    }

    /// Forgets all people and the time, including open visits: for a new recording in the same session.
    pub fn reset(&mut self) {
        self.rules.tracker.reset();
        self.rules.engine.reset();
        self.newest = None;
    }

    /// Number of people inside a zone now, including recently lost ones. `None`: no zone has this name.
    pub fn occupancy(&self, zone: &str) -> Option<usize> {
        self.rules.engine.occupancy(zone)
    }

    /// The detector.
    pub fn detector(&self) -> &D {
        &self.detector
    }

    /// Counts since the session began.
    pub fn stats(&self) -> AnalysisStats {
        self.stats
    }

    /// What the tracker ignored.
    pub fn tracker_stats(&self) -> TrackerStats {
        self.rules.tracker.stats()
    }

    /// What the engine of lines and zones ignored.
    pub fn engine_stats(&self) -> EngineStats {
        self.rules.engine.stats()
    }
}
