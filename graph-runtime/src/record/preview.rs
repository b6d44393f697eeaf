//! Preview pictures of a video, on a thread for which the recorder never waits.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use lva_framing::{
    Decoder, DecoderOptions, ImageFile, ImageSettings, Picture, PixelFormat, ScaleMode, UnitOutcome,
};
use lva_recording::{ClipReport, Keyframe, PreviewSize, write_preview};

use crate::convert::picture::FrameSpec;
use crate::emitter::NodeReporter;
use crate::render::FrameRenderer;
use crate::stats::PreviewStats;
use crate::thread::Worker;

/// Files that wait for their previews. A file is finished every half minute, and its previews take a tenth of a second;
/// more would wait only on a stalled disk.
const QUEUE: usize = 4;

/// Of a preview's JPEG.
const QUALITY: u8 = 80;

/// A finished file that gets previews.
struct Job {
    clip: PathBuf,
    keyframe: Keyframe,
}

/// The recorder's end of the queue. After it is dropped, the thread finishes what waits and ends.
pub(super) struct PreviewInput {
    sender: SyncSender<Job>,
    sink: NodeReporter,
}

impl PreviewInput {
    /// Requests the previews of a finished file. Never waits: a file that finds the queue full gets none, and is counted.
    pub(super) fn request(&self, report: &ClipReport) {
        // A file that was finished after a crash comes without a key frame.
        let Some(keyframe) = report.newest_keyframe.clone() else {
            return;
        };
        let clip = report.path.clone();
        self.give(Job { clip, keyframe });
    }

    fn give(&self, job: Job) {
        if self.sender.try_send(job).is_err() {
            count(&self.sink, |previews| previews.skipped += 1);
        }
    }
}

/// Starts the thread of a sink, whose files stay below these folders.
pub(super) fn start(sink: NodeReporter, folders: Vec<PathBuf>) -> io::Result<(PreviewInput, Worker)> {
    let (sender, jobs) = sync_channel(QUEUE);
    let input = PreviewInput {
        sender,
        sink: sink.clone(),
    };
    let worker = Worker::start("lva-preview", move || run(&jobs, &sink, &folders))?;
    Ok((input, worker))
}

fn run(jobs: &Receiver<Job>, sink: &NodeReporter, folders: &[PathBuf]) {
    while let Ok(job) = jobs.recv() {
        match make(&job, folders) {
            Ok(true) => count(sink, |previews| previews.made += 1),
            Ok(false) => count(sink, |previews| previews.skipped += 1),
            Err(error) => {
                count(sink, |previews| previews.failed += 1);
                tracing::warn!(sink = sink.name(), clip = %job.clip.display(), error, "could not make preview pictures");
            }
        }
    }
}

/// Makes all sizes. `false`: the file was removed in the meantime.
fn make(job: &Job, folders: &[PathBuf]) -> Result<bool, String> {
    let picture = decode(&job.keyframe)?;
    let time = job.keyframe.unit.timestamp_90k;
    let mut jpeg = Vec::new();
    for size in PreviewSize::ALL {
        let (width, height) = (picture.width(), picture.height());
        let spec = spec(size, width, height);
        let plan = spec.settings.plan(width, height).map_err(text)?;
        FrameRenderer::new(spec).encode(&picture, &plan, &mut jpeg)?;
        if !write_preview(folders, &job.clip, size, time, &jpeg).map_err(text)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn decode(keyframe: &Keyframe) -> Result<Picture, String> {
    let codec = keyframe.video.codec;
    // Opened for each picture: they are half a minute apart, and an open decoder holds several pictures.
    let options = DecoderOptions::default();
    let mut decoder = Decoder::open(codec, &keyframe.video.extra_data, options).map_err(text)?;
    let unit = &keyframe.unit;
    let outcome = decoder.push(&unit.data, unit.timestamp_90k).map_err(text)?;
    decoder.flush();
    let picture = decoder
        .next_picture()
        .ok_or("the key frame does not decode to a picture")?;
    if outcome == UnitOutcome::Damaged || picture.is_damaged() {
        return Err("the key frame is damaged".to_owned());
    }
    Ok(picture)
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// A JPEG with the longer side of the size, or the picture as it is where it is smaller.
fn spec(size: PreviewSize, width: u32, height: u32) -> FrameSpec {
    let side = size.long_edge();
    let settings = ImageSettings::new(PixelFormat::Bgr24);
    let settings = if width.max(height) > side {
        settings.with_scale(ScaleMode::PreserveAspectRatio, Some(side), Some(side))
    } else {
        settings
    };
    FrameSpec {
        settings,
        file: Some(ImageFile::Jpeg { quality: QUALITY }),
    }
}

fn count(sink: &NodeReporter, change: impl FnOnce(&mut PreviewStats)) {
    sink.counters().recording(|stats| change(&mut stats.previews));
}

#[cfg(test)]
mod tests {
    use lva_recording::{MediaUnit, VideoCodec, VideoTrack};

    use super::*;
    use crate::emitter::EventEmitter;
    use crate::stats::Counters;

    fn job() -> Job {
        let video = VideoTrack {
            codec: VideoCodec::H264,
            extra_data: [
                1, 66, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 66, 0, 30, 1, 0, 3, 0x68, 4, 5,
            ]
            .to_vec()
            .into(),
            width: 64,
            height: 48,
        };
        let unit = MediaUnit::video(0, true, vec![0, 0, 0, 2, 0x65, 7].into());
        Job {
            clip: "nowhere/a.mp4".into(),
            keyframe: Keyframe::new(unit, video),
        }
    }

    fn sink() -> (NodeReporter, Counters) {
        let counters = Counters::default();
        (EventEmitter::detached(&counters).test_node("video"), counters)
    }

    #[test]
    fn an_invalid_key_frame_is_counted_and_the_next_is_tried() {
        let (sender, jobs) = sync_channel(QUEUE);
        for _ in 0..2 {
            sender.send(job()).unwrap();
        }
        drop(sender);
        let (sink, counters) = sink();
        run(&jobs, &sink, &[]);
        let previews = counters.snapshot().recordings["video"].previews;
        assert_eq!((previews.made, previews.failed, previews.skipped), (0, 2, 0));
    }

    #[test]
    fn a_thread_that_is_behind_skips_previews_and_never_waits() {
        let (sender, _jobs) = sync_channel(QUEUE);
        let (sink, counters) = sink();
        let input = PreviewInput { sender, sink };
        for _ in 0..QUEUE + 3 {
            input.give(job());
        }
        let previews = counters.snapshot().recordings["video"].previews;
        assert_eq!(previews.skipped, 3);
    }

    #[test]
    fn sizes_are_of_the_longer_side_and_nothing_is_enlarged() {
        let sizes = |width, height| {
            PreviewSize::ALL.map(|size| {
                let plan = spec(size, width, height).settings.plan(width, height).unwrap();
                (plan.width(), plan.height())
            })
        };
        assert_eq!(sizes(1920, 1080), [(320, 180), (640, 360), (1280, 720)]);
        assert_eq!(sizes(1080, 1920), [(180, 320), (360, 640), (720, 1280)]);
        assert_eq!(sizes(640, 480), [(320, 240), (640, 480), (640, 480)]);
        assert_eq!(sizes(160, 120), [(160, 120); 3]);
    }
}
