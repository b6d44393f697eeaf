//! Draws lines, polygons, boxes and labels onto a rendered frame.

mod font;

use lva_media_types::PixelFormat;
use thiserror::Error;

/// Width and height of a character cell at scale 1, in pixels.
const CELL: (u32, u32) = (font::WIDTH + 1, font::HEIGHT + 2);

/// Why a frame cannot be drawn onto.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CanvasError {
    /// Only packed frames of three bytes a pixel are supported. Render into [`PixelFormat::Rgb24`] or
    /// [`PixelFormat::Bgr24`].
    #[error("cannot draw onto {format:?}; render into Rgb24 or Bgr24")]
    Format {
        /// The frame's format.
        format: PixelFormat,
    },
    /// The length of the buffer does not match the size.
    #[error("{bytes} bytes for {width}x{height} pixels; {expected} are needed")]
    Length {
        /// How many there are.
        bytes: usize,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// How many there must be.
        expected: usize,
    },
}

/// A rendered frame to draw onto. Points are in fractions of the frame; shapes are clipped to it, and points that are
/// not finite are not drawn. Colours are red, green and blue, whatever the frame's byte order.
///
/// ```
/// use lva_framing::PixelFormat;
/// use lva_framing::overlay::Canvas;
///
/// let mut frame = vec![0; 64 * 36 * 3];
/// let mut canvas = Canvas::new(&mut frame, PixelFormat::Rgb24, 64, 36)?;
/// canvas.polygon(&[[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]], [255, 0, 0], 0.25);
/// canvas.text([0.1, 0.5], "door: 2", [255, 255, 255], 1);
/// assert!(frame.iter().any(|byte| *byte > 0));
/// # Ok::<(), lva_framing::overlay::CanvasError>(())
/// ```
#[derive(Debug)]
pub struct Canvas<'a> {
    pixels: &'a mut [u8],
    width: i64,
    height: i64,
    swapped: bool,
}

impl<'a> Canvas<'a> {
    /// A canvas over the bytes of a frame.
    ///
    /// # Errors
    ///
    /// [`CanvasError`]; nothing was drawn.
    pub fn new(
        pixels: &'a mut [u8],
        format: PixelFormat,
        width: u32,
        height: u32,
    ) -> Result<Self, CanvasError> {
        let swapped = match format {
            PixelFormat::Rgb24 => false,
            PixelFormat::Bgr24 => true,
            format => return Err(CanvasError::Format { format }),
        };
        let expected = (width as usize).saturating_mul(height as usize).saturating_mul(3);
        if pixels.len() != expected {
            return Err(CanvasError::Length {
                bytes: pixels.len(),
                width,
                height,
                expected,
            });
        }
        Ok(Self {
            pixels,
            width: width.into(),
            height: height.into(),
            swapped,
        })
    }

    /// A point in pixels, clamped to a few frame sizes around the frame.
    fn at(&self, [x, y]: [f64; 2]) -> Option<(f64, f64)> {
        let near = |v: f64| v.is_finite().then(|| v.clamp(-4.0, 5.0));
        Some((near(x)? * self.width as f64, near(y)? * self.height as f64))
    }

    /// Blends a colour into one pixel.
    fn blend(&mut self, x: i64, y: i64, [r, g, b]: [u8; 3], share: f64) {
        if !(0..self.width).contains(&x) || !(0..self.height).contains(&y) {
            return;
        }
        let first = (y * self.width + x) as usize * 3;
        let color = if self.swapped { [b, g, r] } else { [r, g, b] };
        if let Some(pixel) = self.pixels.get_mut(first..first + 3) {
            for (old, new) in pixel.iter_mut().zip(color) {
                *old = (f64::from(*old) * (1.0 - share) + f64::from(new) * share).round() as u8;
            }
        }
    }

    /// A square of pixels around a point.
    fn stamp(&mut self, x: f64, y: f64, thickness: u32, color: [u8; 3]) {
        let size = i64::from(thickness.clamp(1, 64));
        let (left, top) = (
            x.floor() as i64 - (size - 1) / 2,
            y.floor() as i64 - (size - 1) / 2,
        );
        for dy in 0..size {
            for dx in 0..size {
                self.blend(left + dx, top + dy, color, 1.0);
            }
        }
    }

