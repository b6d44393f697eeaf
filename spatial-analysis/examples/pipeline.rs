//! Records a clip whenever a person enters or leaves a zone, without a graph: camera, decoder, detector, zones, recorder.
//!
//! `cargo run --release -p lva-spatial-analysis --example pipeline -- rtsp://viewer:secret@192.168.1.20/stream1 clips 3`
#![allow(clippy::print_stdout)] // a program

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use lva_framing::{DecoderOptions, FrameRate, FrameSampler, ImageSettings, PixelFormat};
use lva_inference::{ImageView, ModelSpec, PLAZA_PERSON_ONNX, RtenDetector, RtenOptions};
use lva_recording::{ClipDirectory, GateOptions, MediaUnit, PreRollLimits, Recorder, Signal, VideoTrack};
use lva_rtsp::{Camera, CameraEvent, CameraOptions, CameraUrl};
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
    let (url, credentials) = CameraUrl::parse_with_credentials(url)?;
    let options = CameraOptions::new(url).with_credentials(credentials);
    let mut camera = Camera::connect(options.with_audio(false));
    // Five frames a second.
    let (rate, settings) = (FrameRate::new(5, 1)?, ImageSettings::new(PixelFormat::Bgr24));
    let operation = Operation::from_json(SQUARE)?;
    let seconds = Duration::from_secs;
    let gate = GateOptions::new(seconds(3), seconds(30)).starting_before(seconds(2));
    let pre_roll = PreRollLimits::new(seconds(10), 64 << 20);

    let mut analysis: Option<(FrameSampler, SpatialAnalysis<RtenDetector>)> = None;
    let (mut recorder, mut files) = (None::<Recorder>, 0);
    while files < clips {
        match camera.next().await.context("the camera stopped")? {
            CameraEvent::Unit(unit) => {
                let (Some((frames, people)), Some(recorder)) = (&mut analysis, &mut recorder) else {
                    continue;
                };
                let recorded = MediaUnit::video(unit.timestamp_90k, unit.keyframe, unit.data.clone());
                for event in recorder.push(recorded) {
                    println!("{event}");
                }
                files = recorder.stats().files;
                let _damaged_units_are_counted = frames.push(&unit.data, unit.timestamp_90k)?;
                while let Some(frame) = frames.next_frame()? {
                    let (width, height) = (frame.plan.width(), frame.plan.height());
                    let view = ImageView::packed(frame.pixels, width, height, frame.plan.format())?;
                    if !people.process(view.into(), frame.timestamp_90k)?.is_empty() {
                        recorder.signal(Signal::at(frame.timestamp_90k));
                    }
                }
            }
            CameraEvent::Lost { error } => eprintln!("{error}"), // it reconnects
            event => {
                let Some(video) = event.video() else { continue };
                let (Some(codec), Some(size)) = (video.codec.video_codec(), video.size) else {
                    continue;
                };
                let decoding = DecoderOptions::default();
                let frames = FrameSampler::open(codec, &video.extra_data, decoding, rate, settings)?;
                // The embedded model finds drawn people; `RtenDetector::load` takes one that finds real ones.
                let (model, spec) = (PLAZA_PERSON_ONNX, ModelSpec::plaza_person());
                let detector = RtenDetector::from_bytes(model, spec, RtenOptions::default())?;
                let options = AnalysisOptions::default();
                let people = SpatialAnalysis::new(detector, &operation, size, options, 1)?;
                analysis = Some((frames, people));
                let track = VideoTrack::new(codec, video.extra_data.clone(), size);
                match &mut recorder {
                    Some(recorder) => println!("{:?}", recorder.set_tracks(track.into())),
                    None => {
                        let directory = ClipDirectory::new(directory, "square-${System.DateTime}");
                        recorder = Some(Recorder::new(gate, pre_roll, track.into(), directory)?);
                    }
                }
            }
        }
    }
    camera.close().await;
    Ok(())
}
