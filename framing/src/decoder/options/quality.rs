//! What decoding may leave out.

use std::fmt;
use std::str::FromStr;

/// How exactly pictures are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DecodeQuality {
    /// Pictures are those that the standard defines, bit by bit.
    #[default]
    Exact,
    /// H.264 and H.265 without the in-loop deblocking filter (H.264 section 8.7, H.265 section 8.7.2), for analysis.
    ///
    /// Block edges show, and because later pictures are predicted from unfiltered ones, the difference grows until the
    /// next keyframe. Recordings are not affected: they are not decoded. MJPEG has no such filter.
    Fast,
}

impl DecodeQuality {
    /// Every quality.
    pub const ALL: [Self; 2] = [Self::Exact, Self::Fast];
}

impl fmt::Display for DecodeQuality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Fast => "fast",
        })
    }
}

/// A string that is not the name of a decode quality.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a decode quality; use exact or fast")]
pub struct UnknownDecodeQuality(String);

impl FromStr for DecodeQuality {
    type Err = UnknownDecodeQuality;

    /// Reads `exact` and `fast`, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|quality| quality.to_string().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownDecodeQuality(text.chars().take(64).collect()))
    }
}
