//! Writes the stills that the embedded detector is trained on.

use anyhow::Context;
use clap::Parser;
use lva_sample_world::TrainingScene;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Draw training stills of the sample world.
///
/// Writes DIR/frames.rgb (all frames one after another, RGB, three bytes a pixel) and DIR/people.jsonl
/// (one JSON array a frame; each person as in a truth file). The training script reads both.
#[derive(Parser)]
struct Args {
    /// First seed; scene N has seed FIRST + N. Demo, tests and evaluation use seeds below 1000000.
    #[arg(long, default_value_t = 1_000_000)]
    first_seed: u64,
    /// Number of places.
    #[arg(long, default_value_t = 2500)]
    scenes: u64,
    /// Stills of each place.
    #[arg(long, default_value_t = 6)]
    stills: u32,
    /// Size of a still in pixels.
    #[arg(long, default_value = "512x288", value_parser = lva_examples::parse_size)]
    size: (u32, u32),
    /// Folder to write to; made when missing.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    anyhow::ensure!(
        args.first_seed >= 1_000_000,
        "seeds below 1000000 are kept for demo, tests and evaluation: --first-seed 1000000 or more"
    );
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make the folder {}", args.out.display()))?;
    let create = |name: &str| {
        let path = args.out.join(name);
        File::create(&path)
            .map(BufWriter::new)
            .with_context(|| format!("cannot write {}", path.display()))
    };
    let (mut frames, mut people) = (create("frames.rgb")?, create("people.jsonl")?);
    let (width, height) = args.size;
    let mut rgb = vec![0; width as usize * height as usize * 3];
    let progress = lva_examples::progress(args.scenes, "places");
    for number in 0..args.scenes {
        let mut scene = TrainingScene::new(args.first_seed + number, width, height)?;
        for still in 0..args.stills {
            let truth = scene.render(still, &mut rgb)?;
            frames.write_all(&rgb)?;
            serde_json::to_writer(&mut people, &truth)?;
            people.write_all(b"\n")?;
        }
        progress.inc(1);
    }
    frames.flush()?;
    people.flush()?;
    progress.finish();
    Ok(())
}
