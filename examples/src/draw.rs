//! What the programs draw with: the overlay of `lva-framing` on packed RGB, and their colours.

use lva_framing::PixelFormat;
use lva_framing::overlay::{Canvas, CanvasError};

/// Zones.
pub const AZURE: [u8; 3] = [40, 120, 255];
/// Lines.
pub const MAGENTA: [u8; 3] = [255, 0, 255];
/// What was found.
pub const ORANGE: [u8; 3] = [255, 90, 40];
/// Who is there and is to be seen.
pub const GREEN: [u8; 3] = [0, 255, 0];
/// Who is there and mostly hidden.
pub const YELLOW: [u8; 3] = [255, 255, 0];
/// Words.
pub const WHITE: [u8; 3] = [255; 3];

/// A canvas over `rgb`, three bytes a pixel.
///
/// # Errors
///
/// Memory of another size.
pub fn canvas(rgb: &mut [u8], width: u32, height: u32) -> Result<Canvas<'_>, CanvasError> {
    Canvas::new(rgb, PixelFormat::Rgb24, width, height)
}

/// A box (left, top, width, height in fractions) as the canvas takes it.
pub fn sides(sides: [f32; 4]) -> [f64; 4] {
    sides.map(f64::from)
}

/// A zone, its inside tinted lightly, or a line with the head where it leads to; with its name.
pub fn place(canvas: &mut Canvas<'_>, name: &str, points: &[[f64; 2]]) {
    let color = match points {
        [start, end] => {
            canvas.arrow(*start, *end, MAGENTA, 2);
            MAGENTA
        }
        corners => {
            canvas.polygon(corners, AZURE, 0.12);
            AZURE
        }
    };
    if let Some(first) = points.first() {
        canvas.text(*first, name, color, 1);
    }
}
