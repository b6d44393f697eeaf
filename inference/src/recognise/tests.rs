//! Recognition of what is ambiguous, named, refused or unknown; `tests/it/families.rs` has the plain cases.

use super::*;
use crate::onnx::writer::{FLOAT, UINT8, Writer};

fn file(writer: &Writer) -> ModelFile {
    ModelFile::from_bytes(writer.bytes()).unwrap()
}

fn recognise(writer: &Writer) -> Result<Recognition, RecognitionError> {
    file(writer).recognise(&ModelOverrides::default())
}

/// An output of this shape after a picture of 640 × 640 pixels.
fn with_output(name: &str, shape: &[u64]) -> Writer {
    Writer::new()
        .input("images", FLOAT, &[1, 3, 640, 640])
        .output(name, FLOAT, shape)
}

fn family(writer: &Writer) -> (ModelFamily, usize) {
    let found = recognise(writer).unwrap();
    (found.spec().family(), found.spec().class_names().len())
}

const NAMES: &str = "{0: 'person', 1: 'bicycle'}";

#[test]
fn shapes_of_published_files() {
    for (name, shape, expected) in [
        ("output0", &[1, 84, 8400][..], (ModelFamily::YoloV8, 80)),
        ("output0", &[1, 5, 8400], (ModelFamily::YoloV8, 1)),
        ("output0", &[1, 8400, 84], (ModelFamily::YoloV8, 80)),
        ("output", &[1, 8400, 85], (ModelFamily::YoloX, 80)),
        ("output", &[1, 8400, 6], (ModelFamily::YoloX, 1)),
        ("output", &[1, 8500, 85], (ModelFamily::YoloX, 80)),
        ("output", &[1, 8500, 112], (ModelFamily::NanoDetPlus, 80)),
        ("output0", &[1, 25200, 85], (ModelFamily::YoloV5, 80)),
        ("output", &[1, 25200, 6], (ModelFamily::YoloV7, 1)),
        ("output0", &[1, 300, 6], (ModelFamily::EndToEnd, 80)),
        ("output0", &[0, 84, 0], (ModelFamily::YoloV8, 80)),
        ("output", &[0, 7], (ModelFamily::YoloV7EndToEnd, 80)),
        ("758", &[1, 85, 40, 40], (ModelFamily::FastestDet, 80)),
        ("grid", &[1, 5, 80, 80], (ModelFamily::PersonGrid, 1)),
    ] {
        assert_eq!(family(&with_output(name, shape)), expected, "{name} {shape:?}");
    }
    let open = Writer::new()
        .input("images", FLOAT, &[0, 3, 0, 0])
        .output("output0", FLOAT, &[0, 6, 0])
        .metadata("names", NAMES)
        .metadata("imgsz", "[320, 480]");
    let found = recognise(&open).unwrap();
    assert_eq!(found.spec().family(), ModelFamily::YoloV8);
    assert_eq!(
        (found.spec().input().width(), found.spec().input().height()),
        (480, 320)
    );
}

#[test]
fn the_line_says_what_and_why() {
    let writer = with_output("output0", &[1, 6, 8400])
        .metadata("names", NAMES)
        .metadata("license", "AGPL-3.0");
    let overrides = ModelOverrides {
        classes_preferred: vec!["person".into()],
        ..ModelOverrides::default()
    };
    let found = file(&writer).recognise(&overrides).unwrap();
    assert_eq!(
        found.to_string(),
        "model: yolov8, input images float32 [1, 3, 640, 640] as 640x640 RGB 0..1, letterboxed centred on grey 114; \
         2 classes named in the file (person, bicycle), of which 'person'; score from 0.25, overlap 0.7; \
         licence: AGPL-3.0; because its output is output0 float32 [1, 6, 8400]: a box and class scores a place"
    );
}

#[test]
fn other_tasks_are_refused() {
    let segments = with_output("output0", &[1, 116, 8400]).output("output1", FLOAT, &[1, 32, 160, 160]);
    for (writer, word) in [
        (segments.clone().metadata("task", "segment"), "segmentation"),
        (segments, "segmentation"),
        (
            with_output("output0", &[1, 56, 8400]).metadata("task", "pose"),
            "pose",
        ),
        (with_output("output0", &[1, 1000]), "classification"),
        (
            with_output("output0", &[1, 20, 8400]).metadata("task", "obb"),
            "rotated",
        ),
    ] {
        let error = recognise(&writer).unwrap_err();
        assert!(matches!(error, RecognitionError::Task { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn what_is_unknown_is_described_with_the_nearest_families() {
    let error = recognise(&with_output("what", &[1, 3, 5, 7, 9]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("images float32 [1, 3, 640, 640]"), "{error}");
    assert!(
        error.contains("what float32 [1, 3, 5, 7, 9]") && error.contains("yolov8 ("),
        "{error}"
    );
    let heads = with_output("a", &[1, 3, 80, 80, 85])
        .output("b", FLOAT, &[1, 3, 40, 40, 85])
        .output("c", FLOAT, &[1, 3, 20, 20, 85]);
    assert!(matches!(
        recognise(&heads),
        Err(RecognitionError::RawHeads { .. })
    ));
    let overrides = ModelOverrides {
        family: Some(ModelFamily::RtDetr),
        ..ModelOverrides::default()
    };
    let error = file(&with_output("x", &[1, 84, 8400]))
        .recognise(&overrides)
        .unwrap_err();
    assert!(matches!(error, RecognitionError::Outputs { .. }), "{error}");
}

#[test]
fn bytes_are_taken_as_they_are() {
    let writer =
        Writer::new()
            .input("image", UINT8, &[1, 352, 352, 3])
            .output("output", FLOAT, &[1, 85, 22, 22]);
    let found = recognise(&writer).unwrap();
    assert_eq!(found.spec().family(), ModelFamily::FastestDet);
    assert!(
        found.spec().input().to_string().starts_with("352x352 BGR 0..255"),
        "{found}"
    );
}

#[test]
fn a_size_that_the_file_fixes_stays() {
    let overrides = ModelOverrides {
        size: Some((320, 320)),
        ..ModelOverrides::default()
    };
    let error = file(&with_output("output0", &[1, 84, 8400]))
        .recognise(&overrides)
        .unwrap_err();
    assert!(
        matches!(
            error,
            RecognitionError::Size {
                fixed: (640, 640),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn names_and_normalisation_beside_the_model() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.onnx");
    std::fs::write(&path, with_output("output0", &[1, 6, 8400]).bytes()).unwrap();
    let classes = || {
        let found = ModelFile::open(&path)
            .unwrap()
            .recognise(&ModelOverrides::default())
            .unwrap();
        found.spec().class_names().to_vec()
    };
    assert_eq!(classes(), ["class 0", "class 1"]);
    std::fs::write(directory.path().join("labels.txt"), "person\n\nbag\n").unwrap();
    assert_eq!(classes(), ["person", "bag"]);
    std::fs::write(directory.path().join("shop.names"), "a\nb\n").unwrap();
    assert_eq!(classes(), ["a", "b"]);
    let config = "- mean: [0.5, 0.5, 0.5]\n  type: NormalizeImage\nlabel_list:\n- x\n- y\n";
    std::fs::write(directory.path().join("infer_cfg.yml"), config).unwrap();
    assert_eq!(classes(), ["x", "y"]);
    std::fs::write(
        directory.path().join("infer_cfg.yml"),
        "label_list:\n- x\n- y\n- z\n",
    )
    .unwrap();
    assert_eq!(classes(), ["a", "b"], "three names for two classes are not used");
}
