//! A whole detector, frame in, boxes out.
//!
//! `LVA_BENCH_FASTEST_DET` names a FastestDet file, `LVA_BENCH_PERSON_GRID` one with this project's own head
//! at 640×384; `ORT_DYLIB_PATH` names ONNX Runtime's library, to compare with (feature `ort`). What is not
//! named is skipped with a note.

use std::ffi::OsStr;
use std::time::Instant;

use lva_inference::{
    DetectError, Detection, Detector, Frame, ImageView, ModelSpec, PixelFormat, RtenDetector, RtenOptions,
};

/// Runs before the clock starts: the first ones fault in memory.
const WARM_UP: usize = 20;
const RUNS: usize = 100;

fn main() {
    let models = [
        ("LVA_BENCH_FASTEST_DET", ModelSpec::fastest_det()),
        ("LVA_BENCH_PERSON_GRID", ModelSpec::plaza_person()),
    ];
    for (variable, spec) in models {
        match std::env::var_os(variable) {
            Some(file) => compare(&file, &spec),
            None => eprintln!("skipped: {variable} names no file"),
        }
    }
}

fn compare(file: &OsStr, spec: &ModelSpec) {
    for threads in [1, 2] {
        let options = RtenOptions::default().with_threads(threads);
        let mut detector = RtenDetector::load(file, spec.clone(), options).expect("the model loads");
        let what = format!("{}, rten, {threads} threads", spec.name());
        measure(&what, |frames| detector.detect(frames));
    }
    #[cfg(feature = "ort")]
    for threads in [1, 2] {
        use lva_inference::{OrtDetector, OrtOptions};
        let options = OrtOptions::default().with_threads(threads);
        let what = format!("{}, ort, {threads} threads", spec.name());
        match OrtDetector::load(file, spec.clone(), options) {
            Ok(mut detector) => measure(&what, |frames| detector.detect(frames)),
            Err(error) => eprintln!("skipped: {error}"),
        }
    }
}

fn measure(what: &str, mut detect: impl FnMut(&[Frame<'_>]) -> Result<Vec<Vec<Detection>>, DetectError>) {
    let pixels: Vec<u8> = (0..1408 * 786 * 3).map(|i| (i * 31 % 251) as u8).collect();
    let frame = ImageView::packed(&pixels, 1408, 786, PixelFormat::Bgr24).expect("sized above");
    let mut milliseconds: Vec<f64> = (0..WARM_UP + RUNS)
        .map(|_| {
            let start = Instant::now();
            detect(&[frame.into()]).expect("a frame of noise");
            start.elapsed().as_secs_f64() * 1000.0
        })
        .skip(WARM_UP)
        .collect();
    milliseconds.sort_by(f64::total_cmp);
    let at = |share: f64| milliseconds[(RUNS as f64 * share) as usize];
    eprintln!(
        "{what}: median {:.2} ms, p95 {:.2} ms a frame of 1408x786",
        at(0.5),
        at(0.95)
    );
}
