//! Boxes in, events out: who crosses the middle of the picture, and who enters or leaves its right half.
//!
//! `cargo run -p lva-zones --example zones-minimal -- 1920 1080 < boxes.txt`, with a line of `MS LEFT TOP WIDTH HEIGHT SCORE` for
//! each person that a detector found: the frame's time in milliseconds, the box in pixels, and a score from 0 to 1.
#![allow(clippy::print_stdout)]

use std::io;

use lva_zones::{
    BoundingBox, CrossingLine, Detection, Engine, Point, Scene, SceneOptions, Tracker, TrackerOptions, Zone,
};

const USAGE: &str = "usage: zones-minimal FRAME_WIDTH FRAME_HEIGHT < LINES, each line MS LEFT TOP WIDTH HEIGHT SCORE, boxes in pixels";

fn main() -> anyhow::Result<()> {
    let sizes: Result<Vec<u32>, _> = std::env::args().skip(1).map(|arg| arg.parse()).collect();
    let Ok(&[width, height]) = sizes.as_deref() else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    let right_half = [(0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)].map(|(x, y)| Point::new(x, y));
    let middle = CrossingLine::new("middle", Point::new(0.5, 0.0), Point::new(0.5, 1.0));
    let aspect = f64::from(width) / f64::from(height);
    let options = SceneOptions {
        aspect,
        ..SceneOptions::default()
    };
    let scene = Scene::new(vec![Zone::new("right", right_half)], vec![middle], options)?;
    let mut engine = Engine::new(scene);
    let mut tracker = Tracker::new(TrackerOptions {
        aspect,
        ..TrackerOptions::default()
    });

    let mut lines = io::stdin().lines().peekable();
    let mut frame = Vec::new();
    let read = |line: String| {
        line.split_whitespace()
            .map(str::parse)
            .collect::<Result<Vec<f32>, _>>()
    };
    while let Some(line) = lines.next() {
        let line = line?;
        let time = line.split_whitespace().next().unwrap_or_default().to_owned();
        let Ok(&[_, x, y, w, h, score]) = read(line).as_deref() else {
            anyhow::bail!("{USAGE}");
        };
        let bbox = BoundingBox::from_pixels(x, y, w, h, width, height);
        frame.push(Detection {
            bbox,
            class: 0,
            score,
        });
        // The frame ends where the time changes.
        let next = lines.peek().and_then(|next| next.as_ref().ok());
        if next.is_some_and(|next| next.split_whitespace().next() == Some(&time)) {
            continue;
        }
        let timestamp_90k = time.parse::<u64>()? * 90;
        let people = tracker.update(timestamp_90k, &frame)?;
        for event in engine.update(timestamp_90k, &people)? {
            println!("{time} ms: {} {:?}", event.name, event.kind);
        }
        frame.clear();
    }
    Ok(())
}
