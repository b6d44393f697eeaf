//! A picture in, detections out.
//!
//! `cargo run -p lva-inference --features image-codecs --example inference-minimal -- picture.jpg` finds drawn people with the embedded
//! model; with the path of a FastestDet model as a second argument it finds the 80 classes of COCO.
#![allow(clippy::print_stdout)]

use std::fs;

use lva_inference::{
    CodecLimits, Detector, ModelSpec, PLAZA_PERSON_ONNX, RgbPicture, RtenDetector, RtenOptions,
};

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let options = RtenOptions::default();
    let (picture, mut detector) = match args.as_slice() {
        [picture] => {
            let spec = ModelSpec::plaza_person();
            (
                picture,
                RtenDetector::from_bytes(PLAZA_PERSON_ONNX, spec, options)?,
            )
        }
        [picture, model] => (
            picture,
            RtenDetector::load(model, ModelSpec::fastest_det(), options)?,
        ),
        _ => {
            eprintln!(
                "usage: inference-minimal PICTURE [FASTESTDET.onnx], the picture a JPEG, PNG or BMP file"
            );
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
