//! Counts the people that a detector finds in a video file.
#![allow(clippy::print_stdout)] // a program

use anyhow::Context;
use clap::Parser;
use lva_examples::draw::{ORANGE, canvas, sides};
use lva_examples::{ModelArgs, VideoReader, detect_one, load_detector, progress};
use lva_framing::{DecodeQuality, DecoderOptions};
use lva_inference::{Frame, ImageView, PixelFormat};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Count the people that a detector finds in each frame of a video file.
///
/// Prints one line of JSON: frames, frames with people, people per frame, the most in one frame, the
/// median score, the median detection time of a frame, the time from the program's start to its first detection, and what
/// runs the model. With --boxes, one line per frame comes first:
/// {"frame":0,"detections":[[left,top,width,height,score],…]} in fractions of the picture.
///
/// With --explain, prints what the model was recognised as, and ends.
///
/// Example: detect-video --video street.mp4 --model FastestDet.onnx --score 0.5
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// The video file: H.264 or H.265 in MP4, MOV or MKV, or MJPEG.
    #[arg(long, required_unless_present = "explain")]
    video: Option<PathBuf>,
    /// Print what the model is recognised as, and why, without running it.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    model: ModelArgs,
    /// How exactly pictures are decoded: exact or fast.
    #[arg(long, default_value_t)]
    decode_quality: DecodeQuality,
    /// Also print every box.
    #[arg(long)]
    boxes: bool,
    /// Write this frame with its detections as a PNG to --picture.
    #[arg(long, default_value_t = 0)]
    frame: usize,
    /// The PNG file for --frame.
    #[arg(long)]
    picture: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let start = Instant::now();
    let args = Args::parse();
    if args.explain {
        let model = args.model.choose()?;
        println!("{}", model.recognition());
        for note in model.recognition().notes() {
            println!("note: {note}");
        }
        return Ok(());
    }
    let video = args.video.context("--video is missing")?;
    let mut detector = load_detector(&args.model)?;
    let decoder = DecoderOptions::default().with_quality(args.decode_quality);
    let mut reader = VideoReader::with_options(&video, decoder)?;
    let mut bgr = Vec::new();
    let (mut counts, mut scores, mut times) = (Vec::new(), Vec::new(), Vec::new());
    let mut first_detection = None;
    let bar = progress(reader.frame_count(), "frames");
    while let Some((width, height)) = reader.read(&mut bgr)? {
        let view = ImageView::packed(&bgr, width, height, PixelFormat::Bgr24)?;
        let shown = Instant::now();
        let detections = detect_one(detector.as_mut(), Frame::Host(view))?;
        times.push(shown.elapsed());
        if first_detection.is_none() && !detections.is_empty() {
            first_detection = Some(start.elapsed());
        }
        if let Some(path) = args.picture.as_ref().filter(|_| counts.len() == args.frame) {
            let mut rgb: Vec<u8> = bgr.chunks_exact(3).flat_map(|p| [p[2], p[1], p[0]]).collect();
            let mut canvas = canvas(&mut rgb, width, height)?;
            for found in &detections {
                let bbox = found.bbox;
                let found = sides([bbox.left, bbox.top, bbox.width, bbox.height]);
                canvas.rectangle(found, ORANGE, 2);
            }
            image::save_buffer(path, &rgb, width, height, image::ColorType::Rgb8)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        if args.boxes {
            let boxes: Vec<_> = detections
                .iter()
                .map(|found| (found.bbox, found.score))
                .map(|(b, score)| [b.left, b.top, b.width, b.height, score])
                .collect();
            println!("{}", json!({"frame": counts.len(), "detections": boxes}));
        }
        counts.push(detections.len());
        scores.extend(detections.iter().map(|found| found.score));
        bar.inc(1);
    }
    bar.finish_and_clear();
    times.sort();
    scores.sort_by(f32::total_cmp);
    let frames = counts.len();
    let people: usize = counts.iter().sum();
    let median_ms = times.get(frames / 2).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    println!(
        "{}",
        json!({
            "frames": frames,
            "frames_with_people": counts.iter().filter(|&&count| count > 0).count(),
            "people_per_frame": (people as f64 / frames.max(1) as f64 * 1e3).round() / 1e3,
            "most": counts.iter().max(),
            "median_score": scores.get(scores.len() / 2).map(|score| (f64::from(*score) * 1e3).round() / 1e3),
            "ms_per_frame": (median_ms * 100.0).round() / 100.0,
            "first_detection_ms": first_detection.map(|time| time.as_millis() as u64),
            "runtime": detector.info().runtime,
        })
    );
    Ok(())
}
