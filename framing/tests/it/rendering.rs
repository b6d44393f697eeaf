//! Every layout against a slow reference, the fast path against swscale's own, and what must be refused.

use crate::support::{Reference, drawn, psnr, reference, scaled_plane};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling;
use ffmpeg_next::util::frame::Video;
use lva_framing::{
    ColorMatrix, ColorRange, FramePlan, ImageSettings, Picture, PictureFormat, PixelFormat, RenderError,
    Renderer, ScaleMode,
};
use lva_media_types::{Alpha, PixelLayout};

fn render(plan: FramePlan, picture: &Picture) -> Vec<u8> {
    // Filled with something that is in no frame, so that a byte that was left out shows.
    let mut slot = vec![0xa5; plan.bytes()];
    Renderer::new(plan).render(picture, &mut slot).unwrap();
    slot
}

/// Red, green, blue of a pixel of a packed frame, 0 to 255, and the largest error that its bits force.
fn pixel(format: PixelFormat, bytes: &[u8]) -> ([f64; 3], f64) {
    let of = |order: [usize; 3]| order.map(|index| f64::from(bytes[index]));
    let word = |value: u16, bits: [u32; 3]| {
        let shifts = [bits[1] + bits[2], bits[2], 0];
        [0, 1, 2].map(|channel| {
            let steps = (1_u16 << bits[channel]) - 1;
            f64::from(value >> shifts[channel] & steps) * 255.0 / f64::from(steps)
        })
    };
    let read = |big_endian| match big_endian {
        true => u16::from_be_bytes([bytes[0], bytes[1]]),
        false => u16::from_le_bytes([bytes[0], bytes[1]]),
    };
    match format.layout() {
        PixelLayout::Bytes { alpha, blue_first } => {
            let at = usize::from(alpha == Alpha::First);
            let order = if blue_first { [2, 1, 0] } else { [0, 1, 2] };
            (of(order.map(|index| index + at)), 0.5)
        }
        PixelLayout::Word565 { big_endian } => (word(read(big_endian), [5, 6, 5]), 4.2),
        PixelLayout::Word555 { big_endian } => (word(read(big_endian), [5, 5, 5]), 4.2),
        PixelLayout::Planar => unreachable!("planar formats have a test of their own"),
    }
}

fn formats(planar: bool) -> impl Iterator<Item = PixelFormat> {
    let all = PixelFormat::ALL.into_iter();
    all.filter(move |format| (format.layout() == PixelLayout::Planar) == planar)
}

fn compare(plan: &FramePlan, frame: &[u8], expected: &Reference, tolerance: f64, least_psnr: f64) {
    let content = plan.content();
    let size = plan.format().bytes_per_pixel();
    let mut pairs = Vec::new();
    let mut forced = 0.0;
    for y in 0..plan.height() {
        for x in 0..plan.width() {
            let bytes = &frame[y as usize * plan.stride() + x as usize * size..][..size];
            let (rgb, step) = pixel(plan.format(), bytes);
            forced = step;
            let inside = (content.x..content.x + content.width).contains(&x)
                && (content.y..content.y + content.height).contains(&y);
            if inside {
                pairs.extend(rgb.into_iter().zip(expected.at(x - content.x, y - content.y)));
            } else {
                assert_eq!(rgb, [0.0; 3], "padding at {x}, {y} of {}", plan.format());
            }
            match plan.format().layout() {
                PixelLayout::Bytes { alpha, .. } => match alpha {
                    Alpha::None => {}
                    Alpha::First => assert_eq!(bytes[0], 255),
                    Alpha::Last => assert_eq!(bytes[3], 255),
                },
                PixelLayout::Word555 { big_endian } => assert_eq!(bytes[usize::from(!big_endian)] >> 7, 0),
                PixelLayout::Word565 { .. } | PixelLayout::Planar => {}
            }
        }
    }
    let worst = pairs.iter().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let quality = psnr(pairs.into_iter());
    assert!(
        worst <= tolerance + forced,
        "{}: worst difference {worst}",
        plan.format()
    );
    assert!(quality >= least_psnr, "{}: {quality} dB", plan.format());
}

/// A picture of one colour has no edges: what remains is the conversion alone.
#[test]
fn colours_follow_the_matrix_and_the_range_of_the_picture() {
    let matrices = [
        ColorMatrix::Bt601,
        ColorMatrix::Bt709,
        ColorMatrix::Bt2020,
        ColorMatrix::Smpte240,
    ];
    for (matrix, range) in matrices
        .into_iter()
        .flat_map(|m| [(m, ColorRange::Limited), (m, ColorRange::Full)])
    {
        for (y, u, v) in [(120, 90, 200), (16, 128, 128), (235, 128, 128), (70, 180, 60)] {
            let planes = [vec![y; 32 * 32], vec![u; 16 * 16], vec![v; 16 * 16]];
            let [luma, cb, cr] = &planes;
            let picture =
                Picture::from_planes(PictureFormat::Yuv420p, (32, 32), [luma, cb, cr], matrix, range, 0)
                    .unwrap();
            let plan = ImageSettings::new(PixelFormat::Rgb24).plan(32, 32).unwrap();
            compare(
                &plan,
                &render(plan, &picture),
                &reference(&picture, 32, 32),
                1.0,
                40.0,
            );
        }
    }
}

