//! Every family from its file to its boxes: tiny networks of constant outputs, recognised, loaded and run.
//!
//! All have an input of 64 × 32 pixels, whose grids of strides 8, 16 and 32 have 32, 8 and 2 places, and give the same
//! box: 16 to 48 pixels across, 8 to 24 down, with a score of 0.9, in the first frame of a batch and none in the others.

use std::f64::consts::LN_2;

use lva_inference::{
    BoundingBox, Detection, Detector, Frame, ImageView, ModelFamily, ModelFile, ModelOverrides, ModelSpec,
    PixelFormat, RtenDetector, RtenOptions,
};

#[path = "../../src/onnx/writer.rs"]
pub(crate) mod writer;
pub(crate) use writer::FLOAT16;
use writer::{FLOAT, INT32, INT64, UINT8, Writer};

/// One network to be made.
#[derive(Clone, Copy)]
pub(crate) struct Made {
    pub(crate) family: ModelFamily,
    pub(crate) frames: usize,
    /// Whether the file leaves the number of frames open.
    pub(crate) open: bool,
    /// Whether the file leaves height and width open.
    pub(crate) open_size: bool,
    /// Type of pixels and floats.
    pub(crate) float: u64,
}

impl Made {
    pub(crate) fn new(family: ModelFamily) -> Self {
        Self {
            family,
            frames: 1,
            open: false,
            open_size: false,
            float: FLOAT,
        }
    }

    /// An output, with the values of each frame.
    fn output(
        self,
        writer: Writer,
        name: &str,
        element: u64,
        sides: &[usize],
        values: &[(usize, f64)],
    ) -> Writer {
        let len: usize = sides.iter().product();
        let mut all = vec![0.0; len * self.frames];
        for &(at, value) in values {
            all[at] = value;
        }
        let shape: Vec<u64> = std::iter::once(self.frames)
            .chain(sides.iter().copied())
            .map(|side| side as u64)
            .collect();
        let mut declared = shape.clone();
        if self.open {
            declared[0] = 0;
        }
        writer.constant(name, element, &shape, &declared, &all)
    }

    fn batch(self) -> u64 {
        if self.open { 0 } else { self.frames as u64 }
    }

    /// Values in columns of one row.
    fn floats(self, writer: Writer, name: &str, sides: &[usize], at: usize, values: &[f64]) -> Writer {
        let values: Vec<_> = values.iter().enumerate().map(|(i, &v)| (at + i, v)).collect();
        self.output(writer, name, self.float, sides, &values)
    }

    /// Height and width.
    fn sides(self) -> [u64; 2] {
        if self.open_size { [0, 0] } else { [32, 64] }
    }

    fn image(self, name: &str) -> Writer {
        let [height, width] = self.sides();
        Writer::new().input(name, self.float, &[self.batch(), 3, height, width])
    }

