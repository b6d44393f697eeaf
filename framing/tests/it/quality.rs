//! Decoding without the deblocking filter.

use crate::support::{Stream, make_clip, psnr, read};
use lva_framing::{DecodeQuality, Decoder, DecoderOptions, Picture};

fn decode(stream: &Stream, quality: DecodeQuality) -> Vec<Picture> {
    let options = DecoderOptions::default().with_quality(quality);
    let mut decoder = Decoder::open(stream.codec, &stream.extra_data, options).unwrap();
    let mut pictures = Vec::new();
    for unit in &stream.units {
        let _ = decoder.push(&unit.data, unit.timestamp_90k).unwrap();
        pictures.extend(std::iter::from_fn(|| decoder.next_picture()));
    }
    decoder.flush();
    pictures.extend(std::iter::from_fn(|| decoder.next_picture()));
    pictures
}

fn luma(picture: &Picture) -> Vec<f64> {
    let plane = picture.plane(0).unwrap();
    plane.rows().flatten().map(|value| f64::from(*value)).collect()
}

#[test]
fn fast_pictures_come_at_the_same_times_and_differ_little_or_skips() {
    let dir = tempfile::tempdir().unwrap();
    for (name, encoder, least) in [
        (
            "h264.mp4",
            ["-c:v", "libx264", "-crf", "32", "-bf", "0", "-g", "30"],
            30.0,
        ),
        (
            "h265.mp4",
            ["-c:v", "libx265", "-crf", "32", "-bf", "0", "-g", "30"],
            30.0,
        ),
    ] {
        let Some(path) = make_clip(dir.path(), name, "320x180", 60, &encoder) else {
            return;
        };
        let stream = read(&path);
        let exact = decode(&stream, DecodeQuality::Exact);
        let fast = decode(&stream, DecodeQuality::Fast);
        let times = |pictures: &[Picture]| pictures.iter().map(Picture::timestamp_90k).collect::<Vec<_>>();
        assert_eq!(times(&fast), times(&exact), "{name}");
        let pairs = exact.iter().zip(&fast);
        let quality = psnr(pairs.flat_map(|(exact, fast)| luma(exact).into_iter().zip(luma(fast))));
        assert!((least..60.0).contains(&quality), "{name}: {quality} dB");
    }
}

#[test]
fn names_of_qualities_read_back_in_any_case() {
    for quality in DecodeQuality::ALL {
        assert_eq!(quality.to_string().to_uppercase().parse(), Ok(quality));
    }
    let error = "quick".parse::<DecodeQuality>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"quick\" is not a decode quality; use exact or fast"
    );
}
