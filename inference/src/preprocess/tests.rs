//! The fast path against a slow one that is right at a glance: 64-bit, pixel by pixel, no separation, no
//! state.

use lva_media_types::PixelFormat;

use super::*;
use crate::image_view::{ColorSpace, Plane};
use proptest::prelude::*;

/// A picture whose samples are asked for one by one.
struct Slow<'a>(&'a ImageView<'a>);

impl Slow<'_> {
    fn byte(&self, at: usize) -> f64 {
        f64::from(self.0.bytes()[at])
    }

    /// Red, green, blue of a pixel of an RGB format.
    fn rgb(&self, x: usize, y: usize) -> [f64; 3] {
        let format = self.0.format();
        let at = y * self.0.stride() + x * format.bytes_per_pixel();
        let bytes = |r: usize, g: usize, b: usize| [self.byte(at + r), self.byte(at + g), self.byte(at + b)];
        let word = |high: usize, low: usize| self.byte(at + high) as u32 * 256 + self.byte(at + low) as u32;
        let five = |v: u32| f64::from((v % 32) * 8 + (v % 32) / 4);
        let six = |v: u32| f64::from((v % 64) * 4 + (v % 64) / 16);
        match format.layout() {
            PixelLayout::Bytes { alpha, blue_first } => {
                let at = usize::from(alpha == Alpha::First);
                let (red, blue) = if blue_first { (at + 2, at) } else { (at, at + 2) };
                bytes(red, at + 1, blue)
            }
            PixelLayout::Word565 { big_endian } => {
                let w = if big_endian { word(0, 1) } else { word(1, 0) };
                [five(w / 2048), six(w / 32), five(w)]
            }
            PixelLayout::Word555 { big_endian } => {
                let w = if big_endian { word(0, 1) } else { word(1, 0) };
                [five(w / 1024), five(w / 32), five(w)]
            }
            PixelLayout::Planar => unreachable!("planes are asked for by `plane`"),
        }
    }

    /// Sample (x, y) of luma, Cb or Cr of a planar format.
    fn plane(&self, plane: usize, x: usize, y: usize) -> f64 {
        let image = self.0;
        let planes = image
            .format()
            .planes(image.width(), image.height(), image.stride());
        let plane = planes.unwrap()[plane].unwrap();
        self.byte(plane.offset + y * plane.stride + plane.first + x * plane.step)
    }
}

/// One axis of the slow way: samples with weights for output `i` of `out`.
fn weights(i: usize, out: usize, samples: usize, extent: f64) -> Vec<(usize, f64)> {
    let step = extent / out as f64;
    if step > 1.0 {
        let (a, b) = (i as f64 * step, (i as f64 + 1.0) * step);
        (0..samples)
            .map(|k| (k, ((b.min(k as f64 + 1.0) - a.max(k as f64)).max(0.0)) / step))
            .collect()
    } else {
        let centre = (i as f64 + 0.5) * step - 0.5;
        let lower = centre.floor();
        let hold = |k: f64| k.clamp(0.0, samples as f64 - 1.0) as usize;
        vec![
            (hold(lower), 1.0 - (centre - lower)),
            (hold(lower + 1.0), centre - lower),
        ]
    }
}

fn resample(
    (x, y): (usize, usize),
    place: &LetterboxTransform,
    (width, height): (f64, f64),
    sample: impl Fn(usize, usize) -> f64,
) -> f64 {
    let columns = weights(x, place.width() as usize, width.ceil() as usize, width);
    let rows = weights(y, place.height() as usize, height.ceil() as usize, height);
    let mut sum = 0.0;
    for &(row, row_weight) in rows.iter().filter(|r| r.1 != 0.0) {
        for &(column, weight) in columns.iter().filter(|c| c.1 != 0.0) {
            sum += sample(column, row) * row_weight * weight;
        }
    }
    sum
}

