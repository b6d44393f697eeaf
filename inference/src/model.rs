//! Descriptions of models: everything about a network that its file does not contain.

pub(crate) mod class_names;
pub(crate) mod family;
pub(crate) mod image_input;

use std::sync::Arc;

use crate::preprocess::InputSpec;
pub use class_names::{COCO_CLASS_NAMES, ClassSelector};
pub use family::{ModelFamily, UnknownFamily};
pub use image_input::InputError;

/// Largest side of a model's input in pixels.
pub const MAX_INPUT_SIDE: u32 = 4096;

/// Largest batch that can be asked for.
pub const MAX_BATCH: usize = 256;

/// The description of a network: input, family, class names and thresholds.
///
/// ```
/// use lva_inference::ModelSpec;
///
/// let people = ModelSpec::fastest_det()
///     .with_classes_kept(["person"])
///     .with_score_threshold(0.5);
/// # assert!(people.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    pub(crate) name: String,
    pub(crate) family: ModelFamily,
    pub(crate) input: InputSpec,
    pub(crate) class_names: Arc<[String]>,
    pub(crate) classes_kept: Option<Vec<ClassSelector>>,
    pub(crate) score_threshold: f32,
    pub(crate) nms_threshold: f32,
    pub(crate) nms_across_classes: bool,
    pub(crate) largest_batch: usize,
}

impl ModelSpec {
    /// A model of a family at an input size, with the preprocessing, classes and thresholds of the family's published
    /// models.
    pub fn of_family(family: ModelFamily, name: impl Into<String>, width: u32, height: u32) -> Self {
        let defaults = family.defaults();
        Self {
            name: name.into(),
            family,
            input: family.input(width, height),
            class_names: class_names::usual(family, None).into(),
            classes_kept: None,
            score_threshold: defaults.score,
            nms_threshold: defaults.overlap,
            nms_across_classes: defaults.across_classes,
            largest_batch: 1,
        }
    }

    /// A model with this project's own head: RGB 0..=1, letterboxed centred on grey 114, the one class
    /// `person`, score from 0.4, overlap 0.5.
    pub fn person_grid(name: impl Into<String>, width: u32, height: u32) -> Self {
        Self::of_family(ModelFamily::PersonGrid, name, width, height)
    }

    /// The detector of drawn people that belongs to this project: 640 × 384, score from 0.55, overlap 0.45.
    pub fn plaza_person() -> Self {
        Self::person_grid("plaza-person", 640, 384)
            .with_score_threshold(0.55)
            .with_nms_threshold(0.45)
    }

    /// FastestDet as its authors published it: 352 × 352, BGR 0..=1, stretched, the 80 classes of COCO, score
    /// from 0.65, overlap 0.45.
    pub fn fastest_det() -> Self {
        Self::of_family(ModelFamily::FastestDet, "FastestDet", 352, 352)
    }

    /// A name for logs and messages.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Another input than the family's usual one, for a model trained with other sizes or preprocessing.
    #[must_use]
    pub fn with_input(mut self, input: InputSpec) -> Self {
        self.input = input;
        self
    }

    /// Lowest score of a detection, 0..=1. Too low: false detections, and time spent on sorting them; too high: people
    /// at the far end of the scene are missed.
    #[must_use]
    pub fn with_score_threshold(mut self, score: f32) -> Self {
        self.score_threshold = score;
        self
    }

    /// Threshold of non-maximum suppression: the intersection over union, 0..=1, from which the weaker of two boxes
    /// counts as the same object. Too low: people next to each other become one; too high: one person becomes two. 1 is
    /// the default of families whose networks suppress by themselves.
    #[must_use]
    pub fn with_nms_threshold(mut self, overlap: f32) -> Self {
        self.nms_threshold = overlap;
        self
    }

    /// Whether boxes of different classes suppress each other. Default: for FastestDet, whose authors do so; elsewhere a
    /// person on a bicycle stays beside the bicycle.
    #[must_use]
    pub fn with_nms_across_classes(mut self, across: bool) -> Self {
        self.nms_across_classes = across;
        self
    }

