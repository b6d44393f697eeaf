//! From a network's output to detections: pure functions, one file for each family.

mod detectnet;
mod detr;
mod fastest_det;
mod fastest_v2;
mod finished;
mod found;
mod nanodet;
mod nms;
mod paddle;
mod person_grid;
mod shapes;
mod tensorflow;
mod tiny_yolov3;
mod yolo_nas;
mod yolo_rows;
mod yolov8;

use crate::letterbox::LetterboxTransform;
use crate::model::{ModelFamily, ModelSpec, SpecError};
pub(crate) use found::Candidate;
use found::Found;
use lva_media_types::Detection;
use nms::suppress;

/// Most boxes of one frame that enter non-maximum suppression; of more, the best are taken.
///
/// It bounds the time for a frame on which a model misbehaves: at most half a million comparisons.
pub const MAX_CANDIDATES: usize = 1024;

/// One output of a network, borrowed: row-major, last dimension fastest.
#[derive(Debug, Clone, Copy)]
pub struct OutputView<'a> {
    /// Size of each dimension, the batch first.
    pub shape: &'a [usize],
    /// The values, as many as the product of the shape.
    pub data: &'a [f32],
}

/// Decodes the outputs of one model by its description.
///
/// Useful by itself for networks that run elsewhere; the detectors of this crate contain one. A family with several
/// outputs takes them in the order in which [`ModelFamily`] names them, integers as floats.
#[derive(Debug, Clone)]
pub struct OutputDecoder {
    family: ModelFamily,
    rules: Rules,
    nms_threshold: f32,
    nms_across_classes: bool,
    /// Boxes of one frame, reused from frame to frame.
    found: Found,
}

/// What the decoders of all families go by.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    input_width: usize,
    input_height: usize,
    classes: usize,
}

impl OutputDecoder {
    /// A decoder for this description.
    ///
    /// # Errors
    ///
    /// Those of [`ModelSpec::check`].
    pub fn new(spec: &ModelSpec) -> Result<Self, SpecError> {
        spec.check()?;
        Ok(Self {
            family: spec.family,
            rules: Rules {
                input_width: spec.input.width as usize,
                input_height: spec.input.height as usize,
                classes: spec.class_names.len(),
            },
            nms_threshold: spec.nms_threshold,
            nms_across_classes: spec.nms_across_classes,
            found: Found::new(spec.kept_by_class()?, spec.score_threshold),
        })
    }