fn slow_pixel(view: &ImageView<'_>, place: &LetterboxTransform, x: usize, y: usize) -> [f64; 3] {
    let slow = Slow(view);
    let size = (f64::from(view.width()), f64::from(view.height()));
    if view.format().layout() != PixelLayout::Planar {
        return [0, 1, 2].map(|c| resample((x, y), place, size, |sx, sy| slow.rgb(sx, sy)[c]));
    }
    let block = f64::from(view.format().chroma_block());
    let chroma = (size.0 / block, size.1 / block);
    let luma = resample((x, y), place, size, |sx, sy| slow.plane(0, sx, sy));
    let cb = resample((x, y), place, chroma, |sx, sy| slow.plane(1, sx, sy)) - 128.0;
    let cr = resample((x, y), place, chroma, |sx, sy| slow.plane(2, sx, sy)) - 128.0;
    let rgb = match view.color_space() {
        // The matrices as broadcast engineers write them down.
        ColorSpace::Bt601Limited => {
            let l = 1.164_383_6 * (luma - 16.0);
            [
                l + 1.596_026_8 * cr,
                l - 0.391_762_3 * cb - 0.812_967_6 * cr,
                l + 2.017_232_1 * cb,
            ]
        }
        ColorSpace::Bt601Full => [
            luma + 1.402 * cr,
            luma - 0.344_136_3 * cb - 0.714_136_3 * cr,
            luma + 1.772 * cb,
        ],
        ColorSpace::Bt709Limited => {
            let l = 1.164_383_6 * (luma - 16.0);
            [
                l + 1.792_741_1 * cr,
                l - 0.213_248_6 * cb - 0.532_909_3 * cr,
                l + 2.112_401_8 * cb,
            ]
        }
        ColorSpace::Bt709Full => [
            luma + 1.5748 * cr,
            luma - 0.187_324_3 * cb - 0.468_124_3 * cr,
            luma + 1.8556 * cb,
        ],
    };
    rgb.map(|v| v.clamp(0.0, 255.0))
}

fn slow_tensor(view: &ImageView<'_>, spec: &InputSpec) -> Vec<f32> {
    let place = spec
        .fit
        .place((view.width(), view.height()), (spec.width, spec.height));
    let (width, height) = (spec.width as usize, spec.height as usize);
    let mut tensor = vec![0f32; 3 * width * height];
    for y in 0..height {
        for x in 0..width {
            let inside = (place.x()..place.x() + place.width()).contains(&(x as u32))
                && (place.y()..place.y() + place.height()).contains(&(y as u32));
            let rgb = if inside {
                slow_pixel(view, &place, x - place.x() as usize, y - place.y() as usize)
            } else {
                [f64::from(spec.pad); 3]
            };
            for c in 0..3 {
                let value = if spec.order == ChannelOrder::Rgb {
                    rgb[c]
                } else {
                    rgb[2 - c]
                };
                let scaled = value * f64::from(spec.scale) - f64::from(spec.mean[c]);
                tensor[(c * height + y) * width + x] = (scaled / f64::from(spec.deviation[c])) as f32;
            }
        }
    }
    tensor
}

/// Noise that covers all byte values; seeded so that a failure repeats.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    })
    .take(len)
    .collect()
}

fn compare(view: &ImageView<'_>, spec: InputSpec) {
    let mut fast = vec![f32::NAN; spec.tensor_len()];
    let place = Preprocessor::new(spec).write(view, &mut fast).unwrap();
    assert_eq!(
        place,
        spec.fit
            .place((view.width(), view.height()), (spec.width, spec.height))
    );
    for (i, (fast, slow)) in fast.iter().zip(slow_tensor(view, &spec)).enumerate() {
        // A hundredth of one step of 255, before mean and deviation.
        let tolerance = 0.01 * spec.scale / spec.deviation[0].min(spec.deviation[1]).min(spec.deviation[2]);
        assert!(
            (fast - slow).abs() <= tolerance,
            "value {i} of {view:?} in {spec:?}: {fast} for {slow}"
        );
    }
}

