//! A node's image settings for `lva-framing`, which renders, and for `lva-extension-protocol`, which announces the format.

use std::borrow::Cow;
use std::num::NonZeroU32;

use lva_extension_protocol::{FormatError, FrameEncoding, FrameFormat};
use lva_framing::{FractionBox, FramePlan, FrameRate, ImageFile, ImageSettings, PixelFormat, ScaleMode};
use lva_graph_model::nodes::{Image, ImageFormat, ImageScale, Rate};
use lva_inference_schema::{Inference, Rectangle};

/// The format of a node's frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FrameSpec {
    pub(crate) settings: ImageSettings,
    /// The file that a rendered frame is written as; `None` for bare pixels.
    pub(crate) file: Option<ImageFile>,
}

impl FrameSpec {
    pub(crate) fn new(image: &Image) -> Self {
        let (pixels, file) = match image.format {
            ImageFormat::Raw(pixels) => (pixels, None),
            ImageFormat::Jpeg { quality } => (PixelFormat::Bgr24, Some(ImageFile::Jpeg { quality })),
            ImageFormat::Png => (PixelFormat::Bgr24, Some(ImageFile::Png)),
            ImageFormat::Bmp => (PixelFormat::Bgr24, Some(ImageFile::Bmp)),
        };
        let settings = ImageSettings::new(pixels);
        let settings = match image.scale {
            None => settings,
            Some(ImageScale::Width(width)) => {
                settings.with_scale(ScaleMode::PreserveAspectRatio, Some(width), None)
            }
            Some(ImageScale::Height(height)) => {
                settings.with_scale(ScaleMode::PreserveAspectRatio, None, Some(height))
            }
            Some(ImageScale::Within { width, height }) => {
                settings.with_scale(ScaleMode::PreserveAspectRatio, Some(width), Some(height))
            }
            Some(ImageScale::Pad { width, height }) => {
                settings.with_scale(ScaleMode::Pad, Some(width), Some(height))
            }
            Some(ImageScale::Stretch { width, height }) => {
                settings.with_scale(ScaleMode::Stretch, Some(width), Some(height))
            }
        };
        Self { settings, file }
    }

    /// How each frame is encoded.
    pub(crate) fn encoding(&self) -> FrameEncoding {
        match self.file {
            None => FrameEncoding::Raw(self.settings.format()),
            Some(ImageFile::Png) => FrameEncoding::Png,
            Some(ImageFile::Bmp) => FrameEncoding::Bmp,
            // `ImageFile` may grow; what is made above are these three.
            Some(_) => FrameEncoding::Jpg,
        }
    }

    /// What the stream's descriptor announces.
    pub(crate) fn announced(&self, plan: &FramePlan) -> Result<FrameFormat, FormatError> {
        let (width, height) = (plan.width(), plan.height());
        match self.file {
            None => FrameFormat::raw(plan.format(), width, height),
            Some(ImageFile::Png) => FrameFormat::png(width, height),
            Some(ImageFile::Bmp) => FrameFormat::bmp(width, height),
            // `ImageFile` may grow; what is made above are these three.
            Some(_) => FrameFormat::jpg(width, height),
        }
    }
}

/// A rate as an exact fraction of two 32-bit numbers; as the nearest such fraction where the document has more digits.
pub(crate) fn frame_rate(rate: Rate) -> FrameRate {
    // A float prints as its shortest decimal, as in the document.
    let exact = rate.per_second().to_string().parse().ok();
    exact.unwrap_or_else(|| nearest(rate.per_second()))
}

fn nearest(per_second: f64) -> FrameRate {
    const MOST: f64 = u32::MAX as f64;
    let seconds = (0..=9)
        .rev()
        .map(|digits| 10_u32.pow(digits))
        .find(|seconds| per_second * f64::from(*seconds) <= MOST)
        .unwrap_or(1);
    // In range, and a conversion of a float saturates.
    let frames = (per_second * f64::from(seconds)).round().clamp(1.0, MOST) as u32;
    let frames = NonZeroU32::new(frames).unwrap_or(NonZeroU32::MIN);
    let seconds = NonZeroU32::new(seconds).unwrap_or(NonZeroU32::MIN);
    FrameRate::of(frames, seconds)
}