    /// The detections of every frame of a batch, best score first, in fractions of the frame.
    ///
    /// `transforms[i]` is the position of frame `i` in the input. There may be fewer transforms than rows: the other
    /// rows are padding. Values that are not finite are ignored, and boxes without area inside the frame are dropped.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when number, shape or length of the outputs is not the family's.
    pub fn decode(
        &mut self,
        outputs: &[OutputView<'_>],
        transforms: &[LetterboxTransform],
    ) -> Result<Vec<Vec<Detection>>, DecodeError> {
        let frames = self.frames(outputs)?;
        if frames.is_some_and(|frames| frames < transforms.len()) {
            return Err(DecodeError::BatchSize {
                expected: transforms.len(),
                found: frames.unwrap_or_default(),
            });
        }
        let decoded = transforms.iter().enumerate().map(|(frame, transform)| {
            self.found.begin();
            read(self.family, &self.rules, outputs, frame, &mut self.found);
            let boxes = &mut self.found.boxes;
            suppress(boxes, self.nms_threshold, self.nms_across_classes);
            boxes
                .iter()
                .filter_map(|found| finish(found, transform))
                .collect()
        });
        Ok(decoded.collect())
    }

    /// Checks that there are `rows` results, every value is finite and every score is in 0..=1, as loading requires for
    /// a grey frame. Another score means that the model belongs to another family or lacks its last sigmoid.
    ///
    /// Answers all boxes of the first frame, whatever their scores.
    #[cfg(any(feature = "rten", feature = "ort", feature = "kserve"))]
    pub(crate) fn check_values(
        &self,
        outputs: &[OutputView<'_>],
        rows: usize,
    ) -> Result<Vec<Candidate>, DecodeError> {
        let frames = self.frames(outputs)?;
        if let Some(found) = frames.filter(|&frames| frames != rows) {
            return Err(DecodeError::BatchSize {
                expected: rows,
                found,
            });
        }
        if !outputs
            .iter()
            .all(|output| output.data.iter().all(|v| v.is_finite()))
        {
            return Err(DecodeError::NotFinite);
        }
        let mut first = Vec::new();
        for frame in 0..rows {
            let mut found = self.found.trial();
            read(self.family, &self.rules, outputs, frame, &mut found);
            // Tolerance for the rounding of a sigmoid in low precision.
            if let Some(value) = found.out_of_range {
                return Err(DecodeError::ScoreRange { value });
            }
            if frame == 0 {
                first = found.boxes;
            }
        }
        Ok(first)
    }

    /// Checks the shapes; the number of frames, if they hold it.
    fn frames(&self, outputs: &[OutputView<'_>]) -> Result<Option<usize>, DecodeError> {
        let rules = &self.rules;
        match self.family {
            ModelFamily::PersonGrid => person_grid::frames(rules, outputs),
            ModelFamily::FastestDet => fastest_det::frames(rules, outputs),
            ModelFamily::YoloV8 => yolov8::frames(rules, outputs),
            ModelFamily::YoloV5 | ModelFamily::YoloV7 | ModelFamily::YoloXDecoded => {
                yolo_rows::frames(rules, outputs)
            }
            ModelFamily::YoloX => yolo_rows::frames_of_grids(rules, outputs),
            ModelFamily::EndToEnd => finished::frames_of_six(outputs),
            ModelFamily::YoloV7EndToEnd | ModelFamily::YoloNasFlat => finished::frames_of_seven(outputs),
            ModelFamily::DetectionOutput => finished::frames_of_detection_output(outputs),
            ModelFamily::YoloNas => yolo_nas::frames(outputs),
            ModelFamily::YoloNasRaw => yolo_nas::frames_raw(rules, outputs),
            ModelFamily::NanoDetPlus => nanodet::frames_plus(rules, outputs),
            ModelFamily::NanoDet => nanodet::frames(rules, nanodet::OLD_STRIDES, outputs),
            ModelFamily::PicoDetRaw => nanodet::frames(rules, nanodet::PICO_STRIDES, outputs),
            ModelFamily::Paddle => paddle::frames(outputs),
            ModelFamily::YoloFastestV2 => fastest_v2::frames(rules, outputs),
            ModelFamily::TensorFlow => tensorflow::frames(outputs),
            ModelFamily::TinyYoloV3 => tiny_yolov3::frames(rules, outputs),
            ModelFamily::RtDetr => detr::frames_of_boxes(outputs),
            ModelFamily::RfDetr => detr::frames_of_logits(rules, outputs),
            ModelFamily::DetectNetV2 => detectnet::frames(rules, outputs),
        }
    }
}

/// Reads the boxes of one frame from outputs whose shapes were checked.
fn read(family: ModelFamily, rules: &Rules, outputs: &[OutputView<'_>], frame: usize, found: &mut Found) {
    match family {
        ModelFamily::PersonGrid => person_grid::read(outputs, frame, found),
        ModelFamily::FastestDet => fastest_det::read(rules, outputs, frame, found),
        ModelFamily::YoloV8 => yolov8::read(rules, outputs, frame, found),
        ModelFamily::YoloV5 | ModelFamily::YoloXDecoded => {
            yolo_rows::read(rules, outputs, frame, false, found)
        }
        ModelFamily::YoloV7 => yolo_rows::read(rules, outputs, frame, rules.classes == 1, found),
        ModelFamily::YoloX => yolo_rows::read_grids(rules, outputs, frame, found),
        ModelFamily::EndToEnd => finished::read_six(outputs, frame, found),
        ModelFamily::YoloV7EndToEnd => finished::read_seven(outputs, frame, [5, 6], found),
        ModelFamily::YoloNasFlat => finished::read_seven(outputs, frame, [6, 5], found),
        ModelFamily::DetectionOutput => finished::read_detection_output(rules, outputs, frame, found),
        ModelFamily::YoloNas => yolo_nas::read(outputs, frame, found),
        ModelFamily::YoloNasRaw => yolo_nas::read_raw(rules, outputs, frame, found),
        ModelFamily::NanoDetPlus => nanodet::read_plus(rules, outputs, frame, found),
        ModelFamily::NanoDet => nanodet::read(rules, nanodet::OLD_STRIDES, outputs, frame, found),
        ModelFamily::PicoDetRaw => nanodet::read(rules, nanodet::PICO_STRIDES, outputs, frame, found),
        ModelFamily::Paddle => paddle::read(outputs, frame, found),
        ModelFamily::YoloFastestV2 => fastest_v2::read(rules, outputs, frame, found),
        ModelFamily::TensorFlow => tensorflow::read(rules, outputs, frame, found),
        ModelFamily::TinyYoloV3 => tiny_yolov3::read(outputs, frame, found),
        ModelFamily::RtDetr => detr::read_boxes(outputs, frame, found),
        ModelFamily::RfDetr => detr::read_logits(rules, outputs, frame, found),
        ModelFamily::DetectNetV2 => detectnet::read(rules, outputs, frame, found),
    }
}

fn finish(candidate: &Candidate, transform: &LetterboxTransform) -> Option<Detection> {
    let bbox = transform.to_frame(candidate.edges);
    let keep = bbox.width > 0.0 && bbox.height > 0.0;
    keep.then_some(Detection {
        bbox,
        class: candidate.class,
        score: candidate.score,
    })
}

fn sigmoid(v: f32) -> f32 {
    1.0 / (1.0 + (-v).exp())
}

/// Why an output cannot be decoded. The description or the model is at fault; a retry does not help.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The number of outputs does not match the family.
    #[error(
        "the model family has {expected} outputs, but the model returned {found}: check the model family"
    )]
    OutputCount {
        /// Outputs of the family.
        expected: usize,
        /// Outputs of the model.
        found: usize,
    },
    /// The shape does not match input size, family and class names.
    #[error(
        "an output of shape {expected} was expected, but the model returned {found:?}: \
         check model family, input size and number of class names"
    )]
    Shape {
        /// Sizes of the family, with names for those that are open.
        expected: String,
        /// Shape of the model's output.
        found: Vec<usize>,
    },
    /// The number of values does not match the shape.
    #[error("an output of shape {shape:?} cannot hold {found} values")]
    Length {
        /// The shape.
        shape: Vec<usize>,
        /// Values found.
        found: usize,
    },
    /// Fewer results than frames.
    #[error(
        "the model returned results for {found} frames of a batch of {expected}: check whether it fixes its batch size"
    )]
    BatchSize {
        /// Frames in the batch.
        expected: usize,
        /// Frames that have a result.
        found: usize,
    },
    /// Some values are infinite or not numbers.
    #[error(
        "the model returned values that are not finite numbers: check whether the file is damaged or its precision too low"
    )]
    NotFinite,
    /// A score lies outside 0..=1.
    #[error(
        "the model returned a score of {value}, but scores are in 0..=1: check the model family, and whether it was exported without its sigmoid"
    )]
    ScoreRange {
        /// The first such score.
        value: f32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letterbox::Fit;
    use crate::preprocess::InputSpec;
    use proptest::prelude::*;

    fn small() -> OutputDecoder {
        OutputDecoder::new(&ModelSpec::person_grid("small", 16, 8)).unwrap()
    }

    #[test]
    fn wrong_outputs_are_named() {
        let mut decoder = small();
        let place = [Fit::Stretch.place((16, 8), (16, 8))];
        let data = [0.0; 10];
        let mut decode = |outputs: &[OutputView<'_>]| decoder.decode(outputs, &place).unwrap_err();
        assert!(matches!(decode(&[]), DecodeError::OutputCount { found: 0, .. }));
        let found = decode(&[OutputView {
            shape: &[1, 5, 2, 1],
            data: &data,
        }]);
        assert_eq!(
            found.to_string(),
            "an output of shape [frames, 5, 1, 2] was expected, but the model returned [1, 5, 2, 1]: \
             check model family, input size and number of class names"
        );
        assert!(matches!(
            decode(&[OutputView {
                shape: &[],
                data: &data
            }]),
            DecodeError::Shape { .. }
        ));
        let short = OutputView {
            shape: &[1, 5, 1, 2],
            data: &data[..9],
        };
        assert!(matches!(decode(&[short]), DecodeError::Length { found: 9, .. }));
        let huge = OutputView {
            shape: &[usize::MAX, 5, 1, 2],
            data: &data,
        };
        assert!(matches!(decode(&[huge]), DecodeError::Length { .. }));
        let none = OutputView {
            shape: &[0, 5, 1, 2],
            data: &[],
        };
        assert!(matches!(
            decode(&[none]),
            DecodeError::BatchSize {
                expected: 1,
                found: 0
            }
        ));
    }

    #[test]
    fn each_image_of_a_batch_is_its_own() {
        let mut decoder = small();
        let mut data = [0.0; 20];
        // Image 1, cell (1, 0): the whole right half.
        data[10 + 1] = 0.9;
        for edge in 1..5 {
            data[10 + edge * 2 + 1] = 0.5;
        }
        let place = [Fit::Stretch.place((16, 8), (16, 8)); 2];
        let output = OutputView {
            shape: &[2, 5, 1, 2],
            data: &data,
        };
        let found = decoder.decode(&[output], &place).unwrap();
        assert!(found[0].is_empty());
        assert_eq!(
            found[1][0].bbox,
            crate::BoundingBox::from_edges(0.5, 0.0, 1.0, 1.0)
        );
        // Filling at the end of a batch is not asked for.
        assert_eq!(decoder.decode(&[output], &place[..1]).unwrap().len(), 1);
    }

    #[test]
    fn boxes_in_the_padding_are_dropped() {
        let spec = ModelSpec::person_grid("small", 16, 8).with_input(InputSpec::new(16, 8));
        let mut decoder = OutputDecoder::new(&spec).unwrap();
        // A square frame lies in the middle 8 columns; the box covers the left 4.
        let place = [Fit::LetterboxCentered.place((80, 80), (16, 8))];
        let data = [0.9, 0.0, 0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.5, 0.0];
        let output = OutputView {
            shape: &[1, 5, 1, 2],
            data: &data,
        };
        assert_eq!(decoder.decode(&[output], &place).unwrap(), [vec![]]);
    }

    #[cfg(any(feature = "rten", feature = "ort", feature = "kserve"))]
    #[test]
    fn scores_outside_their_range_are_told() {
        let decoder = small();
        let mut data = [3.0; 10];
        let check = |data: &[f32]| {
            decoder.check_values(
                &[OutputView {
                    shape: &[1, 5, 1, 2],
                    data,
                }],
                1,
            )
        };
        assert_eq!(
            check(&data).map(drop),
            Err(DecodeError::ScoreRange { value: 3.0 })
        );
        data[0] = 0.0;
        data[1] = 1.0;
        assert_eq!(check(&data).map(drop), Ok(()));
        data[9] = f32::INFINITY;
        assert_eq!(check(&data).map(drop), Err(DecodeError::NotFinite));
    }

    /// Any value a damaged model could give, the likely ones often.
    fn any_value() -> impl Strategy<Value = f32> {
        prop_oneof![
            4 => 0f32..=1.0,
            4 => -20f32..20.0,
            1 => any::<f32>(),
            1 => prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(f32::MAX)],
        ]
    }

    /// Shapes of up to four small sides, and enough values for any of them.
    fn any_output() -> impl Strategy<Value = (Vec<usize>, Vec<f32>)> {
        let side = prop_oneof![
            Just(1usize),
            Just(2),
            Just(3),
            Just(4),
            Just(6),
            Just(7),
            Just(42)
        ];
        proptest::collection::vec(side, 0..4).prop_flat_map(|shape| {
            let len = shape.iter().product::<usize>();
            (Just(shape), proptest::collection::vec(any_value(), len))
        })
    }

    proptest! {
        #[test]
        fn whatever_comes_out_lies_in_the_frame(
            data in proptest::collection::vec(any_value(), 7 * 8),
            frame in (1u32..3000, 1u32..3000),
            score in 0f32..=1.0,
            overlap in 0f32..=1.0,
        ) {
            let person = ModelSpec::person_grid("grid", 32, 16);
            let fastest = ModelSpec::fastest_det()
                .with_input(InputSpec::new(64, 32).with_fit(Fit::LetterboxTopLeft))
                .with_class_names(["a", "b"]);
            for (spec, channels) in [(person, 5), (fastest, 7)] {
                let place = spec.input().fit().place(frame, (spec.input().width(), spec.input().height()));
                let spec = spec.with_score_threshold(score).with_nms_threshold(overlap);
                let output = OutputView { shape: &[1, channels, 2, 4], data: &data[..channels * 8] };
                let found = OutputDecoder::new(&spec).unwrap().decode(&[output], &[place]).unwrap().remove(0);
                prop_assert!(found.is_sorted_by(|a, b| a.score >= b.score));
                for d in found {
                    prop_assert!(d.score >= score && d.score <= 1.0);
                    prop_assert!(d.bbox.left >= 0.0 && d.bbox.top >= 0.0, "{:?}", d);
                    prop_assert!(d.bbox.right() <= 1.000_001 && d.bbox.bottom() <= 1.000_001, "{:?}", d);
                    prop_assert!(d.bbox.width > 0.0 && d.bbox.height > 0.0);
                }
            }
        }

        #[test]
        fn outputs_of_any_shape_are_decoded_or_refused(
            outputs in proptest::collection::vec(any_output(), 0..7),
            family in proptest::sample::select(ModelFamily::ALL.to_vec()),
        ) {
            let spec = ModelSpec::of_family(family, "any", 64, 32);
            let spec = if family.has_one_class() { spec } else { spec.with_class_names(["a", "b"]) };
            let mut decoder = OutputDecoder::new(&spec.with_score_threshold(0.0)).unwrap();
            let views: Vec<_> = outputs.iter().map(|(shape, data)| OutputView { shape, data }).collect();
            let place = [spec_place(); 2];
            let found = decoder.decode(&views, &place).unwrap_or_default();
            prop_assert!(found.iter().flatten().all(|d| (0.0..=1.0).contains(&d.score) && d.class < 2));
        }
    }

    fn spec_place() -> LetterboxTransform {
        Fit::Stretch.place((64, 32), (64, 32))
    }
}
