//! One camera frame to one model input, on one thread.
//!
//! 1408×786 BGR24 is what the extension contract's own sample topology sends (1397×786, rows padded); 640×384
//! is the input of this project's head, 352×352 that of FastestDet. 1080p YUV420P is a decoder's own output.

use divan::{Bencher, black_box};
use lva_inference::{Fit, ImageView, InputSpec, PixelFormat, Preprocessor};

fn main() {
    divan::main();
}

fn bench(bencher: Bencher<'_, '_>, format: PixelFormat, (width, height): (u32, u32), spec: InputSpec) {
    let len = format.packed_len(width, height).expect("a small picture");
    let bytes: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
    let mut preprocessor = Preprocessor::new(spec);
    let mut tensor = vec![0.0; spec.tensor_len()];
    bencher.bench_local(|| {
        let view = ImageView::packed(black_box(&bytes), width, height, format).expect("checked above");
        preprocessor.write(&view, &mut tensor).expect("sized above");
    });
}

const FORMATS: [PixelFormat; 5] = [
    PixelFormat::Bgr24,
    PixelFormat::Bgra,
    PixelFormat::Argb,
    PixelFormat::Rgb565Le,
    PixelFormat::Yuv420p,
];

#[divan::bench(args = FORMATS)]
fn from_1408x786_to_640x384(bencher: Bencher<'_, '_>, format: PixelFormat) {
    bench(bencher, format, (1408, 786), InputSpec::new(640, 384));
}

#[divan::bench(args = FORMATS)]
fn from_1408x786_stretched_to_352x352(bencher: Bencher<'_, '_>, format: PixelFormat) {
    bench(
        bencher,
        format,
        (1408, 786),
        InputSpec::new(352, 352).with_fit(Fit::Stretch),
    );
}

#[divan::bench(args = [PixelFormat::Bgr24, PixelFormat::Yuv420p])]
fn from_1920x1080_to_640x384(bencher: Bencher<'_, '_>, format: PixelFormat) {
    bench(bencher, format, (1920, 1080), InputSpec::new(640, 384));
}

#[divan::bench(args = [PixelFormat::Bgr24, PixelFormat::Yuv420p])]
fn from_320x180_up_to_640x384(bencher: Bencher<'_, '_>, format: PixelFormat) {
    bench(bencher, format, (320, 180), InputSpec::new(640, 384));
}
