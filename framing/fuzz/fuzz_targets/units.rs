//! Depacketised units of any kind into the decoder, and what comes out through pacing, motion and rendering.
//!
//! The first byte chooses codec and way, the second the length of the configuration record; what follows is records and
//! units, each with a length of two bytes before it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lva_framing::nal::{NalUnits, access_units};
use lva_framing::motion::{MotionDetector, MotionSensitivity};
use lva_framing::{
    Decoder, DecoderOptions, FrameRate, ImageSettings, Pacer, PixelFormat, Renderer,
    ScaleMode, VideoCodec,
};

/// Pictures larger than this are decoded, and not rendered: a fuzzer has better things to do.
const LARGEST: u32 = 1024;

fuzz_target!(|data: &[u8]| {
    let [choice, record, rest @ ..] = data else {
        return;
    };
    let codec = [VideoCodec::H264, VideoCodec::H265, VideoCodec::Mjpeg][usize::from(choice % 3)];
    let (split, taken) = (access_units(codec, data).flatten(), NalUnits::annex_b(data).flatten());
    assert!(split.eq(data), "a byte stream is split without a loss");
    assert!(taken.count() <= data.len());
    let (record, mut rest) = rest.split_at(usize::from(*record).min(rest.len()));
    let options = DecoderOptions::default();
    let Ok(mut decoder) = Decoder::open(codec, record, options.clone()).or_else(|_| Decoder::open(codec, &[], options)) else {
        return;
    };
    let on_demand = choice & 0x80 != 0;
    let mut pacer = Pacer::new(FrameRate::new(10, 1).expect("a rate"));
    let mut motion = MotionDetector::new(MotionSensitivity::default());
    let settings = ImageSettings::new(PixelFormat::Bgr24).with_scale(ScaleMode::Pad, Some(64), Some(48));
    let (mut time, mut pushed) = (0, 0);
    while let [high, low, following @ ..] = rest {
        let length = (usize::from(*high) << 8 | usize::from(*low)).min(following.len());
        let (unit, following) = following.split_at(length);
        rest = following;
        time += 3000;
        pushed += 1;
        let _ = if on_demand {
            decoder.push_for(unit, time, &mut pacer)
        } else {
            decoder.push(unit, time)
        };
        if length % 13 == 12 {
            decoder.flush();
        }
        if length % 17 == 16 {
            let _ = decoder.set_extra_data(unit);
        }
        while let Some(picture) = decoder.next_picture() {
            if picture.width() > LARGEST || picture.height() > LARGEST {
                continue;
            }
            let _ = motion.detect(&picture);
            if let Ok(plan) = settings.plan(picture.width(), picture.height()) {
                let mut frame = vec![0; plan.bytes()];
                let _ = Renderer::new(plan).render(&picture, &mut frame);
            }
        }
    }
    decoder.flush();
    assert_eq!(decoder.stats().units, pushed, "every unit is counted");
});
