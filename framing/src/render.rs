//! Renders pictures into the caller's memory.

mod axis;
mod colors;
mod fused;
mod pack;
#[cfg_attr(not(target_arch = "x86_64"), path = "render/simd_none.rs")]
mod simd;

use crate::geometry::PixelRect;
use crate::picture::{ColorMatrix, ColorRange, Picture};
use crate::plan::FramePlan;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling;
use ffmpeg_next::util::frame::Video;
use fused::Fused;
use lva_media_types::{Alpha, PixelFormat, PixelLayout, PixelPlane};
use std::fmt;
use yuv::{YuvPlanarImage, YuvRange, YuvStandardMatrix};

/// Why a picture was not rendered. The bytes of the destination are then undefined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// The picture does not have the size of the plan: the stream changed. Make a new plan.
    #[error(
        "a picture of {width}x{height} does not match the plan for {planned_width}x{planned_height}; make a new plan"
    )]
    InputChanged {
        /// Width of the picture.
        width: u32,
        /// Height of the picture.
        height: u32,
        /// Width that the plan is for.
        planned_width: u32,
        /// Height that the plan is for.
        planned_height: u32,
    },
    /// The length of the destination is not [`FramePlan::bytes`].
    #[error("the destination has {actual} bytes, a frame takes {needed}")]
    DestinationLength {
        /// Bytes of a frame.
        needed: usize,
        /// Bytes of the destination.
        actual: usize,
    },
    /// The scaler does not support this change of size (a factor of many hundreds), or memory ran out.
    #[error(
        "pictures cannot be scaled from {from_width}x{from_height} to {to_width}x{to_height}; request another size"
    )]
    Scaler {
        /// Width of the picture.
        from_width: u32,
        /// Height of the picture.
        from_height: u32,
        /// Width of the content.
        to_width: u32,
        /// Height of the content.
        to_height: u32,
    },
    /// The colour conversion rejected planes that were checked before: a bug of this crate.
    #[error("the colour conversion rejected its planes; please report this bug")]
    Conversion,
}

/// Renders pictures by one plan, and reuses its tables, a few rows, and, on the general path, one planar intermediate of
/// the content's size.
///
/// There are two paths. The **fused path** scales and converts one row at a time straight into the destination. It
/// needs AVX2, 8-bit samples, a packed frame, and no side of a plane may shrink to less than half. On the **general
/// path**, swscale scales to planar 4:4:4, and the `yuv` crate converts that straight into the destination. Both are
/// bilinear with a window that widens when a picture shrinks, so that no sample is skipped; they agree to at least 45
/// dB, which tests check.
///
/// Padding is black. After the first picture of a format nothing is allocated. Colours follow the picture's matrix and
/// range. Planar frames keep the picture's matrix and range; black is their black (16 or 0).
///
/// It is `Send`, as plans, pictures and decoders are: keep one across frames, wherever they are rendered.
pub struct Renderer {
    plan: FramePlan,
    fused: Option<Fused>,
    scaler: Option<Scaler>,
    row: Vec<u8>,
}

struct Scaler {
    source: Pixel,
    context: scaling::Context,
    scaled: Video,
}

// SAFETY: a scaling context is memory that belongs to it alone, without threads of its own (the option `threads` keeps its
// default of 1) and without anything bound to the thread that made it. It is used through `&mut` only, by one thread at a time.
#[allow(unsafe_code)]
unsafe impl Send for Scaler {}

impl Renderer {
    /// A renderer for this plan.
    pub fn new(plan: FramePlan) -> Self {
        Self {
            plan,
            fused: None,
            scaler: None,
            row: Vec::new(),
        }
    }

    /// The plan.
    pub fn plan(&self) -> &FramePlan {
        &self.plan
    }

    /// Renders one picture into `destination`, which has exactly [`FramePlan::bytes`] bytes. Every byte is written.
    ///
    /// # Errors
    ///
    /// A picture of another size, a destination of another length, or a size that the scaler does not support.
    pub fn render(&mut self, picture: &Picture, destination: &mut [u8]) -> Result<(), RenderError> {
        let plan = self.plan;
        if (picture.width(), picture.height()) != (plan.input_width(), plan.input_height()) {
            return Err(RenderError::InputChanged {
                width: picture.width(),
                height: picture.height(),
                planned_width: plan.input_width(),
                planned_height: plan.input_height(),
            });
        }
        if destination.len() != plan.bytes() {
            return Err(RenderError::DestinationLength {
                needed: plan.bytes(),
                actual: destination.len(),
            });
        }
        if self.fused.as_ref().is_none_or(|fused| !fused.fits(picture)) {
            self.fused = Fused::new(&plan, picture);
        }
        if let Some(fused) = &mut self.fused {
            fill_padding(&plan, destination);
            return fused.render(&plan, picture, destination);
        }
        self.render_in_general(picture, destination)
    }

