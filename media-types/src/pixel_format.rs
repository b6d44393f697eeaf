use std::fmt;
use std::str::FromStr;

/// The raw pixel formats of the extension contract, with its names.
///
/// Names of byte layouts read in memory order: `Argb` is the byte A, then R, G, B. Names of word layouts (`565`,
/// `555`) read from the most significant bit of a 16-bit word; `Le` and `Be` name which byte of that word comes first.
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

    /// How the colours of a pixel lie in memory.
    pub const fn layout(self) -> PixelLayout {
        const fn bytes(alpha: Alpha, blue_first: bool) -> PixelLayout {
            PixelLayout::Bytes { alpha, blue_first }
        }
        match self {
            Self::Yuv420p => PixelLayout::Planar,
            Self::Rgb565Be => PixelLayout::Word565 { big_endian: true },
            Self::Rgb565Le => PixelLayout::Word565 { big_endian: false },
            Self::Rgb555Be => PixelLayout::Word555 { big_endian: true },
            Self::Rgb555Le => PixelLayout::Word555 { big_endian: false },
            Self::Rgb24 => bytes(Alpha::None, false),
            Self::Bgr24 => bytes(Alpha::None, true),
            Self::Argb => bytes(Alpha::First, false),
            Self::Rgba => bytes(Alpha::Last, false),
            Self::Abgr => bytes(Alpha::First, true),
            Self::Bgra => bytes(Alpha::Last, true),
        }
    }

    /// Bytes of one pixel in the first plane: 1 for planar formats (luma), else 2, 3 or 4.
    pub const fn bytes_per_pixel(self) -> usize {
        match self.layout() {
            PixelLayout::Planar => 1,
            PixelLayout::Word565 { .. } | PixelLayout::Word555 { .. } => 2,
            PixelLayout::Bytes { alpha, .. } => 3 + !matches!(alpha, Alpha::None) as usize,
        }
    }

    /// Side in pixels of the square block that shares one chroma sample; 1 if every pixel has its own colour.
    pub const fn chroma_block(self) -> u32 {
        match self.layout() {
            PixelLayout::Planar => 2,
            PixelLayout::Word565 { .. } | PixelLayout::Word555 { .. } | PixelLayout::Bytes { .. } => 1,
        }
    }

    /// Bytes from one row of the first plane to the next without padding.
    pub const fn packed_stride(self, width: u32) -> usize {
        self.bytes_per_pixel().saturating_mul(width as usize)
    }

    /// Bytes of a picture without padding, or `None` if they exceed the address space.
    pub fn packed_len(self, width: u32, height: u32) -> Option<usize> {
        self.frame_bytes(width, height, self.packed_stride(width))
    }

    /// Bytes of a picture with `stride` bytes from one row of the first plane to the next, the padding of the last row
    /// included, or `None` if they exceed the address space.
    pub fn frame_bytes(self, width: u32, height: u32, stride: usize) -> Option<usize> {
        let planes = self.planes(width, height, stride)?;
        planes.into_iter().flatten().last()?.end()
    }

    /// The pixels, or luma, Cb and Cr of a planar format; `None` if a plane would begin past the address space.
    ///
    /// `stride` is that of the first plane. Chroma rows of [`Yuv420p`](Self::Yuv420p) lie half of it apart, rounded up.
    /// This is the one place that knows where samples lie: readers and writers follow [`PixelPlane::first`] and
    /// [`PixelPlane::step`], so a format that interleaves Cb and Cr gives two planes with the same offset, the firsts 0
    /// and 1, and a step of 2.
    ///
    /// ```
    /// use lva_media_types::PixelFormat;
    ///
    /// let [_, cb, cr] = PixelFormat::Yuv420p.planes(5, 3, 8).unwrap().map(Option::unwrap);
    /// assert_eq!((cb.offset, cb.stride, cb.row_bytes, cb.rows), (24, 4, 3, 2));
    /// assert_eq!((cr.offset, cr.end()), (32, Some(40)));
    /// ```
    pub fn planes(self, width: u32, height: u32, stride: usize) -> Option<[Option<PixelPlane>; 3]> {
        let plane = |offset, block: u32, sample_bytes: usize, stride| {
            Some(PixelPlane {
                offset,
                stride,
                row_bytes: sample_bytes.checked_mul(width.div_ceil(block) as usize)?,
                rows: height.div_ceil(block) as usize,
                block,
                first: 0,
                step: sample_bytes,
            })
        };
        let first = plane(0, 1, self.bytes_per_pixel(), stride)?;
        if self.layout() != PixelLayout::Planar {
            return Some([Some(first), None, None]);
        }
        let chroma = |offset| plane(offset, self.chroma_block(), 1, stride.div_ceil(2));
        let cb = chroma(first.end()?)?;
        Some([Some(first), Some(cb), Some(chroma(cb.end()?)?)])
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

/// How the colours of a pixel lie in memory; [`PixelFormat::layout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelLayout {
    /// Luma, Cb and Cr apart from each other; [`PixelFormat::planes`] locates them.
    Planar,
    /// A 16-bit word: 5 bits red, 6 green, 5 blue from the most significant bit.
    Word565 {
        /// The most significant byte comes first.
        big_endian: bool,
    },
    /// A 16-bit word: a zero bit, 5 bits each of red, green, blue from the most significant bit.
    Word555 {
        /// The most significant byte comes first.
        big_endian: bool,
    },
    /// A byte for each channel.
    Bytes {
        /// Where alpha lies.
        alpha: Alpha,
        /// Blue, green, red; otherwise red, green, blue.
        blue_first: bool,
    },
}

