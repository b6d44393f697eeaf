//! Tracks detections in the text of MOTChallenge, for comparing trackers on data of one's own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use lva_examples::mot::{MotDetections, Sequence, sequence_of, track};
use lva_examples::parse_size;
use lva_zones::TrackerOptions;

/// Read detections as lines of frame,id,left,top,width,height,conf,x,y,z, and write tracks in the same form.
///
/// Boxes are in pixels, frames are counted from 1, and the id of a detection is not looked at. A line is written for each confirmed
/// track in each frame in which it was detected. Counts are printed on standard error.
///
/// Example: track-mot MOT17/train/MOT17-02-FRCNN --output tracks/MOT17-02-FRCNN.txt
/// Example: track-mot --fps 15 --size 1280x720 - < detections.txt > tracks.txt
#[derive(Debug, Parser)]
#[command(verbatim_doc_comment)]
struct Args {
    /// A folder with seqinfo.ini and det/det.txt, or a file with detections, or - for standard input.
    input: PathBuf,
    /// Where to write the tracks. Default: standard output.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Frames a second. Default: frameRate of seqinfo.ini.
    #[arg(long)]
    fps: Option<f64>,
    /// Size of a frame in pixels. Default: imWidth and imHeight of seqinfo.ini.
    #[arg(long, value_parser = parse_size)]
    size: Option<(u32, u32)>,
    /// Look at every n-th frame only, as a camera of a lower rate would.
    #[arg(long, default_value_t = 1)]
    every: usize,
    /// Score from which a detection is matched first.
    #[arg(long, default_value_t = TrackerOptions::default().high_score)]
    high_score: f32,
    /// Score from which a detection continues a track; the high score to leave the second stage out.
    #[arg(long, default_value_t = TrackerOptions::default().low_score)]
    low_score: f32,
    /// Score from which a detection begins a track.
    #[arg(long, default_value_t = TrackerOptions::default().new_track_score)]
    new_track_score: f32,
    /// How long a track may be unseen and be found again, in milliseconds.
    #[arg(long, default_value_t = TrackerOptions::default().lost_ms)]
    lost_ms: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (file, of_folder) = match args.input.is_dir() {
        true => sequence_of(&args.input).map(|(file, sequence)| (file, Some(sequence)))?,
        false => (args.input.clone(), None),
    };
    let size = args
        .size
        .or(of_folder.map(|folder| (folder.width, folder.height)));
    let (width, height) = size.context("give the frames' size, --size 1920x1080")?;
    let fps = args.fps.or(of_folder.map(|folder| folder.fps));
    let fps = fps.context("give the frames a second, --fps 30")?;
    let sequence = Sequence { fps, width, height };

    let mut text = String::new();
    match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text).map(drop),
        false => fs::read_to_string(&file).map(|read| text = read),
    }
    .with_context(|| format!("cannot read {}", file.display()))?;
    let detections =
        MotDetections::parse(&text, &sequence).with_context(|| format!("in {}", file.display()))?;
    let options = TrackerOptions {
        high_score: args.high_score,
        low_score: args.low_score,
        new_track_score: args.new_track_score,
        lost_ms: args.lost_ms,
        ..TrackerOptions::default()
    };
    let tracks = track(&detections, &sequence, options, args.every)?;
    match &args.output {
        Some(path) => {
            fs::write(path, &tracks.text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        None => std::io::stdout().write_all(tracks.text.as_bytes())?,
    }
    eprintln!(
        "{} frames, {} boxes skipped, {} identities, {} found again",
        detections.frames.len(),
        detections.skipped,
        tracks.identities,
        tracks.stats.reidentified
    );
    Ok(())
}