    fn render_in_general(&mut self, picture: &Picture, destination: &mut [u8]) -> Result<(), RenderError> {
        let plan = self.plan;
        let scaled = scale(&mut self.scaler, &plan, picture)?;
        if plan.format().layout() == PixelLayout::Planar {
            return copy_planes(&plan, scaled, picture.range(), destination);
        }
        fill_padding(&plan, destination);
        let image = planar_image(scaled, plan.content())?;
        convert(&plan, &image, picture, &mut self.row, destination)
    }
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// The picture in the content's size and in the planar format that the conversion takes.
///
/// Scaling to full chroma here and converting to packed colours afterwards takes a fifth of the time that swscale needs
/// for both in one step, because its packed outputs have no fast path while scaling.
fn scale<'a>(
    scaler: &'a mut Option<Scaler>,
    plan: &FramePlan,
    picture: &'a Picture,
) -> Result<&'a Video, RenderError> {
    let frame = picture.frame();
    let source = frame.format();
    let content = plan.content();
    // swscale maps full range to limited between a `J` layout and a plain one. Both sides get the same kind, so that
    // values stay as they are and the conversion below knows the range.
    let full_by_name = matches!(source, Pixel::YUVJ420P | Pixel::YUVJ422P | Pixel::YUVJ444P);
    let [plain, full] = match plan.format().chroma_block() {
        1 => [Pixel::YUV444P, Pixel::YUVJ444P],
        _ => [Pixel::YUV420P, Pixel::YUVJ420P],
    };
    let target = if full_by_name { full } else { plain };
    if source == target && (frame.width(), frame.height()) == (content.width, content.height) {
        return Ok(frame);
    }
    let failed = RenderError::Scaler {
        from_width: frame.width(),
        from_height: frame.height(),
        to_width: content.width,
        to_height: content.height,
    };
    if scaler.as_ref().is_none_or(|scaler| scaler.source != source) {
        let context = scaling::Context::get(
            source,
            frame.width(),
            frame.height(),
            target,
            content.width,
            content.height,
            scaling::Flags::BILINEAR,
        )
        .map_err(|_| failed)?;
        let scaled = Video::new(target, content.width, content.height);
        if scaled.planes() < 3 {
            return Err(failed);
        }
        *scaler = Some(Scaler {
            source,
            context,
            scaled,
        });
    }
    let scaler = scaler.as_mut().ok_or(failed)?;
    scaler
        .context
        .run(frame, &mut scaler.scaled)
        .map_err(|_| failed)?;
    Ok(&scaler.scaled)
}

fn planar_image(frame: &Video, content: PixelRect) -> Result<YuvPlanarImage<'_, u8>, RenderError> {
    let stride = |plane| u32::try_from(frame.stride(plane)).map_err(|_| RenderError::Conversion);
    Ok(YuvPlanarImage {
        y_plane: frame.data(0),
        y_stride: stride(0)?,
        u_plane: frame.data(1),
        u_stride: stride(1)?,
        v_plane: frame.data(2),
        v_stride: stride(2)?,
        width: content.width,
        height: content.height,
    })
}

fn convert(
    plan: &FramePlan,
    image: &YuvPlanarImage<'_, u8>,
    picture: &Picture,
    row: &mut Vec<u8>,
    destination: &mut [u8],
) -> Result<(), RenderError> {
    let content = plan.content();
    let stride = plan.stride();
    let start = content.y as usize * stride + content.x as usize * plan.format().bytes_per_pixel();
    let target = destination.get_mut(start..).ok_or(RenderError::Conversion)?;
    let matrix = match picture.matrix() {
        ColorMatrix::Bt601 => YuvStandardMatrix::Bt601,
        ColorMatrix::Bt709 => YuvStandardMatrix::Bt709,
        ColorMatrix::Bt2020 => YuvStandardMatrix::Bt2020,
        // The crate's own constant of that name gives other colours than the standard's coefficients.
        ColorMatrix::Smpte240 => YuvStandardMatrix::Custom(0.212, 0.087),
    };
    let range = match picture.range() {
        ColorRange::Limited => YuvRange::Limited,
        ColorRange::Full => YuvRange::Full,
    };
    let direct = match plan.format() {
        PixelFormat::Rgb24 => yuv::yuv444_to_rgb,
        PixelFormat::Bgr24 => yuv::yuv444_to_bgr,
        PixelFormat::Rgba => yuv::yuv444_to_rgba,
        PixelFormat::Bgra => yuv::yuv444_to_bgra,
        packed => return pack::rows(packed, image, range, matrix, row, target, stride),
    };
    let stride = u32::try_from(stride).map_err(|_| RenderError::Conversion)?;
    direct(image, target, stride, range, matrix).map_err(|_| RenderError::Conversion)
}

