//! Which family a graph belongs to: names of inputs and outputs first, then shapes.
//!
//! Places are counted from the size of the input: `Σ` below is the number of cells of grids with strides 8, 16 and 32.

use crate::model::ModelFamily;
use crate::model::image_input::ImageInput;
use crate::onnx::{ModelGraph, TensorInfo};

use super::RecognitionError;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) family: ModelFamily,
    /// Number of classes, if the shapes hold it.
    pub(super) classes: Option<usize>,
    /// As the end of "because …".
    pub(super) reason: String,
}

fn rule(family: ModelFamily, classes: Option<usize>, reason: impl Into<String>) -> Option<Rule> {
    Some(Rule {
        family,
        classes,
        reason: reason.into(),
    })
}

/// Refuses models that are for something else than detection.
pub(super) fn check_task(graph: &ModelGraph) -> Result<(), RecognitionError> {
    let refuse = |task: &str, why: &str| {
        Err(RecognitionError::Task {
            task: task.to_owned(),
            why: why.to_owned(),
        })
    };
    if let Some(task) = graph.metadata("task") {
        let why = "'task' in its metadata";
        match task {
            "detect" => {}
            "segment" => return refuse("segmentation (task 'segment')", why),
            "pose" => return refuse("poses (task 'pose')", why),
            "classify" => return refuse("classification (task 'classify')", why),
            "obb" => return refuse("rotated boxes (task 'obb')", why),
            other => return refuse(&format!("the task '{other}'"), why),
        }
    } else if graph.metadata("kpt_shape").is_some() {
        return refuse("poses", "'kpt_shape' in its metadata");
    }
    match graph.outputs() {
        // Masks of a quarter of the input's size beside the boxes.
        [boxes, masks] if boxes.rank() == Some(3) && masks.rank() == Some(4) && masks.dim(1) == Some(32) => {
            refuse("segmentation", "its second output holds masks")
        }
        [scores] if scores.rank() == Some(2) && scores.last().is_some_and(|last| last > 7) => {
            refuse("classification", "its output is one row of scores")
        }
        _ => Ok(()),
    }
}

/// Three heads of anchors, as YOLOv5 and v7 give without `--grid`.
pub(super) fn are_raw_heads(graph: &ModelGraph) -> bool {
    let outputs = graph.outputs();
    let is_head = |o: &TensorInfo| o.rank() == Some(5) && o.dim(1) == Some(3);
    outputs.len() >= 3 && outputs.iter().all(is_head)
}

/// The family, unless nothing suits.
pub(super) fn recognise(
    graph: &ModelGraph,
    image: &ImageInput,
    size: Option<(u32, u32)>,
    names: Option<usize>,
) -> Option<Rule> {
    by_names(graph).or_else(|| {
        let (width, height) = size.unwrap_or((640, 640));
        let grids = Grids::of(width as usize, height as usize);
        match graph.outputs() {
            [a, b] if a.rank() == Some(4) && b.rank() == Some(4) => two_grids(a, b),
            [a, b] if a.rank() == Some(3) && b.rank() == Some(3) => boxes_and_scores(a, b),
            _ => {
                let name = ModelFamily::YoloV8.outputs(graph)?.into_iter().next()?;
                by_shape(graph, image, graph.output(&name)?, &grids, (width, height), names)
            }
        }
    })
}