    /// Names of the classes in the order of the model's output; their number must be the model's.
    #[must_use]
    pub fn with_class_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.class_names = names.into_iter().map(Into::into).collect();
        self
    }

    /// Reports these classes only, by name or index. Default: all.
    ///
    /// Other classes are dropped before non-maximum suppression: a false `tvmonitor` hides no person.
    #[must_use]
    pub fn with_classes_kept(mut self, classes: impl IntoIterator<Item = impl Into<ClassSelector>>) -> Self {
        self.classes_kept = Some(classes.into_iter().map(Into::into).collect());
        self
    }

    /// Most frames to run at once, 1..=[`MAX_BATCH`]. Default: 1.
    ///
    /// It matters on a GPU. On a CPU a batch costs as much as its frames one by one and delays the first.
    /// Memory grows by one input tensor (12 bytes a pixel) and the network's own intermediates a frame. A
    /// model whose file fixes the batch size ignores this value.
    #[must_use]
    pub fn with_largest_batch(mut self, frames: usize) -> Self {
        self.largest_batch = frames;
        self
    }

    /// Name of the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How its output is read.
    pub fn family(&self) -> ModelFamily {
        self.family
    }

    /// What its input looks like.
    pub fn input(&self) -> &InputSpec {
        &self.input
    }

    /// Names of its classes by index.
    pub fn class_names(&self) -> &Arc<[String]> {
        &self.class_names
    }

    /// Least score of a detection.
    pub fn score_threshold(&self) -> f32 {
        self.score_threshold
    }

    /// Threshold of non-maximum suppression.
    pub fn nms_threshold(&self) -> f32 {
        self.nms_threshold
    }

    /// Most frames at once, where the model's file leaves it open.
    pub fn largest_batch(&self) -> usize {
        self.largest_batch
    }

    /// Checks that the description is consistent. Loading a detector and creating an
    /// [`OutputDecoder`](crate::OutputDecoder) do this first.
    ///
    /// # Errors
    ///
    /// [`SpecError`] names the first problem. The author of the description has to fix it.
    pub fn check(&self) -> Result<(), SpecError> {
        let (width, height, cell) = (self.input.width, self.input.height, self.family.cell());
        let side_fits = |side: u32| (1..=MAX_INPUT_SIDE).contains(&side) && side.is_multiple_of(cell);
        if !side_fits(width) || !side_fits(height) {
            return Err(SpecError::InputSize { width, height, cell });
        }
        let deviations_work = self.input.deviation.iter().all(|d| d.is_normal());
        let means_work = self.input.mean.iter().all(|m| m.is_finite());
        if !(deviations_work && means_work && self.input.scale.is_finite()) {
            return Err(SpecError::Normalisation);
        }
        for (threshold, value) in [("score", self.score_threshold), ("nms", self.nms_threshold)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(SpecError::Threshold { threshold, value });
            }
        }
        let classes = self.class_names.len();
        // Class indices are 16 bits wide.
        let most = if self.family.has_one_class() {
            1
        } else {
            usize::from(u16::MAX)
        };
        let classes_fit = (1..=most).contains(&classes);
        if !classes_fit {
            return Err(SpecError::ClassCount {
                family: self.family,
                found: classes,
            });
        }
        if !(1..=MAX_BATCH).contains(&self.largest_batch) {
            return Err(SpecError::LargestBatch {
                found: self.largest_batch,
            });
        }
        self.kept_by_class().map(drop)
    }

    /// Indices of the classes that are reported; `None` for all.
    #[cfg(any(feature = "rten", feature = "ort", feature = "kserve", test))]
    pub(crate) fn classes_kept_by_index(&self) -> Result<Option<Arc<[u16]>>, SpecError> {
        if self.classes_kept.is_none() {
            return Ok(None);
        }
        let kept = self.kept_by_class()?;
        let indices = (0..)
            .zip(kept)
            .filter_map(|(class, is_kept)| is_kept.then_some(class));
        Ok(Some(indices.collect()))
    }

    /// For each class whether it is reported.
    pub(crate) fn kept_by_class(&self) -> Result<Vec<bool>, SpecError> {
        let Some(selectors) = &self.classes_kept else {
            return Ok(vec![true; self.class_names.len()]);
        };
        let mut kept = vec![false; self.class_names.len()];
        for selector in selectors {
            let index = selector.find(&self.class_names);
            let flag = index.and_then(|i| kept.get_mut(i));
            *flag.ok_or_else(|| SpecError::UnknownClass {
                class: selector.clone(),
            })? = true;
        }
        Ok(kept)
    }
}

