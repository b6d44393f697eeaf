//! Draws and encodes a clip of the sample world, and writes its truth.
#![allow(clippy::print_stdout)] // a program

use anyhow::Context;
use clap::Parser;
use lva_examples::{EncoderOptions, VideoWriter, parse_size, progress};
use lva_sample_world::{ClipTruth, FrameTruth, World, WorldOptions};
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

/// Draw a clip of the plaza, encode it as H.264, and write the truth of every frame.
///
/// The same seed and options draw the same pictures on any machine. Like a camera's, the stream has no
/// B-frames, and a keyframe every two seconds.
///
/// Example: sample-video --seed 7 --seconds 60 --out plaza.mp4 --truth plaza.json
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// Seed that determines the people, their paths and the light.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Length in seconds.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Size of the picture in pixels, both even.
    #[arg(long, default_value = "1280x720", value_parser = parse_size)]
    size: (u32, u32),
    /// Frames per second.
    #[arg(long, default_value_t = 30)]
    fps: u32,
    /// x264's constant rate factor: lower values mean better quality and larger files.
    #[arg(long, default_value_t = 25)]
    quality: u8,
    /// The MP4 file to write.
    #[arg(long)]
    out: PathBuf,
    /// The JSON file to write with zones, lines, events, and the people of every frame.
    #[arg(long)]
    truth: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (width, height) = args.size;
    let options = WorldOptions {
        width,
        height,
        fps: args.fps,
        seconds: args.seconds,
    };
    let world = World::new(args.seed, options)?;
    let keyframe_interval = args.fps.saturating_mul(2);
    let mut video = VideoWriter::create(
        &args.out,
        EncoderOptions {
            width,
            height,
            fps: args.fps,
            keyframe_interval,
            quality: args.quality,
        },
    )?;
    let scene = world.scene().clone();
    let bar = progress(scene.frame_count, "frames");
    let mut frames = Vec::new();
    draw_in_order(&world, |truth, rgb| {
        video.write(rgb)?;
        frames.push(truth);
        bar.inc(1);
        Ok(())
    })?;
    video.finish()?;
    bar.finish();
    let people: usize = frames.iter().map(|frame| frame.people.len()).sum();
    println!(
        "{}: {} frames, {people} observations of people, {} events at zones and lines",
        args.out.display(),
        frames.len(),
        scene.events.len(),
    );
    if let Some(path) = args.truth {
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        serde_json::to_writer(BufWriter::new(file), &ClipTruth { scene, frames })
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Draws all frames on all cores, and passes them on in order.
fn draw_in_order(
    world: &World,
    mut take: impl FnMut(FrameTruth, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let workers = thread::available_parallelism().map_or(1, |n| n.get().min(8)) as u64;
    let count = world.frame_count();
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..workers)
            .map(|lane| {
                // At most two frames per thread wait for the encoder, to limit memory.
                let (ready, frames) = mpsc::sync_channel(2);
                let mut world = world.clone();
                scope.spawn(move || {
                    for index in (lane..count).step_by(workers as usize) {
                        let mut rgb = vec![0; world.frame_bytes()];
                        let drawn = world.render(index, &mut rgb).map(|truth| (truth, rgb));
                        if ready.send(drawn).is_err() {
                            return; // The encoder has failed.
                        }
                    }
                });
                frames
            })
            .collect();
        for index in 0..count {
            let (truth, rgb) = lanes[(index % workers) as usize]
                .recv()
                .context("a drawing thread panicked")??;
            take(truth, &rgb)?;
        }
        Ok(())
    })
}
