//! Detects motion in a video at every sensitivity, and compares it with the truth.
#![allow(clippy::print_stdout)] // a program

use anyhow::Context;
use clap::Parser;
use lva_examples::draw::{ORANGE, canvas, sides};
use lva_examples::{MotionScore, UnitReader};
use lva_framing::motion::{MotionDetector, MotionSensitivity};
use lva_framing::{Decoder, DecoderOptions, ImageSettings, Picture, PixelFormat, Renderer};
use lva_sample_world::ClipTruth;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::time::Duration;

/// Detect motion in a video file at each sensitivity.
///
/// Prints one line of JSON per sensitivity: frames, frames with motion, regions per frame with motion, the mean share of
/// the picture that they cover, and the CPU time per frame. With the truth of the sample world also: the share of
/// walking people (at least 0.3 m/s, half visible) inside a region; the share of regions without a person or shadow; and
/// the share of frames with walking people that have motion.
///
/// Example: motion-video -- --video examples/media/plaza.mp4 --truth examples/media/plaza.json
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// The video file: H.264 or H.265 in MP4, MOV or MKV, or MJPEG.
    #[arg(long)]
    video: PathBuf,
    /// Its truth file, as `sample-video --truth` writes it.
    #[arg(long)]
    truth: Option<PathBuf>,
    /// Write this frame with the regions of medium sensitivity as a PNG to --picture.
    #[arg(long, default_value_t = 0)]
    frame: usize,
    /// The PNG file for --frame.
    #[arg(long)]
    picture: Option<PathBuf>,
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

struct Probe {
    sensitivity: MotionSensitivity,
    detector: MotionDetector,
    frames: u64,
    moving: u64,
    regions: u64,
    area: f64,
    time: Duration,
    score: MotionScore,
}

impl Probe {
    fn detect(&mut self, picture: &Picture, truth: Option<(&ClipTruth, usize)>) -> Vec<[f32; 4]> {
        let start = cpu_time();
        let found = self.detector.detect(picture);
        self.time += cpu_time().saturating_sub(start);
        let found: Vec<[f32; 4]> = found
            .iter()
            .map(|area| [area.left, area.top, area.width, area.height].map(|side| side as f32))
            .collect();
        self.frames += 1;
        self.moving += u64::from(!found.is_empty());
        self.regions += found.len() as u64;
        self.area += found.iter().map(|area| f64::from(area[2] * area[3])).sum::<f64>();
        if let Some((truth, index)) = truth {
            self.score.add(&found, truth, index);
        }
        found
    }

    fn report(&self) -> serde_json::Value {
        let share = |part: f64, whole: u64| (part / whole.max(1) as f64 * 1e4).round() / 1e4;
        let mut line = json!({
            "sensitivity": self.sensitivity.to_string(),
            "frames": self.frames,
            "framesWithMotion": self.moving,
            "regions": share(self.regions as f64, self.moving),
            "area": share(self.area, self.moving),
            "cpuMsPerFrame": share(self.time.as_secs_f64() * 1e3, self.frames),
        });
        if self.score.frames > 0 {
            line["walkersFound"] = share(self.score.found as f64, self.score.walkers).into();
            line["walkers"] = self.score.walkers.into();
            line["regionsOfNobody"] = share(self.score.of_nobody as f64, self.score.regions).into();
            line["framesFound"] =
                share(self.score.frames_found as f64, self.score.frames_with_walkers).into();
            line["framesWithWalkers"] = self.score.frames_with_walkers.into();
            line["stillFramesWithMotion"] = self.score.still_frames_with_motion.into();
            line["stillFrames"] = self.score.still_frames.into();
        }
        line
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let truth: Option<ClipTruth> = match &args.truth {
        None => None,
        Some(path) => {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            Some(serde_json::from_reader(BufReader::new(file)).context("the truth file is invalid")?)
        }
    };
    let mut reader = UnitReader::open(&args.video)?;
    let mut decoder = Decoder::open(reader.codec(), reader.extra_data(), DecoderOptions::default())?;
    let mut probes = MotionSensitivity::ALL.map(|sensitivity| Probe {
        sensitivity,
        detector: MotionDetector::new(sensitivity),
        frames: 0,
        moving: 0,
        regions: 0,
        area: 0.0,
        time: Duration::ZERO,
        score: MotionScore::default(),
    });
    let mut index = 0;
    loop {
        let unit = reader.next_unit();
        let over = unit.is_none();
        match unit {
            Some((unit, time)) => drop(decoder.push(unit.data().unwrap_or_default(), time)?),
            None => decoder.flush(),
        }
        while let Some(picture) = decoder.next_picture() {
            let truth = truth.as_ref().map(|truth| (truth, index));
            for probe in &mut probes {
                let found = probe.detect(&picture, truth);
                if index == args.frame
                    && probe.sensitivity == MotionSensitivity::Medium
                    && let Some(path) = &args.picture
                {
                    save(&picture, &found, path)?;
                }
            }
            index += 1;
        }
        if over {
            break;
        }
    }
    for probe in &probes {
        println!("{}", probe.report());
    }
    Ok(())
}

fn save(picture: &Picture, found: &[[f32; 4]], path: &std::path::Path) -> anyhow::Result<()> {
    let plan = ImageSettings::new(PixelFormat::Rgb24).plan(picture.width(), picture.height())?;
    let mut rgb = vec![0; plan.bytes()];
    Renderer::new(plan).render(picture, &mut rgb)?;
    let mut canvas = canvas(&mut rgb, picture.width(), picture.height())?;
    for area in found {
        canvas.rectangle(sides(*area), ORANGE, 2);
    }
    image::save_buffer(
        path,
        &rgb,
        picture.width(),
        picture.height(),
        image::ColorType::Rgb8,
    )
    .with_context(|| format!("cannot write {}", path.display()))
}
