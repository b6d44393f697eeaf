//! One camera's state: frames in, inferences out.

use std::fmt;

use lva_inference::{DetectError, Detection, Detector, DetectorInfo, Frame};
use lva_inference_schema::Inference;
use lva_zones::{
    Calibrator, CalibratorOptions, Engine, EngineError, EngineStats, Ground, IdSource, Reporter,
    SceneOptions, Tracker, TrackerError, TrackerOptions, TrackerStats,
};

use crate::configuration::{ConfigurationError, OperationConfig};
use crate::options::{AnalysisOptions, Entities};
use crate::padding::Content;
use crate::stats::AnalysisStats;

/// Frames up to this much older than the newest one are late and left out; beyond it, the clock has jumped and the
/// session begins anew. In ticks of 1/90000 s: two seconds, more than any reordering on the way.
const LATE: u64 = 2 * 90_000;

/// Name of the class that counts as people.
const PERSON: &str = "person";

/// A session that cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeginError {
    /// The model knows no people. Whoever chose it is at fault.
    #[error(
        "the model '{model}' has no class 'person' among its {classes}: choose a model that finds people"
    )]
    NoPersonClass {
        /// Name of the model.
        model: String,
        /// How many classes it has.
        classes: usize,
    },
    /// Frames without area, or so narrow that distances in them mean nothing.
    #[error(
        "frames of {width}x{height} pixels cannot be watched: sides above 0, and a shape between 1:100 and 100:1"
    )]
    FrameSize {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The camera's aspect of [`AnalysisOptions::with_camera_aspect`] is no shape of a picture.
    #[error(
        "a camera picture {aspect} times as wide as high is not possible: give 0.01 to 100, as 1.7778 for 16:9"
    )]
    CameraAspect {
        /// As given.
        aspect: f64,
    },
    /// Lines and zones do not work with frames of this shape.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
}

/// A frame that got no answer of its own. The session goes on; the next frame may be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The frame is not of the size that the session was made for. Whoever sends frames is at fault.
    #[error("a frame of {width}x{height} pixels came, {expected_width}x{expected_height} was announced")]
    FrameSize {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// Width as announced.
        expected_width: u32,
        /// Height as announced.
        expected_height: u32,
    },
    /// The detector failed.
    #[error("looking for people failed")]
    Detect(#[from] DetectError),
    /// The detector gave no list for the frame, against its contract.
    #[error("the model '{model}' gave no answer for the frame")]
    NoAnswer {
        /// Name of the model.
        model: String,
    },
    /// The tracker refused the frame.
    #[error("following people failed")]
    Track(#[from] TrackerError),
    /// The rules of lines and zones refused the frame.
    #[error("judging lines and zones failed")]
    Judge(#[from] EngineError),
}

impl ProcessError {
    /// Whether later frames of the same sender may well succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::FrameSize { .. } | Self::NoAnswer { .. } => false,
            Self::Detect(error) => error.is_transient(),
            Self::Track(_) | Self::Judge(_) => true,
        }
    }
}

/// People, lines and zones of one camera.
///
/// Nothing here knows a clock, a wire or a thread; calls block while the detector runs. What happens is decided by
/// the frames and their times alone: the same frames give the same inferences, ids included.
///
/// ```
/// use lva_inference::{
///     BoundingBox, DetectError, Detection, Detector, DetectorInfo, Frame, ImageView, PixelFormat,
/// };
/// use lva_spatial_analysis::{AnalysisOptions, OperationConfig, SpatialAnalysis};
///
/// /// Sees one person who walks from left to right.
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
/// let config = OperationConfig::from_json(r#"{"lines": [{"name": "gate", "start": [0.5, 1], "end": [0.5, 0]}]}"#)?;
/// let walker = Walker(DetectorInfo::new("walker", 64, 36), 0.0);
/// let mut analysis = SpatialAnalysis::new(walker, &config, (64, 36), AnalysisOptions::default(), 1)?;
///
/// let pixels = vec![0; 64 * 36 * 3];
/// let frame = Frame::Host(ImageView::packed(&pixels, 64, 36, PixelFormat::Bgr24)?);
/// let mut told = Vec::new();
/// for n in 0..45 {
///     told.extend(analysis.process(frame, n * 6000)?); // 15 frames a second
/// }
/// assert_eq!(told.len(), 2); // the person, then the event
/// assert_eq!(analysis.stats().line_crossings, 1);
/// # Ok(())
/// # }
/// ```
pub struct SpatialAnalysis<D> {
    detector: D,
    width: u32,
    height: u32,
    people: People,
    content: Content,
    tracker: Tracker,
    engine: Engine,
    reporter: Reporter,
    calibration: Option<Calibration>,
    entities: Entities,
    newest: Option<u64>,
    stats: AnalysisStats,
}

