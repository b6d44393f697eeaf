//! Evaluates a detector on scenes of the sample world.
#![allow(clippy::print_stdout)] // a program

use clap::Parser;
use lva_examples::evaluation::Score;
use lva_examples::{ModelArgs, detect_one, load_detector, parse_size, progress};
use lva_inference::{Frame, ImageView, PixelFormat};
use lva_sample_world::{World, WorldOptions};
use serde_json::json;
use std::time::{Duration, Instant};

/// Measure precision, recall and time of a detector on the sample world.
///
/// A detection is correct if its overlap with a person's full box is at least half (intersection over
/// union). People who are at most half visible are not counted. Prints one line of JSON per seed, and one
/// for all seeds at the end.
///
/// Example: detector-eval --seeds 707,808,909
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Seeds of the scenes, below 1000000, which training never uses.
    #[arg(long, value_delimiter = ',', required = true)]
    seeds: Vec<u64>,
    /// Seconds of each scene.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Use every Nth frame, at 30 per second.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Size of the picture in pixels.
    #[arg(long, default_value = "1280x720", value_parser = parse_size)]
    size: (u32, u32),
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (width, height) = args.size;
    let mut detector = load_detector(&args.model)?;
    let mut total = (Score::default(), Vec::new());
    for &seed in &args.seeds {
        anyhow::ensure!(
            seed < 1_000_000,
            "seed {seed} may be one of the training's: use one below 1000000"
        );
        let options = WorldOptions {
            width,
            height,
            seconds: args.seconds,
            ..Default::default()
        };
        let mut world = World::new(seed, options)?;
        let mut rgb = vec![0; world.frame_bytes()];
        let (mut score, mut times) = (Score::default(), Vec::new());
        let bar = progress(world.frame_count() / args.every, "frames");
        for index in (0..world.frame_count()).step_by(args.every as usize) {
            let truth = world.render(index, &mut rgb)?;
            let view = ImageView::packed(&rgb, width, height, PixelFormat::Rgb24)?;
            let start = Instant::now();
            let detections = detect_one(detector.as_mut(), Frame::Host(view))?;
            times.push(start.elapsed());
            score.add(&detections, &truth.people);
            bar.inc(1);
        }
        bar.finish_and_clear();
        println!("{}", report(Some(seed), &score, &mut times));
        total.0 = Score {
            people: total.0.people + score.people,
            found: total.0.found + score.found,
            false_alarms: total.0.false_alarms + score.false_alarms,
        };
        total.1.extend(times);
    }
    println!("{}", report(None, &total.0, &mut total.1));
    Ok(())
}

fn report(seed: Option<u64>, score: &Score, times: &mut [Duration]) -> serde_json::Value {
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let round = |value: f64, digits: f64| (value * digits).round() / digits;
    let mut line = json!({
        "precision": round(score.precision(), 1e4),
        "recall": round(score.recall(), 1e4),
        "ms_per_frame": round(median.as_secs_f64() * 1e3, 100.0),
        "frames": times.len(),
        "people": score.people,
        "false_alarms": score.false_alarms,
    });
    if let Some(seed) = seed {
        line["seed"] = json!(seed);
    }
    line
}
