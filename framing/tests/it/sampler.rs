//! Decoder, pacer and renderer in one.

use lva_framing::{
    FrameEncoder, FrameRate, FrameSampler, ImageFile, ImageSettings, PixelFormat, UnitOutcome, VideoCodec,
};

/// A JPEG of one grey.
fn jpeg(width: u32, height: u32, grey: u8) -> Vec<u8> {
    let plan = ImageSettings::new(PixelFormat::Rgb24)
        .plan(width, height)
        .unwrap();
    let (pixels, mut file) = (vec![grey; plan.bytes()], Vec::new());
    FrameEncoder::new()
        .encode(&plan, &pixels, ImageFile::Jpeg { quality: 90 }, &mut file)
        .unwrap();
    file
}

/// Time and size of the frames that are ready.
fn ready(frames: &mut FrameSampler) -> Vec<(u64, u32, u32)> {
    let mut ready = Vec::new();
    while let Some(frame) = frames.next_frame().unwrap() {
        assert_eq!(frame.pixels.len(), frame.plan.bytes());
        assert!(frame.pixels.iter().all(|value| value.abs_diff(100) < 4));
        ready.push((frame.timestamp_90k, frame.plan.width(), frame.plan.height()));
    }
    ready
}

#[test]
fn frames_come_at_the_rate_and_follow_the_size_of_the_pictures() {
    let (rate, settings) = (
        FrameRate::new(5, 1).unwrap(),
        ImageSettings::new(PixelFormat::Bgr24),
    );
    let mut frames = FrameSampler::new(rate, settings);
    assert_eq!(
        frames.push(&jpeg(64, 48, 0), 0),
        Ok(UnitOutcome::Skipped),
        "not known yet"
    );
    frames.set_stream(VideoCodec::Mjpeg, &[]).unwrap();
    let mut seen = Vec::new();
    for number in 0..20 {
        let (width, height) = if number < 10 { (64, 48) } else { (32, 32) };
        if number == 10 {
            frames.set_stream(VideoCodec::Mjpeg, &[]).unwrap(); // as after a reconnection
        }
        let _ = frames.push(&jpeg(width, height, 100), number * 9000).unwrap();
        seen.extend(ready(&mut frames));
    }
    frames.flush();
    seen.extend(ready(&mut frames));
    let size = |n| if n < 5 { (64, 48) } else { (32, 32) };
    let expected: Vec<_> = (0..10).map(|n| (n * 18_000, size(n).0, size(n).1)).collect();
    assert_eq!(seen, expected);
    assert_eq!(frames.stats().damaged_units, 0);
}
