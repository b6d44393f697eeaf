//! Image settings.

use lva_media_types::limits::MAX_ANNOUNCED_SIDE;
use lva_media_types::{PixelFormat, ScaleMode};

use super::members::Members;
use super::{Presence, Reader};
use crate::diagnostic::DiagnosticCode;
use crate::generation::Generation;
use crate::graph::{DEFAULT_JPEG_QUALITY, Image, ImageFormat, ImageScale};
use crate::string_enum::eq_ignoring_case;

impl Reader<'_> {
    /// `image` of an extension; `otherwise` where the document has none.
    pub(crate) fn image(
        &mut self,
        node: &mut Members<'_>,
        presence: Presence,
        otherwise: Image,
    ) -> Option<Image> {
        if node.get("image").is_none() {
            if presence == Presence::InGeneration(true) {
                let message = format!(
                    "{} needs 'image' in {}: add it (the default is used)",
                    node.what, self.generation
                );
                self.findings
                    .rule(DiagnosticCode::MemberMissingInGeneration, &node.at, message);
            }
            return Some(otherwise);
        }
        let mut members = node.object("image", self.findings)?;
        let scale = match members.get("scale") {
            None => Some(None),
            Some(_) => match members.object("scale", self.findings) {
                Some(mut scale) => self.image_scale(&mut scale).map(Some),
                None => None,
            },
        };
        let format = match members.get("format") {
            None => Some(otherwise.format),
            Some(_) => match members.object("format", self.findings) {
                Some(mut format) => self.image_format(&mut format),
                None => None,
            },
        };
        members.finish(self.findings);
        Some(Image {
            scale: scale?,
            format: format?,
        })
    }

    fn image_scale(&mut self, members: &mut Members<'_>) -> Option<ImageScale> {
        let named = members.get("mode").is_some();
        let mode = self.string_enum::<ScaleMode>(members, "mode", Presence::Optional);
        let width_named = members.get("width").is_some();
        let height_named = members.get("height").is_some();
        let width = self.integer(members, "width", Presence::Optional, 1..=MAX_ANNOUNCED_SIDE);
        let height = self.integer(members, "height", Presence::Optional, 1..=MAX_ANNOUNCED_SIDE);
        let mode = match mode {
            None if named => None,
            mode => Some(mode.unwrap_or(ScaleMode::Pad)),
        };
        // Absent members are wrong here; those that wait for a parameter, or were refused already, are not.
        match mode {
            Some(ScaleMode::Pad | ScaleMode::Stretch) => {
                for (name, is_named) in [("width", width_named), ("height", height_named)] {
                    if !is_named {
                        members.missing(name, self.findings);
                    }
                }
            }
            Some(ScaleMode::PreserveAspectRatio) if !width_named && !height_named => {
                members.missing("width", self.findings);
            }
            _ => {}
        }
        let scale = match (mode?, width, height) {
            (ScaleMode::Pad, Some(width), Some(height)) => Some(ImageScale::Pad { width, height }),
            (ScaleMode::Stretch, Some(width), Some(height)) => Some(ImageScale::Stretch { width, height }),
            (ScaleMode::PreserveAspectRatio, Some(width), Some(height)) => {
                Some(ImageScale::Within { width, height })
            }
            (ScaleMode::PreserveAspectRatio, Some(width), None) if !height_named => {
                Some(ImageScale::Width(width))
            }
            (ScaleMode::PreserveAspectRatio, None, Some(height)) if !width_named => {
                Some(ImageScale::Height(height))
            }
            _ => None,
        };
        members.finish(self.findings);
        scale
    }

    fn image_format(&mut self, members: &mut Members<'_>) -> Option<ImageFormat> {
        let (local, at) = self.local_type(members)?;
        let is = |name: &str| local.eq_ignore_ascii_case(name);
        let lva_1 = self.generation == Generation::Lva1;
        let only = |this: &mut Self, exists: bool| {
            if !exists {
                let message = format!(
                    "the type '{local}' does not exist in {}: it is accepted",
                    this.generation
                );
                this.findings.rule(DiagnosticCode::NotInGeneration, &at, message);
            }
        };
        let format = if is("ImageFormatRaw") {
            self.string_enum::<PixelFormat>(members, "pixelFormat", Presence::Required)
                .map(ImageFormat::Raw)
        } else if is("ImageFormatJpeg") {
            only(self, !lva_1);
            self.jpeg(members)
        } else if is("ImageFormatBmp") {
            only(self, !lva_1);
            Some(ImageFormat::Bmp)
        } else if is("ImageFormatPng") {
            only(self, !lva_1);
            Some(ImageFormat::Png)
        } else if is("ImageFormatEncoded") {
            only(self, lva_1);
            self.encoded(members)
        } else {
            let known =
                "ImageFormatJpeg, ImageFormatBmp, ImageFormatPng, ImageFormatRaw or ImageFormatEncoded";
            self.unknown_type(members, &local, &at, known);
            return None;
        };
        members.finish(self.findings);
        format
    }

    fn jpeg(&mut self, members: &mut Members<'_>) -> Option<ImageFormat> {
        let named = members.get("quality").is_some();
        let quality = self.integer(members, "quality", Presence::Optional, 0..=100);
        match quality.and_then(|quality| u8::try_from(quality).ok()) {
            None if named => None,
            quality => Some(ImageFormat::Jpeg {
                quality: quality.unwrap_or(DEFAULT_JPEG_QUALITY),
            }),
        }
    }

    fn encoded(&mut self, members: &mut Members<'_>) -> Option<ImageFormat> {
        let named = members.get("encoding").is_some();
        let encoding = self.scalar(members, "encoding", Presence::Optional, |text| {
            let known = ["Jpeg", "Bmp", "Png"];
            known
                .into_iter()
                .find(|word| eq_ignoring_case(word, text))
                .ok_or_else(|| super::ValueError::value("one of Jpeg, Bmp, Png"))
        });
        match encoding {
            None if named => {
                members.allow("quality");
                None
            }
            None | Some("Jpeg") => self.jpeg(members),
            Some(other) => {
                if let Some((_, at)) = members.get("quality") {
                    let message = format!("'quality' has no effect with {other}: remove it");
                    self.findings.hint(DiagnosticCode::MemberIgnored, &at, message);
                }
                Some(if other == "Bmp" {
                    ImageFormat::Bmp
                } else {
                    ImageFormat::Png
                })
            }
        }
    }
}
