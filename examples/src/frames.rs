//! Frames for an extension: their flags, rendering, and the mapping of boxes back to the picture.

use std::str::FromStr;

use anyhow::Context;
use lva_extension_protocol::{FormatError, FrameFormat, PixelFormat as WirePixels};
use lva_framing::{
    FractionBox, FrameEncoder, FramePlan, ImageFile, ImageSettings, Picture, PixelFormat, Renderer, ScaleMode,
};
use lva_inference_schema::{Inference, Rectangle};

/// Default JPEG quality.
const QUALITY: u8 = 85;

/// `--scale`: `none`, or a mode of the contract with a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScaleFlag(Option<(ScaleMode, u32, u32)>);

impl FromStr for ScaleFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(None));
        }
        let wrong = || {
            format!("'{text}' is not a scale: write none, pad:WxH, stretch:WxH or preserveAspectRatio:WxH")
        };
        let (mode, size) = text.split_once(':').ok_or_else(wrong)?;
        let mode = match mode.to_ascii_lowercase().as_str() {
            "pad" => ScaleMode::Pad,
            "stretch" => ScaleMode::Stretch,
            "preserveaspectratio" => ScaleMode::PreserveAspectRatio,
            _ => return Err(wrong()),
        };
        let (width, height) = crate::parse_size(size)?;
        Ok(Self(Some((mode, width, height))))
    }
}

/// `--format`: a file format or one of the contract's pixel formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatFlag {
    /// Encoded files.
    File(ImageFile),
    /// Raw pixels.
    Raw(PixelFormat),
}

impl FromStr for FormatFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "jpeg" | "jpg" => Self::File(ImageFile::Jpeg { quality: QUALITY }),
            "png" => Self::File(ImageFile::Png),
            "bmp" => Self::File(ImageFile::Bmp),
            name => {
                let known = PixelFormat::ALL.into_iter().find(|pixels| pixels.name() == name);
                Self::Raw(known.ok_or_else(|| {
                    let names = PixelFormat::ALL.map(PixelFormat::name).join(", ");
                    format!("'{text}' is not a format: write jpeg, png, bmp, or one of {names}")
                })?)
            }
        })
    }
}

/// Both flags, resolved for pictures of one size.
#[derive(Debug, Clone, Copy)]
pub struct FrameForm {
    plan: FramePlan,
    file: Option<ImageFile>,
}

impl FrameForm {
    /// For pictures of this size.
    ///
    /// # Errors
    ///
    /// The size is out of range.
    pub fn new(scale: ScaleFlag, format: FormatFlag, (width, height): (u32, u32)) -> anyhow::Result<Self> {
        let (pixels, file) = match format {
            // The encoder's input.
            FormatFlag::File(file) => (PixelFormat::Bgr24, Some(file)),
            FormatFlag::Raw(pixels) => (pixels, None),
        };
        let mut settings = ImageSettings::new(pixels);
        if let Some((mode, width, height)) = scale.0 {
            settings = settings.with_scale(mode, Some(width), Some(height));
        }
        let plan = settings.plan(width, height)?;
        Ok(Self { plan, file })
    }

    /// The format that a stream of these frames announces.
    ///
    /// # Errors
    ///
    /// The size is outside the limits of the protocol.
    pub fn announced(&self) -> Result<FrameFormat, FormatError> {
        let (width, height) = (self.plan.width(), self.plan.height());
        match self.file {
            None => {
                let name = self.plan.format().name();
                // Both crates have the contract's formats, under the contract's names.
                let pixels = WirePixels::ALL.into_iter().find(|pixels| pixels.name() == name);
                FrameFormat::raw(pixels.unwrap_or(WirePixels::Bgr24), width, height)
            }
            Some(ImageFile::Png) => FrameFormat::png(width, height),
            Some(ImageFile::Bmp) => FrameFormat::bmp(width, height),
            // The flag has only these three.
            Some(_) => FrameFormat::jpg(width, height),
        }
    }

    /// Whether the picture has the expected size.
    pub fn fits(&self, picture: &Picture) -> bool {
        (picture.width(), picture.height()) == (self.plan.input_width(), self.plan.input_height())
    }

