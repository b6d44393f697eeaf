//! A motion node's settings for `lva-framing`, and its results for `lva-inference-schema`.

use lva_framing::FractionBox;
use lva_framing::motion::MotionSensitivity;
use lva_graph_model::nodes::{MotionDetection, Sensitivity};
use lva_inference_schema::{Inference, Motion, Rectangle};

pub(crate) fn sensitivity(node: &MotionDetection) -> MotionSensitivity {
    match node.sensitivity {
        Sensitivity::Low => MotionSensitivity::Low,
        Sensitivity::Medium => MotionSensitivity::Medium,
        Sensitivity::High => MotionSensitivity::High,
    }
}

/// Motion in a region, or anywhere.
pub(crate) fn inference(region: Option<FractionBox>) -> Inference {
    let bbox = region.map(|region| {
        // Published boxes have six digits; a cell of the grid is 1/160.
        let [l, t, w, h] = [region.left, region.top, region.width, region.height].map(|side| side as f32);
        Rectangle::new(l, t, w, h)
    });
    Inference::new(Motion {
        bbox,
        ..Motion::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sensitivity_keeps_its_word() {
        for &sensitivity in Sensitivity::ALL {
            let node = MotionDetection {
                sensitivity,
                output_motion_region: true,
                event_aggregation_window: std::time::Duration::ZERO,
            };
            let word = super::sensitivity(&node).to_string();
            assert_eq!(word, sensitivity.as_str());
        }
    }
}
