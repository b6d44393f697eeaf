//! Primitives as SVG.

use super::{Paint, Primitive};
use crate::observation::Point;
use std::fmt::Write as _;

/// A picture of this size in pixels with a transparent ground: to be laid over a frame, or by itself. Names are escaped.
pub fn svg(primitives: &[Primitive], width: u32, height: u32) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"{}\">\n",
        (height / 36).max(8)
    );
    let at = |p: Point| (f64::from(width) * p.x, f64::from(height) * p.y);
    let list = |points: &[Point]| {
        let pairs = points.iter().map(|p| {
            let (x, y) = at(*p);
            format!("{x:.1},{y:.1}")
        });
        pairs.collect::<Vec<_>>().join(" ")
    };
    for primitive in primitives {
        // Writing to a String cannot fail.
        let _ = match primitive {
            Primitive::Polygon { points, paint } => {
                let color = color(*paint);
                writeln!(
                    out,
                    "<polygon points=\"{}\" fill=\"{color}\" fill-opacity=\"0.15\" stroke=\"{color}\" stroke-width=\"2\"/>",
                    list(points)
                )
            }
            Primitive::Polyline { points, paint } => writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
                list(points),
                color(*paint)
            ),
            Primitive::Arrow { from, to, paint } => {
                let ((x1, y1), (x2, y2)) = (at(*from), at(*to));
                let length = (x2 - x1).hypot(y2 - y1).max(1e-9);
                let (dx, dy) = ((x2 - x1) / length * 10.0, (y2 - y1) / length * 10.0);
                let (left, right) = (
                    (x2 - dx + dy * 0.5, y2 - dy - dx * 0.5),
                    (x2 - dx - dy * 0.5, y2 - dy + dx * 0.5),
                );
                writeln!(
                    out,
                    "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}M{:.1} {:.1}L{x2:.1} {y2:.1}L{:.1} {:.1}\" fill=\"none\" stroke=\"{}\" stroke-width=\"3\"/>",
                    left.0,
                    left.1,
                    right.0,
                    right.1,
                    color(*paint)
                )
            }
            Primitive::Box { bbox, paint } => {
                let (x, y) = at(Point::new(bbox.left.into(), bbox.top.into()));
                let (w, h) = at(Point::new(bbox.width.into(), bbox.height.into()));
                writeln!(
                    out,
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>",
                    color(*paint)
                )
            }
            Primitive::Dot { at: point, paint } => {
                let (x, y) = at(*point);
                writeln!(
                    out,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{}\"/>",
                    color(*paint)
                )
            }
            Primitive::Text {
                at: point,
                text,
                paint,
            } => {
                let (x, y) = at(*point);
                writeln!(
                    out,
                    "<text x=\"{x:.1}\" y=\"{:.1}\" fill=\"{}\">{}</text>",
                    y - 3.0,
                    color(*paint),
                    escaped(text)
                )
            }
        };
    }
    out.push_str("</svg>\n");
    out
}

fn color(paint: Paint) -> String {
    let [r, g, b] = paint.rgb();
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no way to write these.
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}