#[test]
fn every_packed_layout_agrees_with_the_reference_in_every_mode() {
    let picture = drawn(384, 216, ColorMatrix::Bt709, ColorRange::Limited);
    for format in formats(false) {
        for (mode, width, height) in [
            (ScaleMode::Pad, 281, 200),
            (ScaleMode::Pad, 320, 161),
            (ScaleMode::Stretch, 200, 200),
            (ScaleMode::PreserveAspectRatio, 255, 999),
        ] {
            let settings = ImageSettings::new(format).with_scale(mode, Some(width), Some(height));
            let plan = settings.plan(384, 216).unwrap();
            let content = plan.content();
            let expected = reference(&picture, content.width, content.height);
            let words = format.bytes_per_pixel() == 2;
            compare(
                &plan,
                &render(plan, &picture),
                &expected,
                9.0,
                if words { 38.0 } else { 44.0 },
            );
        }
    }
}

#[test]
fn every_packed_layout_agrees_with_the_reference_in_native_size() {
    for range in [ColorRange::Limited, ColorRange::Full] {
        let picture = drawn(162, 90, ColorMatrix::Bt2020, range);
        let expected = reference(&picture, 162, 90);
        for format in formats(false) {
            let plan = ImageSettings::new(format).plan(162, 90).unwrap();
            let least = if format.bytes_per_pixel() == 2 { 38.0 } else { 44.0 };
            compare(&plan, &render(plan, &picture), &expected, 12.0, least);
        }
    }
}

#[test]
fn planar_frames_agree_with_the_reference_in_every_mode() {
    let sizes = [
        (ScaleMode::Pad, 281, 200),
        (ScaleMode::Pad, 320, 161),
        (ScaleMode::Stretch, 200, 200),
        (ScaleMode::PreserveAspectRatio, 255, 999),
    ];
    for (range, black) in [(ColorRange::Limited, 16), (ColorRange::Full, 0)] {
        let picture = drawn(384, 216, ColorMatrix::Bt709, range);
        for (format, (mode, width, height)) in
            formats(true).flat_map(|format| sizes.map(|size| (format, size)))
        {
            let settings = ImageSettings::new(format).with_scale(mode, Some(width), Some(height));
            let plan = settings.plan(384, 216).unwrap();
            let content = plan.content();
            let frame = render(plan, &picture);
            let planes = format.planes(plan.width(), plan.height(), plan.stride()).unwrap();
            for (index, plane) in planes.into_iter().map(Option::unwrap).enumerate() {
                let of = |pixels: u32| pixels.div_ceil(plane.block);
                let columns = of(content.x)..of(content.x) + of(content.width);
                let rows = of(content.y)..of(content.y) + of(content.height);
                let (width, height) = (of(content.width), of(content.height));
                let expected = scaled_plane(&picture, index, width, height);
                let mut pairs = Vec::new();
                for (y, x) in (0..plane.rows as u32).flat_map(|y| (0..of(plan.width())).map(move |x| (y, x)))
                {
                    let at = plane.first + x as usize * plane.step;
                    let value = frame[plane.offset + y as usize * plane.stride + at];
                    if columns.contains(&x) && rows.contains(&y) {
                        let place = (y - rows.start) * width + x - columns.start;
                        pairs.push((f64::from(value), expected[place as usize]));
                    } else {
                        let empty = if index == 0 { black } else { 128 };
                        assert_eq!(value, empty, "{format} {mode:?}, {x}, {y}");
                    }
                }
                let quality = psnr(pairs.into_iter());
                assert!(
                    quality >= 40.0,
                    "{format} {mode:?} {range:?}, plane {index}: {quality} dB"
                );
            }
        }
    }
}

#[test]
fn enlarged_pictures_agree_with_the_reference() {
    let picture = drawn(160, 90, ColorMatrix::Bt601, ColorRange::Full);
    let settings =
        ImageSettings::new(PixelFormat::Bgr24).with_scale(ScaleMode::Stretch, Some(320), Some(200));
    let plan = settings.plan(160, 90).unwrap();
    compare(
        &plan,
        &render(plan, &picture),
        &reference(&picture, 320, 200),
        12.0,
        42.0,
    );
}

#[test]
fn planar_frames_keep_the_picture_s_samples_and_pad_with_black() {
    let picture = drawn(64, 48, ColorMatrix::Bt601, ColorRange::Limited);
    let native = ImageSettings::new(PixelFormat::Yuv420p).plan(64, 48).unwrap();
    let frame = render(native, &picture);
    let luma = picture.plane(0).unwrap();
    assert!(luma.rows().eq(frame[..48 * 64].chunks(64)));
    let settings = ImageSettings::new(PixelFormat::Yuv420p).with_scale(ScaleMode::Pad, Some(75), Some(51));
    let plan = settings.plan(64, 48).unwrap();
    let content = plan.content();
    let frame = render(plan, &picture);
    assert!(content.x > 0 && content.x.is_multiple_of(2), "{content:?}");
    assert_eq!(frame[..content.x as usize], vec![16; content.x as usize]);
    let chroma = &frame[75 * 51..][..38 * 26];
    assert_eq!(chroma[0], 128);
    assert!(
        !frame.contains(&0xa5) || luma.data.contains(&0xa5),
        "every byte is written"
    );
}