    /// A straight line, 1 to 64 pixels thick.
    pub fn line(&mut self, from: [f64; 2], to: [f64; 2], color: [u8; 3], thickness: u32) {
        let (Some(a), Some(b)) = (self.at(from), self.at(to)) else {
            return;
        };
        let steps = (b.0 - a.0).abs().max((b.1 - a.1).abs()).ceil().max(1.0);
        for step in 0..=steps as u64 {
            let part = step as f64 / steps;
            self.stamp(
                a.0 + (b.0 - a.0) * part,
                a.1 + (b.1 - a.1) * part,
                thickness,
                color,
            );
        }
    }

    /// Lines from point to point.
    pub fn polyline(&mut self, points: &[[f64; 2]], color: [u8; 3], thickness: u32) {
        for pair in points.windows(2) {
            if let [from, to] = pair {
                self.line(*from, *to, color, thickness);
            }
        }
    }

    /// A line with a head at its end.
    pub fn arrow(&mut self, from: [f64; 2], to: [f64; 2], color: [u8; 3], thickness: u32) {
        self.line(from, to, color, thickness);
        let (Some(a), Some(b)) = (self.at(from), self.at(to)) else {
            return;
        };
        let length = (b.0 - a.0).hypot(b.1 - a.1);
        if length < 1.0 {
            return;
        }
        let head = 5.0 * f64::from(thickness.clamp(1, 64)) / length;
        let (dx, dy) = ((b.0 - a.0) * head, (b.1 - a.1) * head);
        for side in [0.5, -0.5] {
            let barb = (b.0 - dx - side * dy, b.1 - dy + side * dx);
            let barb = [barb.0 / self.width as f64, barb.1 / self.height as f64];
            self.line(to, barb, color, thickness);
        }
    }

    /// The outline of a polygon, its inside tinted with a share of the colour, 0 to 1.
    pub fn polygon(&mut self, corners: &[[f64; 2]], color: [u8; 3], tint: f64) {
        let points: Vec<(f64, f64)> = corners.iter().filter_map(|corner| self.at(*corner)).collect();
        if tint > 0.0 && points.len() > 2 {
            self.fill(&points, color, tint.min(1.0));
        }
        for (index, corner) in corners.iter().enumerate() {
            if let Some(next) = corners.get((index + 1) % corners.len()) {
                self.line(*corner, *next, color, 2);
            }
        }
    }

    /// Row by row between pairs of crossings: the even-odd rule.
    fn fill(&mut self, points: &[(f64, f64)], color: [u8; 3], tint: f64) {
        let mut crossings: Vec<f64> = Vec::new();
        for row in 0..self.height {
            let y = row as f64 + 0.5;
            crossings.clear();
            for (index, a) in points.iter().enumerate() {
                let Some(b) = points.get((index + 1) % points.len()) else {
                    continue;
                };
                if (a.1 > y) != (b.1 > y) {
                    crossings.push(a.0 + (b.0 - a.0) * (y - a.1) / (b.1 - a.1));
                }
            }
            crossings.sort_by(f64::total_cmp);
            for pair in crossings.chunks_exact(2) {
                if let [left, right] = pair {
                    let (left, right) = (left.ceil().max(0.0) as i64, right.min(self.width as f64) as i64);
                    for x in left..right {
                        self.blend(x, row, color, tint);
                    }
                }
            }
        }
    }

    /// The outline of a box: left, top, width and height.
    pub fn rectangle(&mut self, [left, top, width, height]: [f64; 4], color: [u8; 3], thickness: u32) {
        let (right, bottom) = (left + width, top + height);
        let corners = [
            [left, top],
            [right, top],
            [right, bottom],
            [left, bottom],
            [left, top],
        ];
        self.polyline(&corners, color, thickness);
    }

    /// A round dot of a radius in pixels, at most 64.
    pub fn dot(&mut self, at: [f64; 2], radius: u32, color: [u8; 3]) {
        let Some((x, y)) = self.at(at) else { return };
        let radius = i64::from(radius.min(64));
        for dy in -radius..=radius {
            for dx in -radius..=radius {
                if dx * dx + dy * dy <= radius * radius {
                    self.blend(x as i64 + dx, y as i64 + dy, color, 1.0);
                }
            }
        }
    }