fn by_names(graph: &ModelGraph) -> Option<Rule> {
    let has_input = |name: &str| {
        graph
            .inputs()
            .iter()
            .any(|i| i.name.trim_end_matches(":0") == name)
    };
    let outputs_of = |family: ModelFamily| {
        let names = family.outputs(graph)?;
        let outputs = names.iter().map(|name| graph.output(name));
        outputs.collect::<Option<Vec<&TensorInfo>>>()
    };
    if outputs_of(ModelFamily::NanoDet).is_some() {
        return rule(
            ModelFamily::NanoDet,
            classes_of(ModelFamily::NanoDet, graph),
            "it has outputs cls_pred_stride_* and dis_pred_stride_*",
        );
    }
    if outputs_of(ModelFamily::PicoDetRaw).is_some_and(|heads| is_picodet(&heads)) {
        return rule(
            ModelFamily::PicoDetRaw,
            classes_of(ModelFamily::PicoDetRaw, graph),
            "it has four outputs of class scores, and four of 32 bins on the same grids",
        );
    }
    if has_input("orig_target_sizes") && outputs_of(ModelFamily::RtDetr).is_some() {
        let reason = "it has the input orig_target_sizes and the outputs labels, boxes and scores";
        return rule(ModelFamily::RtDetr, None, reason);
    }
    if has_input("image_shape") && graph.outputs().len() == 3 {
        let classes = classes_of(ModelFamily::TinyYoloV3, graph);
        return rule(
            ModelFamily::TinyYoloV3,
            classes,
            "it has the input image_shape and three outputs",
        );
    }
    let of_paddle = |o: &TensorInfo| o.name.starts_with("multiclass_nms") || o.last() == Some(6);
    if (has_input("scale_factor")
        || graph
            .outputs()
            .iter()
            .any(|o| o.name.starts_with("multiclass_nms")))
        && graph.outputs().iter().any(of_paddle)
    {
        let reason = "it has the input scale_factor or the output multiclass_nms";
        return rule(ModelFamily::Paddle, None, reason);
    }
    if let Some(outputs) = outputs_of(ModelFamily::TensorFlow)
        && outputs
            .first()
            .is_some_and(|boxes| boxes.last() == Some(4) || boxes.name.starts_with("detection_boxes"))
    {
        let reason = "it has the outputs of TensorFlow's object detection API";
        return rule(ModelFamily::TensorFlow, None, reason);
    }
    if outputs_of(ModelFamily::YoloNas).is_some() {
        let reason = "it has outputs of number, boxes, scores and classes";
        return rule(ModelFamily::YoloNas, None, reason);
    }
    if let [output] = graph.outputs()
        && output.name.ends_with("flat_predictions")
    {
        return rule(
            ModelFamily::YoloNasFlat,
            None,
            "it has the output flat_predictions",
        );
    }
    if outputs_of(ModelFamily::RfDetr).is_some_and(|outputs| outputs.iter().all(|o| o.rank() != Some(2))) {
        let reason = "it has the outputs dets and labels, or pred_boxes and logits";
        return rule(
            ModelFamily::RfDetr,
            classes_of(ModelFamily::RfDetr, graph),
            reason,
        );
    }
    if outputs_of(ModelFamily::DetectNetV2).is_some() {
        let reason = "it has the outputs output_cov and output_bbox";
        return rule(
            ModelFamily::DetectNetV2,
            classes_of(ModelFamily::DetectNetV2, graph),
            reason,
        );
    }
    None
}

/// Four outputs of scores with one number of classes, four of bins, as many places in each pair, fewer from pair to pair.
fn is_picodet(heads: &[&TensorInfo]) -> bool {
    let (scores, bins) = heads.split_at(heads.len() / 2);
    let classes = scores.first().and_then(|first| first.last());
    let falling = |pair: &[&TensorInfo]| match (
        pair.first().and_then(|o| o.dim(1)),
        pair.last().and_then(|o| o.dim(1)),
    ) {
        (Some(finer), Some(coarser)) => finer > coarser,
        _ => true,
    };
    classes.is_some()
        && scores.iter().all(|o| o.last() == classes)
        && scores
            .iter()
            .zip(bins)
            .all(|(scores, bins)| scores.dim(1) == bins.dim(1))
        && scores.windows(2).all(falling)
}

/// Number of classes by the shapes of a family's outputs.
pub(super) fn classes_of(family: ModelFamily, graph: &ModelGraph) -> Option<usize> {
    let names = family.outputs(graph)?;
    let output = |index: usize| names.get(index).and_then(|name| graph.output(name));
    let beyond = |size: Option<usize>, others: usize| size?.checked_sub(others).filter(|&n| n > 0);
    match family {
        ModelFamily::PersonGrid => Some(1),
        ModelFamily::FastestDet => beyond(output(0)?.dim(1), 5),
        ModelFamily::YoloV8 => {
            let (a, b) = (output(0)?.dim(1), output(0)?.dim(2));
            // Places are many, channels few.
            match (a, b) {
                (Some(a), Some(b)) => beyond(Some(a.min(b)), 4),
                (a, b) => beyond(a.or(b), 4),
            }
        }
        ModelFamily::YoloV5 | ModelFamily::YoloV7 | ModelFamily::YoloX | ModelFamily::YoloXDecoded => {
            beyond(output(0)?.dim(2), 5)
        }
        ModelFamily::NanoDetPlus => beyond(output(0)?.dim(2), 32),
        ModelFamily::NanoDet | ModelFamily::PicoDetRaw => output(0)?.dim(2),
        ModelFamily::YoloNasRaw => output(1)?.dim(2),
        ModelFamily::YoloFastestV2 => beyond(output(0)?.dim(3), 15),
        ModelFamily::TinyYoloV3 => output(1)?.dim(1),
        ModelFamily::DetectNetV2 => output(0)?.dim(1),
        ModelFamily::RfDetr => output(1)?.dim(2),
        _ => None,
    }
}

