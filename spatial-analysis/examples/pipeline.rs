//! Records a clip whenever a person enters a zone, without a graph: camera, decoder, detector, zones, recorder.
//!
//! `cargo run --release -p lva-spatial-analysis --example pipeline -- rtsp://viewer:secret@192.168.1.20/stream1 clips 3`
#![allow(clippy::print_stdout)] // a program

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use lva_framing::{Decoder, DecoderOptions, FrameRate, ImageSettings, Pacer, PixelFormat, Renderer};
use lva_inference::{Detector, ImageView, ModelSpec, PLAZA_PERSON_ONNX, RtenDetector, RtenOptions};
use lva_recording::{
    ClipDirectory, GateOptions, MediaUnit, PreRollLimits, Recorder, RecorderEvent, Signal, Tracks, VideoTrack,
};
use lva_rtsp::{AccessUnit, Camera, CameraEvent, CameraOptions, CameraUrl, StreamInfo};
use lva_zones::{Engine, EventKind, Point, Scene, SceneOptions, Tracker, TrackerOptions, Zone};

#[tokio::main] // the camera is received by another thread while this one decodes and detects
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, directory, clips] = arguments.as_slice() else {
        bail!("usage: pipeline rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH DIRECTORY NUMBER_OF_CLIPS");
    };
    let clips = clips.parse().context("NUMBER_OF_CLIPS is not an integer")?;
    run(url, Path::new(directory), clips).await
}

pub(crate) async fn run(url: &str, directory: &Path, clips: u64) -> anyhow::Result<()> {
    let (url, credentials) = CameraUrl::parse_with_credentials(url)?;
    let options = CameraOptions::new(url)
        .with_credentials(credentials)
        .with_audio(false);
    let mut camera = Camera::connect(options);
    let mut pipeline: Option<Pipeline> = None;
    while pipeline
        .as_ref()
        .is_none_or(|pipeline| pipeline.recorder.stats().files < clips)
    {
        match camera.next().await.context("the camera stopped")? {
            CameraEvent::Established { streams, .. } => {
                let video = streams.iter().find(|stream| stream.is_playing_video());
                pipeline = Pipeline::follow(pipeline, video.context("the camera has no video")?, directory)?;
            }
            CameraEvent::StreamChanged(video) => pipeline = Pipeline::follow(pipeline, &video, directory)?,
            CameraEvent::Unit(unit) => pipeline
                .as_mut()
                .context("a picture without parameters")?
                .push(unit)?,
            CameraEvent::Lost { error } => eprintln!("{error}"), // it reconnects
            _ => {}
        }
    }
    camera.close().await;
    Ok(())
}

struct Pipeline {
    decoder: Decoder,
    pacer: Pacer,
    renderer: Renderer,
    frame: Vec<u8>,
    detector: RtenDetector,
    tracker: Tracker,
    engine: Engine,
    recorder: Recorder,
    tracks: Tracks,
}

impl Pipeline {
    /// The pipeline of a stream: the one so far, unless the camera changed its parameters. `None` until they are known.
    fn follow(old: Option<Self>, video: &StreamInfo, directory: &Path) -> anyhow::Result<Option<Self>> {
        let codec = video.codec.video_codec().context("the video cannot be decoded")?;
        let Some((width, height)) = video.size else {
            return Ok(old);
        };
        let extra_data = video.extra_data.clone();
        let tracks = Tracks {
            video: VideoTrack {
                codec,
                extra_data,
                width,
                height,
            },
            audio: None,
        };
        match old {
            Some(old) if old.tracks == tracks => return Ok(Some(old)),
            Some(mut old) => old.recorder.end().iter().for_each(report),
            None => {}
        }
        let seconds = Duration::from_secs;
        let corners = [(0.29, 0.66), (0.73, 0.66), (0.68, 0.48), (0.33, 0.48)].map(|(x, y)| Point::new(x, y));
        let options = SceneOptions {
            aspect: f64::from(width) / f64::from(height),
            ..SceneOptions::default()
        };
        let scene = Scene::new(vec![Zone::new("square", corners)], vec![], options)?;
        let plan = ImageSettings::new(PixelFormat::Bgr24).plan(width, height)?;
        // The embedded model finds drawn people; `RtenDetector::load` takes one that finds real ones.
        let (model, spec) = (PLAZA_PERSON_ONNX, ModelSpec::plaza_person());
        Ok(Some(Self {
            decoder: Decoder::open(codec, &video.extra_data, DecoderOptions::default())?,
            pacer: Pacer::new(FrameRate::new(5, 1)?), // pictures a second that the detector sees
            renderer: Renderer::new(plan),
            frame: vec![0; plan.bytes()],
            detector: RtenDetector::from_bytes(model, spec, RtenOptions::default())?,
            tracker: Tracker::new(TrackerOptions::default()),
            engine: Engine::new(scene),
            recorder: Recorder::new(
                GateOptions::new(seconds(3), seconds(30)).starting_before(seconds(2)),
                PreRollLimits::new(seconds(10), 64 << 20),
                tracks.clone(),
                ClipDirectory::new(directory, "square-${System.DateTime}"),
            )?,
            tracks,
        }))
    }

    fn push(&mut self, unit: AccessUnit) -> anyhow::Result<()> {
        let recorded = MediaUnit::video(unit.timestamp_90k, unit.keyframe, unit.data.clone());
        self.recorder.push(recorded).iter().for_each(report);
        // A damaged unit is counted by the decoder, which continues with the next one.
        let _ = self
            .decoder
            .push_for(&unit.data, unit.timestamp_90k, &mut self.pacer)?;
        while let Some(picture) = self.decoder.next_picture() {
            self.renderer.render(&picture, &mut self.frame)?;
            let view = ImageView::packed(&self.frame, picture.width(), picture.height(), PixelFormat::Bgr24)?;
            let detections = self.detector.detect(&[view.into()])?.pop().unwrap_or_default();
            let people = self.tracker.update(picture.timestamp_90k(), &detections)?;
            for event in self.engine.update(picture.timestamp_90k(), &people)? {
                if let EventKind::Enter { .. } = event.kind {
                    println!("a person enters {}", event.name);
                    self.recorder.signal(Signal::at(event.time_90k));
                }
            }
        }
        Ok(())
    }
}

fn report(event: &RecorderEvent) {
    match event {
        RecorderEvent::Available { report, .. } => println!("{}", report.path.display()),
        RecorderEvent::Failed { error, .. } => eprintln!("{error}"),
        _ => {}
    }
}
