//! Draws one frame of the sample world as a PNG, optionally with truth and detections.
#![allow(clippy::print_stdout)] // a program

use anyhow::Context;
use clap::Parser;
use lva_examples::draw::{GREEN, ORANGE, YELLOW, canvas, place, sides};
use lva_examples::{ModelArgs, detect_one, evaluation, load_detector, parse_size};
use lva_inference::{Frame, ImageView, PixelFormat};
use lva_sample_world::{World, WorldOptions};
use std::path::PathBuf;

/// Draw one frame of the plaza as a PNG.
///
/// With --truth, people are outlined in green (more than half visible) or yellow, zones in blue and
/// lines in magenta. With --detect, detections are outlined in orange with their scores.
///
/// Example: sample-frame --seed 7 --frame 700 --truth --detect --out frame.png
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// Seed that determines the people, their paths and the light.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Number of the frame, at 30 per second.
    #[arg(long, default_value_t = 300)]
    frame: u64,
    /// Size of the picture in pixels.
    #[arg(long, default_value = "1280x720", value_parser = parse_size)]
    size: (u32, u32),
    /// Draw the truth.
    #[arg(long)]
    truth: bool,
    /// Draw the detections.
    #[arg(long)]
    detect: bool,
    #[command(flatten)]
    model: ModelArgs,
    /// The PNG file to write.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (width, height) = args.size;
    let seconds = (args.frame + 1) as f64 / 30.0;
    let mut world = World::new(
        args.seed,
        WorldOptions {
            width,
            height,
            seconds,
            ..Default::default()
        },
    )?;
    let mut rgb = vec![0; world.frame_bytes()];
    let truth = world.render(args.frame, &mut rgb)?;
    let detections = if args.detect {
        let view = ImageView::packed(&rgb, width, height, PixelFormat::Rgb24)?;
        detect_one(load_detector(&args.model)?.as_mut(), Frame::Host(view))?
    } else {
        Vec::new()
    };
    let mut canvas = canvas(&mut rgb, width, height)?;
    let points =
        |points: &[[f32; 2]]| -> Vec<[f64; 2]> { points.iter().map(|at| at.map(f64::from)).collect() };
    if args.truth {
        for zone in &world.scene().zones {
            place(&mut canvas, &zone.name, &points(&zone.polygon));
        }
        for line in &world.scene().lines {
            place(&mut canvas, &line.name, &points(&[line.start, line.end]));
        }
        for person in &truth.people {
            let seen = person.visible_share > evaluation::VISIBLE;
            canvas.rectangle(sides(person.bbox), if seen { GREEN } else { YELLOW }, 2);
        }
    }
    for found in &detections {
        let bbox = found.bbox;
        let [left, top, width, height] = sides([bbox.left, bbox.top, bbox.width, bbox.height]);
        canvas.rectangle([left, top, width, height], ORANGE, 2);
        canvas.text([left, top], &format!("{:.2}", found.score), ORANGE, 1);
    }
    image::save_buffer(&args.out, &rgb, width, height, image::ColorType::Rgb8)
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    println!(
        "{}: {} people, {} of them more than half visible, {} detections",
        args.out.display(),
        truth.people.len(),
        truth
            .people
            .iter()
            .filter(|person| person.visible_share > evaluation::VISIBLE)
            .count(),
        detections.len(),
    );
    Ok(())
}
