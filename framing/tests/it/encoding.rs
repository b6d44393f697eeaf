//! Files are read back by a decoder that is not ours.

use crate::support::{drawn, psnr};
use lva_framing::{
    ColorMatrix, ColorRange, EncodeError, FrameEncoder, ImageFile, ImageSettings, PixelFormat, Renderer,
};

fn frame(format: PixelFormat) -> (lva_framing::FramePlan, Vec<u8>) {
    let picture = drawn(101, 67, ColorMatrix::Bt601, ColorRange::Limited);
    let plan = ImageSettings::new(format).plan(101, 67).unwrap();
    let mut frame = vec![0; plan.bytes()];
    Renderer::new(plan).render(&picture, &mut frame).unwrap();
    (plan, frame)
}

/// Decodes a file with FFmpeg into packed RGB.
fn decoded(file: &[u8], name: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, file).unwrap();
    let mut input = ffmpeg_next::format::input(&path).unwrap();
    let parameters = input.stream(0).unwrap().parameters();
    let mut decoder = ffmpeg_next::codec::context::Context::from_parameters(parameters)
        .unwrap()
        .decoder()
        .video()
        .unwrap();
    let (_, packet) = input.packets().next().unwrap();
    decoder.send_packet(&packet).unwrap();
    decoder.send_eof().unwrap();
    let mut frame = ffmpeg_next::util::frame::Video::empty();
    decoder.receive_frame(&mut frame).unwrap();
    let mut rgb = ffmpeg_next::util::frame::Video::empty();
    ffmpeg_next::software::scaling::Context::get(
        frame.format(),
        frame.width(),
        frame.height(),
        ffmpeg_next::format::Pixel::RGB24,
        frame.width(),
        frame.height(),
        ffmpeg_next::software::scaling::Flags::BICUBIC,
    )
    .unwrap()
    .run(&frame, &mut rgb)
    .unwrap();
    let row = rgb.width() as usize * 3;
    rgb.data(0)
        .chunks(rgb.stride(0))
        .take(rgb.height() as usize)
        .flat_map(|line| line[..row].to_vec())
        .collect()
}

#[test]
fn files_show_the_frame() {
    let (_, expected) = frame(PixelFormat::Rgb24);
    for format in [PixelFormat::Rgb24, PixelFormat::Bgr24] {
        let (plan, frame) = frame(format);
        for (file_format, name, least) in [
            (ImageFile::Png, "a.png", 99.0),
            (ImageFile::Bmp, "a.bmp", 99.0),
            (ImageFile::Jpeg { quality: 90 }, "a.jpg", 30.0),
        ] {
            let mut file = vec![1, 2, 3];
            FrameEncoder::new()
                .encode(&plan, &frame, file_format, &mut file)
                .unwrap();
            let seen = decoded(&file, name);
            assert_eq!(seen.len(), expected.len());
            let quality = psnr(
                seen.iter()
                    .zip(&expected)
                    .map(|(a, b)| (f64::from(*a), f64::from(*b))),
            );
            assert!(quality >= least, "{format} {file_format:?}: {quality}");
        }
    }
}

#[test]
fn other_layouts_and_lengths_are_refused() {
    let (plan, frame) = frame(PixelFormat::Rgba);
    let mut encoder = FrameEncoder::new();
    let error = encoder
        .encode(&plan, &frame, ImageFile::Png, &mut Vec::new())
        .unwrap_err();
    assert!(
        matches!(error, EncodeError::PixelFormat(PixelFormat::Rgba)),
        "{error}"
    );
    let plan = ImageSettings::new(PixelFormat::Rgb24).plan(8, 8).unwrap();
    let error = encoder
        .encode(&plan, &[0; 191], ImageFile::Bmp, &mut Vec::new())
        .unwrap_err();
    assert!(
        matches!(
            error,
            EncodeError::Length {
                needed: 192,
                actual: 191
            }
        ),
        "{error}"
    );
}
