//! Converts any raw picture to the planar floats of a model's input, in one pass.
//!
//! Resampling is separable. For every row of the output, the source rows it covers are summed with their
//! weights into one row of floats as wide as the source; that row is then gathered into output pixels,
//! normalised and written to the three planes. The picture is read once from top to bottom, nothing of its
//! size is ever buffered, and every loop runs over contiguous memory with the pixel's layout known at compile
//! time.
//!
//! Planar formats are resampled plane by plane and turned into colours afterwards, at the size of the output: half
//! the bytes of a picture converted first, and chroma that is interpolated rather than repeated.

mod taps;
mod unpack;
mod yuv;

#[cfg(test)]
mod tests;

use std::fmt;

use lva_media_types::{Alpha, PixelFormat, PixelLayout};

use crate::image_view::ImageView;
use crate::letterbox::{Fit, LetterboxTransform};
use taps::{FilterTaps, add_row, gather_plane, sum_rows};
use yuv::YuvScratch;

/// Order of the colour planes in a model's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red, as in models trained on pictures read by OpenCV.
    Bgr,
}

/// What a model's image input looks like: size, order of colours, range of values, fit of the frame.
///
/// The tensor is planar, 32-bit float, `[frame, channel, row, column]`; each value is `(pixel × scale −
/// mean[channel]) / deviation[channel]` for a pixel value 0..=255, channels counted in the tensor's order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputSpec {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) order: ChannelOrder,
    pub(crate) scale: f32,
    pub(crate) mean: [f32; 3],
    pub(crate) deviation: [f32; 3],
    pub(crate) fit: Fit,
    pub(crate) pad: u8,
    pub(crate) border: u32,
}

impl InputSpec {
    /// An input of `width` × `height` pixels: RGB, values 0..=1, letterboxed centred on grey 114.
    pub fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            order: ChannelOrder::Rgb,
            scale: 1.0 / 255.0,
            mean: [0.0; 3],
            deviation: [1.0; 3],
            fit: Fit::LetterboxCentered,
            pad: 114,
            border: 0,
        }
    }

    /// Order of the colour planes. Default: RGB.
    #[must_use]
    pub fn with_channel_order(mut self, order: ChannelOrder) -> Self {
        self.order = order;
        self
    }

    /// Factor from a pixel value 0..=255 to the number that mean and deviation speak of. Default: 1/255.
    #[must_use]
    pub fn with_scale(mut self, scale: f32) -> Self {
        self.scale = scale;
        self
    }

    /// Mean and standard deviation of each channel, in the tensor's order, after scaling. Default: 0 and 1.
    #[must_use]
    pub fn with_mean_and_deviation(mut self, mean: [f32; 3], deviation: [f32; 3]) -> Self {
        self.mean = mean;
        self.deviation = deviation;
        self
    }

    /// How the frame is fitted in. Default: [`Fit::LetterboxCentered`].
    #[must_use]
    pub fn with_fit(mut self, fit: Fit) -> Self {
        self.fit = fit;
        self
    }

    /// Grey value 0..=255 of the padding. Default: 114.
    #[must_use]
    pub fn with_pad(mut self, pad: u8) -> Self {
        self.pad = pad;
        self
    }

    /// Pixels of padding that stay free at each edge, whatever the frame's shape; YOLO-NAS was trained with 2. Default: 0.
    #[must_use]
    pub fn with_border(mut self, border: u32) -> Self {
        self.border = border;
        self
    }

    /// The position of a frame of `frame` (width, height) pixels in the input.
    pub fn place(&self, frame: (u32, u32)) -> LetterboxTransform {
        // At least a pixel is left.
        let border = self.border.min(self.width.min(self.height).saturating_sub(1) / 2);
        let inner = (self.width - 2 * border, self.height - 2 * border);
        self.fit.place(frame, inner).with_border(border)
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// How the frame is fitted in.
    pub fn fit(&self) -> Fit {
        self.fit
    }

    /// For a network that takes the pixels' own values 0..=255.
    pub(crate) fn make_plain(&mut self) {
        self.scale = 1.0;
        self.mean = [0.0; 3];
        self.deviation = [1.0; 3];
    }

    /// Whether the tensor holds the pixels' own values 0..=255.
    #[cfg(any(feature = "rten", feature = "ort", feature = "kserve"))]
    pub(crate) fn is_plain(&self) -> bool {
        self.scale == 1.0 && self.mean == [0.0; 3] && self.deviation == [1.0; 3]
    }

    /// Floats of one frame: 3 × width × height.
    pub fn tensor_len(&self) -> usize {
        (self.width as usize)
            .saturating_mul(self.height as usize)
            .saturating_mul(3)
    }

    /// Factor and offset that take a pixel value straight to the tensor, in the tensor's channel order.
    fn affine(&self) -> [Affine; 3] {
        std::array::from_fn(|c| {
            let (mean, deviation) = (self.mean[c], self.deviation[c]);
            Affine {
                factor: self.scale / deviation,
                offset: -mean / deviation,
            }
        })
    }
}

