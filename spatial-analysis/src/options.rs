//! How a session works, beyond what it watches.

use lva_zones::{EventProfile, SceneOptions, TrackerOptions};

/// Which people an answer tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Entities {
    /// Only those who did something, with the event; a frame without event is acknowledged empty. The default, and
    /// what opens a signal gate at the right moments: every inference that reaches a gate's event input opens it.
    #[default]
    OfEvents,
    /// Everybody in every frame. Behind a signal gate this holds the gate open as long as anybody is to be seen.
    EveryFrame,
}

/// Settings of a session. The defaults are those of the tutorial, for boxes as detectors give them: they jitter, and now
/// and then somebody has two.
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
            // Chosen on drawn scenes with the embedded detector at 15 frames a second: a shorter hold finds more of
            // the short visits, and second boxes of somebody inside seldom last for 600 ms.
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
    /// In which of the published forms events are told. Default: [`EventProfile::Tutorial2020`].
    #[must_use]
    pub fn with_profile(mut self, profile: EventProfile) -> Self {
        self.profile = profile;
        self
    }

    /// Which people answers tell of. Default: [`Entities::OfEvents`].
    #[must_use]
    pub fn with_entities(mut self, entities: Entities) -> Self {
        self.entities = entities;
        self
    }

    /// Settings of the tracker; the aspect is overwritten by that of the frames. Detections that the detector itself
    /// holds back reach no tracker: with a detector's threshold above [`TrackerOptions::low_score`], that threshold
    /// is the one that counts.
    #[must_use]
    pub fn with_tracker(mut self, tracker: TrackerOptions) -> Self {
        self.tracker = tracker;
        self
    }

    /// Hold times, grace after loss and jump-through of lines and zones; the aspect is overwritten by that of the
    /// frames. Default: a hold of 100 ms, 600 ms for who appears inside a zone, and else those of [`SceneOptions`].
    #[must_use]
    pub fn with_scene(mut self, scene: SceneOptions) -> Self {
        self.scene = scene;
        self
    }

    /// Says that frames are padded: the camera's picture, `aspect` times as wide as high, lies centred between two
    /// bars, and zones and lines are fractions of it rather than of the frame. Default: frames have no bars.
    ///
    /// Without it, zones at the edge of a 1920 × 1080 camera padded to 1408 × 786 lie off by 0.4 % of the width; in
    /// a square frame by a fifth of its height. The boxes of answers stay those of the frame as sent, as the
    /// contract wants: the client maps them back. Values outside 0.01 to 100 make a session fail when it begins.
    #[must_use]
    pub fn with_camera_aspect(mut self, aspect: f64) -> Self {
        self.camera_aspect = Some(aspect);
        self
    }
}