fn two_grids(a: &TensorInfo, b: &TensorInfo) -> Option<Rule> {
    let channels = a.last()?;
    let (rows, other) = (a.dim(1)?, b.dim(1)?);
    let one_twice_the_other = rows == 2 * other || other == 2 * rows;
    (b.last()? == channels && channels > 15 && one_twice_the_other).then_some(())?;
    let reason = "it has two grids with channels last, one twice as fine as the other";
    rule(ModelFamily::YoloFastestV2, Some(channels - 15), reason)
}

fn boxes_and_scores(a: &TensorInfo, b: &TensorInfo) -> Option<Rule> {
    let scores = match (a.last()?, b.last()?) {
        (4, _) => b,
        (_, 4) => a,
        _ => return None,
    };
    let reason = "it has an output of boxes and one of scores";
    rule(ModelFamily::YoloNasRaw, scores.last(), reason)
}

/// Numbers of places for an input.
struct Grids {
    /// Strides 8 to 32, 8 to 64, 4 to 32.
    counts: [usize; 3],
}

impl Grids {
    fn of(width: usize, height: usize) -> Self {
        let cells = |stride: usize| width.div_ceil(stride) * height.div_ceil(stride);
        let usual = cells(8) + cells(16) + cells(32);
        Self {
            counts: [usual, usual + cells(64), usual + cells(4)],
        }
    }

    /// Whether it is one place a cell.
    fn has(&self, count: Option<usize>) -> bool {
        count.is_some_and(|count| self.counts.contains(&count))
    }

    /// Whether it is three places a cell.
    fn has_thrice(&self, count: Option<usize>) -> bool {
        count.is_some_and(|count| count.is_multiple_of(3) && self.has(Some(count / 3)))
    }

    fn with_stride_64(&self, count: Option<usize>) -> bool {
        count == Some(self.counts[1])
    }
}

fn by_shape(
    graph: &ModelGraph,
    image: &ImageInput,
    output: &TensorInfo,
    grids: &Grids,
    (width, height): (u32, u32),
    names: Option<usize>,
) -> Option<Rule> {
    let seen = || output.to_string();
    match (output.rank(), output.dims()) {
        (Some(2), &[_, Some(6)]) => rule(ModelFamily::Paddle, None, format!("its output is {}", seen())),
        (Some(2), &[_, Some(7)]) => rule(
            ModelFamily::YoloV7EndToEnd,
            None,
            format!("its output is {}", seen()),
        ),
        (Some(4), &[_, _, _, Some(7)]) if output.dim(1).is_none_or(|one| one == 1) => rule(
            ModelFamily::DetectionOutput,
            None,
            format!("its output is {}", seen()),
        ),
        (Some(4), &[_, Some(channels), rows, columns]) => {
            let cells = |cell: u32| {
                rows.is_none_or(|rows| rows == (height / cell) as usize)
                    && columns.is_none_or(|columns| columns == (width / cell) as usize)
            };
            match channels {
                5 if cells(8) => rule(
                    ModelFamily::PersonGrid,
                    Some(1),
                    format!("its output is {}, cells of 8 pixels", seen()),
                ),
                6.. if cells(16) => rule(
                    ModelFamily::FastestDet,
                    Some(channels - 5),
                    format!("its output is {}, cells of 16 pixels", seen()),
                ),
                _ => None,
            }
        }
        (Some(3), &[_, a, b]) => rows_or_channels(graph, image, output, (a, b), grids, names),
        // The file declares no shape, but its metadata that it detects.
        (None, _) if graph.metadata("task") == Some("detect") => {
            rule(ModelFamily::YoloV8, names, "its task in the metadata is detect")
        }
        _ => None,
    }
}