/// Fills the area around the content with black: all bytes zero except alpha.
fn fill_padding(plan: &FramePlan, destination: &mut [u8]) {
    if !plan.is_padded() {
        return;
    }
    let content = plan.content();
    let pixel = plan.format().bytes_per_pixel();
    let (left, right) = (
        content.x as usize * pixel,
        (content.x + content.width) as usize * pixel,
    );
    let rows = content.y as usize..(content.y + content.height) as usize;
    for (y, row) in destination.chunks_exact_mut(plan.stride()).enumerate() {
        if rows.contains(&y) {
            fill_black(plan.format(), row.get_mut(..left).unwrap_or_default());
            fill_black(plan.format(), row.get_mut(right..).unwrap_or_default());
        } else {
            fill_black(plan.format(), row);
        }
    }
}

fn fill_black(format: PixelFormat, pixels: &mut [u8]) {
    pixels.fill(0);
    let PixelLayout::Bytes { alpha, .. } = format.layout() else {
        return; // no alpha
    };
    let at = match alpha {
        Alpha::None => return,
        Alpha::First => 0,
        Alpha::Last => 3,
    };
    pixels.iter_mut().skip(at).step_by(4).for_each(|byte| *byte = 255);
}

fn copy_planes(
    plan: &FramePlan,
    scaled: &Video,
    range: ColorRange,
    destination: &mut [u8],
) -> Result<(), RenderError> {
    let content = plan.content();
    let black = match range {
        ColorRange::Limited => 16,
        ColorRange::Full => 0,
    };
    let planes = plan.format().planes(plan.width(), plan.height(), plan.stride());
    let planes = planes.ok_or(RenderError::Conversion)?.into_iter().flatten();
    for (index, plane) in planes.enumerate() {
        let samples = |pixels: u32| pixels.div_ceil(plane.block) as usize;
        let target = plane
            .end()
            .and_then(|end| destination.get_mut(plane.offset..end))
            .ok_or(RenderError::Conversion)?;
        let columns = samples(content.x)..samples(content.x) + samples(content.width);
        let rows = samples(content.y)..samples(content.y) + samples(content.height);
        let empty = if index == 0 { black } else { 128 };
        let mut source = scaled.data(index).chunks(scaled.stride(index).max(1));
        for (y, target) in target.chunks_exact_mut(plane.stride).enumerate() {
            let content = if rows.contains(&y) { source.next() } else { None };
            let Some(content) = content else {
                fill_samples(&plane, target, empty);
                continue;
            };
            let content = content.get(..columns.len()).ok_or(RenderError::Conversion)?;
            copy_row(&plane, content, columns.start, empty, target).ok_or(RenderError::Conversion)?;
        }
    }
    Ok(())
}

/// Fills a row of a plane, its padding included, and leaves samples of other planes between its own as they are.
fn fill_samples(plane: &PixelPlane, row: &mut [u8], value: u8) {
    match plane.step {
        0 | 1 => row.fill(value),
        step => row
            .iter_mut()
            .skip(plane.first)
            .step_by(step)
            .for_each(|sample| *sample = value),
    }
}

