//! Records a clip whenever a person enters or leaves a zone, without a graph: camera, decoder, detector, zones, recorder.
//!
//! `cargo run --release -p lva-spatial-analysis --example pipeline -- rtsp://viewer:secret@192.168.1.20/stream1 clips 3`
#![allow(clippy::print_stdout)] // a program

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use lva_framing::{FrameRate, FrameSampler, ImageSettings, PixelFormat};
use lva_inference::{ImageView, RtenDetector};
use lva_recording::{ClipDirectory, GateOptions, MediaUnit, PreRollLimits, Recorder, Signal, VideoTrack};
use lva_rtsp::{Camera, CameraEvent, CameraOptions};
use lva_spatial_analysis::{AnalysisOptions, Operation, SpatialAnalysis};

const SQUARE: &str =
    r#"{"zones": [{"name": "square", "polygon": [[0.29, 0.66], [0.73, 0.66], [0.68, 0.48], [0.33, 0.48]]}]}"#;

#[tokio::main] // the camera is received by another thread while this one decodes and detects
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, directory, clips] = arguments.as_slice() else {
        bail!("usage: pipeline rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH DIRECTORY NUMBER_OF_CLIPS");
    };
    run(url, Path::new(directory), clips.parse()?).await
}

pub(crate) async fn run(url: &str, directory: &Path, clips: u64) -> anyhow::Result<()> {
    let seconds = Duration::from_secs;
    let gate = GateOptions::new(seconds(3), seconds(30)).starting_before(seconds(2));
    let directory = ClipDirectory::new(directory, "square-${System.DateTime}");
    let mut recorder = Recorder::new(gate, PreRollLimits::new(seconds(10), 64 << 20), None, directory)?;
    let mut frames = FrameSampler::new(FrameRate::new(5, 1)?, ImageSettings::new(PixelFormat::Bgr24));
    // The embedded model finds drawn people; `RtenDetector::load` takes one that finds real ones.
    let (detector, operation) = (RtenDetector::plaza_person()?, Operation::from_json(SQUARE)?);
    let mut people = SpatialAnalysis::new(detector, &operation, AnalysisOptions::default(), 1)?;
    let mut camera = Camera::connect(CameraOptions::parse(url)?.with_audio(false));
    while recorder.stats().files < clips {
        let event = camera.next().await.context("the camera stopped")?;
        let mut recorded = Vec::new();
        if let Some(video) = event.video() {
            frames.set_stream(video.codec, &video.extra_data)?;
            recorded = recorder.set_tracks(VideoTrack::new(video.codec, video.extra_data, video.size));
        }
        match event {
            CameraEvent::Unit(unit) => {
                frames.push(&unit.data, unit.timestamp_90k)?;
                while let Some(frame) = frames.next_frame()? {
                    let view =
                        ImageView::packed(frame.pixels, frame.width(), frame.height(), frame.format())?;
                    if !people.process(view, frame.timestamp_90k)?.is_empty() {
                        recorder.signal(Signal::at(frame.timestamp_90k));
                    }
                }
                recorded = recorder.push(MediaUnit::video(unit.timestamp_90k, unit.keyframe, unit.data));
            }
            CameraEvent::Lost { error } => eprintln!("{error}"), // it reconnects
            _ => {}
        }
        recorded.iter().for_each(|event| println!("{event}"));
    }
    camera.close().await;
    Ok(())
}
