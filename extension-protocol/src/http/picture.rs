//! Content types of pictures, and their size from their first bytes.

use imagesize::ImageType;

use crate::{FormatError, FrameEncoding, FrameFormat};

/// Most characters of a peer's content type in an error.
const MAX_CONTENT_TYPE_CHARS: usize = 64;

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

/// The format of a request's body, by its content type and its first bytes. `raw` is the format configured for
/// `image/x-raw`.
///
/// JPEG, PNG and BMP are recognized by their bytes: the content type may name another one of the three, be
/// `application/octet-stream` or be absent. Nothing is decoded here; rejecting a corrupt picture is up to the extension.
///
/// # Errors
///
/// [`HttpPictureError`]; the sender is at fault.
pub fn picture_format(
    content_type: Option<&str>,
    body: &[u8],
    raw: Option<FrameFormat>,
) -> Result<FrameFormat, HttpPictureError> {
    if body.is_empty() {
        return Err(HttpPictureError::Empty);
    }
    let essence = content_type.map(essence).unwrap_or_default();
    if essence == "image/x-raw" {
        let format = raw.ok_or(HttpPictureError::RawNotConfigured)?;
        return match format.frame_bytes() {
            Some(needed) if needed == body.len() => Ok(format),
            Some(needed) => Err(HttpPictureError::RawLength {
                actual: body.len(),
                needed,
                format,
            }),
            None => Err(HttpPictureError::RawNotConfigured),
        };
    }
    let may_be_picture = essence.is_empty() || essence == "application/octet-stream";
    if !may_be_picture && !essence.starts_with("image/") {
        return Err(HttpPictureError::ContentType {
            given: essence.chars().take(MAX_CONTENT_TYPE_CHARS).collect(),
        });
    }
    let kind = imagesize::image_type(body).map_err(|_| HttpPictureError::Unreadable)?;
    let size = imagesize::blob_size(body).map_err(|_| HttpPictureError::Unreadable)?;
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    let (width, height) = (side(size.width), side(size.height));
    let format = match kind {
        ImageType::Jpeg => FrameFormat::jpg(width, height),
        ImageType::Png => FrameFormat::png(width, height),
        // A negative height means rows from top to bottom.
        ImageType::Bmp => FrameFormat::bmp(width, height.cast_signed().unsigned_abs()),
        _ => return Err(HttpPictureError::Unreadable),
    };
    Ok(format?)
}

/// Type and subtype of a content type, in lower case, without parameters.
pub(super) fn essence(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// A request's body is not a picture. The sender is at fault; a retry does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpPictureError {
    /// No body.
    #[error("the request has no picture: send one as its body")]
    Empty,
    /// The content type of something else, such as multipart.
    #[error(
        "content type '{given}' is not supported: send one picture as the whole body, as image/jpeg, image/png, image/bmp or \
         image/x-raw"
    )]
    ContentType {
        /// The content type, shortened to 64 characters.
        given: String,
    },
    /// The bytes are not those of a picture.
    #[error("the body is not a JPEG, PNG or BMP picture")]
    Unreadable,
    /// A raw picture without a configured format.
    #[error("image/x-raw is not accepted: its size and pixel format must be configured in the extension")]
    RawNotConfigured,
    /// A raw picture of another length.
    #[error("the raw picture has {actual} bytes; the configured format {format} has {needed}")]
    RawLength {
        /// Bytes of the body.
        actual: usize,
        /// Bytes of the configured format.
        needed: usize,
        /// The configured format.
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
    fn kind_and_size_come_from_the_bytes() {
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
    fn other_bodies_are_rejected_with_the_supported_types() {
        let refused = |name, body: &[u8]| picture_format(name, body, None).unwrap_err();
        assert_eq!(refused(Some("image/jpeg"), b""), HttpPictureError::Empty);
        assert_eq!(
            refused(Some("image/jpeg"), b"GIF89a.."),
            HttpPictureError::Unreadable
        );
        assert_eq!(refused(None, &jpeg(1, 1)[..24]), HttpPictureError::Unreadable);
        let multipart = refused(Some("multipart/form-data; boundary=x"), &png(1, 1));
        assert!(multipart.to_string().contains("image/bmp") && multipart.to_string().contains("multipart"));
        assert!(matches!(refused(None, &png(0, 5)), HttpPictureError::Size(_)));
        assert!(matches!(
            refused(None, &png(u32::MAX, 5)),
            HttpPictureError::Size(_)
        ));
    }

    #[test]
    fn a_raw_picture_has_exactly_the_configured_length() {
        let configured = FrameFormat::raw(PixelFormat::Rgb24, 4, 2).unwrap();
        let read = |body: &[u8], raw| picture_format(Some("image/x-raw"), body, raw);
        assert_eq!(read(&[0; 24], Some(configured)), Ok(configured));
        assert!(matches!(
            read(&[0; 25], Some(configured)),
            Err(HttpPictureError::RawLength {
                actual: 25,
                needed: 24,
                ..
            })
        ));
        assert_eq!(read(&[0; 24], None), Err(HttpPictureError::RawNotConfigured));
        assert_eq!(
            read(&[0; 24], FrameFormat::jpg(4, 2).ok()),
            Err(HttpPictureError::RawNotConfigured)
        );
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(
            start in 0usize..4,
            rest in proptest::collection::vec(any::<u8>(), 0..200),
            name in "[ -~]{0,40}",
        ) {
            let mut body = [&b""[..], b"\xff\xd8\xff", b"BM", b"\x89PNG\r\n\x1a\n"][start].to_vec();
            body.extend(rest);
            let configured = FrameFormat::raw(PixelFormat::Rgb24, 4, 2).ok();
            for name in [None, Some(name.as_str()), Some("image/x-raw")] {
                if let Ok(format) = picture_format(name, &body, configured) {
                    prop_assert!(format.width() > 0 && format.height() > 0);
                }
            }
        }
    }
}