/// Writes samples into a row of a plane, the first one at column `left`, and `empty` on both sides; `None` if the row is
/// too short.
fn copy_row(plane: &PixelPlane, samples: &[u8], left: usize, empty: u8, row: &mut [u8]) -> Option<()> {
    if plane.step == 1 {
        let right = left + samples.len();
        row.get_mut(..left)?.fill(empty);
        row.get_mut(left..right)?.copy_from_slice(samples);
        row.get_mut(right..)?.fill(empty);
        return Some(());
    }
    fill_samples(plane, row, empty);
    let targets = row.get_mut(plane.first + left * plane.step..)?;
    for (target, sample) in targets.iter_mut().step_by(plane.step.max(1)).zip(samples) {
        *target = *sample;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::PictureFormat;
    use crate::plan::ImageSettings;
    use lva_media_types::ScaleMode;

    fn picture(format: PictureFormat, (width, height): (u32, u32), chroma: (u32, u32)) -> Picture {
        let plane = |(width, height): (u32, u32), turn: f64| -> Vec<u8> {
            let wave = |x, y| (f64::from(x) * 0.07 + turn).sin() * (f64::from(y) * 0.05 + turn).cos();
            let samples = (0..height).flat_map(|y| (0..width).map(move |x| wave(x, y)));
            samples.map(|value| (126.0 + value * 90.0) as u8).collect()
        };
        let planes = [
            plane((width, height), 0.0),
            plane(chroma, 1.0),
            plane(chroma, 2.0),
        ];
        let [y, u, v] = &planes;
        let range = ColorRange::Limited;
        Picture::from_planes(format, (width, height), [y, u, v], ColorMatrix::Bt709, range, 0).unwrap()
    }

    #[test]
    fn both_paths_give_the_same_picture() {
        for (layout, chroma) in [
            (PictureFormat::Yuv420p, (161, 91)),
            (PictureFormat::Yuv422p, (161, 181)),
            (PictureFormat::Yuv444p, (321, 181)),
        ] {
            let picture = picture(layout, (321, 181), chroma);
            for (format, size) in PixelFormat::ALL
                .into_iter()
                .filter(|format| format.layout() != PixelLayout::Planar)
                .flat_map(|format| [(240, 150), (162, 91), (321, 181), (700, 333)].map(|size| (format, size)))
            {
                let settings =
                    ImageSettings::new(format).with_scale(ScaleMode::Stretch, Some(size.0), Some(size.1));
                let plan = settings.plan(321, 181).unwrap();
                let (mut fused, mut general) = (vec![1; plan.bytes()], vec![2; plan.bytes()]);
                Renderer::new(plan)
                    .render_in_general(&picture, &mut general)
                    .unwrap();
                let mut renderer = Renderer::new(plan);
                renderer.render(&picture, &mut fused).unwrap();
                if renderer.fused.is_none() {
                    continue; // a processor without AVX2
                }
                if format.bytes_per_pixel() == 2 {
                    continue; // a step of five bits is not a small difference; the golden tests cover these
                }
                let squares = fused
                    .iter()
                    .zip(&general)
                    .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
                let mean = squares.sum::<f64>() / fused.len() as f64;
                assert!(mean < 1.0, "{layout:?} to {format} {size:?}: mean square {mean}");
            }
        }
    }

    /// As of a format that interleaves Cb and Cr.
    #[test]
    fn interleaved_planes_leave_each_other_s_samples_alone() {
        let plane = |first| PixelPlane {
            offset: 0,
            stride: 10,
            row_bytes: 8,
            rows: 1,
            block: 2,
            first,
            step: 2,
        };
        let mut row = [9; 10];
        copy_row(&plane(0), &[1, 2], 1, 128, &mut row).unwrap();
        copy_row(&plane(1), &[3, 4], 1, 128, &mut row).unwrap();
        assert_eq!(row, [128, 128, 1, 3, 2, 4, 128, 128, 128, 128]);
        fill_samples(&plane(1), &mut row, 0);
        assert_eq!(row, [128, 0, 1, 0, 2, 0, 128, 0, 128, 0]);
    }

    #[test]
    fn the_general_path_is_taken_where_the_fused_one_does_not_apply() {
        let picture = picture(PictureFormat::Yuv420p, (320, 180), (160, 90));
        for (format, width, height) in [
            (PixelFormat::Bgr24, 159, 90),
            (PixelFormat::Bgr24, 160, 89),
            (PixelFormat::Yuv420p, 300, 170),
        ] {
            let settings =
                ImageSettings::new(format).with_scale(ScaleMode::Stretch, Some(width), Some(height));
            let mut renderer = Renderer::new(settings.plan(320, 180).unwrap());
            let mut slot = vec![0; renderer.plan().bytes()];
            renderer.render(&picture, &mut slot).unwrap();
            assert!(
                renderer.fused.is_none() && renderer.scaler.is_some(),
                "{format} {width}x{height}"
            );
        }
    }
}
