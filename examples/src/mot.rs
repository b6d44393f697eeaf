//! Detections and tracks as the text of MOTChallenge, for comparing trackers on data of one's own.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use lva_zones::{BoundingBox, Detection, Tracker, TrackerOptions, TrackerStats};

/// Most lines of a file.
const MAX_LINES: usize = 10_000_000;

/// Highest number of a frame: a day at 60 frames a second.
const MAX_FRAME: u64 = 5_184_000;

/// What a file of boxes belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sequence {
    /// Frames a second.
    pub fps: f64,
    /// Width of a frame in pixels.
    pub width: u32,
    /// Height of a frame in pixels.
    pub height: u32,
}

impl Sequence {
    /// Reads a `seqinfo.ini`: its `frameRate`, `imWidth` and `imHeight`.
    ///
    /// # Errors
    ///
    /// With the name of the member that is missing or no number.
    pub fn from_ini(text: &str) -> anyhow::Result<Self> {
        let value = |name: &str| {
            let mut members = text.lines().filter_map(|line| line.split_once('='));
            let found = members.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
            let found = found
                .with_context(|| format!("no '{name}' in seqinfo.ini"))?
                .1
                .trim();
            found
                .parse::<f64>()
                .with_context(|| format!("'{name}' of seqinfo.ini is no number"))
        };
        let side = |name: &str| {
            let side = value(name)?;
            ensure!(
                (1.0..=65_535.0).contains(&side),
                "'{name}' of seqinfo.ini is {side}: give pixels"
            );
            Ok(side as u32)
        };
        Ok(Self {
            fps: value("frameRate")?,
            width: side("imWidth")?,
            height: side("imHeight")?,
        })
    }

    /// Ticks of 1/90000 s until a frame, counted from 1.
    fn ticks(&self, frame: u64) -> u64 {
        ((frame - 1) as f64 * 90_000.0 / self.fps).round() as u64
    }
}

/// The file with detections of a folder in MOTChallenge's layout, and what its `seqinfo.ini` says.
///
/// # Errors
///
/// When one of them cannot be read.
pub fn sequence_of(folder: &Path) -> anyhow::Result<(PathBuf, Sequence)> {
    let info = folder.join("seqinfo.ini");
    let text = fs::read_to_string(&info).with_context(|| format!("cannot read {}", info.display()))?;
    Ok((folder.join("det/det.txt"), Sequence::from_ini(&text)?))
}

/// Detections of frames, counted from 1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MotDetections {
    /// By frame; the first is frame 1.
    pub frames: Vec<Vec<Detection>>,
    /// Lines whose box has no area or is far out of the frame.
    pub skipped: u64,
}

impl MotDetections {
    /// Reads lines `frame,id,left,top,width,height,conf[,x,y,z]`, separated by commas or spaces, in any order of frames. The id and
    /// what follows the confidence are not looked at; a confidence above 1 counts as 1.
    ///
    /// # Errors
    ///
    /// With the number of the line that is wrong.
    pub fn parse(text: &str, sequence: &Sequence) -> anyhow::Result<Self> {
        let mut read = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_start_matches('\u{feff}').trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            ensure!(number <= MAX_LINES, "more than {MAX_LINES} lines");
            read.line(line, sequence)
                .with_context(|| format!("line {number}"))?;
        }
        Ok(read)
    }

    fn line(&mut self, line: &str, sequence: &Sequence) -> anyhow::Result<()> {
        let words = line.split(|c: char| c == ',' || c.is_whitespace());
        let numbers: Vec<f64> = words
            .filter(|word| !word.is_empty())
            .take(7)
            .map(|word| word.parse().with_context(|| format!("{word:?} is no number")))
            .collect::<anyhow::Result<_>>()?;
        let [frame, _, left, top, width, height, conf] = numbers[..] else {
            bail!(
                "{} numbers where frame,id,left,top,width,height,conf are needed",
                numbers.len()
            );
        };
        ensure!(
            frame.fract() == 0.0 && (1.0..=MAX_FRAME as f64).contains(&frame),
            "frame {frame}: frames are counted from 1 to {MAX_FRAME}"
        );
        let [left, top, width, height] = [left, top, width, height].map(|pixels| pixels as f32);
        let bbox = BoundingBox::from_pixels(left, top, width, height, sequence.width, sequence.height);
        if !bbox.is_valid() || conf.is_nan() {
            self.skipped += 1;
            return Ok(());
        }
        let index = frame as usize - 1;
        if self.frames.len() <= index {
            self.frames.resize(index + 1, Vec::new());
        }
        if let Some(found) = self.frames.get_mut(index) {
            found.push(Detection {
                bbox,
                class: 0,
                score: conf.min(1.0) as f32,
            });
        }
        Ok(())
    }
}

/// Tracks of a sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct MotTracks {
    /// Lines `frame,id,left,top,width,height,conf,-1,-1,-1`.
    pub text: String,
    /// How many identities it has.
    pub identities: usize,
    /// What the tracker ignored and found again.
    pub stats: TrackerStats,
}

/// Tracks the detections of every `every`-th frame, from the first on. Times stay those of the sequence. As in a live stream, a person
/// has no line before the frame that confirmed the track, nor in frames in which they were not detected.
///
/// # Errors
///
/// When the sequence's rate is not possible.
pub fn track(
    detections: &MotDetections,
    sequence: &Sequence,
    options: TrackerOptions,
    every: usize,
) -> anyhow::Result<MotTracks> {
    ensure!(
        (0.01..=1000.0).contains(&sequence.fps),
        "{} frames a second are not possible: give 0.01 to 1000",
        sequence.fps
    );
    let (width, height) = (f64::from(sequence.width), f64::from(sequence.height));
    let mut tracker = Tracker::new(TrackerOptions {
        aspect: width / height,
        ..options
    });
    let mut text = String::new();
    let mut identities = std::collections::BTreeSet::new();
    for (frame, found) in (1..).zip(&detections.frames).step_by(every.max(1)) {
        for seen in tracker.update(sequence.ticks(frame), found)? {
            if !seen.confirmed {
                continue;
            }
            identities.insert(seen.track);
            let [left, across] = [seen.bbox.left, seen.bbox.width].map(|share| f64::from(share) * width);
            let [top, down] = [seen.bbox.top, seen.bbox.height].map(|share| f64::from(share) * height);
            writeln!(
                text,
                "{frame},{},{left:.2},{top:.2},{across:.2},{down:.2},{:.4},-1,-1,-1",
                seen.track, seen.score
            )?;
        }
    }
    Ok(MotTracks {
        text,
        identities: identities.len(),
        stats: tracker.stats(),
    })
}