/// As in `640x640 RGB 0..1, letterboxed centred on grey 114`.
impl fmt::Display for InputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match self.order {
            ChannelOrder::Rgb => "RGB",
            ChannelOrder::Bgr => "BGR",
        };
        write!(f, "{}x{} {order} 0..", self.width, self.height)?;
        let largest = 255.0 * self.scale;
        write!(f, "{}", (largest * 1e4).round() / 1e4)?;
        if self.mean != [0.0; 3] || self.deviation != [1.0; 3] {
            write!(f, " - {:?} / {:?}", self.mean, self.deviation)?;
        }
        match self.fit {
            Fit::Stretch => f.write_str(", stretched")?,
            Fit::LetterboxCentered => write!(f, ", letterboxed centred on grey {}", self.pad)?,
            Fit::LetterboxTopLeft => write!(f, ", letterboxed at the top left on grey {}", self.pad)?,
        }
        if self.border > 0 {
            write!(f, " with {} pixels around", self.border)?;
        }
        Ok(())
    }
}

/// `value × factor + offset`.
#[derive(Debug, Clone, Copy)]
struct Affine {
    factor: f32,
    offset: f32,
}

impl Affine {
    #[inline]
    fn apply(self, value: f32) -> f32 {
        value * self.factor + self.offset
    }
}

/// Turns frames into model input. It caches the geometry of the last frame, so that frames of equal size need no
/// allocation and no recomputation.
///
/// Sampling is area averaging along an axis that shrinks (plain bilinear sampling skips pixels below half
/// size, and distant people flicker in and out) and bilinear along an axis that grows.
#[derive(Debug)]
pub struct Preprocessor {
    spec: InputSpec,
    affine: [Affine; 3],
    geometry: Option<Geometry>,
    columns: FilterTaps,
    rows: FilterTaps,
    sums: Vec<f32>,
    unpacked: Vec<u8>,
    yuv: YuvScratch,
}

/// What the taps were computed for.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Geometry {
    width: u32,
    height: u32,
    chroma_block: u32,
    transform: LetterboxTransform,
}

impl Preprocessor {
    /// A preprocessor for inputs of this description.
    pub fn new(spec: InputSpec) -> Self {
        Self {
            spec,
            affine: spec.affine(),
            geometry: None,
            columns: FilterTaps::default(),
            rows: FilterTaps::default(),
            sums: Vec::new(),
            unpacked: Vec::new(),
            yuv: YuvScratch::default(),
        }
    }

    /// The description it works for.
    pub fn spec(&self) -> &InputSpec {
        &self.spec
    }

