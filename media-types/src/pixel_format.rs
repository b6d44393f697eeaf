use std::fmt;
use std::str::FromStr;

/// The eleven raw pixel formats of the extension contract, with its names.
///
/// Names of byte layouts read in memory order: `Argb` is the byte A, then R, G, B. Names of word layouts (`565`,
/// `555`) read from the most significant bit of a 16-bit word; `Le` and `Be` say which byte of that word comes first.
/// Writers set alpha to 255, since video has none; readers ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PixelFormat {
    /// Three planes, chroma halved both ways (rounded up): luma, then Cb, then Cr.
    Yuv420p,
    /// 16-bit words, most significant byte first: 5 bits red, 6 green, 5 blue.
    Rgb565Be,
    /// 16-bit words, least significant byte first: 5 bits red, 6 green, 5 blue.
    Rgb565Le,
    /// 16-bit words, most significant byte first: a zero bit, 5 bits each of red, green, blue.
    Rgb555Be,
    /// 16-bit words, least significant byte first: a zero bit, 5 bits each of red, green, blue.
    Rgb555Le,
    /// Bytes R, G, B.
    Rgb24,
    /// Bytes B, G, R: what most detectors were trained on, and the tutorial's choice (default).
    #[default]
    Bgr24,
    /// Bytes A, R, G, B.
    Argb,
    /// Bytes R, G, B, A.
    Rgba,
    /// Bytes A, B, G, R.
    Abgr,
    /// Bytes B, G, R, A.
    Bgra,
}

impl PixelFormat {
    /// Every format, in the order of the contract's numbers.
    pub const ALL: [Self; 11] = [
        Self::Yuv420p,
        Self::Rgb565Be,
        Self::Rgb565Le,
        Self::Rgb555Be,
        Self::Rgb555Le,
        Self::Rgb24,
        Self::Bgr24,
        Self::Argb,
        Self::Rgba,
        Self::Abgr,
        Self::Bgra,
    ];

    /// Bytes of one pixel in the first plane: 1 for `Yuv420p` (its luma), else 2, 3 or 4.
    pub const fn bytes_per_pixel(self) -> usize {
        match self {
            Self::Yuv420p => 1,
            Self::Rgb565Be | Self::Rgb565Le | Self::Rgb555Be | Self::Rgb555Le => 2,
            Self::Rgb24 | Self::Bgr24 => 3,
            Self::Argb | Self::Rgba | Self::Abgr | Self::Bgra => 4,
        }
    }

    /// The contract's name: `bgr24`, `rgb565le`, …
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yuv420p => "yuv420p",
            Self::Rgb565Be => "rgb565be",
            Self::Rgb565Le => "rgb565le",
            Self::Rgb555Be => "rgb555be",
            Self::Rgb555Le => "rgb555le",
            Self::Rgb24 => "rgb24",
            Self::Bgr24 => "bgr24",
            Self::Argb => "argb",
            Self::Rgba => "rgba",
            Self::Abgr => "abgr",
            Self::Bgra => "bgra",
        }
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not a pixel format of the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a pixel format; use one of yuv420p, rgb565be, rgb565le, rgb555be, rgb555le, rgb24, bgr24, argb, rgba, abgr, bgra"
)]
pub struct UnknownPixelFormat(String);

impl FromStr for PixelFormat {
    type Err = UnknownPixelFormat;

    /// Reads the contract's name, ignoring case as published topologies need.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownPixelFormat(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_names_parse_in_any_case() {
        for format in PixelFormat::ALL {
            assert_eq!(format.name().parse(), Ok(format));
            assert_eq!(format.name().to_uppercase().parse(), Ok(format));
        }
        let error = "nv12".parse::<PixelFormat>().unwrap_err();
        assert!(error.to_string().contains("bgr24"), "{error}");
    }
}