/// `[frames, a, b]`.
fn rows_or_channels(
    graph: &ModelGraph,
    image: &ImageInput,
    output: &TensorInfo,
    (a, b): (Option<usize>, Option<usize>),
    grids: &Grids,
    names: Option<usize>,
) -> Option<Rule> {
    let seen = output.to_string();
    let has_stride = graph.metadata("stride").is_some();
    let beyond = |size: Option<usize>, others: usize| size?.checked_sub(others).filter(|&n| n > 0);
    // `output` without metadata is YOLOv7's exporter; YOLOv5 writes `stride`.
    let anchors = if !has_stride && output.name == "output" {
        ModelFamily::YoloV7
    } else {
        ModelFamily::YoloV5
    };
    let exp = graph.has_operator("Exp");
    let yolox = if exp {
        ModelFamily::YoloXDecoded
    } else {
        ModelFamily::YoloX
    };
    let how = if exp {
        "an Exp decodes it"
    } else {
        "no Exp decodes it"
    };

    if grids.has(b) {
        let classes = beyond(a, 4).or(names);
        return rule(
            ModelFamily::YoloV8,
            classes,
            format!("its output is {seen}: a box and class scores a place"),
        );
    }
    if grids.has_thrice(a) {
        let classes = beyond(b, 5).or(names);
        return rule(
            anchors,
            classes,
            format!("its output is {seen}: three rows a place"),
        );
    }
    if grids.has(a) {
        let channels = b.or(names.map(|names| names + 5))?;
        let of_nanodet =
            image.name == "data" || channels == 80 + 32 || names.is_some_and(|n| n + 32 == channels);
        if grids.with_stride_64(a) && of_nanodet && channels > 32 {
            let reason = format!("its output is {seen}: class scores and 32 bins a place, strides up to 64");
            return rule(ModelFamily::NanoDetPlus, Some(channels - 32), reason);
        }
        if names.map_or(channels == 84, |names| names + 4 == channels) {
            let reason = format!("its output is {seen}: a box and class scores a place, transposed");
            return rule(ModelFamily::YoloV8, Some(channels - 4), reason);
        }
        let reason = format!("its output is {seen}: one row a place with objectness; {how}");
        return rule(yolox, beyond(Some(channels), 5), reason);
    }
    if b == Some(6) {
        // With open places, one class with objectness and finished boxes look alike.
        let finished = graph
            .metadata("end2end")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || graph
                .metadata("args")
                .is_some_and(|args| args.contains("'nms': True"));
        if a.is_none() && names == Some(1) && has_stride && graph.metadata("task").is_none() && !finished {
            return rule(
                anchors,
                Some(1),
                format!("its output is {seen}, and it has one class"),
            );
        }
        return rule(
            ModelFamily::EndToEnd,
            None,
            format!("its output is {seen}: finished boxes"),
        );
    }
    match (a, b) {
        (Some(a), None) if names.is_none_or(|names| names + 4 == a) && a > 4 => rule(
            ModelFamily::YoloV8,
            Some(a - 4),
            format!("its output is {seen}: channels first, places open"),
        ),
        (None, Some(b)) if names.is_none_or(|names| names + 5 == b) && b > 5 => {
            let family = if has_stride || !exp { anchors } else { yolox };
            rule(
                family,
                Some(b - 5),
                format!("its output is {seen}: places open, rows of objectness and classes"),
            )
        }
        (None, None) if graph.metadata("task") == Some("detect") => {
            rule(ModelFamily::YoloV8, names, "its task in the metadata is detect")
        }
        _ => None,
    }
}

/// The three families whose published models are most like this one.
pub(super) fn nearest(graph: &ModelGraph, image: &ImageInput) -> [ModelFamily; 3] {
    let outputs = graph.outputs();
    let score = |family: ModelFamily| {
        let ranks = usual_ranks(family);
        let mut score = 0i64;
        if ranks.len() == outputs.len() {
            score += 3;
        }
        score -= (ranks.len() as i64 - outputs.len() as i64).abs();
        for rank in 0..6 {
            let usual = ranks.iter().filter(|&&usual| usual == rank).count();
            let found = outputs.iter().filter(|o| o.rank() == Some(rank)).count();
            score += 2 * usual.min(found) as i64;
        }
        if family.outputs(graph).is_some_and(|names| names.len() > 1) {
            score += 4;
        }
        if image.channels_last == (family == ModelFamily::TensorFlow) {
            score += 1;
        }
        score
    };
    let mut families = ModelFamily::ALL;
    // Stable: of equal ones, the more used first.
    families.sort_by_key(|&family| -score(family));
    let [first, second, third, ..] = families;
    [first, second, third]
}

/// Ranks of the outputs.
fn usual_ranks(family: ModelFamily) -> &'static [usize] {
    match family {
        ModelFamily::PersonGrid | ModelFamily::FastestDet | ModelFamily::DetectionOutput => &[4],
        ModelFamily::YoloV7EndToEnd | ModelFamily::YoloNasFlat => &[2],
        ModelFamily::YoloNas => &[2, 3, 2, 2],
        ModelFamily::YoloNasRaw | ModelFamily::RfDetr => &[3, 3],
        ModelFamily::NanoDet => &[3, 3, 3, 3, 3, 3],
        ModelFamily::PicoDetRaw => &[3, 3, 3, 3, 3, 3, 3, 3],
        ModelFamily::Paddle => &[2, 1],
        ModelFamily::YoloFastestV2 | ModelFamily::DetectNetV2 => &[4, 4],
        ModelFamily::TensorFlow => &[3, 2, 2, 1],
        ModelFamily::TinyYoloV3 => &[3, 3, 3],
        ModelFamily::RtDetr => &[2, 3, 2],
        ModelFamily::YoloV8
        | ModelFamily::YoloV5
        | ModelFamily::YoloV7
        | ModelFamily::YoloX
        | ModelFamily::YoloXDecoded
        | ModelFamily::EndToEnd
        | ModelFamily::NanoDetPlus => &[3],
    }
}