    /// One line of characters with its lower left corner at a point, on a dark background, characters of 5 × 7 pixels
    /// times `scale`, 1 to 16. Lower case is drawn as upper case, a character that the font lacks as a hollow box.
    /// Strings are cut at 200 characters.
    pub fn text(&mut self, at: [f64; 2], text: &str, color: [u8; 3], scale: u32) {
        let Some((x, y)) = self.at(at) else { return };
        let scale = i64::from(scale.clamp(1, 16));
        let (width, height) = (i64::from(CELL.0) * scale, i64::from(CELL.1) * scale);
        let letters = text.chars().take(200).count() as i64;
        let (left, top) = (x as i64, y as i64 - height);
        for dy in 0..height {
            for dx in 0..letters * width + scale {
                self.blend(left + dx, top + dy, [16, 16, 16], 0.6);
            }
        }
        for (index, letter) in text.chars().take(200).enumerate() {
            let rows = font::letter(letter);
            for (row, bits) in rows.into_iter().enumerate() {
                for column in 0..i64::from(font::WIDTH) {
                    if bits >> (i64::from(font::WIDTH) - 1 - column) & 1 == 0 {
                        continue;
                    }
                    let (px, py) = (
                        left + scale + index as i64 * width + column * scale,
                        top + scale + row as i64 * scale,
                    );
                    for dy in 0..scale {
                        for dx in 0..scale {
                            self.blend(px + dx, py + dy, color, 1.0);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: [u8; 3] = [255; 3];

    fn lit(frame: &[u8]) -> usize {
        frame.chunks_exact(3).filter(|pixel| *pixel == WHITE).count()
    }

    #[test]
    fn a_line_goes_from_end_to_end_and_is_cut_at_the_frame() {
        let mut frame = vec![0; 20 * 10 * 3];
        let mut canvas = Canvas::new(&mut frame, PixelFormat::Rgb24, 20, 10).expect("a frame");
        canvas.line([-3.0, 0.5], [3.0, 0.5], WHITE, 1);
        assert_eq!(lit(&frame), 20);
        let mut canvas = Canvas::new(&mut frame, PixelFormat::Rgb24, 20, 10).expect("a frame");
        canvas.line([f64::NAN, 0.0], [1.0, f64::INFINITY], WHITE, 1);
        canvas.line([1e300, 1e300], [-1e300, 1e300], WHITE, 1000);
        assert_eq!(lit(&frame), 20);
    }

    #[test]
    fn a_polygon_is_tinted_inside_only_and_colours_follow_the_format() {
        for (format, order) in [(PixelFormat::Rgb24, [0, 1, 2]), (PixelFormat::Bgr24, [2, 1, 0])] {
            let mut frame = vec![0; 40 * 40 * 3];
            let mut canvas = Canvas::new(&mut frame, format, 40, 40).expect("a frame");
            canvas.polygon(
                &[[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]],
                [200, 100, 0],
                0.5,
            );
            let pixel = |x: usize, y: usize| order.map(|channel| frame[(y * 40 + x) * 3 + channel]);
            assert_eq!(pixel(20, 20), [100, 50, 0]);
            assert_eq!(pixel(5, 20), [0, 0, 0]);
            assert_eq!(pixel(10, 20), [200, 100, 0], "the outline");
        }
    }

    #[test]
    fn characters_are_drawn_as_the_font_defines_them() {
        let mut frame = vec![0; 30 * 12 * 3];
        let mut canvas = Canvas::new(&mut frame, PixelFormat::Rgb24, 30, 12).expect("a frame");
        canvas.text([0.0, 1.0], "l", WHITE, 1);
        // Seven of the stem, four of the foot.
        assert_eq!(lit(&frame), 11);
        for text in ["", "é\u{1F600}\n", &"x".repeat(10_000)] {
            let mut canvas = Canvas::new(&mut frame, PixelFormat::Rgb24, 30, 12).expect("a frame");
            canvas.text([0.9, 0.1], text, WHITE, 1000);
        }
    }

    #[test]
    fn only_frames_of_three_bytes_a_pixel_are_accepted() {
        let mut frame = vec![0; 300];
        assert!(matches!(
            Canvas::new(&mut frame, PixelFormat::Rgb24, 10, 11),
            Err(CanvasError::Length { expected: 330, .. })
        ));
        assert!(matches!(
            Canvas::new(&mut frame, PixelFormat::Yuv420p, 10, 10),
            Err(CanvasError::Format { .. })
        ));
        assert!(Canvas::new(&mut [], PixelFormat::Rgb24, 0, 0).is_ok());
    }
}