    /// Maps the boxes of inferences from the padded frame to the picture.
    pub fn unpad(&self, inferences: &mut [Inference]) {
        if !self.plan.is_padded() {
            return;
        }
        for found in inferences.iter_mut().filter_map(Inference::bounding_box_mut) {
            let sent = FractionBox::new(found.l.get(), found.t.get(), found.w.get(), found.h.get());
            let own = self.plan.unpad(sent);
            // The wire has single precision.
            let [l, t, w, h] = [own.left, own.top, own.width, own.height].map(|side| side as f32);
            let extra = std::mem::take(&mut found.extra);
            *found = Rectangle::new(l, t, w, h);
            found.extra = extra;
        }
    }
}

/// Renders pictures into frames. Stays on one thread.
#[derive(Debug)]
pub struct FrameMaker {
    form: FrameForm,
    renderer: Renderer,
    encoder: FrameEncoder,
    pixels: Vec<u8>,
    bytes: Vec<u8>,
}

impl FrameMaker {
    /// A maker of such frames.
    pub fn new(form: FrameForm) -> Self {
        Self {
            form,
            renderer: Renderer::new(form.plan),
            encoder: FrameEncoder::new(),
            pixels: Vec::new(),
            bytes: Vec::new(),
        }
    }

    /// Renders a picture into `slot`, raw frames in place, and returns the size of the frame in bytes.
    ///
    /// # Errors
    ///
    /// The picture has another size, or the encoded file is larger than the slot.
    pub fn fill(&mut self, picture: &Picture, slot: &mut [u8]) -> anyhow::Result<usize> {
        let Some(file) = self.form.file else {
            self.renderer.render(picture, slot)?;
            return Ok(slot.len());
        };
        self.pixels.resize(self.form.plan.bytes(), 0);
        self.renderer.render(picture, &mut self.pixels)?;
        self.encoder
            .encode(&self.form.plan, &self.pixels, file, &mut self.bytes)?;
        let length = self.bytes.len();
        let target = slot
            .get_mut(..length)
            .with_context(|| format!("a file of {length} bytes does not fit into a slot"))?;
        target.copy_from_slice(&self.bytes);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use lva_inference_schema::Entity;

    use super::*;

    #[test]
    fn scales_have_the_contracts_names() {
        let parse = |text: &str| text.parse::<ScaleFlag>();
        assert_eq!(parse("none"), Ok(ScaleFlag(None)));
        assert_eq!(
            parse("pad:1408x786"),
            Ok(ScaleFlag(Some((ScaleMode::Pad, 1408, 786))))
        );
        assert_eq!(
            parse("Stretch:416x416"),
            Ok(ScaleFlag(Some((ScaleMode::Stretch, 416, 416))))
        );
        let keeps = ScaleFlag(Some((ScaleMode::PreserveAspectRatio, 640, 640)));
        assert_eq!(parse("preserveAspectRatio:640x640"), Ok(keeps));
        for wrong in ["", "pad", "pad:", "pad:12", "crop:1x1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn formats_have_the_contracts_names_also_on_the_wire() {
        for pixels in PixelFormat::ALL {
            let flag: FormatFlag = pixels.name().parse().unwrap();
            let form = FrameForm::new(ScaleFlag(None), flag, (64, 48)).unwrap();
            let announced = form.announced().unwrap();
            assert_eq!(announced.pixel_format().unwrap().name(), pixels.name());
            assert_eq!(announced.frame_bytes(), Some(form.plan.bytes()));
        }
        for (name, shown) in [
            ("jpeg", "jpeg 64x48"),
            ("JPG", "jpeg 64x48"),
            ("png", "png 64x48"),
            ("bmp", "bmp 64x48"),
        ] {
            let form = FrameForm::new(ScaleFlag(None), name.parse().unwrap(), (64, 48)).unwrap();
            assert_eq!(form.announced().unwrap().to_string(), shown);
        }
        assert!("gif".parse::<FormatFlag>().unwrap_err().contains("bgr24"));
    }

    #[test]
    fn padding_is_undone_in_boxes() {
        let scale = "pad:1000x600".parse().unwrap();
        let form = FrameForm::new(scale, "bgr24".parse().unwrap(), (300, 300)).unwrap();
        let whole = Rectangle::new(0.2_f32, 0.0_f32, 0.6_f32, 1.0_f32);
        let mut found = [Inference::new(Entity::new("person", 0.5_f32, whole))];
        form.unpad(&mut found);
        let own = found[0].bounding_box().unwrap();
        assert!(
            own.l.get().abs() < 1e-6 && (own.w.get() - 1.0).abs() < 1e-6,
            "{own:?}"
        );
    }
}