    /// Writes `image` into all of `tensor`, padding included, and returns the position of the frame in it.
    ///
    /// # Errors
    ///
    /// [`PreprocessError::TensorLength`] unless `tensor` holds exactly [`InputSpec::tensor_len`] floats.
    pub fn write(
        &mut self,
        image: &ImageView<'_>,
        tensor: &mut [f32],
    ) -> Result<LetterboxTransform, PreprocessError> {
        let expected = self.spec.tensor_len();
        if tensor.len() != expected || expected == 0 {
            return Err(PreprocessError::TensorLength {
                expected,
                found: tensor.len(),
            });
        }
        let transform = self.prepare(image);
        self.pad(tensor, transform);

        let (first, rest) = tensor.split_at_mut(expected / 3);
        let (second, third) = rest.split_at_mut(expected / 3);
        let mut out = Target {
            planes: [first, second, third],
            affine: self.affine,
            transform,
        };
        if self.spec.order == ChannelOrder::Bgr {
            out.swap_red_and_blue();
        }
        // From here on, planes and affine terms stand in the order red, green, blue.
        match image.format().layout() {
            PixelLayout::Planar => {
                let missing = PreprocessError::MissingPlane {
                    format: image.format(),
                };
                let plane = |index| image.plane(index).ok_or_else(|| missing.clone());
                let planes = [plane(0)?, plane(1)?, plane(2)?];
                let (columns, rows) = (&self.columns, &self.rows);
                self.yuv.write(
                    planes,
                    image.color_space(),
                    columns,
                    rows,
                    &mut self.sums,
                    &mut out,
                );
            }
            PixelLayout::Bytes { alpha, blue_first } => {
                if blue_first {
                    out.swap_red_and_blue();
                }
                match alpha {
                    Alpha::None => self.bytes::<3>(image, 0, &mut out),
                    Alpha::Last => self.bytes::<4>(image, 0, &mut out),
                    Alpha::First => self.bytes::<4>(image, 1, &mut out),
                }
            }
            PixelLayout::Word565 { big_endian: true } => self.words::<6, true>(image, &mut out),
            PixelLayout::Word565 { big_endian: false } => self.words::<6, false>(image, &mut out),
            PixelLayout::Word555 { big_endian: true } => self.words::<5, true>(image, &mut out),
            PixelLayout::Word555 { big_endian: false } => self.words::<5, false>(image, &mut out),
        }
        Ok(transform)
    }

    /// Computes the taps unless the last frame had the same geometry.
    fn prepare(&mut self, image: &ImageView<'_>) -> LetterboxTransform {
        let (width, height) = (image.width(), image.height());
        let transform = self.spec.place((width, height));
        let chroma_block = image.format().chroma_block();
        let geometry = Geometry {
            width,
            height,
            chroma_block,
            transform,
        };
        if self.geometry != Some(geometry) {
            self.columns
                .compute(width as usize, f64::from(width), transform.width() as usize);
            self.rows
                .compute(height as usize, f64::from(height), transform.height() as usize);
            if image.format().layout() == PixelLayout::Planar {
                self.yuv.prepare(width, height, chroma_block, &transform);
            }
            self.geometry = Some(geometry);
        }
        transform
    }

    fn pad(&self, tensor: &mut [f32], transform: LetterboxTransform) {
        let width = self.spec.width as usize;
        let plane_len = tensor.len() / 3;
        let (left, right) = (
            transform.x() as usize,
            (transform.x() + transform.width()) as usize,
        );
        let content = transform.y() as usize..(transform.y() + transform.height()) as usize;
        for (plane, affine) in tensor.chunks_exact_mut(plane_len).zip(self.affine) {
            let value = affine.apply(f32::from(self.spec.pad));
            for (y, row) in plane.chunks_exact_mut(width).enumerate() {
                if content.contains(&y) {
                    row[..left].fill(value);
                    row[right..].fill(value);
                } else {
                    row.fill(value);
                }
            }
        }
    }

    /// Interleaved bytes, `N` a pixel, the first colour at byte `first` of the pixel.
    fn bytes<const N: usize>(&mut self, image: &ImageView<'_>, first: usize, out: &mut Target<'_>) {
        let (plane, affine) = (image.first_plane(), out.affine);
        self.sums.resize(image.width() as usize * N + SLACK, 0.0);
        for (y, tap) in self.rows.iter().enumerate() {
            sum_rows(&mut self.sums, tap, |row| plane.row(row));
            let sums = self.sums.get(first..).unwrap_or_default();
            gather::<N>(sums, &self.columns, out.rows(y), affine);
        }
    }