#[test]
fn the_fast_path_looks_like_the_slow_one() {
    let picture = drawn(1920, 1080, ColorMatrix::Bt601, ColorRange::Limited);
    let settings = ImageSettings::new(PixelFormat::Bgr24).with_scale(ScaleMode::Pad, Some(1408), Some(786));
    let plan = settings.plan(1920, 1080).unwrap();
    let frame = render(plan, &picture);
    let mut source = Video::new(Pixel::YUV420P, 1920, 1080);
    for plane in 0..3 {
        let from = picture.plane(plane).unwrap();
        let stride = source.stride(plane);
        for (to, from) in source.data_mut(plane).chunks_mut(stride).zip(from.rows()) {
            to[..from.len()].copy_from_slice(from);
        }
    }
    let mut slow = Video::empty();
    scaling::Context::get(
        Pixel::YUV420P,
        1920,
        1080,
        Pixel::BGR24,
        1397,
        786,
        scaling::Flags::BILINEAR,
    )
    .unwrap()
    .run(&source, &mut slow)
    .unwrap();
    let pairs = (0..786).flat_map(|y| {
        let ours = &frame[y * 4224 + 15..][..1397 * 3];
        ours.iter()
            .zip(&slow.data(0)[y * slow.stride(0)..])
            .map(|(a, b)| (f64::from(*a), f64::from(*b)))
    });
    let quality = psnr(pairs);
    crate::support::print_note(&format!(
        "1080p to 1408x786 bgr24, against swscale's own bgr24: {quality:.1} dB"
    ));
    assert!(quality >= 45.0, "{quality}");
}

#[test]
fn other_planar_layouts_render() {
    for (format, chroma, word) in [
        (PictureFormat::Yuv422p, 20 * 30, 1),
        (PictureFormat::Yuv444p, 40 * 30, 1),
        (PictureFormat::Yuv420p10, 20 * 15, 2),
    ] {
        let value = |level: u16| {
            if word == 2 {
                (level * 4).to_le_bytes().to_vec()
            } else {
                vec![level as u8]
            }
        };
        let planes = [
            value(180).repeat(40 * 30),
            value(128).repeat(chroma),
            value(128).repeat(chroma),
        ];
        let [y, u, v] = &planes;
        let picture = Picture::from_planes(
            format,
            (40, 30),
            [y, u, v],
            ColorMatrix::Bt709,
            ColorRange::Limited,
            0,
        )
        .unwrap();
        let frame = render(
            ImageSettings::new(PixelFormat::Bgr24).plan(40, 30).unwrap(),
            &picture,
        );
        // Ten bits become eight by dithering.
        let tolerance = if word == 2 { 2 } else { 1 };
        assert!(
            frame.iter().all(|value| value.abs_diff(191) <= tolerance),
            "{format:?}"
        );
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let picture = drawn(64, 48, ColorMatrix::Bt601, ColorRange::Limited);
    let mut renderer = Renderer::new(ImageSettings::new(PixelFormat::Bgr24).plan(64, 48).unwrap());
    for length in [0, 64 * 48 * 3 - 1, 64 * 48 * 3 + 1] {
        let error = renderer.render(&picture, &mut vec![0; length]).unwrap_err();
        assert_eq!(
            error,
            RenderError::DestinationLength {
                needed: 9216,
                actual: length
            }
        );
    }
    let other = drawn(48, 64, ColorMatrix::Bt601, ColorRange::Limited);
    let error = renderer.render(&other, &mut [0; 9216]).unwrap_err();
    assert!(matches!(
        error,
        RenderError::InputChanged {
            width: 48,
            planned_width: 64,
            ..
        }
    ));
}

#[test]
fn tiny_and_lopsided_sizes_do_not_fail() {
    for (input, frame) in [
        ((1, 1), (7, 5)),
        ((3, 400), (90, 90)),
        ((400, 3), (90, 90)),
        ((17, 9), (1, 1)),
        ((2, 2), (640, 2)),
    ] {
        let picture = drawn(input.0, input.1, ColorMatrix::Bt601, ColorRange::Limited);
        for format in PixelFormat::ALL {
            let settings =
                ImageSettings::new(format).with_scale(ScaleMode::Pad, Some(frame.0), Some(frame.1));
            let plan = settings.plan(input.0, input.1).unwrap();
            let mut slot = vec![0; plan.bytes()];
            let result = Renderer::new(plan).render(&picture, &mut slot);
            assert!(
                matches!(result, Ok(()) | Err(RenderError::Scaler { .. })),
                "{input:?} {frame:?} {format}: {result:?}"
            );
        }
    }
}
