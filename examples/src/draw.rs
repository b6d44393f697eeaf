//! Boxes, polygons and words on a picture.

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_6X10;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{Line, PrimitiveStyle, Rectangle};
use embedded_graphics::text::{Baseline, Text};
use std::convert::Infallible;

/// A packed RGB picture to draw on. Places are fractions of its width and height.
#[derive(Debug)]
pub struct Canvas<'a> {
    rgb: &'a mut [u8],
    width: u32,
    height: u32,
}

impl<'a> Canvas<'a> {
    /// A canvas over `rgb`, three bytes a pixel; rows that the bytes do not reach are left out.
    pub fn new(rgb: &'a mut [u8], width: u32, height: u32) -> Self {
        Self { rgb, width, height }
    }

    fn point(&self, [x, y]: [f32; 2]) -> Point {
        Point::new(
            (x * self.width as f32).round() as i32,
            (y * self.height as f32).round() as i32,
        )
    }

    /// The outline of a rectangle (left, top, width, height).
    pub fn outline(&mut self, [left, top, width, height]: [f32; 4], color: Rgb888, stroke: u32) {
        let corners = [self.point([left, top]), self.point([left + width, top + height])];
        let style = PrimitiveStyle::with_stroke(color, stroke);
        let Ok(()) = Rectangle::with_corners(corners[0], corners[1])
            .into_styled(style)
            .draw(self);
    }

    /// A closed polygon, or a line where there are two corners.
    pub fn polygon(&mut self, corners: &[[f32; 2]], color: Rgb888, stroke: u32) {
        let style = PrimitiveStyle::with_stroke(color, stroke);
        for (index, corner) in corners.iter().enumerate() {
            let next = corners[(index + 1) % corners.len()];
            let Ok(()) = Line::new(self.point(*corner), self.point(next))
                .into_styled(style)
                .draw(self);
        }
    }

    /// Words on a plate of their own, with their top left corner at `place`.
    pub fn label(&mut self, text: &str, place: [f32; 2], color: Rgb888) {
        let at = self.point(place);
        let text = Text::with_baseline(text, at, MonoTextStyle::new(&FONT_6X10, color), Baseline::Top);
        let plate = text
            .bounding_box()
            .offset(1)
            .into_styled(PrimitiveStyle::with_fill(Rgb888::BLACK));
        let Ok(()) = plate.draw(self);
        let Ok(_) = text.draw(self);
    }
}

impl OriginDimensions for Canvas<'_> {
    fn size(&self) -> Size {
        Size::new(self.width, self.height)
    }
}

impl DrawTarget for Canvas<'_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        let bounds = self.bounding_box();
        for Pixel(point, color) in pixels {
            if !bounds.contains(point) {
                continue;
            }
            let at = (point.y as usize * self.width as usize + point.x as usize) * 3;
            if let Some(pixel) = self.rgb.get_mut(at..at + 3) {
                pixel.copy_from_slice(&[color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }
}
