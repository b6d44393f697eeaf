//! Content types of pictures, and what a picture's first bytes say about it.

use imagesize::ImageType;

use crate::{FormatError, FrameEncoding, FrameFormat};

/// Longest part of a peer's content type that is repeated to it.
const SHOWN: usize = 64;

/// The content type of a frame in a request.
///
/// ```
/// use lva_extension_protocol::{FrameEncoding, http::media_type};
///
/// assert_eq!(media_type(FrameEncoding::Jpg), "image/jpeg");
/// ```
pub fn media_type(encoding: FrameEncoding) -> &'static str {
    match encoding {
        FrameEncoding::Bmp => "image/bmp",
        FrameEncoding::Jpg => "image/jpeg",
        FrameEncoding::Png => "image/png",
        FrameEncoding::Raw(_) => "image/x-raw",
    }
}

/// What a request's body is, by its content type and its first bytes. `raw` is what was agreed on for `image/x-raw`.
///
/// Bytes that are not bare say themselves whether they are JPEG, PNG or BMP and how large: a picture under the wrong
/// one of these names is still a picture, and so is one that came as `application/octet-stream` or without a name.
/// Nothing is decoded here; what only looks like a picture is for the extension to refuse.
///
/// # Errors
///
/// [`PictureError`]; all of them are the sender's to mend.
pub fn picture_format(
    content_type: Option<&str>,
    body: &[u8],
    raw: Option<FrameFormat>,
) -> Result<FrameFormat, PictureError> {
    if body.is_empty() {
        return Err(PictureError::Empty);
    }
    let essence = content_type.map(essence).unwrap_or_default();
    if essence == "image/x-raw" {
        let format = raw.ok_or(PictureError::RawNotAgreed)?;
        return match format.frame_bytes() {
            Some(needed) if needed == body.len() => Ok(format),
            Some(needed) => Err(PictureError::RawLength {
                actual: body.len(),
                needed,
                format,
            }),
            None => Err(PictureError::RawNotAgreed),
        };
    }
    let may_be_picture = essence.is_empty() || essence == "application/octet-stream";
    if !may_be_picture && !essence.starts_with("image/") {
        return Err(PictureError::ContentType {
            given: essence.chars().take(SHOWN).collect(),
        });
    }
    let kind = imagesize::image_type(body).map_err(|_| PictureError::Unreadable)?;
    let size = imagesize::blob_size(body).map_err(|_| PictureError::Unreadable)?;
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    let (width, height) = (side(size.width), side(size.height));
    let format = match kind {
        ImageType::Jpeg => FrameFormat::jpg(width, height),
        ImageType::Png => FrameFormat::png(width, height),
        // Rows from top to bottom are written as a negative height.
        ImageType::Bmp => FrameFormat::bmp(width, height.cast_signed().unsigned_abs()),
        _ => return Err(PictureError::Unreadable),
    };
    Ok(format?)
}

