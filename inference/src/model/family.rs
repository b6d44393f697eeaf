//! Families of detectors: what their inputs and outputs mean.

use std::fmt;
use std::str::FromStr;

use crate::letterbox::Fit;
use crate::onnx::{ModelGraph, TensorInfo};
use crate::preprocess::{ChannelOrder, InputSpec};

/// Means and deviations of ImageNet, for pixels 0..=1 in the order red, green, blue.
pub(crate) const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
/// Those of NanoDet, for pixels 0..=255 in the order blue, green, red.
const NANODET: ([f32; 3], [f32; 3]) = ([103.53, 116.28, 123.675], [57.375, 57.12, 58.395]);

/// How the inputs and outputs of a network are to be understood. [`ModelFile::recognise`](crate::ModelFile::recognise)
/// finds it in most files.
///
/// Sizes below: `N` frames, `C` classes, `A` places of the grids for the input's size. Pixels are those of the network's
/// input unless something else is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ModelFamily {
    /// This project's own head: one class, one grid with cells of 8 × 8 pixels.
    ///
    /// Output `[N, 5, H/8, W/8]`: channel 0 is the score 0..=1; channels 1 to 4 are the distances from the
    /// cell's centre (`(column + 0.5) × 8`, `(row + 0.5) × 8`) to the left, top, right and bottom edge of the
    /// box, in units of 8 pixels, not negative. Sigmoid and non-negativity are part of the graph.
    PersonGrid,
    /// FastestDet: many classes, one grid with cells of 16 × 16 pixels.
    ///
    /// Output `[N, 5 + C, H/16, W/16]`: objectness; offset of the centre from the cell's corner in
    /// cells, before tanh (two channels); width and height as logits of a fraction of the frame (two
    /// channels); class scores. The score is `objectness^0.6 × class^0.4`.
    FastestDet,
    /// Ultralytics YOLOv8 to 11 and what is exported like them: `[N, 4 + C, A]`, or transposed; centre, width and height in
    /// pixels, class scores.
    YoloV8,
    /// YOLOv5: `[N, 3A, 5 + C]`; centre, width and height in pixels, objectness, class scores.
    YoloV5,
    /// YOLOv7 with `--grid`: as [`YoloV5`](Self::YoloV5), but with one class its score is not trained, so that
    /// objectness counts alone.
    YoloV7,
    /// YOLOX without `--decode_in_inference`: `[N, A, 5 + C]`; centre and logarithm of the size in cells, objectness, class
    /// scores.
    YoloX,
    /// YOLOX with `--decode_in_inference`: centre and size in pixels.
    YoloXDecoded,
    /// Finished boxes: `[N, K, 6]`; edges in pixels, score, class. Ultralytics with `nms=True`, YOLOv10, YOLO26.
    EndToEnd,
    /// YOLOv7 with `--end2end --max-wh`: `[K, 7]`; frame, edges in pixels, class, score.
    YoloV7EndToEnd,
    /// YOLO-NAS with suppression: number, boxes (edges in pixels), scores, classes; `num_dets`, `det_boxes`,
    /// `det_scores` and `det_classes` of others alike.
    YoloNas,
    /// YOLO-NAS, flat: `[K, 7]`; frame, edges in pixels, score, class.
    YoloNasFlat,
    /// YOLO-NAS without suppression: `[N, A, 4]` edges in pixels, `[N, A, C]` scores.
    YoloNasRaw,
    /// NanoDet-Plus: `[N, A, C + 32]`, strides 8 to 64; class scores, eight bins for each side.
    NanoDetPlus,
    /// NanoDet before Plus: three outputs of class scores, three of bins, strides 8 to 32.
    NanoDet,
    /// PP-PicoDet without its post-processing: four outputs of class scores, four of bins, strides 8 to 64.
    PicoDetRaw,
    /// PaddleDetection with its post-processing (PP-YOLOE, PicoDet): `[K, 6]`; class, score, edges in pixels; and the
    /// number of boxes of each frame.
    Paddle,
    /// Yolo-FastestV2: two grids of 95 channels, channels last: 12 of boxes, 3 of objectness, class scores.
    YoloFastestV2,
    /// TensorFlow's object detection API: boxes (top, left, bottom, right, 0..=1), scores, classes, number.
    TensorFlow,
    /// Tiny YOLOv3 of the ONNX model zoo: boxes, scores, and the selected triples of frame, class and box.
    TinyYoloV3,
    /// RT-DETR and D-FINE: labels, boxes (edges in pixels), scores.
    RtDetr,
    /// RF-DETR, and DETR as exported from Transformers: boxes (centre and size, 0..=1), logits of the classes.
    RfDetr,
    /// DetectNet_v2 of NVIDIA TAO, such as PeopleNet: coverage and boxes on a grid with cells of 16 × 16 pixels.
    DetectNetV2,
    /// The `DetectionOutput` of Caffe and OpenVINO: `[1, 1, K, 7]`; frame, class, score, edges 0..=1.
    DetectionOutput,
}

