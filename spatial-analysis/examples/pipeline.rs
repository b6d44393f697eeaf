//! Records a clip whenever a person enters or leaves a zone, without a graph: camera, decoder, detector, zones, recorder.
//!
//! `cargo run --release -p lva-spatial-analysis --example pipeline -- rtsp://viewer:secret@192.168.1.20/stream1 clips 3`
#![allow(clippy::print_stdout)] // a program

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use lva_framing::{Decoder, DecoderOptions, FrameRate, ImageSettings, Pacer, PixelFormat, Renderer};
use lva_inference::{ImageView, ModelSpec, PLAZA_PERSON_ONNX, RtenDetector, RtenOptions};
use lva_recording::{ClipDirectory, GateOptions, MediaUnit, PreRollLimits, Recorder, Signal, VideoTrack};
use lva_rtsp::{AccessUnit, Camera, CameraEvent, CameraOptions, CameraUrl};
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
    let seconds = Duration::from_secs;
    let gate = GateOptions::new(seconds(3), seconds(30)).starting_before(seconds(2));
    let pre_roll = PreRollLimits::new(seconds(10), 64 << 20);
    let (mut analysis, mut recorder): (Option<Analysis>, Option<Recorder>) = (None, None);
    let mut files = 0;
    while files < clips {
        match camera.next().await.context("the camera stopped")? {
            CameraEvent::Unit(unit) => {
                let (Some(analysis), Some(recorder)) = (&mut analysis, &mut recorder) else {
                    continue;
                };
                let recorded = MediaUnit::video(unit.timestamp_90k, unit.keyframe, unit.data.clone());
                for event in recorder.push(recorded) {
                    println!("{event}");
                }
                files = recorder.stats().files;
                if let Some(time_90k) = analysis.push(&unit)? {
                    recorder.signal(Signal::at(time_90k));
                }
            }
            CameraEvent::Lost { error } => eprintln!("{error}"), // it reconnects
            event => {
                let Some(video) = event.video() else { continue };
                let (Some(codec), Some(size)) = (video.codec.video_codec(), video.size) else {
                    continue;
                };
                let track = VideoTrack::new(codec, video.extra_data.clone(), size);
                analysis = Some(Analysis::new(&track)?);
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

struct Analysis {
    decoder: Decoder,
    pacer: Pacer,
    renderer: Renderer,
    frame: Vec<u8>,
    people: SpatialAnalysis<RtenDetector>,
}

impl Analysis {
    fn new(track: &VideoTrack) -> anyhow::Result<Self> {
        let plan = ImageSettings::new(PixelFormat::Bgr24).plan(track.width, track.height)?;
        // The embedded model finds drawn people; `RtenDetector::load` takes one that finds real ones.
        let (model, spec) = (PLAZA_PERSON_ONNX, ModelSpec::plaza_person());
        let detector = RtenDetector::from_bytes(model, spec, RtenOptions::default())?;
        let (operation, options) = (Operation::from_json(SQUARE)?, AnalysisOptions::default());
        Ok(Self {
            decoder: Decoder::open(track.codec, &track.extra_data, DecoderOptions::default())?,
            pacer: Pacer::new(FrameRate::new(5, 1)?), // pictures a second that the detector sees
            renderer: Renderer::new(plan),
            frame: vec![0; plan.bytes()],
            people: SpatialAnalysis::new(detector, &operation, (track.width, track.height), options, 1)?,
        })
    }

    /// The time at which a person was seen to enter or leave the square.
    fn push(&mut self, unit: &AccessUnit) -> anyhow::Result<Option<u64>> {
        // A damaged unit is counted by the decoder, which continues with the next one.
        let _ = self
            .decoder
            .push_for(&unit.data, unit.timestamp_90k, &mut self.pacer)?;
        let mut seen = None;
        while let Some(picture) = self.decoder.next_picture() {
            self.renderer.render(&picture, &mut self.frame)?;
            let view = ImageView::packed(&self.frame, picture.width(), picture.height(), PixelFormat::Bgr24)?;
            if !self
                .people
                .process(view.into(), picture.timestamp_90k())?
                .is_empty()
            {
                seen = Some(picture.timestamp_90k());
            }
        }
        Ok(seen)
    }
}