impl<D: Detector> fmt::Debug for SpatialAnalysis<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpatialAnalysis")
            .field("detector", self.detector.info())
            .field("width", &self.width)
            .field("height", &self.height)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

/// The search for the ground, by the people that are seen.
#[derive(Debug)]
struct Calibration {
    calibrator: Calibrator,
    /// When it is tried next.
    next: Option<u64>,
}

/// Between two attempts, in ticks: an attempt takes some tens of milliseconds.
const CALIBRATION_INTERVAL: u64 = 30 * 90_000;

/// Residual above which a calibration is not believed.
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

    /// Looks at the people of a frame; the ground, once they tell it.
    fn look(&mut self, now: u64, people: &[lva_zones::Observation]) -> Option<Ground> {
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

/// Which of a detector's classes are people.
#[derive(Debug, Clone, Copy)]
enum People {
    /// The detector names no classes: it is one for people.
    All,
    Class(u16),
}

impl People {
    fn of(info: &DetectorInfo) -> Result<Self, BeginError> {
        if info.class_names.is_empty() {
            return Ok(Self::All);
        }
        let index = info
            .class_names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(PERSON));
        let class = index.and_then(|index| u16::try_from(index).ok());
        class.map(Self::Class).ok_or_else(|| BeginError::NoPersonClass {
            model: info.model.clone(),
            classes: info.class_names.len(),
        })
    }

    fn includes(self, class: u16) -> bool {
        match self {
            Self::All => true,
            Self::Class(person) => class == person,
        }
    }
}

impl<D: Detector> SpatialAnalysis<D> {
    /// A session for frames of `size` (width, height) in pixels.
    ///
    /// `id_seed` decides the ids of its inferences: sessions whose messages meet anywhere need different ones.
    ///
    /// # Errors
    ///
    /// [`BeginError`]; a retry does not help.
    pub fn new(
        detector: D,
        config: &OperationConfig,
        size: (u32, u32),
        options: AnalysisOptions,
        id_seed: u64,
    ) -> Result<Self, BeginError> {
        let (width, height) = size;
        let people = People::of(detector.info())?;
        let frame_aspect = f64::from(width) / f64::from(height);
        let possible = |aspect: f64| (0.01..=100.0).contains(&aspect);
        if !possible(frame_aspect) {
            return Err(BeginError::FrameSize { width, height });
        }
        let (aspect, content) = match options.camera_aspect {
            None => (frame_aspect, Content::WHOLE),
            Some(aspect) if possible(aspect) => (aspect, Content::centred(aspect, frame_aspect)),
            Some(aspect) => return Err(BeginError::CameraAspect { aspect }),
        };
        let scene = config.scene(SceneOptions {
            aspect,
            ..options.scene
        })?;
        let tracker = config.tracker(TrackerOptions {
            aspect,
            ..options.tracker
        });
        let calibration = (config.calibrates() && scene.needs_ground() && scene.ground().is_none())
            .then(|| Calibration::new(aspect));
        Ok(Self {
            detector,
            width,
            height,
            people,
            content,
            tracker: Tracker::new(tracker),
            engine: Engine::new(scene),
            reporter: Reporter::new(options.profile, IdSource::new(id_seed)),
            calibration,
            entities: options.entities,
            newest: None,
            stats: AnalysisStats {
                sessions: 1,
                ..AnalysisStats::default()
            },
        })
    }