/// What the published models of a family have in common.
pub(crate) struct Defaults {
    /// Input size where the file leaves it open.
    pub(crate) side: u32,
    pub(crate) score: f32,
    /// 1.0 for families that need no suppression.
    pub(crate) overlap: f32,
    /// Whether boxes of different classes suppress each other.
    pub(crate) across_classes: bool,
}

impl ModelFamily {
    /// All families, the most used first.
    pub const ALL: [Self; 23] = [
        Self::YoloV8,
        Self::YoloX,
        Self::YoloXDecoded,
        Self::YoloV5,
        Self::YoloV7,
        Self::EndToEnd,
        Self::YoloV7EndToEnd,
        Self::RtDetr,
        Self::RfDetr,
        Self::NanoDetPlus,
        Self::NanoDet,
        Self::PicoDetRaw,
        Self::YoloNas,
        Self::YoloNasFlat,
        Self::YoloNasRaw,
        Self::Paddle,
        Self::TensorFlow,
        Self::TinyYoloV3,
        Self::FastestDet,
        Self::YoloFastestV2,
        Self::DetectNetV2,
        Self::DetectionOutput,
        Self::PersonGrid,
    ];

    /// Its name in options: `yolov8`, `rt-detr`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PersonGrid => "person-grid",
            Self::FastestDet => "fastest-det",
            Self::YoloV8 => "yolov8",
            Self::YoloV5 => "yolov5",
            Self::YoloV7 => "yolov7",
            Self::YoloX => "yolox",
            Self::YoloXDecoded => "yolox-decoded",
            Self::EndToEnd => "end-to-end",
            Self::YoloV7EndToEnd => "yolov7-end-to-end",
            Self::YoloNas => "yolo-nas",
            Self::YoloNasFlat => "yolo-nas-flat",
            Self::YoloNasRaw => "yolo-nas-raw",
            Self::NanoDetPlus => "nanodet-plus",
            Self::NanoDet => "nanodet",
            Self::PicoDetRaw => "picodet-raw",
            Self::Paddle => "paddle",
            Self::YoloFastestV2 => "yolo-fastest-v2",
            Self::TensorFlow => "tensorflow",
            Self::TinyYoloV3 => "tiny-yolov3",
            Self::RtDetr => "rt-detr",
            Self::RfDetr => "rf-detr",
            Self::DetectNetV2 => "detectnet-v2",
            Self::DetectionOutput => "detection-output",
        }
    }

    /// The outputs that its published models have, for messages.
    pub fn signature(self) -> &'static str {
        match self {
            Self::PersonGrid => "one output [frames, 5, height/8, width/8]",
            Self::FastestDet => "one output [frames, 5 + classes, height/16, width/16]",
            Self::YoloV8 => "one output [frames, 4 + classes, places]",
            Self::YoloV5 | Self::YoloV7 => "one output [frames, 3 x places, 5 + classes]",
            Self::YoloX | Self::YoloXDecoded => "one output [frames, places, 5 + classes]",
            Self::EndToEnd => "one output [frames, boxes, 6]",
            Self::YoloV7EndToEnd | Self::YoloNasFlat => "one output [boxes, 7]",
            Self::YoloNas => "outputs of number, boxes, scores and classes",
            Self::YoloNasRaw => "outputs [frames, places, 4] and [frames, places, classes]",
            Self::NanoDetPlus => "one output [frames, places, classes + 32]",
            Self::NanoDet => "outputs cls_pred_stride_8 to 32 and dis_pred_stride_8 to 32",
            Self::PicoDetRaw => {
                "four outputs [frames, places, classes] and four [frames, places, 32], strides 8 to 64"
            }
            Self::Paddle => "outputs [boxes, 6] and a number, input scale_factor",
            Self::YoloFastestV2 => "two outputs [frames, rows, columns, 15 + classes]",
            Self::TensorFlow => "outputs detection_boxes, detection_scores and detection_classes",
            Self::TinyYoloV3 => "outputs yolonms_layer_1, :1 and :2, input image_shape",
            Self::RtDetr => "outputs labels, boxes and scores, input orig_target_sizes",
            Self::RfDetr => "outputs dets and labels, or pred_boxes and logits",
            Self::DetectNetV2 => "outputs output_cov and output_bbox",
            Self::DetectionOutput => "one output [1, 1, boxes, 7]",
        }
    }

    /// Pixels a side of one cell of the coarsest grid whose places are computed here; the input's sides are multiples of
    /// it. 1 where the network gives places itself.
    pub fn cell(self) -> u32 {
        match self {
            Self::PersonGrid => 8,
            Self::FastestDet | Self::DetectNetV2 => 16,
            Self::YoloX | Self::YoloFastestV2 => 32,
            _ => 1,
        }
    }

    /// Whether its models know one class and no more.
    pub(crate) fn has_one_class(self) -> bool {
        self == Self::PersonGrid
    }

    /// The input of its published models, at a size.
    pub(crate) fn input(self, width: u32, height: u32) -> InputSpec {
        let input = InputSpec::new(width, height);
        match self {
            Self::YoloX | Self::YoloXDecoded => input
                .with_channel_order(ChannelOrder::Bgr)
                .with_scale(1.0)
                .with_fit(Fit::LetterboxTopLeft),
            Self::FastestDet | Self::YoloFastestV2 => {
                input.with_channel_order(ChannelOrder::Bgr).with_fit(Fit::Stretch)
            }
            Self::NanoDetPlus | Self::NanoDet => {
                let input = input
                    .with_channel_order(ChannelOrder::Bgr)
                    .with_scale(1.0)
                    .with_mean_and_deviation(NANODET.0, NANODET.1);
                if self == Self::NanoDet {
                    input.with_pad(0)
                } else {
                    input.with_fit(Fit::Stretch)
                }
            }
            Self::YoloNas | Self::YoloNasFlat | Self::YoloNasRaw => input.with_border(2),
            Self::Paddle | Self::PicoDetRaw => input
                .with_fit(Fit::Stretch)
                .with_mean_and_deviation(IMAGENET.0, IMAGENET.1),
            Self::RfDetr => input
                .with_fit(Fit::Stretch)
                .with_mean_and_deviation(IMAGENET.0, IMAGENET.1),
            Self::TensorFlow => input.with_fit(Fit::Stretch).with_scale(1.0),
            Self::RtDetr => input.with_fit(Fit::Stretch),
            Self::TinyYoloV3 => input.with_pad(128),
            Self::DetectNetV2 => input.with_pad(0),
            Self::DetectionOutput => input
                .with_channel_order(ChannelOrder::Bgr)
                .with_scale(1.0)
                .with_fit(Fit::Stretch),
            Self::PersonGrid
            | Self::YoloV8
            | Self::YoloV5
            | Self::YoloV7
            | Self::EndToEnd
            | Self::YoloV7EndToEnd => input,
        }
    }

    pub(crate) fn defaults(self) -> Defaults {
        let of = |side, score, overlap| Defaults {
            side,
            score,
            overlap,
            across_classes: false,
        };
        match self {
            Self::PersonGrid => Defaults {
                across_classes: true,
                ..of(640, 0.4, 0.5)
            },
            Self::FastestDet => Defaults {
                across_classes: true,
                ..of(352, 0.65, 0.45)
            },
            Self::YoloV8 => of(640, 0.25, 0.7),
            Self::YoloV5 | Self::YoloV7 => of(640, 0.25, 0.45),
            Self::YoloX | Self::YoloXDecoded => of(640, 0.3, 0.45),
            Self::EndToEnd | Self::YoloV7EndToEnd | Self::YoloNas | Self::YoloNasFlat => of(640, 0.25, 1.0),
            Self::YoloNasRaw => of(640, 0.25, 0.7),
            Self::NanoDetPlus | Self::NanoDet => of(416, 0.35, 0.6),
            Self::Paddle => of(640, 0.5, 1.0),
            Self::PicoDetRaw => of(320, 0.5, 0.6),
            Self::YoloFastestV2 => of(352, 0.3, 0.4),
            Self::TensorFlow => of(320, 0.5, 1.0),
            Self::TinyYoloV3 => of(416, 0.3, 1.0),
            Self::RtDetr => of(640, 0.6, 1.0),
            Self::RfDetr => of(560, 0.5, 1.0),
            Self::DetectNetV2 => of(960, 0.5, 0.5),
            Self::DetectionOutput => of(544, 0.5, 1.0),
        }
    }

    /// The outputs of a network in the order in which they are decoded; `None` if it lacks them.
    ///
    /// By their names where the family has them, else by their shapes or order.
    pub(crate) fn outputs(self, graph: &ModelGraph) -> Option<Vec<String>> {
        let outputs = graph.outputs();
        let named = |suffixes: &[&[&str]]| -> Option<Vec<String>> {
            suffixes.iter().map(|names| by_name(outputs, names)).collect()
        };
        match self {
            Self::RtDetr => named(&[&["labels"], &["boxes"], &["scores"]]),
            Self::RfDetr => named(&[&["pred_boxes"], &["logits", "pred_logits"]])
                .or_else(|| named(&[&["dets"], &["labels"]])),
            Self::YoloNas => named(&[
                &["num_predictions", "num_dets", "num_detections"],
                &["pred_boxes", "det_boxes"],
                &["pred_scores", "det_scores"],
                &["pred_classes", "det_classes"],
            ]),
            Self::YoloNasRaw => {
                let [a, b] = outputs else { return None };
                let (boxes, scores) = if a.last() == Some(4) { (a, b) } else { (b, a) };
                Some(vec![boxes.name.clone(), scores.name.clone()])
            }
            Self::NanoDet => named(&[
                &["cls_pred_stride_8"],
                &["cls_pred_stride_16"],
                &["cls_pred_stride_32"],
                &["dis_pred_stride_8"],
                &["dis_pred_stride_16"],
                &["dis_pred_stride_32"],
            ]),
            Self::PicoDetRaw => {
                let [.., a, b, c, d] = outputs else { return None };
                let bins = [a, b, c, d].iter().all(|o| o.last() == Some(32));
                let all = outputs.len() == 8 && outputs.iter().all(|o| o.rank() == Some(3));
                (bins && all).then(|| outputs.iter().map(|o| o.name.clone()).collect())
            }
            Self::Paddle => {
                let rows = outputs
                    .iter()
                    .find(|o| o.last() == Some(6))
                    .or_else(|| outputs.first())?;
                let number = outputs
                    .iter()
                    .find(|o| o.name != rows.name && o.rank().is_none_or(|rank| rank <= 1));
                Some(
                    [Some(rows), number]
                        .into_iter()
                        .flatten()
                        .map(|o| o.name.clone())
                        .collect(),
                )
            }
            Self::YoloFastestV2 => {
                let [a, b] = outputs else { return None };
                // The finer grid first.
                let (fine, coarse) = if a.dim(1) < b.dim(1) { (b, a) } else { (a, b) };
                Some(vec![fine.name.clone(), coarse.name.clone()])
            }
            Self::TensorFlow => named(&[
                &["detection_boxes", "Identity_1"],
                &["detection_scores", "Identity_4"],
                &["detection_classes", "Identity_2"],
                &["num_detections", "Identity_5"],
            ]),
            Self::TinyYoloV3 => match outputs {
                [boxes, scores, indices] => Some([boxes, scores, indices].map(|o| o.name.clone()).to_vec()),
                _ => None,
            },
            Self::DetectNetV2 => {
                let starting = |start: &str| outputs.iter().find(|o| o.name.starts_with(start));
                let pair = (starting("output_cov"), starting("output_bbox"));
                match pair {
                    (Some(cover), Some(boxes)) => Some(vec![cover.name.clone(), boxes.name.clone()]),
                    _ => None,
                }
            }
            // One output; older YOLOv5 files have their heads beside it.
            _ => {
                let usual = ["output0", "output"].iter().find_map(|name| graph.output(name));
                usual
                    .or_else(|| outputs.first())
                    .map(|output| vec![output.name.clone()])
            }
        }
    }
}

