//! A picture in, detections out.
//!
//! `cargo run -p lva-inference --features image-codecs --example inference-minimal -- picture.jpg` finds drawn people with the embedded
//! model; with the path of an ONNX model as a second argument, what that one finds.
#![allow(clippy::print_stdout)]

use std::fs;

use lva_inference::{
    CodecLimits, Detector, ModelFile, ModelOverrides, RgbPicture, RtenDetector, RtenOptions,
};

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (picture, mut detector) = match args.as_slice() {
        [picture] => (picture, RtenDetector::plaza_person()?),
        [picture, model] => {
            let file = ModelFile::open(model)?;
            let recognition = file.recognise(&ModelOverrides::default())?;
            println!("{recognition}");
            let spec = recognition.into_spec();
            (
                picture,
                RtenDetector::from_file(file, spec, RtenOptions::default())?,
            )
        }
        _ => {
            eprintln!("usage: inference-minimal PICTURE [MODEL.onnx], the picture a JPEG, PNG or BMP file");
            std::process::exit(2);
        }
    };
    let picture = RgbPicture::decode(&fs::read(picture)?, CodecLimits::default())?;
    for found in detector.detect(&[picture.view().into()])?.iter().flatten() {
        let name = detector.info().class_name(found.class).unwrap_or("?");
        let (across, down) = (picture.width() as f32, picture.height() as f32);
        let bbox = found.bbox;
        println!(
            "{name} {:.2}: {:.0}x{:.0} pixels at {:.0},{:.0}",
            found.score,
            bbox.width * across,
            bbox.height * down,
            bbox.left * across,
            bbox.top * down
        );
    }
    Ok(())
}
