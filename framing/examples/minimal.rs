//! Writes the first picture of a video as a PNG of 640 pixels width, with its shape kept.
//!
//! `cargo run -p lva-framing --example framing-minimal -- camera.h264 picture.png`
#![allow(clippy::print_stdout)] // a program

use std::fs;

use anyhow::{Context, bail};
use lva_framing::nal::{NalUnits, access_units, write_length_prefixed};
use lva_framing::{
    Decoder, DecoderOptions, FrameEncoder, ImageFile, ImageSettings, Picture, PixelFormat, Renderer,
    ScaleMode, UnitOutcome, VideoCodec,
};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [video, png] = arguments.as_slice() else {
        bail!("usage: framing-minimal VIDEO.h264|VIDEO.h265 PICTURE.png");
    };
    let codec = match video.ends_with("h265") {
        true => VideoCodec::H265,
        false => VideoCodec::H264,
    };
    let stream = fs::read(video).with_context(|| format!("cannot read {video}"))?;
    let picture = first_picture(codec, &stream)?;
    let picture = picture.with_context(|| format!("{video} has no picture that can be decoded"))?;

    let settings = ImageSettings::new(PixelFormat::Rgb24);
    let settings = settings.with_scale(ScaleMode::PreserveAspectRatio, Some(640), None);
    let plan = settings.plan(picture.width(), picture.height())?;
    let mut frame = vec![0; plan.bytes()];
    Renderer::new(plan).render(&picture, &mut frame)?;
    let mut file = Vec::new();
    FrameEncoder::new().encode(&plan, &frame, ImageFile::Png, &mut file)?;
    fs::write(png, file).with_context(|| format!("cannot write {png}"))?;
    println!("{}x{} pixels to {png}", plan.width(), plan.height());
    Ok(())
}

fn first_picture(codec: VideoCodec, stream: &[u8]) -> anyhow::Result<Option<Picture>> {
    let mut decoder = Decoder::open(codec, &[], DecoderOptions::default())?; // the units have the parameter sets
    let mut unit = Vec::new();
    for (number, annex_b) in (0..).zip(access_units(codec, stream)) {
        unit.clear();
        for nal in NalUnits::annex_b(annex_b) {
            write_length_prefixed(nal, &mut unit)?;
        }
        if decoder.push(&unit, number * 3000)? == UnitOutcome::Damaged {
            eprintln!("access unit {number} is damaged");
        }
        if let Some(picture) = decoder.next_picture() {
            return Ok(Some(picture));
        }
    }
    decoder.flush();
    Ok(decoder.next_picture())
}