/// Why a description is invalid. Its author has to fix it; a retry does not help.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The input's size does not suit the family.
    #[error(
        "an input of {width}x{height} pixels does not suit the model family: \
         sides are multiples of {cell}, at most {MAX_INPUT_SIDE}"
    )]
    InputSize {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Pixels a side of one cell of the output.
        cell: u32,
    },
    /// Scale, mean or deviation make no finite numbers.
    #[error("scale and means must be finite numbers, deviations finite and not 0")]
    Normalisation,
    /// A threshold lies outside 0..=1.
    #[error("the {threshold} threshold must be in 0..=1, not {value}")]
    Threshold {
        /// Which one: `score` or `nms`.
        threshold: &'static str,
        /// The value as given.
        value: f32,
    },
    /// The number of class names does not suit the family.
    #[error(
        "{found} class names do not suit the model family {family}: configure one name for each class of the model"
    )]
    ClassCount {
        /// The family.
        family: ModelFamily,
        /// Names that were given.
        found: usize,
    },
    /// The largest batch is zero or above [`MAX_BATCH`].
    #[error("the largest batch must be in 1..={MAX_BATCH}, not {found}")]
    LargestBatch {
        /// The number as given.
        found: usize,
    },
    /// The model does not have a class to keep.
    #[error("the model has no class {class}: check its class names")]
    UnknownClass {
        /// The class as asked for.
        class: ClassSelector,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_models_are_valid() {
        assert_eq!(ModelSpec::plaza_person().check(), Ok(()));
        assert_eq!(ModelSpec::fastest_det().check(), Ok(()));
    }

    #[test]
    fn each_fault_is_named() {
        let spec = ModelSpec::fastest_det;
        let check = |spec: ModelSpec| spec.check().unwrap_err();
        assert!(matches!(
            check(spec().with_input(InputSpec::new(350, 352))),
            SpecError::InputSize { .. }
        ));
        assert!(matches!(
            check(spec().with_input(InputSpec::new(0, 352))),
            SpecError::InputSize { .. }
        ));
        let flat = InputSpec::new(352, 352).with_mean_and_deviation([0.0; 3], [1.0, 0.0, 1.0]);
        assert!(matches!(check(spec().with_input(flat)), SpecError::Normalisation));
        let nan = check(spec().with_score_threshold(f32::NAN));
        assert!(matches!(
            nan,
            SpecError::Threshold {
                threshold: "score",
                ..
            }
        ));
        let above = check(spec().with_nms_threshold(1.5));
        assert!(matches!(above, SpecError::Threshold { threshold: "nms", .. }));
        assert!(matches!(
            check(spec().with_class_names([""; 0])),
            SpecError::ClassCount { found: 0, .. }
        ));
        let two = ModelSpec::plaza_person().with_class_names(["a", "b"]);
        assert!(matches!(check(two), SpecError::ClassCount { found: 2, .. }));
        assert!(matches!(
            check(spec().with_largest_batch(0)),
            SpecError::LargestBatch { found: 0 }
        ));
        let unknown = check(spec().with_classes_kept(["persona"]));
        assert_eq!(
            unknown.to_string(),
            "the model has no class 'persona': check its class names"
        );
        assert!(matches!(
            check(spec().with_classes_kept([80u16])),
            SpecError::UnknownClass { .. }
        ));
    }

    #[test]
    fn kept_classes_by_name_and_index() {
        let spec = ModelSpec::fastest_det().with_classes_kept([ClassSelector::from("dog"), 0.into()]);
        let kept = spec.kept_by_class().unwrap();
        let found: Vec<_> = (0..80).filter(|&i| kept[i]).collect();
        assert_eq!(found, [0, 16]);
        let indices = spec.classes_kept_by_index().unwrap();
        assert_eq!(indices.as_deref(), Some(&[0, 16][..]));
        assert_eq!(ModelSpec::fastest_det().classes_kept_by_index().unwrap(), None);
    }
}