/// Inferences with their boxes mapped from the camera's picture to the frame as sent.
pub(crate) fn padded<'a>(plan: &FramePlan, found: &'a [Inference]) -> Cow<'a, [Inference]> {
    if !plan.is_padded() || found.is_empty() {
        return Cow::Borrowed(found);
    }
    let mut found = found.to_vec();
    for own in found.iter_mut().filter_map(Inference::bounding_box_mut) {
        let sent = plan.pad(FractionBox::new(
            own.l.get(),
            own.t.get(),
            own.w.get(),
            own.h.get(),
        ));
        set_box(own, sent);
    }
    Cow::Owned(found)
}

fn set_box(bounds: &mut Rectangle, to: FractionBox) {
    // The wire has single precision; more digits than that would be invented.
    let [l, t, w, h] = [to.left, to.top, to.width, to.height].map(|side| side as f32);
    let extra = std::mem::take(&mut bounds.extra);
    *bounds = Rectangle::new(l, t, w, h);
    bounds.extra = extra;
}

/// Maps the boxes of inferences from the frame as sent to the camera's picture.
pub(crate) fn unpad(plan: &FramePlan, inferences: &mut [Inference]) {
    if !plan.is_padded() {
        return;
    }
    for inference in inferences {
        if let Some(found) = inference.bounding_box_mut() {
            let sent = FractionBox::new(found.l.get(), found.t.get(), found.w.get(), found.h.get());
            set_box(found, plan.unpad(sent));
        }
    }
}

#[cfg(test)]
mod tests {
    use lva_inference_schema::{Entity, Event};

    use super::*;

    #[test]
    fn every_pixel_format_keeps_its_name_across_both_conversions() {
        for pixels in PixelFormat::ALL {
            let image = Image {
                scale: None,
                format: ImageFormat::Raw(pixels),
            };
            let spec = FrameSpec::new(&image);
            let plan = spec.settings.plan(64, 48).unwrap();
            let announced = spec.announced(&plan).unwrap();
            assert_eq!(plan.format().name(), pixels.name());
            assert_eq!(announced.pixel_format().unwrap().name(), pixels.name());
            assert_eq!(announced.frame_bytes(), Some(plan.bytes()), "{pixels:?}");
        }
    }

    #[test]
    fn the_tutorial_s_picture_is_1408_by_786_with_bars() {
        let scale = Some(ImageScale::Pad {
            width: 1408,
            height: 786,
        });
        let spec = FrameSpec::new(&Image {
            scale,
            format: ImageFormat::Raw(PixelFormat::Bgr24),
        });
        let plan = spec.settings.plan(1920, 1080).unwrap();
        assert_eq!(spec.announced(&plan).unwrap().frame_bytes(), Some(3_320_064));
        let whole = Rectangle::new(5.0 / 1408.0, 0.0, 1397.0 / 1408.0, 1.0);
        let mut found = vec![
            Inference::new(Entity::new("person", 0.5_f32, whole)),
            Inference::new(Event::new("personZoneEvent")),
        ];
        unpad(&plan, &mut found);
        let mapped = found[0].bounding_box().unwrap();
        assert!(
            mapped.l.get().abs() < 1e-6 && (mapped.w.get() - 1.0).abs() < 1e-6,
            "{mapped:?}"
        );
        assert!(found[1].bounding_box().is_none());
    }

    #[test]
    fn boxes_of_a_frame_without_bars_stay_to_the_last_bit() {
        let spec = FrameSpec::new(&Image {
            scale: None,
            format: ImageFormat::Bmp,
        });
        let plan = spec.settings.plan(64, 48).unwrap();
        let found = Inference::new(Entity::new(
            "x",
            0.1_f32,
            Rectangle::new(0.1_f64, 0.2_f64, 0.3_f64, 1.4_f64),
        ));
        let mut mapped = vec![found.clone()];
        unpad(&plan, &mut mapped);
        assert_eq!(mapped, [found]);
    }

    #[test]
    fn rates_are_what_the_document_said() {
        for (written, exact) in [(15.0, "15"), (0.2, "1/5"), (29.97, "2997/100"), (2.0, "2")] {
            assert_eq!(frame_rate(Rate::new(written).unwrap()).to_string(), exact);
        }
        for (long, near) in [
            (0.333_333_333_333_333_3, 1.0 / 3.0),
            (1e-30, 1e-9),
            (1e30, f64::from(u32::MAX)),
        ] {
            let rate = frame_rate(Rate::new(long).unwrap()).as_f64();
            assert!((rate - near).abs() <= near * 1e-9, "{long}: {rate}");
        }
    }
}
