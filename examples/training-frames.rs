//! Writes the training pictures of the embedded detector.

use anyhow::Context;
use clap::Parser;
use lva_sample_world::TrainingScene;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Draw training pictures of the sample world.
///
/// Writes DIR/frames.rgb (all frames in sequence, RGB, three bytes per pixel) and DIR/people.jsonl
/// (one JSON array per frame; each person as in a truth file). The training script reads both.
#[derive(Parser)]
struct Args {
    /// First seed; scene N has seed FIRST + N. Demo, tests and evaluation use seeds below 1000000.
    #[arg(long, default_value_t = 1_000_000)]
    first_seed: u64,
    /// Number of scenes.
    #[arg(long, default_value_t = 2500)]
    scenes: u64,
    /// Pictures per scene.
    #[arg(long, default_value_t = 6)]
    stills: u32,
    /// Size of a picture in pixels.
    #[arg(long, default_value = "512x288", value_parser = lva_examples::parse_size)]
    size: (u32, u32),
    /// Draw every picture this many times larger and average it, like a larger picture that is scaled down to
    /// the input.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4))]
    oversample: u32,
    /// Output directory; created if missing.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    anyhow::ensure!(
        args.first_seed >= 1_000_000,
        "seeds below 1000000 are reserved for demo, tests and evaluation: use --first-seed 1000000 or more"
    );
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot create the directory {}", args.out.display()))?;
    let create = |name: &str| {
        let path = args.out.join(name);
        File::create(&path)
            .map(BufWriter::new)
            .with_context(|| format!("cannot write {}", path.display()))
    };
    let (mut frames, mut people) = (create("frames.rgb")?, create("people.jsonl")?);
    let (width, height) = args.size;
    let factor = args.oversample;
    let mut drawn = vec![0; (width * factor) as usize * (height * factor) as usize * 3];
    let mut rgb = vec![0; width as usize * height as usize * 3];
    let progress = lva_examples::progress(args.scenes, "scenes");
    for number in 0..args.scenes {
        let mut scene = TrainingScene::new(args.first_seed + number, width * factor, height * factor)?;
        for still in 0..args.stills {
            let truth = scene.render(still, &mut drawn)?;
            average(&drawn, width as usize, factor as usize, &mut rgb);
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

/// Averages each square of `factor` by `factor` pixels of `drawn` into one pixel of a picture of `width`.
fn average(drawn: &[u8], width: usize, factor: usize, rgb: &mut [u8]) {
    let area = (factor * factor) as u32;
    let line = width * factor * 3;
    for (rows, out) in drawn
        .chunks_exact(line * factor)
        .zip(rgb.chunks_exact_mut(width * 3))
    {
        for (index, value) in out.iter_mut().enumerate() {
            let (column, channel) = (index / 3 * factor, index % 3);
            let square = rows.chunks_exact(line).flat_map(|row| {
                row[column * 3..(column + factor) * 3]
                    .iter()
                    .skip(channel)
                    .step_by(3)
            });
            *value = ((square.map(|v| u32::from(*v)).sum::<u32>() + area / 2) / area) as u8;
        }
    }
}