const FITS: [Fit; 3] = [Fit::Stretch, Fit::LetterboxCentered, Fit::LetterboxTopLeft];

#[test]
fn every_format_shrinks_as_the_slow_way() {
    for (n, format) in PixelFormat::ALL.into_iter().enumerate() {
        for fit in FITS {
            let stride = format.packed_stride(67) + 5;
            let bytes = noise(stride * 41 * 2, n as u32 + 1);
            let view = ImageView::new(&bytes, 67, 41, stride, format).unwrap();
            compare(&view, InputSpec::new(24, 16).with_fit(fit));
        }
    }
}

#[test]
fn every_format_grows_as_the_slow_way() {
    for (n, format) in PixelFormat::ALL.into_iter().enumerate() {
        for fit in FITS {
            let bytes = noise(format.packed_len(7, 5).unwrap(), n as u32 + 20);
            let view = ImageView::packed(&bytes, 7, 5, format).unwrap();
            compare(
                &view,
                InputSpec::new(32, 32)
                    .with_fit(fit)
                    .with_channel_order(ChannelOrder::Bgr),
            );
        }
    }
}

#[test]
fn every_format_survives_the_smallest_pictures() {
    for format in PixelFormat::ALL {
        for (width, height) in [(1, 1), (1, 9), (9, 1), (2, 2), (3, 3)] {
            let bytes = noise(format.packed_len(width, height).unwrap(), 3);
            let view = ImageView::packed(&bytes, width, height, format).unwrap();
            for fit in FITS {
                compare(&view, InputSpec::new(8, 8).with_fit(fit));
                compare(&view, InputSpec::new(1, 1).with_fit(fit));
            }
        }
    }
}

#[test]
fn every_color_space_as_the_slow_way() {
    let bytes = noise(PixelFormat::Yuv420p.packed_len(31, 17).unwrap(), 9);
    for space in [
        ColorSpace::Bt601Limited,
        ColorSpace::Bt601Full,
        ColorSpace::Bt709Limited,
        ColorSpace::Bt709Full,
    ] {
        let view = ImageView::packed(&bytes, 31, 17, PixelFormat::Yuv420p)
            .unwrap()
            .with_color_space(space);
        compare(&view, InputSpec::new(20, 12));
    }
}

/// As of a format that interleaves Cb and Cr. Odd sides: such a row is a byte longer than one of luma.
#[test]
fn interleaved_chroma_gives_the_colours_of_planes_apart() {
    let (luma, cb, cr) = (noise(7 * 5, 1), noise(4 * 3, 2), noise(4 * 3, 3));
    let pairs: Vec<u8> = cb.iter().zip(&cr).flat_map(|(&cb, &cr)| [cb, cr]).collect();
    let plane = |bytes, row_len, first, step| Plane {
        bytes,
        stride: row_len,
        row_len,
        first,
        step,
    };
    let luma = plane(&luma, 7, 0, 1);
    let tensor = |chroma: [Plane<'_>; 2], (width, height): (u32, u32)| {
        let transform = Fit::Stretch.place((7, 5), (width, height));
        let [mut columns, mut rows] = [FilterTaps::default(), FilterTaps::default()];
        columns.compute(7, 7.0, width as usize);
        rows.compute(5, 5.0, height as usize);
        let mut planes = [(); 3].map(|()| vec![f32::NAN; (width * height) as usize]);
        let mut out = Target {
            planes: planes.each_mut().map(Vec::as_mut_slice),
            affine: InputSpec::new(width, height).affine(),
            transform,
        };
        let mut scratch = YuvScratch::default();
        scratch.prepare(7, 5, 2, &transform);
        let [cb, cr] = chroma;
        let space = ColorSpace::Bt709Limited;
        scratch.write([luma, cb, cr], space, &columns, &rows, &mut Vec::new(), &mut out);
        planes
    };
    for size in [(16, 12), (3, 2)] {
        let apart = tensor([plane(&cb, 4, 0, 1), plane(&cr, 4, 0, 1)], size);
        let interleaved = tensor([plane(&pairs, 8, 0, 2), plane(&pairs, 8, 1, 2)], size);
        assert!(apart.iter().flatten().all(|value| value.is_finite()));
        assert_eq!(apart, interleaved, "{size:?}");
    }
}