    /// 16-bit words, widened to planes of bytes row by row.
    fn words<const GREEN_BITS: u32, const BIG_ENDIAN: bool>(
        &mut self,
        image: &ImageView<'_>,
        out: &mut Target<'_>,
    ) {
        let (plane, affine) = (image.first_plane(), out.affine);
        let width = image.width() as usize;
        self.sums.resize(width * 3, 0.0);
        for (y, tap) in self.rows.iter().enumerate() {
            let mut first = true;
            for (row, weight) in tap.rows() {
                unpack::row::<GREEN_BITS, BIG_ENDIAN>(plane.row(row), &mut self.unpacked);
                add_row(&mut self.sums, &self.unpacked, weight, first);
                first = false;
            }
            let planes = self.sums.chunks_exact(width).zip(out.rows(y)).zip(affine);
            for ((sums, row), affine) in planes {
                gather_plane(sums, &self.columns, row);
                row.iter_mut().for_each(|v| *v = affine.apply(*v));
            }
        }
    }
}

/// Floats behind the last pixel of a row of sums: pixels are read four floats at a time, from up to one float
/// in.
const SLACK: usize = 2;

/// The three planes of the output in the order red, green, blue, whatever order the tensor has.
#[derive(Debug)]
struct Target<'t> {
    planes: [&'t mut [f32]; 3],
    affine: [Affine; 3],
    transform: LetterboxTransform,
}

impl Target<'_> {
    fn swap_red_and_blue(&mut self) {
        self.planes.swap(0, 2);
        self.affine.swap(0, 2);
    }

    /// Row `y` of the frame's rectangle in each plane.
    fn rows(&mut self, y: usize) -> [&mut [f32]; 3] {
        let p = self.transform;
        let start = (p.y() as usize + y) * p.input_size().0 as usize + p.x() as usize;
        // The rectangle lies inside the planes: `Fit::place` made it, and `write` checked the tensor's
        // length.
        self.planes
            .each_mut()
            .map(|plane| &mut plane[start..start + p.width() as usize])
    }
}

/// Weighs the summed pixels of one row into output pixels.
///
/// Four floats are read a pixel even where it has three: the fourth lane is thrown away, and the loop stays
/// one vector wide.
fn gather<const N: usize>(
    sums: &[f32],
    columns: &FilterTaps,
    [r, g, b]: [&mut [f32]; 3],
    affine: [Affine; 3],
) {
    let pixels = r.iter_mut().zip(g).zip(b);
    for (tap, ((r, g), b)) in columns.iter().zip(pixels) {
        let mut lanes = [0f32; 4];
        let window = sums.get(tap.start * N..).unwrap_or_default();
        for (k, &weight) in tap.weights.iter().enumerate() {
            let Some(pixel) = window.get(k * N..).and_then(|w| w.first_chunk::<4>()) else {
                break;
            };
            for lane in 0..4 {
                lanes[lane] += pixel[lane] * weight;
            }
        }
        *r = affine[0].apply(lanes[0]);
        *g = affine[1].apply(lanes[1]);
        *b = affine[2].apply(lanes[2]);
    }
}

/// Why a frame was not written into a model's input. The tensor's values are then undefined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreprocessError {
    /// The tensor does not have the length of the model's input. A bug in the caller.
    #[error("a model input takes {expected} floats (more than 0), but the tensor holds {found}")]
    TensorLength {
        /// Floats of one frame, [`InputSpec::tensor_len`].
        expected: usize,
        /// Floats that were given.
        found: usize,
    },
    /// The planar format does not name the places of luma, Cb and Cr. A bug in this workspace.
    #[error("a plane of {format} is missing; please report this bug")]
    MissingPlane {
        /// The format of the frame.
        format: PixelFormat,
    },
}