/// Where the alpha byte of a pixel lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpha {
    /// There is none.
    None,
    /// Before the colours.
    First,
    /// After the colours.
    Last,
}

/// Where the samples of a plane of a picture lie; [`PixelFormat::planes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelPlane {
    /// Start of its first row: bytes of the memory planes before it.
    pub offset: usize,
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes of a row without padding, those of samples that lie between its own included.
    pub row_bytes: usize,
    /// Number of rows.
    pub rows: usize,
    /// Side in pixels of the square block that a sample stands for: 1, or 2 for halved chroma.
    pub block: u32,
    /// Bytes from the start of a row to its first sample: 0 unless planes are interleaved.
    pub first: usize,
    /// Bytes from one sample of a row to the next: those of a pixel of a packed format, 1 for a plane that holds one
    /// colour alone.
    pub step: usize,
}

impl PixelPlane {
    /// First byte past the plane, the padding of the last row included; `None` if it is past the address space.
    pub fn end(&self) -> Option<usize> {
        self.stride.checked_mul(self.rows)?.checked_add(self.offset)
    }

    /// First byte past the last pixel; `None` if it is past the address space.
    pub fn end_of_pixels(&self) -> Option<usize> {
        let last_row = self.stride.checked_mul(self.rows.saturating_sub(1))?;
        last_row.checked_add(self.row_bytes)?.checked_add(self.offset)
    }
}

/// A name that is not a pixel format of the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a pixel format; use one of {names}", names = PixelFormat::ALL.map(PixelFormat::name).join(", "))]
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
        let error = "coffee".parse::<PixelFormat>().unwrap_err();
        assert!(error.to_string().contains("bgr24"), "{error}");
    }

    #[test]
    fn packed_lengths_follow_the_contract() {
        let len = PixelFormat::packed_len;
        assert_eq!(len(PixelFormat::Yuv420p, 4, 2), Some(12));
        assert_eq!(len(PixelFormat::Yuv420p, 5, 3), Some(15 + 2 * 3 * 2));
        assert_eq!(len(PixelFormat::Yuv420p, 1, 1), Some(3));
        assert_eq!(len(PixelFormat::Rgb555Le, 5, 3), Some(30));
        assert_eq!(len(PixelFormat::Bgr24, 5, 3), Some(45));
        assert_eq!(len(PixelFormat::Abgr, 5, 3), Some(60));
        for format in PixelFormat::ALL {
            assert_eq!(format.frame_bytes(1, 9, usize::MAX), None, "{format}");
        }
    }

    #[test]
    fn samples_lie_inside_their_rows_and_fill_the_frame() {
        for format in PixelFormat::ALL {
            let planes = format.planes(5, 3, format.packed_stride(5) + 3).unwrap();
            let colours = planes.iter().flatten().count();
            assert_eq!(colours == 3, format.layout() == PixelLayout::Planar, "{format}");
            let mut bytes = 0;
            for plane in planes.iter().flatten() {
                let samples = 5_u32.div_ceil(plane.block) as usize;
                assert!(
                    plane.first + (samples - 1) * plane.step < plane.row_bytes,
                    "{format}"
                );
                assert!(plane.row_bytes <= plane.stride, "{format}");
                assert_eq!(plane.rows, 3_u32.div_ceil(plane.block) as usize, "{format}");
                bytes += samples * plane.rows * if colours == 1 { plane.step } else { 1 };
            }
            assert_eq!(format.packed_len(5, 3), Some(bytes), "{format}");
        }
    }

    #[test]
    fn the_last_row_ends_with_its_last_pixel() {
        let last = |format: PixelFormat, stride| {
            let planes = format.planes(3, 3, stride).unwrap();
            planes.into_iter().flatten().last().unwrap().end_of_pixels()
        };
        assert_eq!(last(PixelFormat::Rgb24, 16), Some(2 * 16 + 9));
        assert_eq!(last(PixelFormat::Yuv420p, 5), Some(15 + 6 + 3 + 2));
    }
}