#[test]
fn normalisation_is_per_channel_of_the_tensor() {
    let bytes = noise(3 * 12 * 12, 4);
    let view = ImageView::packed(&bytes, 12, 12, PixelFormat::Rgb24).unwrap();
    let spec = InputSpec::new(8, 4)
        .with_channel_order(ChannelOrder::Bgr)
        .with_scale(1.0)
        .with_mean_and_deviation([103.53, 116.28, 123.675], [57.375, 57.12, 58.395])
        .with_pad(0);
    compare(&view, spec);
}

#[test]
fn one_colour_stays_one_colour() {
    // Rounding of weights must not tint flat areas.
    let bytes = [30u8, 60, 90].repeat(1408 * 786);
    let view = ImageView::packed(&bytes, 1408, 786, PixelFormat::Bgr24).unwrap();
    let spec = InputSpec::new(512, 288).with_fit(Fit::Stretch).with_scale(1.0);
    let mut tensor = vec![0.0; spec.tensor_len()];
    Preprocessor::new(spec).write(&view, &mut tensor).unwrap();
    for (plane, expected) in tensor.chunks_exact(512 * 288).zip([90.0, 60.0, 30.0]) {
        assert!(plane.iter().all(|v| (v - expected).abs() < 1e-3));
    }
}

#[test]
fn a_preprocessor_forgets_the_last_frame() {
    let spec = InputSpec::new(24, 16);
    let mut shared = Preprocessor::new(spec);
    let mut tensor = vec![f32::NAN; spec.tensor_len()];
    for (n, (width, height)) in [(40, 30), (9, 50), (40, 30), (3, 3)].into_iter().enumerate() {
        for format in PixelFormat::ALL {
            let bytes = noise(format.packed_len(width, height).unwrap(), n as u32 + 7);
            let view = ImageView::packed(&bytes, width, height, format).unwrap();
            shared.write(&view, &mut tensor).unwrap();
            let mut fresh = vec![f32::NAN; spec.tensor_len()];
            Preprocessor::new(spec).write(&view, &mut fresh).unwrap();
            assert_eq!(tensor, fresh);
        }
    }
}

#[test]
fn a_wrong_tensor_is_refused() {
    let view = ImageView::packed(&[0; 3], 1, 1, PixelFormat::Rgb24).unwrap();
    let err = Preprocessor::new(InputSpec::new(4, 4))
        .write(&view, &mut [0.0; 47])
        .unwrap_err();
    assert_eq!(
        err,
        PreprocessError::TensorLength {
            expected: 48,
            found: 47
        }
    );
    assert!(
        Preprocessor::new(InputSpec::new(0, 4))
            .write(&view, &mut [])
            .is_err()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_shape_as_the_slow_way(
        (width, height) in (1u32..60, 1u32..60),
        (input_width, input_height) in (1u32..40, 1u32..40),
        format in proptest::sample::select(PixelFormat::ALL.to_vec()),
        fit in 0usize..3,
        padding in 0usize..9,
        seed in any::<u32>(),
    ) {
        let stride = format.packed_stride(width) + padding;
        let bytes = noise(stride * height as usize * 4 + 8, seed);
        let view = ImageView::new(&bytes, width, height, stride, format).unwrap();
        compare(&view, InputSpec::new(input_width, input_height).with_fit(FITS[fit]));
    }
}
