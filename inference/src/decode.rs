//! From a network's output to detections: pure functions, one file for each family.

mod fastest_det;
mod nms;
mod person_grid;

use crate::letterbox::LetterboxTransform;
use crate::model::{ModelFamily, ModelSpec, SpecError};
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

/// Decodes the output of one model by its description.
///
/// Useful by itself for networks that run elsewhere; the detectors of this crate contain one.
#[derive(Debug, Clone)]
pub struct OutputDecoder {
    family: ModelFamily,
    rules: Rules,
    nms_threshold: f32,
}

/// Parameters of the decoders of all families.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    input_width: usize,
    input_height: usize,
    /// For each class whether it is reported.
    kept: Vec<bool>,
    score_threshold: f32,
}

/// A box in pixels of the model's input, before non-maximum suppression. All numbers are finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    /// Left, top, right, bottom.
    edges: [f32; 4],
    class: u16,
    score: f32,
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
                kept: spec.kept_by_class()?,
                score_threshold: spec.score_threshold,
            },
            nms_threshold: spec.nms_threshold,
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
        &self,
        outputs: &[OutputView<'_>],
        transforms: &[LetterboxTransform],
    ) -> Result<Vec<Vec<Detection>>, DecodeError> {
        let grid = self.grid(outputs)?;
        if grid.batch < transforms.len() {
            return Err(DecodeError::BatchSize {
                expected: transforms.len(),
                found: grid.batch,
            });
        }
        let mut candidates = Vec::new();
        Ok(transforms
            .iter()
            .zip(grid.images())
            .map(|(transform, image)| {
                candidates.clear();
                match self.family {
                    ModelFamily::PersonGrid => person_grid::candidates(&self.rules, &image, &mut candidates),
                    ModelFamily::FastestDet => fastest_det::candidates(&self.rules, &image, &mut candidates),
                }
                suppress(&mut candidates, self.nms_threshold);
                candidates
                    .iter()
                    .filter_map(|c| self.finish(c, transform))
                    .collect()
            })
            .collect())
    }

    /// Checks that there are `rows` results, every value is finite and every score is in 0..=1, as loading requires for
    /// a grey frame. Another score means that the model belongs to another family or lacks its last sigmoid.
    #[cfg(any(feature = "rten", feature = "ort"))]
    pub(crate) fn check_values(&self, outputs: &[OutputView<'_>], rows: usize) -> Result<(), DecodeError> {
        let grid = self.grid(outputs)?;
        if grid.batch != rows {
            return Err(DecodeError::BatchSize {
                expected: rows,
                found: grid.batch,
            });
        }
        if !grid.data.iter().all(|v| v.is_finite()) {
            return Err(DecodeError::NotFinite);
        }
        // Both families: a score, four numbers of the box, then class scores, of which this project's head
        // has none.
        let is_score = |channel: usize| channel == 0 || channel > 4;
        for image in grid.images() {
            let planes = image.planes.chunks_exact(image.cells().max(1)).enumerate();
            for (_, plane) in planes.filter(|&(channel, _)| is_score(channel)) {
                // Tolerance for the rounding of a sigmoid in low precision.
                if let Some(&value) = plane.iter().find(|v| !(-0.001..=1.001).contains(*v)) {
                    return Err(DecodeError::ScoreRange { value });
                }
            }
        }
        Ok(())
    }

    /// Checks that the one output is `[batch, channels, rows, columns]` of this model.
    fn grid<'a>(&self, outputs: &[OutputView<'a>]) -> Result<Grid<'a>, DecodeError> {
        let &[OutputView { shape, data }] = outputs else {
            return Err(DecodeError::OutputCount {
                expected: 1,
                found: outputs.len(),
            });
        };
        let cell = self.family.cell() as usize;
        let channels = match self.family {
            ModelFamily::PersonGrid => 5,
            ModelFamily::FastestDet => 5 + self.rules.kept.len(),
        };
        let expected = [
            channels,
            self.rules.input_height / cell,
            self.rules.input_width / cell,
        ];
        let wrong = || DecodeError::Shape {
            expected,
            found: shape.to_vec(),
        };
        let (&batch, image) = shape.split_first().ok_or_else(wrong)?;
        if image != expected {
            return Err(wrong());
        }
        let len = expected.iter().product::<usize>();
        if batch.checked_mul(len) != Some(data.len()) {
            return Err(DecodeError::Length {
                shape: shape.to_vec(),
                found: data.len(),
            });
        }
        let [channels, rows, columns] = expected;
        Ok(Grid {
            batch,
            channels,
            rows,
            columns,
            data,
        })
    }

    fn finish(&self, candidate: &Candidate, transform: &LetterboxTransform) -> Option<Detection> {
        let bbox = transform.to_frame(candidate.edges);
        let keep = bbox.width > 0.0 && bbox.height > 0.0;
        keep.then_some(Detection {
            bbox,
            class: candidate.class,
            score: candidate.score,
        })
    }
}

