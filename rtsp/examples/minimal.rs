//! Saves a camera's video, unchanged, to a file that ffplay and VLC play.
//!
//! `cargo run -p lva-rtsp --example rtsp-minimal -- rtsp://viewer:secret@192.168.1.20/stream1 camera.h264 10`
#![allow(clippy::print_stdout)] // a program

use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use lva_rtsp::nal::ParameterSets;
use lva_rtsp::{Camera, CameraEvent, CameraOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, path, seconds] = arguments.as_slice() else {
        bail!("usage: rtsp-minimal rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH FILE.h264 SECONDS");
    };
    let options = CameraOptions::parse(url)?.with_audio(false);
    let seconds = Duration::from_secs(seconds.parse().context("SECONDS is not an integer")?);
    let mut file = BufWriter::new(File::create(path).with_context(|| format!("cannot create {path}"))?);

    let mut camera = Camera::connect(options);
    if let Ok(ended) = tokio::time::timeout(seconds, save(&mut camera, &mut file)).await {
        ended?;
    }
    file.flush()?;
    println!(
        "{} bytes of {} pictures",
        camera.counters().bytes,
        camera.counters().units
    );
    camera.close().await; // with a TEARDOWN
    Ok(())
}

pub(crate) async fn save(camera: &mut Camera, file: &mut impl Write) -> anyhow::Result<()> {
    let mut parameter_sets = ParameterSets::default();
    let mut bytes = Vec::new();
    while let Some(event) = camera.next().await {
        match event {
            CameraEvent::Established { streams, .. } => {
                let video = streams.iter().find(|stream| stream.is_playing_video());
                parameter_sets = video.context("the camera has no video")?.parameter_sets()?;
            }
            CameraEvent::StreamChanged(video) => parameter_sets = video.parameter_sets()?,
            CameraEvent::Unit(unit) => {
                bytes.clear();
                unit.write_annex_b(Some(&parameter_sets), &mut bytes)?;
                file.write_all(&bytes)?;
            }
            CameraEvent::Lost { error } => eprintln!("{error}"), // it reconnects
            _ => {}
        }
    }
    Ok(())
}