    /// The file, and the class of the box.
    #[expect(clippy::too_many_lines, reason = "one arm a family, each its table of values")]
    pub(crate) fn write(self) -> (Vec<u8>, u16) {
        let edges = [16.0, 8.0, 48.0, 24.0];
        let centred = [32.0, 16.0, 32.0, 16.0];
        let with = |first: &[f64], rest: &[f64]| [first, rest].concat();
        let (writer, class) = match self.family {
            ModelFamily::YoloV8 => {
                let values: Vec<_> = with(&centred, &[0.1, 0.9])
                    .into_iter()
                    .enumerate()
                    .map(|(c, v)| (c * 42 + 7, v))
                    .collect();
                (
                    self.output(self.image("images"), "output0", self.float, &[6, 42], &values),
                    1,
                )
            }
            ModelFamily::YoloX => {
                // Stride 16, column 2, row 1.
                let row = [0.0, 0.0, LN_2, 0.0, 0.9, 0.1, 1.0];
                (
                    self.floats(self.image("images"), "output", &[42, 7], 38 * 7, &row),
                    1,
                )
            }
            ModelFamily::YoloXDecoded => {
                let row = with(&centred, &[0.9, 0.1, 1.0]);
                let image = self.image("images").node("Exp", "", &["images"], &["unused"]);
                (self.floats(image, "output", &[42, 7], 5 * 7, &row), 1)
            }
            ModelFamily::YoloV5 => {
                let row = with(&centred, &[0.9, 0.1, 1.0]);
                (
                    self.floats(self.image("images"), "output0", &[126, 7], 5 * 7, &row),
                    1,
                )
            }
            ModelFamily::YoloV7 => {
                // One class, whose own score is not trained.
                let row = with(&centred, &[0.9, 0.0]);
                (
                    self.floats(self.image("images"), "output", &[126, 6], 5 * 6, &row),
                    0,
                )
            }
            ModelFamily::EndToEnd => {
                let row = with(&edges, &[0.9, 2.0]);
                (self.floats(self.image("images"), "output0", &[10, 6], 0, &row), 2)
            }
            ModelFamily::YoloV7EndToEnd => {
                let rows = with(&[0.0], &with(&edges, &[2.0, 0.9]));
                (
                    self.image("images")
                        .constant("output", self.float, &[1, 7], &[0, 7], &rows),
                    2,
                )
            }
            ModelFamily::YoloNasFlat => {
                let rows = with(&[0.0], &with(&edges, &[0.9, 2.0]));
                (
                    self.image("input").constant(
                        "graph2_flat_predictions",
                        self.float,
                        &[1, 7],
                        &[0, 7],
                        &rows,
                    ),
                    2,
                )
            }
            ModelFamily::YoloNas => {
                let [height, width] = self.sides();
                let writer = Writer::new().input("input", UINT8, &[self.batch(), 3, height, width]);
                let writer = self.output(writer, "graph2_num_predictions", INT64, &[1], &[(0, 1.0)]);
                let writer = self.floats(writer, "graph2_pred_boxes", &[3, 4], 0, &edges);
                let writer = self.floats(writer, "graph2_pred_scores", &[3], 0, &[0.9, 0.8]);
                (
                    self.output(writer, "graph2_pred_classes", INT64, &[3], &[(0, 2.0)]),
                    2,
                )
            }
            ModelFamily::YoloNasRaw => {
                let writer = self.floats(self.image("input"), "scores", &[42, 2], 10, &[0.1, 0.9]);
                (self.floats(writer, "boxes", &[42, 4], 5 * 4, &edges), 1)
            }
            ModelFamily::NanoDetPlus => {
                // Stride 16, column 2, row 1; 1, 0.5, 1 and 0.5 strides to the sides.
                let mut row = vec![0.1, 0.9];
                for bins in [&[1][..], &[0, 1], &[1], &[0, 1]] {
                    row.extend((0..8).map(|bin| if bins.contains(&bin) { 100.0 } else { 0.0 }));
                }
                (
                    self.floats(self.image("data"), "output", &[43, 34], 38 * 34, &row),
                    1,
                )
            }
            ModelFamily::NanoDet => {
                // Stride 16, centre (40, 24); 1.5, 1, 0.5 and 0 strides to the sides.
                let mut row = vec![];
                for bins in [&[1, 2][..], &[1], &[0, 1], &[0]] {
                    row.extend((0..8).map(|bin| if bins.contains(&bin) { 100.0 } else { 0.0 }));
                }
                let mut writer = self.image("data");
                for (stride, count) in [(8, 32), (16, 8), (32, 2)] {
                    let (scores, bins) = if stride == 16 {
                        (&[0.1, 0.9][..], row.as_slice())
                    } else {
                        (&[][..], &[][..])
                    };
                    writer = self.floats(
                        writer,
                        &format!("cls_pred_stride_{stride}"),
                        &[count, 2],
                        12.min(count * 2 - 2),
                        scores,
                    );
                    writer = self.floats(
                        writer,
                        &format!("dis_pred_stride_{stride}"),
                        &[count, 32],
                        6.min(count - 1) * 32,
                        bins,
                    );
                }
                (writer, 1)
            }
            ModelFamily::PicoDetRaw => {
                // Stride 16, centre (40, 24), as for NanoDet before Plus; all scores, then all bins.
                let mut row = vec![];
                for bins in [&[1, 2][..], &[1], &[0, 1], &[0]] {
                    row.extend((0..8).map(|bin| if bins.contains(&bin) { 100.0 } else { 0.0 }));
                }
                let heads = [(8, 32), (16, 8), (32, 2), (64, 1)];
                let mut writer = self.image("image");
                for (stride, count) in heads {
                    let scores = if stride == 16 { &[0.1, 0.9][..] } else { &[] };
                    let at = if stride == 16 { 12 } else { 0 };
                    writer = self.floats(writer, &format!("scores_{stride}"), &[count, 2], at, scores);
                }
                for (stride, count) in heads {
                    let bins = if stride == 16 { row.as_slice() } else { &[] };
                    let at = if stride == 16 { 6 * 32 } else { 0 };
                    writer = self.floats(writer, &format!("bins_{stride}"), &[count, 32], at, bins);
                }
                (writer, 1)
            }
            ModelFamily::Paddle => {
                let row = with(&[2.0, 0.9], &edges);
                let writer = self
                    .image("image")
                    .input("scale_factor", FLOAT, &[1, 2])
                    .input("im_shape", FLOAT, &[1, 2])
                    .constant("multiclass_nms3_0.tmp_0", self.float, &[1, 6], &[0, 6], &row);
                (
                    self.output(writer, "multiclass_nms3_0.tmp_2", INT32, &[], &[(0, 1.0)]),
                    2,
                )
            }
            ModelFamily::TensorFlow => {
                let [height, width] = self.sides();
                let writer = Writer::new().input("input_tensor", UINT8, &[self.batch(), height, width, 3]);
                let writer = self.floats(writer, "detection_anchor_indices", &[3], 0, &[5.0]);
                let writer = self.floats(writer, "detection_boxes", &[3, 4], 0, &[0.25, 0.25, 0.75, 0.75]);
                let writer = self.floats(writer, "detection_classes", &[3], 0, &[3.0]);
                let writer = self.floats(writer, "detection_scores", &[3], 0, &[0.9, 0.8]);
                (self.floats(writer, "num_detections", &[], 0, &[1.0]), 3)
            }
            ModelFamily::TinyYoloV3 => {
                let writer = self.image("input_1").input("image_shape", FLOAT, &[1, 2]);
                let writer = self.floats(writer, "yolonms_layer_1", &[4, 4], 4, &[8.0, 16.0, 24.0, 48.0]);
                let writer = self.floats(writer, "yolonms_layer_1:1", &[80, 4], 2 * 4 + 1, &[0.9]);
                let triples = [0.0, 2.0, 1.0, -1.0, -1.0, -1.0];
                (
                    writer.constant("yolonms_layer_1:2", INT32, &[1, 2, 3], &[1, 0, 3], &triples),
                    2,
                )
            }
            ModelFamily::FastestDet => {
                let values: Vec<_> = [0.9, 0.0, 0.0, 0.0, 0.0, 0.1, 0.9]
                    .into_iter()
                    .enumerate()
                    .map(|(c, v)| (c * 8 + 6, v))
                    .collect();
                (
                    self.output(self.image("input.1"), "758", self.float, &[7, 2, 4], &values),
                    1,
                )
            }
            ModelFamily::YoloFastestV2 => {
                // Stride 32, column 1, row 0, first anchor.
                let mut row = vec![
                    0.25,
                    0.5,
                    (32f64 / 126.91).sqrt() / 2.0,
                    (16f64 / 78.23).sqrt() / 2.0,
                ];
                row.resize(12, 0.0);
                row.extend([0.9, 0.0, 0.0, 0.0, 1.0]);
                let writer = self.floats(self.image("input.1"), "794", &[2, 4, 17], 0, &[]);
                (self.floats(writer, "796", &[1, 2, 17], 17, &row), 1)
            }
            ModelFamily::RtDetr => {
                let writer = self
                    .image("images")
                    .input("orig_target_sizes", INT64, &[self.batch(), 2]);
                let writer = self.output(writer, "labels", INT64, &[3], &[(0, 2.0)]);
                let writer = self.floats(writer, "boxes", &[3, 4], 0, &edges);
                (self.floats(writer, "scores", &[3], 0, &[0.9, 0.1]), 2)
            }
            ModelFamily::RfDetr => {
                let writer = self.floats(self.image("input"), "dets", &[3, 4], 0, &[0.5, 0.5, 0.5, 0.5]);
                let len = 3 * 2 * self.frames;
                let mut logits: Vec<_> = (0..len).map(|at| (at, -10.0)).collect();
                logits[1].1 = 9f64.ln();
                (self.output(writer, "labels", self.float, &[3, 2], &logits), 1)
            }
            ModelFamily::DetectNetV2 => {
                // Column 1, row 0: its centre is (16.5, 0.5).
                let writer = self.floats(
                    self.image("input_1:0"),
                    "output_cov/Sigmoid:0",
                    &[3, 2, 4],
                    8 + 1,
                    &[0.9],
                );
                let values = [0.5, -7.5, 31.5, 23.5].map(|distance| distance / 35.0);
                let values: Vec<_> = values
                    .into_iter()
                    .enumerate()
                    .map(|(side, v)| ((4 + side) * 8 + 1, v))
                    .collect();
                (
                    self.output(writer, "output_bbox/BiasAdd:0", self.float, &[12, 2, 4], &values),
                    1,
                )
            }
            ModelFamily::DetectionOutput => {
                let rows = [
                    [0.0, 1.0, 0.9, 0.25, 0.25, 0.75, 0.75],
                    [-1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                ]
                .concat();
                (
                    self.image("data").constant(
                        "detection_out",
                        self.float,
                        &[1, 1, 2, 7],
                        &[1, 1, 2, 7],
                        &rows,
                    ),
                    1,
                )
            }
            ModelFamily::PersonGrid => {
                // Column 4, row 2: its centre is (36, 20).
                let values = [0.9, 20.0 / 8.0, 12.0 / 8.0, 12.0 / 8.0, 4.0 / 8.0];
                let values: Vec<_> = values
                    .into_iter()
                    .enumerate()
                    .map(|(c, v)| (c * 32 + 20, v))
                    .collect();
                (
                    self.output(self.image("image"), "grid", self.float, &[5, 4, 8], &values),
                    0,
                )
            }
            other => panic!("{other} has no network here"),
        };
        (writer.bytes(), class)
    }
}

/// Where the box lies in a picture of 128 × 64 pixels.
fn expected(family: ModelFamily) -> BoundingBox {
    match family {
        // It lies in a rectangle of 56 × 28 pixels at (4, 2).
        ModelFamily::YoloNas | ModelFamily::YoloNasFlat | ModelFamily::YoloNasRaw => {
            BoundingBox::from_edges(12.0 / 56.0, 6.0 / 28.0, 44.0 / 56.0, 22.0 / 28.0)
        }
        _ => BoundingBox::from_edges(0.25, 0.25, 0.75, 0.75),
    }
}

/// How far boxes and scores may be from the computed ones.
pub(crate) fn tolerance(made: Made) -> f32 {
    if made.float == FLOAT16 { 4e-3 } else { 1e-5 }
}

/// Whether a detector finds the box in the first frame, and nothing in the others.
pub(crate) fn check(made: Made, detector: &mut dyn Detector, class: u16) -> Result<(), String> {
    let tolerance = tolerance(made);
    let picture = vec![90; 128 * 64 * 3];
    let frame = Frame::Host(ImageView::packed(&picture, 128, 64, PixelFormat::Rgb24).unwrap());
    let found = detector.detect(&vec![frame; made.frames]);
    let found = found.map_err(|error| error.to_string())?;
    let place = expected(made.family);
    let near = |a: f32, b: f32| (a - b).abs() < tolerance;
    let right = |first: &Detection| {
        let bbox = first.bbox;
        first.class == class
            && near(first.score, 0.9)
            && near(bbox.left, place.left)
            && near(bbox.top, place.top)
            && near(bbox.right(), place.right())
            && near(bbox.bottom(), place.bottom())
    };
    let first = found
        .first()
        .is_some_and(|first| matches!(first.as_slice(), [one] if right(one)));
    let others = found.iter().skip(1).all(Vec::is_empty);
    match first && others && found.len() == made.frames {
        true => Ok(()),
        false => Err(format!("{}: {found:?} instead of {place:?}", made.family)),
    }
}

/// The file, recognised as what it is.
pub(crate) fn recognised(made: Made) -> Result<(ModelFile, ModelSpec, u16), String> {
    let (bytes, class) = made.write();
    let file = ModelFile::from_bytes(bytes).map_err(|error| error.to_string())?;
    let recognition = file
        .recognise(&overrides(made))
        .map_err(|error| error.to_string())?;
    let spec = recognition.spec();
    if (spec.family(), spec.input().width(), spec.input().height()) != (made.family, 64, 32) {
        return Err(format!("{} is taken for {recognition}", made.family));
    }
    Ok((file, recognition.into_spec(), class))
}

/// What the user has to state.
pub(crate) fn overrides(made: Made) -> ModelOverrides {
    let mut overrides = ModelOverrides::default();
    overrides.size = made.open_size.then_some((64, 32));
    overrides
}

#[test]
fn one_option_corrects_each_property() {
    let (bytes, _) = Made::new(ModelFamily::YoloV8).write();
    let file = ModelFile::from_bytes(bytes).unwrap();
    let mut overrides = ModelOverrides::default();
    overrides.class_names = Some(vec!["cat".to_owned(), "dog".to_owned()]);
    overrides.classes_kept = Some(vec!["cat".into()]);
    let recognition = file.recognise(&overrides).unwrap();
    assert!(
        recognition
            .to_string()
            .contains("2 classes as given (cat, dog), of which 'cat'"),
        "{recognition}"
    );
    let mut detector =
        RtenDetector::from_file(file, recognition.into_spec(), RtenOptions::default()).unwrap();
    let picture = [90; 3];
    let frame = Frame::Host(ImageView::packed(&picture, 1, 1, PixelFormat::Rgb24).unwrap());
    assert_eq!(detector.detect(&[frame]).unwrap(), [vec![]], "the box is a dog");
}