/// Type and subtype of a content type, in lower case, without parameters.
pub(super) fn essence(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// A request's body that is no picture. The sender is at fault; a retry does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// No body.
    #[error("the request has no picture: send one as its body")]
    Empty,
    /// A content type that is no picture's, multipart among them.
    #[error(
        "pictures are image/jpeg, image/png, image/bmp or image/x-raw, one as the whole body; '{given}' is not taken"
    )]
    ContentType {
        /// What was sent, cut to 64 characters.
        given: String,
    },
    /// The bytes are no picture.
    #[error("the body is no JPEG, PNG or BMP picture")]
    Unreadable,
    /// A bare picture came, and nobody said what it looks like.
    #[error("image/x-raw is not taken: its size and pixel format have to be configured here")]
    RawNotAgreed,
    /// A bare picture of another length.
    #[error("a picture of {actual} bytes came, {needed} were agreed on ({format})")]
    RawLength {
        /// Bytes that came.
        actual: usize,
        /// Bytes of the agreed format.
        needed: usize,
        /// The agreed format.
        format: FrameFormat,
    },
    /// A side is 0 or too long.
    #[error(transparent)]
    Size(#[from] FormatError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::PixelFormat;

    /// Signature and header of a PNG of this size.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend([8, 2, 0, 0, 0]);
        bytes
    }

    fn bmp(width: i32, height: i32) -> Vec<u8> {
        let mut bytes = b"BM".to_vec();
        bytes.resize(0x12, 0);
        bytes.extend(width.to_le_bytes());
        bytes.extend(height.to_le_bytes());
        bytes.resize(54, 0);
        bytes
    }

    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec();
        bytes.extend(b"\xff\xc0\x00\x11\x08");
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes.extend([3; 10]);
        bytes
    }

    #[test]
    fn the_bytes_say_kind_and_size_whatever_the_name() {
        for name in [None, Some("application/octet-stream"), Some("IMAGE/JPEG; q=1")] {
            assert_eq!(
                picture_format(name, &png(640, 360), None),
                Ok(FrameFormat::png(640, 360).unwrap())
            );
            assert_eq!(
                picture_format(name, &bmp(416, 415), None),
                Ok(FrameFormat::bmp(416, 415).unwrap())
            );
            assert_eq!(
                picture_format(name, &jpeg(33, 17), None),
                Ok(FrameFormat::jpg(33, 17).unwrap())
            );
        }
    }

    #[test]
    fn a_bitmap_from_top_to_bottom_has_a_negative_height() {
        let format = picture_format(None, &bmp(416, -416), None).unwrap();
        assert_eq!((format.width(), format.height()), (416, 416));
    }

    #[test]
    fn what_is_no_picture_is_refused_with_what_would_be_taken() {
        let refused = |name, body: &[u8]| picture_format(name, body, None).unwrap_err();
        assert_eq!(refused(Some("image/jpeg"), b""), PictureError::Empty);
        assert_eq!(refused(Some("image/jpeg"), b"GIF89a.."), PictureError::Unreadable);
        assert_eq!(refused(None, &jpeg(1, 1)[..24]), PictureError::Unreadable);
        let multipart = refused(Some("multipart/form-data; boundary=x"), &png(1, 1));
        assert!(multipart.to_string().contains("image/bmp") && multipart.to_string().contains("multipart"));
        assert!(matches!(refused(None, &png(0, 5)), PictureError::Size(_)));
        assert!(matches!(refused(None, &png(u32::MAX, 5)), PictureError::Size(_)));
    }

    #[test]
    fn a_bare_picture_has_exactly_the_agreed_bytes() {
        let agreed = FrameFormat::raw(PixelFormat::Rgb24, 4, 2).unwrap();
        let read = |body: &[u8], agreed| picture_format(Some("image/x-raw"), body, agreed);
        assert_eq!(read(&[0; 24], Some(agreed)), Ok(agreed));
        assert!(matches!(
            read(&[0; 25], Some(agreed)),
            Err(PictureError::RawLength {
                actual: 25,
                needed: 24,
                ..
            })
        ));
        assert_eq!(read(&[0; 24], None), Err(PictureError::RawNotAgreed));
        assert_eq!(
            read(&[0; 24], FrameFormat::jpg(4, 2).ok()),
            Err(PictureError::RawNotAgreed)
        );
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(
            start in 0usize..4,
            rest in proptest::collection::vec(any::<u8>(), 0..200),
            name in "[ -~]{0,40}",
        ) {
            let mut body = [&b""[..], b"\xff\xd8\xff", b"BM", b"\x89PNG\r\n\x1a\n"][start].to_vec();
            body.extend(rest);
            let agreed = FrameFormat::raw(PixelFormat::Rgb24, 4, 2).ok();
            for name in [None, Some(name.as_str()), Some("image/x-raw")] {
                if let Ok(format) = picture_format(name, &body, agreed) {
                    prop_assert!(format.width() > 0 && format.height() > 0);
                }
            }
        }
    }
}
