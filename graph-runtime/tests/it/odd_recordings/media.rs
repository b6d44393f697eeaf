//! Encoded streams that ffmpeg makes, cut into pictures and units.

use std::path::Path;
use std::process::Command;

/// Pictures a second of each stream, and seconds of it; a key frame comes each second.
pub(super) const RATE: u32 = 15;
pub(super) const SECONDS: u32 = 8;

/// An encoded picture or frame of audio.
#[derive(Clone)]
pub(super) struct Sample {
    /// When it is sent, and when it is shown, in ticks of 1/90000 s.
    pub(super) sent_90k: u32,
    pub(super) shown_90k: u32,
    /// NAL units, or one frame of audio.
    pub(super) units: Vec<Vec<u8>>,
}

/// A stream whose parameter sets are apart.
#[derive(Clone)]
pub(super) struct Stream {
    pub(super) is_h265: bool,
    pub(super) sets: Vec<Vec<u8>>,
    pub(super) samples: Vec<Sample>,
}

fn ffmpeg(arguments: &[&str]) -> Option<Vec<u8>> {
    let arguments = ["-nostdin", "-v", "error", "-y"].iter().chain(arguments);
    match Command::new("ffmpeg").args(arguments).output() {
        Ok(output) if output.status.success() => Some(output.stdout),
        Ok(output) => {
            eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr));
            None
        }
        Err(error) => {
            eprintln!("skipped: no program ffmpeg: {error}");
            None
        }
    }
}

/// The samples of a file's first stream; `filter` is applied to them.
fn samples(path: &str, filter: &str) -> Option<Vec<Sample>> {
    let from = ["-i", path, "-map", "0", "-c", "copy", "-bsf", filter, "-f"];
    let bytes = ffmpeg(&[&from[..], &["data", "-"]].concat())?;
    let list = String::from_utf8(ffmpeg(&[&from[..], &["framecrc", "-"]].concat())?).ok()?;
    let ticks_a_second: f64 = list
        .lines()
        .find_map(|line| line.strip_prefix("#tb 0: 1/"))?
        .parse()
        .ok()?;
    let mut rest = bytes.as_slice();
    let mut samples = Vec::new();
    let mut first = None;
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<i64> = line
            .split(',')
            .map_while(|field| field.trim().parse().ok())
            .collect();
        let [_, decoded, shown, _, size] = fields[..] else {
            return None;
        };
        let first = *first.get_or_insert(decoded);
        let ticks = |time: i64| ((time - first) as f64 * 90_000.0 / ticks_a_second).round() as u32;
        let (data, behind) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        rest = behind;
        samples.push(Sample {
            sent_90k: ticks(decoded),
            shown_90k: ticks(shown),
            units: vec![data.to_vec()],
        });
    }
    Some(samples)
}

/// The units between start codes.
pub(super) fn units(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut zeros = 0;
    for byte in bytes {
        if *byte == 1 && zeros >= 2 {
            if let Some(unit) = found.last_mut() {
                unit.truncate(unit.len() - zeros);
            }
            found.push(Vec::new());
        } else if let Some(unit) = found.last_mut() {
            unit.push(*byte);
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
    }
    found
}

/// A moving test picture of this size, encoded with these options of ffmpeg. `None`, with a note, where that is not possible.
pub(super) fn video(directory: &Path, name: &str, size: &str, options: &[&str]) -> Option<Stream> {
    let path = directory.join(format!("{name}.mp4"));
    let path = path.to_str()?;
    let source = format!("testsrc2=size={size}:rate={RATE}:duration={SECONDS}");
    let source = [
        "-f", "lavfi", "-i", &source, "-pix_fmt", "yuv420p", "-g", "15", "-bf", "0",
    ];
    ffmpeg(&[&source[..], options, &[path]].concat())?;
    let is_h265 = options.contains(&"libx265");
    let codec = if is_h265 { "hevc" } else { "h264" };
    let mut stream = Stream {
        is_h265,
        sets: Vec::new(),
        samples: samples(path, &format!("{codec}_mp4toannexb"))?,
    };
    for sample in &mut stream.samples {
        for unit in units(&sample.units.concat()) {
            // VPS, SPS, PPS.
            let kind = kind(is_h265, &unit);
            if matches!((is_h265, kind), (true, 32..=34) | (false, 7..=8)) {
                if !stream.sets.contains(&unit) {
                    stream.sets.push(unit);
                }
            } else {
                sample.units.push(unit);
            }
        }
        sample.units.remove(0);
    }
    Some(stream)
}

/// A tone in AAC of 16 kHz, one channel.
pub(super) fn audio(directory: &Path) -> Option<Vec<Sample>> {
    let path = directory.join("tone.mp4");
    let path = path.to_str()?;
    let source = format!("sine=sample_rate=16000:duration={SECONDS}");
    ffmpeg(&["-f", "lavfi", "-i", &source, "-ac", "1", "-c:a", "aac", path])?;
    samples(path, "null")
}

/// The type of a unit.
pub(super) fn kind(is_h265: bool, unit: &[u8]) -> u8 {
    let first = unit.first().copied().unwrap_or_default();
    if is_h265 { first >> 1 & 63 } else { first & 31 }
}

impl Stream {
    pub(super) fn is_key(&self, sample: &Sample) -> bool {
        let is_key = |unit: &Vec<u8>| match (self.is_h265, kind(self.is_h265, unit)) {
            (true, kind) => (16..=21).contains(&kind),
            (false, kind) => kind == 5,
        };
        sample.units.iter().any(is_key)
    }
}
