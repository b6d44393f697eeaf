//! Draws one frame of the sample world as a PNG, with truth and detections on it when asked.
#![allow(clippy::print_stdout)] // a program

use anyhow::Context;
use clap::Parser;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use lva_examples::draw::Canvas;
use lva_examples::{ModelArgs, evaluation, parse_size};
use lva_inference::{Frame, ImageView, PixelFormat};
use lva_sample_world::{World, WorldOptions};
use std::path::PathBuf;

/// Draw one frame of the plaza as a PNG.
///
/// With --truth, people are outlined in green (more than half visible) or yellow, zones in blue and
/// lines in magenta. With --detect, what the detector finds is outlined in red with its score.
///
/// Example: sample-frame --seed 7 --frame 700 --truth --detect --out frame.png
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// Which people come, where they go, and how the light is.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Number of the frame, at 30 a second.
    #[arg(long, default_value_t = 300)]
    frame: u64,
    /// Size of the picture in pixels.
    #[arg(long, default_value = "1280x720", value_parser = parse_size)]
    size: (u32, u32),
    /// Draw what is true.
    #[arg(long)]
    truth: bool,
    /// Draw what a detector finds.
    #[arg(long)]
    detect: bool,
    #[command(flatten)]
    model: ModelArgs,
    /// The PNG file to write.
    #[arg(long)]
    out: PathBuf,
}

const ORANGE: Rgb888 = Rgb888::new(255, 80, 40);
const AZURE: Rgb888 = Rgb888::new(40, 120, 255);

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
        args.model.load()?.detect(Frame::Host(view))?
    } else {
        Vec::new()
    };
    let mut canvas = Canvas::new(&mut rgb, width, height);
    if args.truth {
        for zone in &world.scene().zones {
            canvas.polygon(&zone.polygon, AZURE, 2);
            canvas.label(&zone.name, zone.polygon[0], AZURE);
        }
        for line in &world.scene().lines {
            canvas.polygon(&[line.start, line.end], Rgb888::MAGENTA, 2);
            canvas.label(&line.name, line.start, Rgb888::MAGENTA);
        }
        for person in &truth.people {
            let seen = person.visible_share > evaluation::VISIBLE;
            canvas.outline(person.bbox, if seen { Rgb888::GREEN } else { Rgb888::YELLOW }, 2);
        }
    }
    for found in &detections {
        let bbox = found.bbox;
        canvas.outline([bbox.left, bbox.top, bbox.width, bbox.height], ORANGE, 2);
        let above = (bbox.top - 12.0 / height as f32).max(0.0);
        canvas.label(&format!("{:.2}", found.score), [bbox.left, above], ORANGE);
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
