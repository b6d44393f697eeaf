//! Drawing on packed RGB with the overlay of `lva-framing`, and its colours.

use lva_framing::PixelFormat;
use lva_framing::overlay::{Canvas, CanvasError};

/// Zones.
pub const AZURE: [u8; 3] = [40, 120, 255];
/// Lines.
pub const MAGENTA: [u8; 3] = [255, 0, 255];
/// Detections.
pub const ORANGE: [u8; 3] = [255, 90, 40];
/// People who are more than half visible.
pub const GREEN: [u8; 3] = [0, 255, 0];
/// People who are mostly hidden.
pub const YELLOW: [u8; 3] = [255, 255, 0];
/// Text.
pub const WHITE: [u8; 3] = [255; 3];

/// A canvas on `rgb`, three bytes per pixel.
///
/// # Errors
///
/// The buffer has another size.
pub fn canvas(rgb: &mut [u8], width: u32, height: u32) -> Result<Canvas<'_>, CanvasError> {
    Canvas::new(rgb, PixelFormat::Rgb24, width, height)
}

/// Converts a box (left, top, width, height in fractions) for the canvas.
pub fn sides(sides: [f32; 4]) -> [f64; 4] {
    sides.map(f64::from)
}

/// Draws a zone with a light fill, or a line as an arrow to its end, and its name.
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
