//! Libraries and devices that cannot be used are errors, and none hangs or panics.

use lva_inference::{
    Device, LoadError, ModelFileError, ModelSpec, OnnxRuntimeError, OrtDetector, OrtOptions,
};

use crate::support::{onnx_runtime_library, tiny_model};

fn load(options: OrtOptions) -> Result<OrtDetector, LoadError> {
    OrtDetector::load(
        tiny_model("grid-any-batch.onnx"),
        ModelSpec::person_grid("tiny", 16, 8),
        options,
    )
}

fn runtime_error(options: OrtOptions) -> OnnxRuntimeError {
    match load(options).unwrap_err() {
        LoadError::OnnxRuntime(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_library_the_error_says_how_to_get_one() {
    if let Some(found) = OrtOptions::default().find_library() {
        eprintln!("skipped: {} is there", found.display());
        return;
    }
    let error = runtime_error(OrtOptions::default());
    assert!(matches!(error, OnnxRuntimeError::NoLibrary));
    assert!(error.to_string().contains("make onnxruntime"), "{error}");
}

#[test]
fn a_missing_library_is_an_error_every_time() {
    for _ in 0..2 {
        let error = runtime_error(OrtOptions::default().with_library("no/such/libonnxruntime.so"));
        assert!(
            matches!(error, OnnxRuntimeError::LibraryMissing { .. }),
            "{error:?}"
        );
        let error = runtime_error(OrtOptions::default().with_library(""));
        assert!(
            matches!(error, OnnxRuntimeError::LibraryMissing { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn an_invalid_library_is_an_error_every_time() {
    for _ in 0..2 {
        let error = runtime_error(OrtOptions::default().with_library(tiny_model("grid-batch-1.onnx")));
        // The second when another test of this process has loaded the real one.
        assert!(
            matches!(
                error,
                OnnxRuntimeError::Library { .. } | OnnxRuntimeError::OtherLibrary { .. }
            ),
            "{error:?}"
        );
    }
}

#[test]
fn a_process_has_one_library() {
    let Some(library) = onnx_runtime_library() else {
        return;
    };
    load(OrtOptions::default().with_library(&library)).unwrap();
    load(OrtOptions::default().with_library(&library)).unwrap();
    let error = runtime_error(OrtOptions::default().with_library(tiny_model("grid-batch-1.onnx")));
    assert!(
        matches!(error, OnnxRuntimeError::OtherLibrary { .. }),
        "{error:?}"
    );
}

#[test]
fn a_device_that_is_not_there_is_an_error() {
    let Some(library) = onnx_runtime_library() else {
        return;
    };
    for device in ["cuda", "cuda:7", "tensorrt", "openvino", "openvino:gpu"] {
        let device: Device = device.parse().unwrap();
        match load(OrtOptions::default().with_library(&library).with_device(device)) {
            Ok(_) => eprintln!("skipped: {device} is there"),
            Err(LoadError::OnnxRuntime(
                OnnxRuntimeError::DeviceNotCompiled { .. }
                | OnnxRuntimeError::DeviceNotInLibrary { .. }
                | OnnxRuntimeError::Device { .. },
            )) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_invalid_model_is_an_error() {
    let Some(library) = onnx_runtime_library() else {
        return;
    };
    let options = OrtOptions::default().with_library(library);
    let spec = || ModelSpec::person_grid("tiny", 16, 8);
    let error = OrtDetector::load(tiny_model("make_models.py"), spec(), options.clone()).unwrap_err();
    assert!(
        matches!(error, LoadError::File(ModelFileError::NoModel { .. })),
        "{error:?}"
    );
    let error = OrtDetector::load(tiny_model("grid-no-sigmoid.onnx"), spec(), options).unwrap_err();
    assert!(matches!(error, LoadError::Output { .. }), "{error:?}");
}
