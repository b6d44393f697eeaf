//! Settings of a session besides its operation.

use lva_zones::report::EventProfile;
use lva_zones::{SceneOptions, TrackerOptions};

/// The people in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Entities {
    /// Only the people of events; a frame without events has an empty answer. The default, and right for a signal gate: every
    /// inference that reaches a gate's event input opens it.
    #[default]
    OfEvents,
    /// All people in every frame. In front of a signal gate this keeps the gate open as long as people are visible.
    EveryFrame,
    /// Those of events as ever, and all others marked as preview; events with their reasons. For a client that takes both out
    /// before they cause anything, see [`Inference::is_preview`](lva_inference_schema::Inference::is_preview).
    Preview,
}

/// Settings of a session. The defaults are those of the tutorial, for the boxes of real detectors, which jitter and are
/// sometimes duplicated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnalysisOptions {
    pub(crate) profile: EventProfile,
    pub(crate) entities: Entities,
    pub(crate) tracker: TrackerOptions,
    pub(crate) scene: SceneOptions,
    pub(crate) camera_aspect: Option<f64>,
}

impl Default for AnalysisOptions {
    fn default() -> Self {
        Self {
            profile: EventProfile::default(),
            entities: Entities::default(),
            tracker: TrackerOptions::default(),
            // Chosen on drawn scenes with the embedded detector at 15 frames a second: a shorter hold finds more of the
            // short visits, and duplicate boxes inside a zone seldom last for 600 ms.
            scene: SceneOptions {
                hold_ms: 100,
                appear_ms: 600,
                ..SceneOptions::default()
            },
            camera_aspect: None,
        }
    }
}

impl AnalysisOptions {
    /// The published form of events. Default: [`EventProfile::Tutorial2020`].
    #[must_use]
    pub fn with_profile(mut self, profile: EventProfile) -> Self {
        self.profile = profile;
        self
    }

    /// The people in answers. Default: [`Entities::OfEvents`].
    #[must_use]
    pub fn with_entities(mut self, entities: Entities) -> Self {
        self.entities = entities;
        self
    }

    /// Settings of the tracker; the aspect is replaced by that of the frames. The tracker only sees what the detector returns:
    /// a detector threshold above [`TrackerOptions::low_score`] takes precedence.
    #[must_use]
    pub fn with_tracker(mut self, tracker: TrackerOptions) -> Self {
        self.tracker = tracker;
        self
    }

    /// Hold times, lost timeout and jump-through of lines and zones; the aspect is replaced by that of the frames. Default: a
    /// hold of 100 ms, 600 ms for people who appear inside a zone, and otherwise those of [`SceneOptions`].
    #[must_use]
    pub fn with_scene(mut self, scene: SceneOptions) -> Self {
        self.scene = scene;
        self
    }

    /// Settings of the tracker.
    pub fn tracker(&self) -> TrackerOptions {
        self.tracker
    }

    /// Settings of lines and zones.
    pub fn scene(&self) -> SceneOptions {
        self.scene
    }

    /// For padded frames: the camera's picture, `aspect` times as wide as high, is centred between two bars, and zones and
    /// lines are fractions of the picture rather than of the frame. Default: frames have no bars.
    ///
    /// Without it, zones at the edge of a 1920 × 1080 camera padded to 1408 × 786 are off by 0.4 % of the width; in a square
    /// frame by a fifth of its height. The boxes of answers refer to the frame as sent, as the contract demands: the client
    /// maps them back. A session does not start with values outside 0.01 to 100.
    #[must_use]
    pub fn with_camera_aspect(mut self, aspect: f64) -> Self {
        self.camera_aspect = Some(aspect);
        self
    }
}