    /// Looks at a frame taken at `timestamp_90k`, in ticks of 1/90000 s since 1970.
    ///
    /// Entities come first, then events; no inferences is the usual answer. A frame up to two seconds older than the
    /// newest is left out; an older one means that the clock has jumped back, and everybody is forgotten. Both are
    /// counted. A frame of the same time as the one before tells nothing new.
    ///
    /// # Errors
    ///
    /// [`ProcessError`]: nobody has moved then, and the next frame may be given.
    pub fn process(&mut self, frame: Frame<'_>, timestamp_90k: u64) -> Result<Vec<Inference>, ProcessError> {
        self.stats.frames += 1;
        let answer = self.look(frame, timestamp_90k);
        self.stats.failed_frames += u64::from(answer.is_err());
        answer
    }

    fn look(&mut self, frame: Frame<'_>, timestamp_90k: u64) -> Result<Vec<Inference>, ProcessError> {
        if let Frame::Host(view) = &frame
            && (view.width(), view.height()) != (self.width, self.height)
        {
            return Err(ProcessError::FrameSize {
                width: view.width(),
                height: view.height(),
                expected_width: self.width,
                expected_height: self.height,
            });
        }
        match self.newest {
            Some(newest) if timestamp_90k < newest && newest - timestamp_90k <= LATE => {
                self.stats.late_frames += 1;
                return Ok(Vec::new());
            }
            Some(newest) if timestamp_90k < newest => {
                self.stats.restarts += 1;
                self.forget_everybody();
            }
            _ => {}
        }
        let found = self.detector.detect(&[frame])?.pop();
        let found = found.ok_or_else(|| ProcessError::NoAnswer {
            model: self.detector.info().model.clone(),
        })?;
        self.judge(timestamp_90k, &found)
    }

    /// What follows from detections: identities, events, inferences.
    fn judge(&mut self, timestamp_90k: u64, found: &[Detection]) -> Result<Vec<Inference>, ProcessError> {
        let people: Vec<_> = found
            .iter()
            .filter(|found| self.people.includes(found.class))
            .map(|found| lva_zones::Detection {
                bbox: self.content.to_camera(&found.bbox),
                class: found.class,
                score: found.score,
            })
            .collect();
        self.stats.people += people.len() as u64;
        self.stats.other_classes += (found.len() - people.len()) as u64;
        let people = self.tracker.update(timestamp_90k, &people)?;
        self.newest = Some(timestamp_90k);
        if let Some(calibration) = &mut self.calibration
            && let Some(ground) = calibration.look(timestamp_90k, &people)
        {
            self.engine.set_ground(Some(ground));
            self.calibration = None;
        }
        let events = self.engine.update(timestamp_90k, &people)?;
        for event in &events {
            self.stats.count_event(event);
        }
        let mut inferences = match self.entities {
            Entities::OfEvents => self.reporter.report(&events),
            Entities::EveryFrame => {
                let placed: Vec<_> = people.iter().map(|person| self.engine.placed(person)).collect();
                self.reporter.report_with_people(&placed, &events)
            }
        };
        for bbox in inferences.iter_mut().filter_map(Inference::bounding_box_mut) {
            self.content.to_frame(bbox);
        }
        Ok(inferences)
    }

    /// Forgets everybody and the time, visits without exit too: for a new recording on the same session.
    pub fn forget_everybody(&mut self) {
        self.tracker.reset();
        self.engine.reset();
        self.newest = None;
    }

    /// People inside a zone now, by its name; those lost a moment ago too. `None`: no such zone.
    pub fn occupancy(&self, zone: &str) -> Option<usize> {
        self.engine.occupancy(zone)
    }

    /// The detector.
    pub fn detector(&self) -> &D {
        &self.detector
    }

    /// Counts since the session began.
    pub fn stats(&self) -> AnalysisStats {
        self.stats
    }

    /// What the tracker left out.
    pub fn tracker_stats(&self) -> TrackerStats {
        self.tracker.stats()
    }

    /// What the rules of lines and zones left out.
    pub fn engine_stats(&self) -> EngineStats {
        self.engine.stats()
    }
}
