//! Placement and the way back, for any sizes.

use lva_framing::{FractionBox, FramePlan, ImageSettings, PixelFormat, ScaleMode};
use proptest::prelude::*;

fn pad(input: (u32, u32), frame: (u32, u32), format: PixelFormat) -> FramePlan {
    ImageSettings::new(format)
        .with_scale(ScaleMode::Pad, Some(frame.0), Some(frame.1))
        .plan(input.0, input.1)
        .unwrap()
}

fn format() -> impl Strategy<Value = PixelFormat> {
    proptest::sample::select(PixelFormat::ALL.to_vec())
}

proptest! {
    #[test]
    fn padded_content_is_whole_centred_and_keeps_its_shape(
        input in (1u32..5000, 1u32..5000), frame in (1u32..3000, 1u32..3000), format in format(),
    ) {
        let plan = pad(input, frame, format);
        let content = plan.content();
        prop_assert!(content.width >= 1 && content.x + content.width <= frame.0);
        prop_assert!(content.height >= 1 && content.y + content.height <= frame.1);
        let slack = if format.chroma_block() > 1 { 4 } else { 1 };
        prop_assert!(content.width + 2 * slack >= frame.0 || content.height + 2 * slack >= frame.1);
        let right = frame.0 - content.x - content.width;
        prop_assert!(right >= content.x && right - content.x <= slack, "{plan:?}");
        // One side follows from the other to within a pixel.
        let exact_width = f64::from(content.height) * f64::from(input.0) / f64::from(input.1);
        let exact_height = f64::from(content.width) * f64::from(input.1) / f64::from(input.0);
        let off = (f64::from(content.width) - exact_width).abs().min((f64::from(content.height) - exact_height).abs());
        prop_assert!(off <= f64::from(slack) || content.width <= 2 || content.height <= 2, "{plan:?}");
    }

    #[test]
    fn stretched_and_native_frames_have_no_padding(
        input in (1u32..5000, 1u32..5000), frame in (1u32..3000, 1u32..3000), format in format(),
    ) {
        let stretched = ImageSettings::new(format)
            .with_scale(ScaleMode::Stretch, Some(frame.0), Some(frame.1)).plan(input.0, input.1).unwrap();
        prop_assert_eq!((stretched.width(), stretched.height(), stretched.is_padded()), (frame.0, frame.1, false));
        let native = ImageSettings::new(format).plan(input.0, input.1).unwrap();
        prop_assert_eq!((native.width(), native.height(), native.is_padded()), (input.0, input.1, false));
        let whole = FractionBox::new(0.25, 0.5, 0.25, 0.125);
        prop_assert_eq!(stretched.unpad(whole), whole);
    }

    #[test]
    fn preserved_shape_never_exceeds_what_was_asked(
        input in (1u32..5000, 1u32..5000), asked in (1u32..3000, 1u32..3000),
    ) {
        let plan = ImageSettings::new(PixelFormat::Bgr24)
            .with_scale(ScaleMode::PreserveAspectRatio, Some(asked.0), Some(asked.1)).plan(input.0, input.1).unwrap();
        prop_assert!(plan.width() <= asked.0 && plan.height() <= asked.1);
        prop_assert!(plan.width() == asked.0 || plan.height() == asked.1);
        prop_assert!(!plan.is_padded());
    }

    #[test]
    fn a_box_of_the_picture_finds_its_way_back(
        input in (16u32..5000, 16u32..5000), frame in (16u32..3000, 16u32..3000),
        (left, top) in (0.0f64..1.0, 0.0f64..1.0), (right, bottom) in (0.0f64..1.0, 0.0f64..1.0),
    ) {
        let plan = pad(input, frame, PixelFormat::Bgr24);
        let content = plan.content();
        let (left, right) = (left.min(right), left.max(right));
        let (top, bottom) = (top.min(bottom), top.max(bottom));
        let sent_x = |x: f64| (f64::from(content.x) + x * f64::from(content.width)) / f64::from(frame.0);
        let sent_y = |y: f64| (f64::from(content.y) + y * f64::from(content.height)) / f64::from(frame.1);
        let sent = FractionBox::new(
            sent_x(left), sent_y(top), sent_x(right) - sent_x(left), sent_y(bottom) - sent_y(top),
        );
        let mapped = plan.pad(FractionBox::new(left, top, right - left, bottom - top));
        prop_assert!((mapped.left - sent.left).abs() < 1e-9 && (mapped.height - sent.height).abs() < 1e-9);
        let back = plan.unpad(sent);
        prop_assert!((back.left - left).abs() < 1e-6 && (back.width - (right - left)).abs() < 1e-6);
        prop_assert!((back.top - top).abs() < 1e-6 && (back.height - (bottom - top)).abs() < 1e-6);
    }

    #[test]
    fn whatever_a_peer_sends_ends_inside_the_picture(
        input in (1u32..5000, 1u32..5000), frame in (1u32..3000, 1u32..3000),
        sent in (any::<f64>(), any::<f64>(), any::<f64>(), any::<f64>()),
    ) {
        let plan = pad(input, frame, PixelFormat::Bgr24);
        let back = plan.unpad(FractionBox::new(sent.0, sent.1, sent.2, sent.3));
        for (near, extent) in [(back.left, back.width), (back.top, back.height)] {
            prop_assert!((0.0..=1.0).contains(&near) && extent >= 0.0 && near + extent <= 1.0 + 1e-12, "{back:?}");
        }
    }
}
