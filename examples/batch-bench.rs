//! Measures what it gains to run frames of several streams in one batch.
#![allow(clippy::print_stdout)] // a program

use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Parser;
use lva_examples::cpu_time::median;
use lva_examples::{ModelArgs, load_detector, parse_size};
use lva_inference::{Detector, ImageView, PixelFormat};
use lva_spatial_analysis::SharedDetector;
use serde_json::json;

/// Show a detector frames of several streams, one by one and in batches, and report frames per second and the time of a frame.
///
/// Each stream shows its next frame as soon as it has the answer to the last one, or --fps times per second. Prints a line of
/// JSON for each wait: `oneByOne`, then batches of up to --batch frames whose first one waits so many milliseconds at most.
///
/// Examples:
///   batch-bench -- --batch 8 --streams 8
///   batch-bench -- --batch 8 --streams 8 --model grpc://gpu-server:8001/detector --wait-ms 0,5,20
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// Streams that share the detector.
    #[arg(long, default_value_t = 4)]
    streams: usize,
    /// Longest waits of a batch in milliseconds.
    #[arg(long, value_delimiter = ',', default_value = "0,5")]
    wait_ms: Vec<u64>,
    /// Seconds for each line.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Frames per second of a stream. Default: as many as are answered.
    #[arg(long)]
    fps: Option<f64>,
    /// Size of the frames, bgr24.
    #[arg(long, value_parser = parse_size, default_value = "640x360")]
    size: (u32, u32),
    #[command(flatten)]
    model: ModelArgs,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut alone = args.model.clone();
    alone.runtime.batch = 1;
    println!(
        "{}",
        measure(&args, SharedDetector::new(load_detector(&alone)?), "oneByOne")?
    );
    for &wait in &args.wait_ms {
        let detector = load_detector(&args.model)?;
        let largest = detector.info().largest_batch;
        ensure!(
            largest > 1,
            "the model runs one frame at a time: give --batch, and a model whose batch is open"
        );
        let shared = SharedDetector::in_batches(detector, Duration::from_millis(wait));
        println!(
            "{}",
            measure(&args, shared, &format!("batchesOf{largest}Within{wait}Ms"))?
        );
    }
    Ok(())
}

fn measure(args: &Args, detector: SharedDetector, name: &str) -> anyhow::Result<serde_json::Value> {
    let (width, height) = args.size;
    let bytes = width as usize * height as usize * 3;
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(args.seconds);
    let interval = args.fps.map(|fps| Duration::from_secs_f64(1.0 / fps));
    let run = |number: usize| -> anyhow::Result<Vec<f64>> {
        let mut detector = detector.clone();
        let pixels: Vec<u8> = (0..bytes).map(|at| (at * 31 % (241 + number)) as u8).collect();
        let view = ImageView::packed(&pixels, width, height, PixelFormat::Bgr24)?;
        let mut milliseconds = Vec::new();
        let mut due = Instant::now();
        while Instant::now() < end {
            let shown = Instant::now();
            detector.detect(&[view.into()])?;
            milliseconds.push(shown.elapsed().as_secs_f64() * 1e3);
            if let Some(interval) = interval {
                due += interval;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        }
        Ok(milliseconds)
    };
    let all = thread::scope(|scope| -> anyhow::Result<Vec<f64>> {
        let streams: Vec<_> = (0..args.streams)
            .map(|number| scope.spawn(move || run(number)))
            .collect();
        let mut all = Vec::new();
        for stream in streams {
            all.extend(
                stream
                    .join()
                    .map_err(|_| anyhow::anyhow!("a stream panicked"))??,
            );
        }
        Ok(all)
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let stats = detector.batch_stats();
    let round = |value: f64| (value * 100.0).round() / 100.0;
    Ok(json!({
        "mode": name,
        "streams": args.streams,
        "framesPerSecond": round(all.len() as f64 / seconds),
        "framesPerBatch": round(stats.frames as f64 / stats.batches.max(1) as f64),
        "medianMs": round(median(&all)),
        "mostMs": round(all.iter().copied().fold(0.0, f64::max)),
        "runtime": detector.info().runtime,
    }))
}