/// An output of checked shape.
struct Grid<'a> {
    batch: usize,
    channels: usize,
    rows: usize,
    columns: usize,
    data: &'a [f32],
}

impl<'a> Grid<'a> {
    fn images(&self) -> impl Iterator<Item = GridImage<'a>> {
        let (columns, rows) = (self.columns, self.rows);
        let len = self.channels * rows * columns;
        self.data.chunks_exact(len).map(move |planes| GridImage {
            columns,
            rows,
            planes,
        })
    }
}

/// The channels of one frame, each `rows × columns`.
pub(crate) struct GridImage<'a> {
    columns: usize,
    rows: usize,
    planes: &'a [f32],
}

impl<'a> GridImage<'a> {
    fn cells(&self) -> usize {
        self.columns * self.rows
    }

    /// Column and row of a cell.
    fn position(&self, cell: usize) -> (f32, f32) {
        ((cell % self.columns) as f32, (cell / self.columns) as f32)
    }

    /// Channel 0.
    fn first_channel(&self) -> &'a [f32] {
        self.planes.get(..self.cells()).unwrap_or_default()
    }

    /// One value; NaN, which every decoder ignores, if it does not exist.
    fn value(&self, channel: usize, cell: usize) -> f32 {
        self.planes
            .get(channel * self.cells() + cell)
            .copied()
            .unwrap_or(f32::NAN)
    }
}

/// Why an output cannot be decoded. The description or the model is at fault; a retry does not help.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The number of outputs does not match the family.
    #[error("the model family has {expected} output, but the model returned {found}: check the model family")]
    OutputCount {
        /// Outputs of the family.
        expected: usize,
        /// Outputs of the model.
        found: usize,
    },
    /// The shape does not match input size, family and class names.
    #[error(
        "an output of shape [frames, {}, {}, {}] was expected, but the model returned {found:?}: \
         check model family, input size and number of class names",
        expected[0], expected[1], expected[2]
    )]
    Shape {
        /// Channels, rows and columns of the family.
        expected: [usize; 3],
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
        let decoder = small();
        let place = [Fit::Stretch.place((16, 8), (16, 8))];
        let data = [0.0; 10];
        let decode = |outputs: &[OutputView<'_>]| decoder.decode(outputs, &place).unwrap_err();
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
        let decoder = small();
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
        let decoder = OutputDecoder::new(&spec).unwrap();
        // A square frame lies in the middle 8 columns; the box covers the left 4.
        let place = [Fit::LetterboxCentered.place((80, 80), (16, 8))];
        let data = [0.9, 0.0, 0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.5, 0.0];
        let output = OutputView {
            shape: &[1, 5, 1, 2],
            data: &data,
        };
        assert_eq!(decoder.decode(&[output], &place).unwrap(), [vec![]]);
    }

    #[cfg(any(feature = "rten", feature = "ort"))]
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
        assert_eq!(check(&data), Err(DecodeError::ScoreRange { value: 3.0 }));
        data[0] = 0.0;
        data[1] = 1.0;
        assert_eq!(check(&data), Ok(()));
        data[9] = f32::INFINITY;
        assert_eq!(check(&data), Err(DecodeError::NotFinite));
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
    }
}
