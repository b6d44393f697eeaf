//! A decoded 1080p picture to a padded 1408×786 BGR24 frame: this crate beside swscale alone, in one run.

use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling::{Context, Flags};
use ffmpeg_next::util::frame::Video;
use lva_framing::{
    ColorMatrix, ColorRange, ImageSettings, Picture, PictureFormat, PixelFormat, Renderer, ScaleMode,
};

fn main() {
    divan::main();
}

fn planes() -> [Vec<u8>; 3] {
    let plane = |width: usize, height: usize| -> Vec<u8> {
        (0..width * height)
            .map(|index| (index % width * 3 + index / width * 5) as u8)
            .collect()
    };
    [plane(1920, 1080), plane(960, 540), plane(960, 540)]
}

fn picture() -> Picture {
    let [y, u, v] = &planes();
    let range = ColorRange::Limited;
    Picture::from_planes(
        PictureFormat::Yuv420p,
        (1920, 1080),
        [y, u, v],
        ColorMatrix::Bt601,
        range,
        0,
    )
    .expect("a valid picture")
}

fn renderer(format: PixelFormat) -> Renderer {
    let settings = ImageSettings::new(format).with_scale(ScaleMode::Pad, Some(1408), Some(786));
    Renderer::new(settings.plan(1920, 1080).expect("valid settings"))
}

#[divan::bench(args = PixelFormat::ALL, sample_count = 50)]
fn render(bencher: divan::Bencher<'_, '_>, format: PixelFormat) {
    let picture = picture();
    let mut renderer = renderer(format);
    let mut slot = vec![0; renderer.plan().bytes()];
    bencher.bench_local(|| renderer.render(&picture, &mut slot).expect("renders"));
}

/// What most programs do: swscale to packed BGR in one step, then rows into the padded frame.
#[divan::bench(sample_count = 50)]
fn swscale_straight_to_bgr24_and_padded(bencher: divan::Bencher<'_, '_>) {
    let mut source = Video::new(Pixel::YUV420P, 1920, 1080);
    for (plane, samples) in planes().iter().enumerate() {
        let (stride, width) = (source.stride(plane), source.plane_width(plane) as usize);
        for (to, from) in source
            .data_mut(plane)
            .chunks_mut(stride)
            .zip(samples.chunks(width))
        {
            to[..width].copy_from_slice(from);
        }
    }
    let mut scaler = Context::get(
        Pixel::YUV420P,
        1920,
        1080,
        Pixel::BGR24,
        1397,
        786,
        Flags::BILINEAR,
    )
    .expect("swscale knows these formats");
    let mut scaled = Video::empty();
    let mut slot = vec![0; 1408 * 786 * 3];
    bencher.bench_local(|| {
        scaler.run(&source, &mut scaled).expect("scales");
        let rows = scaled.data(0).chunks(scaled.stride(0));
        for (to, from) in slot.chunks_exact_mut(1408 * 3).zip(rows) {
            to[..15].fill(0);
            to[15..15 + 1397 * 3].copy_from_slice(&from[..1397 * 3]);
            to[15 + 1397 * 3..].fill(0);
        }
    });
}
