use std::path::Path;

use super::*;
use crate::onnx::writer::{FLOAT, Writer, raw};

/// A model with one weight of two floats in a file of its own.
fn outside(entries: &[(&str, &str)]) -> Vec<u8> {
    Writer::new()
        .input("image", FLOAT, &[1, 3, 8, 8])
        .external("w", &[2], entries)
        .node("Identity", "", &["w"], &["out"])
        .output("out", FLOAT, &[2])
        .bytes()
}

/// The same with the weight inside.
fn inside() -> Vec<u8> {
    Writer::new()
        .input("image", FLOAT, &[1, 3, 8, 8])
        .weight("w", FLOAT, &[2], &[1.5, -2.0])
        .node("Identity", "", &["w"], &["out"])
        .output("out", FLOAT, &[2])
        .bytes()
}

fn put(directory: &Path, model: &[u8]) -> PathBuf {
    let path = directory.join("model.onnx");
    std::fs::write(&path, model).unwrap();
    path
}

fn refused(path: &Path) -> ModelFileError {
    ModelFile::open(path).unwrap_err()
}

#[test]
fn files_that_are_no_models_are_named() {
    let directory = tempfile::tempdir().unwrap();
    for (content, word) in [
        (&b""[..], "is empty"),
        (b"<!DOCTYPE html><html>", "HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"PK\x03\x04", "zip archive"),
        (&[0xff; 100], "is not an ONNX model"),
    ] {
        let path = put(directory.path(), content);
        let message = refused(&path).to_string();
        assert!(
            message.contains(word) && message.contains("model.onnx"),
            "{message}"
        );
    }
    assert!(matches!(refused(directory.path()), ModelFileError::NoFile { .. }));
    assert!(matches!(
        refused(Path::new("missing.onnx")),
        ModelFileError::Read { .. }
    ));
}

#[test]
fn truncated_and_damaged_files_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let whole = inside();
    let path = put(directory.path(), &whole[..whole.len() - 20]);
    let message = refused(&path).to_string();
    assert!(message.contains("is truncated"), "{message}");
    let mut bent = whole;
    let at = bent.windows(5).position(|w| w == b"graph").unwrap();
    bent[at - 2] = 0;
    let message = refused(&put(directory.path(), &bent)).to_string();
    assert!(message.contains("is damaged at byte"), "{message}");
}

#[test]
fn operators_of_tensorrt_are_named() {
    for (name, domain) in [
        ("EfficientNMS_TRT", "TRT"),
        ("BatchedNMSDynamic_TRT", ""),
        ("TRTBatchedNMS", "mmdeploy"),
    ] {
        let model = Writer::new()
            .input("images", FLOAT, &[1, 3, 8, 8])
            .node(name, domain, &["images"], &["num_dets"])
            .bytes();
        let message = ModelFile::from_bytes(model).unwrap_err().to_string();
        assert!(
            message.contains(name) && message.contains("only TensorRT"),
            "{message}"
        );
    }
}

#[test]
fn weights_beside_the_model_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let weights = [&[9; 4][..], &raw(FLOAT, &[1.5, -2.0])].concat();
    std::fs::create_dir(directory.path().join("parts")).unwrap();
    for name in ["model.onnx.data", "weights", "parts/w.bin"] {
        std::fs::write(directory.path().join(name), &weights).unwrap();
        let entries = [("location", name), ("offset", "4"), ("length", "8")];
        let path = put(directory.path(), &outside(&entries));
        assert_eq!(*ModelFile::open(&path).unwrap().bytes, inside());
    }
    let entries = [("location", "weights"), ("offset", "4")];
    let path = put(directory.path(), &outside(&entries));
    assert_eq!(*ModelFile::open(&path).unwrap().bytes, inside());
    assert!(matches!(
        ModelFile::from_bytes(outside(&entries)),
        Err(ModelFileError::WeightsElsewhere)
    ));
}

#[test]
fn weights_are_read_from_the_models_directory_only() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("models");
    std::fs::create_dir(&directory).unwrap();
    let secret = place.path().join("secret.data");
    std::fs::write(&secret, [0; 64]).unwrap();
    std::fs::write(directory.join("near.data"), [0; 64]).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&secret, directory.join("link.data")).unwrap();
        std::os::unix::fs::symlink("near.data", directory.join("inner.data")).unwrap();
        std::os::unix::fs::symlink(place.path(), directory.join("up")).unwrap();
    }
    let load = |name: &str| ModelFile::open(put(&directory, &outside(&[("location", name)])));
    assert!(load("near.data").is_ok());
    assert!(load("./near.data").is_ok());
    let mut wrong = vec![
        "../secret.data",
        "x/../../secret.data",
        "",
        secret.to_str().unwrap(),
    ];
    if cfg!(unix) {
        assert!(load("inner.data").is_ok());
        wrong.extend(["link.data", "up/secret.data"]);
    }
    for name in wrong {
        let error = load(name).unwrap_err();
        assert!(
            matches!(error, ModelFileError::WeightsOutside { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn weights_that_are_missing_or_short_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = put(
        directory.path(),
        &outside(&[("location", "w.data"), ("length", "8")]),
    );
    let message = refused(&path).to_string();
    assert!(message.contains("'w.data' next to it"), "{message}");
    std::fs::write(directory.path().join("w.data"), [0; 7]).unwrap();
    let message = refused(&path).to_string();
    assert!(message.contains("end at byte 8, but the file has 7"), "{message}");
    std::fs::remove_file(directory.path().join("w.data")).unwrap();
    std::fs::create_dir(directory.path().join("w.data")).unwrap();
    assert!(matches!(refused(&path), ModelFileError::Weights { .. }));
}