/// The output that has one of these names, alone or behind an exporter's prefix (`graph2_`), a `:0` ignored.
fn by_name(outputs: &[TensorInfo], names: &[&str]) -> Option<String> {
    let plain = |name: &str| {
        let end = name.rfind(':').unwrap_or(name.len());
        name.get(..end).unwrap_or(name).to_owned()
    };
    let exact = outputs.iter().find(|o| names.contains(&plain(&o.name).as_str()));
    let behind = || {
        outputs.iter().find(|o| {
            let plain = plain(&o.name);
            names.iter().any(|name| {
                plain
                    .strip_suffix(name)
                    .is_some_and(|prefix| prefix.ends_with('_') && prefix.starts_with("graph"))
            })
        })
    };
    exact.or_else(behind).map(|o| o.name.clone())
}

impl fmt::Display for ModelFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is not a family's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is not a family of models: use one of {}", ModelFamily::ALL.map(ModelFamily::as_str).join(", "))]
pub struct UnknownFamily {
    /// The name as given.
    pub name: String,
}

impl FromStr for ModelFamily {
    type Err = UnknownFamily;

    fn from_str(name: &str) -> Result<Self, UnknownFamily> {
        let plain = name.to_ascii_lowercase();
        // The generations that are exported alike.
        let plain = match plain.as_str() {
            "yolov9" | "yolo11" | "yolov11" | "yolov8-11" => "yolov8",
            "yolov10" | "yolo26" => "end-to-end",
            "d-fine" | "dfine" | "rtdetr" => "rt-detr",
            "detr" | "rfdetr" => "rf-detr",
            "picodet" | "pp-picodet" | "pp-yoloe" | "ppyoloe" => "paddle",
            "peoplenet" => "detectnet-v2",
            "openvino" => "detection-output",
            "ssd" | "efficientdet" => "tensorflow",
            other => other,
        };
        Self::ALL
            .into_iter()
            .find(|family| family.as_str() == plain)
            .ok_or_else(|| UnknownFamily {
                name: name.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_there_and_back() {
        for family in ModelFamily::ALL {
            assert_eq!(family.to_string().parse(), Ok(family));
        }
        let mut names = ModelFamily::ALL.map(ModelFamily::as_str);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!("D-FINE".parse(), Ok(ModelFamily::RtDetr));
        let error = "yolov99".parse::<ModelFamily>().unwrap_err().to_string();
        assert!(
            error.contains("'yolov99'") && error.contains("yolov8, yolox"),
            "{error}"
        );
    }
}
