//! Shared by the tests: scripted detectors, a person who walks, and summaries of inferences.

use std::collections::VecDeque;

use lva_inference::{
    BoundingBox, DetectError, Detection, Detector, DetectorInfo, Frame, ImageView, PixelFormat,
};
use lva_inference_schema::{Inference, InferenceValue};
use lva_spatial_analysis::SpatialAnalysis;

pub(crate) const SECOND: u64 = 90_000;

/// Size of the frames, whose content does not matter.
pub(crate) const SIZE: (u32, u32) = (64, 36);

/// A zone in the middle and a line to its right, on the way of [`walker_at`].
pub(crate) const SCENE: &str = r#"{
    "zones": [{"name": "door", "polygon": [[0.4, 0.5], [0.6, 0.5], [0.6, 0.95], [0.4, 0.95]]}],
    "lines": [{"name": "gate", "start": [0.7, 1.0], "end": [0.7, 0.0]}]
}"#;

/// Gives one list of detections after the other, then none.
pub(crate) struct Scripted {
    info: DetectorInfo,
    script: VecDeque<Result<Vec<Detection>, DetectError>>,
}

impl Scripted {
    pub(crate) fn new(script: impl IntoIterator<Item = Vec<Detection>>) -> Self {
        Self::with_failures(script.into_iter().map(Ok))
    }

    pub(crate) fn with_failures(
        script: impl IntoIterator<Item = Result<Vec<Detection>, DetectError>>,
    ) -> Self {
        Self {
            info: DetectorInfo::new("scripted", 64, 36),
            script: script.into_iter().collect(),
        }
    }

    pub(crate) fn with_class_names<const N: usize>(mut self, names: [&str; N]) -> Self {
        self.info = self.info.with_class_names(names);
        self
    }

    pub(crate) fn with_classes_kept<const N: usize>(mut self, classes: [u16; N]) -> Self {
        self.info = self.info.with_classes_kept(classes);
        self
    }
}

impl Detector for Scripted {
    fn info(&self) -> &DetectorInfo {
        &self.info
    }

    fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
        frames
            .iter()
            .map(|_| self.script.pop_front().unwrap_or_else(|| Ok(Vec::new())))
            .collect()
    }
}

/// Really looks at frames of BGR: whatever is white is one person.
#[derive(Debug)]
pub(crate) struct WhiteSpot(pub(crate) DetectorInfo);

impl Default for WhiteSpot {
    fn default() -> Self {
        Self(DetectorInfo::new("white spot", 160, 90).with_class_names(["dog", "person"]))
    }
}

impl Detector for WhiteSpot {
    fn info(&self) -> &DetectorInfo {
        &self.0
    }

    fn detect(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError> {
        let look = |(index, frame): (usize, &Frame<'_>)| {
            let Frame::Host(view) = frame else {
                return Err(DetectError::UnsupportedFrame { index });
            };
            Ok(white_box(view)
                .map(|bbox| person_of_class(bbox, 1))
                .into_iter()
                .collect())
        };
        frames.iter().enumerate().map(look).collect()
    }
}

fn white_box(view: &ImageView<'_>) -> Option<BoundingBox> {
    let (mut left, mut top, mut right, mut bottom) = (usize::MAX, usize::MAX, 0, 0);
    for (y, row) in view.bytes().chunks(view.stride()).enumerate() {
        for (x, pixel) in row.chunks_exact(3).enumerate() {
            if pixel.iter().all(|byte| *byte > 200) {
                (left, right) = (left.min(x), right.max(x + 1));
                (top, bottom) = (top.min(y), bottom.max(y + 1));
            }
        }
    }
    let share = |at: usize, of: u32| at as f32 / of as f32;
    (right > left).then(|| {
        let (width, height) = (view.width(), view.height());
        BoundingBox::from_edges(
            share(left, width),
            share(top, height),
            share(right, width),
            share(bottom, height),
        )
    })
}

/// Black but for a white box, in BGR or RGB.
pub(crate) fn draw_white(pixels: &mut [u8], width: usize, bbox: BoundingBox) {
    let height = pixels.len() / width / 3;
    for (index, pixel) in pixels.chunks_exact_mut(3).enumerate() {
        let x = ((index % width) as f32 + 0.5) / width as f32;
        let y = ((index / width) as f32 + 0.5) / height as f32;
        pixel.fill(if bbox.contains(x, y) { 255 } else { 0 });
    }
}

pub(crate) fn person(bbox: BoundingBox) -> Detection {
    person_of_class(bbox, 0)
}

pub(crate) fn person_of_class(bbox: BoundingBox, class: u16) -> Detection {
    Detection {
        bbox,
        class,
        score: 0.9,
    }
}

/// A person who walks from left to right, a tenth of the picture a second, from x = 0.1; feet at 0.8.
pub(crate) fn walker_at(seconds: f64) -> BoundingBox {
    let center = 0.1 + 0.1 * seconds as f32;
    BoundingBox::from_edges(center - 0.05, 0.4, center + 0.05, 0.8)
}

/// Eight seconds of that walk, then two seconds without people, at a frame rate: detections with their times.
pub(crate) fn walk(fps: u64) -> Vec<(u64, Vec<Detection>)> {
    (0..10 * fps)
        .map(|n| {
            let seconds = n as f64 / fps as f64;
            let there = (seconds < 8.0).then(|| person(walker_at(seconds)));
            (n * SECOND / fps, there.into_iter().collect())
        })
        .collect()
}

/// Processes frames at these times; returns the inferences of each frame that has any.
pub(crate) fn play<D: Detector>(
    analysis: &mut SpatialAnalysis<D>,
    times: impl IntoIterator<Item = u64>,
) -> Vec<(u64, Vec<Inference>)> {
    let pixels = vec![0; (SIZE.0 * SIZE.1 * 3) as usize];
    let view = ImageView::packed(&pixels, SIZE.0, SIZE.1, PixelFormat::Bgr24).unwrap();
    let mut reported = Vec::new();
    for time in times {
        let inferences = analysis.process(view, time).unwrap();
        if !inferences.is_empty() {
            reported.push((time, inferences));
        }
    }
    reported
}

/// Status and place of the events in a message.
pub(crate) fn events(inferences: &[Inference]) -> Vec<(String, String)> {
    inferences
        .iter()
        .filter_map(|inference| match &inference.value {
            InferenceValue::Event(event) => Some((
                event.properties["status"].clone(),
                event.properties["zone"].clone(),
            )),
            _ => None,
        })
        .collect()
}

/// Every message is one that the contract allows: entities first, and each relation resolves within it.
pub(crate) fn assert_sound(inferences: &[Inference]) {
    let first_event = inferences
        .iter()
        .position(|i| matches!(i.value, InferenceValue::Event(_)))
        .unwrap_or(inferences.len());
    let (entities, events) = inferences.split_at(first_event);
    for entity in entities {
        assert!(matches!(entity.value, InferenceValue::Entity(_)), "{entity:?}");
    }
    for event in events {
        let InferenceValue::Event(reported) = &event.value else {
            panic!("an entity after events: {event:?}")
        };
        assert_eq!(event.related_inferences.len(), 1);
        let related = &event.related_inferences[0];
        assert!(entities.iter().any(|e| e.inference_id == *related), "{event:?}");
        assert!(!reported.properties["trackingId"].is_empty());
    }
}
