//! Records an encoder's output around an event, from before it on: here the pictures of a file, played as if they came
//! now.
//!
//! `cargo run -p lva-recording --example recording-minimal -- camera.h264 25 5 clips`
#![allow(clippy::print_stdout)] // a program

use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use lva_recording::nal::access_units;
use lva_recording::{
    ClipDirectory, GateOptions, MediaTime, MediaUnit, PreRollLimits, Recorder, RecorderEvent, Signal, Tracks,
    VideoCodec, VideoTrack,
};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [video, rate, event, directory] = arguments.as_slice() else {
        bail!("usage: recording-minimal VIDEO.h264|VIDEO.h265 PICTURES_A_SECOND EVENT_AT_SECOND DIRECTORY");
    };
    let codec = match video.ends_with("h265") {
        true => VideoCodec::H265,
        false => VideoCodec::H264,
    };
    let stream = std::fs::read(video).with_context(|| format!("cannot read {video}"))?;
    let rate: u64 = rate.parse().context("PICTURES_A_SECOND is not an integer")?;
    let interval = MediaTime::TICKS_PER_SECOND / rate.max(1);
    let event: u64 = event.parse().context("EVENT_AT_SECOND is not an integer")?;
    let start = MediaTime::from_system_time(SystemTime::now()).ticks_90k();
    let event_90k = start.saturating_add(event.saturating_mul(MediaTime::TICKS_PER_SECOND));

    let first = access_units(codec, &stream)
        .next()
        .with_context(|| format!("{video} is empty"))?;
    let tracks = Tracks {
        video: VideoTrack::from_annex_b(codec, first)?,
        audio: None,
    };
    let seconds = Duration::from_secs;
    let mut recorder = Recorder::new(
        GateOptions::new(seconds(3), seconds(3)).starting_before(seconds(2)),
        PreRollLimits::new(seconds(10), 64 << 20),
        tracks,
        ClipDirectory::new(directory, "event-${System.DateTime}"),
    )?;
    let mut signalled = false;
    for (number, picture) in (0..).zip(access_units(codec, &stream)) {
        let time = start + number * interval;
        if time >= event_90k && !signalled {
            recorder.signal(Signal::at(event_90k));
            signalled = true;
        }
        if let Some(unit) = MediaUnit::from_annex_b(codec, time, picture)? {
            recorder.push(unit).into_iter().for_each(print);
        }
    }
    recorder.end().into_iter().for_each(print);
    Ok(())
}

fn print(event: RecorderEvent) {
    match event {
        RecorderEvent::Available { report, .. } => println!("{}", report.path.display()),
        RecorderEvent::Failed { error, .. } => eprintln!("{error}"),
        RecorderEvent::NoMedia { .. } => eprintln!("the video has no picture from before the event"),
        _ => {}
    }
}
