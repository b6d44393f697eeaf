//! A simulated camera that is covered from time to time.

use std::path::Path;

use anyhow::Context;

use crate::tutorial::Camera;
use crate::{EncoderOptions, VideoReader, VideoWriter};

/// Frames per second of the clip; the plaza has three times as many.
const FPS: u32 = 10;
const SECONDS: u32 = 15;
/// Seconds in which the camera is covered.
const COVERED: std::ops::Range<u32> = 6..10;

/// A camera that repeats fifteen seconds of the plaza, dark from second 6 to second 10. The clip is written to the
/// directory.
///
/// # Errors
///
/// The clip cannot be written, or no port is free.
pub async fn covered_camera(directory: &Path) -> anyhow::Result<Camera> {
    let clip = directory.join("covered.mp4");
    cover(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("media/plaza.mp4"),
        &clip,
    )?;
    let camera = Camera::simulated(&clip).await?;
    eprintln!("camera: {} (covered from second 6 to 10 of every 15)", camera.url);
    Ok(camera)
}

/// Writes every third frame of a clip at half its size, dark while the camera is covered.
fn cover(clip: &Path, to: &Path) -> anyhow::Result<()> {
    let mut reader = VideoReader::open(clip)?;
    let mut writer = None;
    let mut bgr = Vec::new();
    for frame in 0..SECONDS * FPS {
        let mut size = None;
        for _ in 0..3 {
            size = reader.read(&mut bgr)?;
        }
        let (width, height) = size.context("the clip is too short")?;
        let covered = COVERED.contains(&(frame / FPS));
        let rgb = half(&bgr, width as usize, if covered { 10 } else { 1 });
        let writer = match &mut writer {
            Some(writer) => writer,
            None => writer.insert(VideoWriter::create(
                to,
                EncoderOptions {
                    width: width / 2,
                    height: height / 2,
                    fps: FPS,
                    keyframe_interval: FPS,
                    quality: 28,
                },
            )?),
        };
        writer.write(&rgb)?;
    }
    writer.map_or(Ok(()), VideoWriter::finish)
}

/// Every other pixel of every other row as RGB, darkened by a divisor.
fn half(bgr: &[u8], width: usize, divisor: u8) -> Vec<u8> {
    let rows = bgr.chunks_exact(width * 3).step_by(2);
    let pixels = rows.flat_map(|row| row.chunks_exact(3).step_by(2));
    let rgb = pixels.flat_map(|pixel| pixel.iter().rev().map(|light| light / divisor));
    rgb.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_pixels_are_left_and_are_darker() {
        let bgr: Vec<u8> = (0..4 * 2 * 3).map(|byte| byte * 10).collect();
        assert_eq!(half(&bgr, 4, 1), [20, 10, 0, 80, 70, 60]);
        assert_eq!(half(&bgr, 4, 10), [2, 1, 0, 8, 7, 6]);
    }
}
