//! The camera's picture within a padded frame.

use lva_inference_schema::Rectangle;
use lva_media_types::BoundingBox;

/// The camera's picture within the frames that are sent, in fractions of the frame.
///
/// Clients that pad (`"mode": "pad"`) centre the picture between two bars and map the boxes of answers back. The protocol
/// does not announce that, but zones are drawn on the camera's picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Content {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Content {
    /// The picture fills the frame.
    pub(crate) const WHOLE: Self = Self {
        left: 0.0,
        top: 0.0,
        width: 1.0,
        height: 1.0,
    };

    /// A picture of aspect `camera` (width by height), centred in a frame of aspect `frame`.
    pub(crate) fn centered(camera: f64, frame: f64) -> Self {
        let width = (camera / frame).min(1.0);
        let height = (frame / camera).min(1.0);
        Self {
            left: (1.0 - width) / 2.0,
            top: (1.0 - height) / 2.0,
            width,
            height,
        }
    }

    /// Converts a box of the frame to the camera's picture; in the bars it lies outside 0..=1.
    pub(crate) fn to_camera(self, found: &BoundingBox) -> BoundingBox {
        let scaled = |v: f32, from: f64, size: f64| ((f64::from(v) - from) / size) as f32;
        BoundingBox::new(
            scaled(found.left, self.left, self.width),
            scaled(found.top, self.top, self.height),
            scaled(found.width, 0.0, self.width),
            scaled(found.height, 0.0, self.height),
        )
    }

    /// Converts a box of the camera's picture to the frame.
    pub(crate) fn to_frame(self, bbox: &mut Rectangle) {
        if self == Self::WHOLE {
            return;
        }
        let scaled = |v: f64, from: f64, size: f64| (v * size + from) as f32;
        bbox.l = scaled(bbox.l.get(), self.left, self.width).into();
        bbox.t = scaled(bbox.t.get(), self.top, self.height).into();
        bbox.w = scaled(bbox.w.get(), 0.0, self.width).into();
        bbox.h = scaled(bbox.h.get(), 0.0, self.height).into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_contracts_example_of_bars_left_and_right() {
        // With 0.2 of padding on the left and right, the picture is (0.2, 0, 0.6, 1).
        let content = Content::centered(0.6, 1.0);
        let all = content.to_camera(&BoundingBox::from_edges(0.2, 0.0, 0.8, 1.0));
        let close = |a: f32, b: f32| (a - b).abs() < 1e-6;
        assert!(
            close(all.left, 0.0) && close(all.top, 0.0) && close(all.width, 1.0) && close(all.height, 1.0)
        );
    }

    proptest! {
        #[test]
        fn a_box_comes_back_from_the_cameras_picture(
            camera in 0.2..5.0f64, frame in 0.2..5.0f64,
            l in 0.0..0.9f32, t in 0.0..0.9f32, w in 0.01..0.1f32, h in 0.01..0.1f32,
        ) {
            let content = Content::centered(camera, frame);
            let given = BoundingBox { left: l, top: t, width: w, height: h };
            let there = content.to_camera(&given);
            let mut back = Rectangle::new(there.left, there.top, there.width, there.height);
            content.to_frame(&mut back);
            for (a, b) in [(back.l, l), (back.t, t), (back.w, w), (back.h, h)] {
                prop_assert!((a.to_f32() - b).abs() < 1e-5);
            }
        }
    }
}
