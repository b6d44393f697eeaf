//! Finding what lies outside the crate.
#![allow(dead_code, reason = "which helpers are used depends on the features")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// One of the tiny networks beside these tests; `models/make_models.py` defines what they compute.
pub(crate) fn tiny_model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/models")
        .join(name)
}

/// A file of the data that is shared beside the project, or `None` after a note on standard error.
pub(crate) fn shared_data(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LVA_SHARED_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let file = root.join(path);
    if file.exists() {
        Some(file)
    } else {
        eprintln!(
            "skipped: no {}; LVA_SHARED_DATA is the directory of shared data",
            file.display()
        );
        None
    }
}

/// The shared library inside the Python package `onnxruntime`, or `None` after a note on standard error. `LVA_TEST_PYTHON`
/// names the interpreter.
pub(crate) fn onnx_runtime_library() -> Option<PathBuf> {
    const FIND: &str = "import glob, os, onnxruntime as o; \
        print(sorted(glob.glob(os.path.join(os.path.dirname(o.__file__), 'capi', 'libonnxruntime.so*')))[0])";
    let python = std::env::var_os("LVA_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let found = Command::new(&python).args(["-c", FIND]).output();
    let library = found
        .ok()
        .filter(|output| output.status.success())
        .map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    if library.is_none() {
        eprintln!(
            "skipped: {} has no package onnxruntime; LVA_TEST_PYTHON names the interpreter",
            python.display()
        );
    }
    library
}

/// Frames of a clip as BGR24.
pub(crate) struct Clip {
    pub(crate) width: u32,
    pub(crate) height: u32,
    bytes: Vec<u8>,
}

impl Clip {
    /// Every `step`th frame of a shared clip, or `None` after a note with the reason.
    pub(crate) fn read(path: &str, (width, height): (u32, u32), step: u32) -> Option<Self> {
        let file = shared_data(path)?;
        let decoded = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(file)
            .args(["-vf", &format!("select=not(mod(n\\,{step}))"), "-vsync", "0"])
            .args(["-f", "rawvideo", "-pix_fmt", "bgr24", "-"])
            .output();
        match decoded {
            Ok(output) if output.status.success() => Some(Self {
                width,
                height,
                bytes: output.stdout,
            }),
            Ok(output) => panic!("ffmpeg: {}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => {
                eprintln!("skipped: ffmpeg cannot be run: {error}");
                None
            }
        }
    }

    pub(crate) fn frames(&self) -> impl Iterator<Item = lva_inference::ImageView<'_>> {
        let format = lva_inference::PixelFormat::Bgr24;
        let len = format.packed_len(self.width, self.height).unwrap();
        assert_eq!(self.bytes.len() % len, 0, "whole frames of the stated size");
        let view =
            move |bytes| lva_inference::ImageView::packed(bytes, self.width, self.height, format).unwrap();
        self.bytes.chunks_exact(len).map(view)
    }
}
