//! Preview pictures of a video: one thread beside the recorder's, which never waits for it.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use lva_framing::{
    Decoder, DecoderOptions, ImageFile, ImageSettings, Picture, PixelFormat, ScaleMode, UnitOutcome,
};
use lva_recording::{ClipReport, Keyframe, PreviewSize, write_preview};

use crate::extension::FrameMaker;
use crate::seam::picture::PictureForm;
use crate::seam::recording::decoded_codec;
use crate::stats::{Counters, PreviewStats};
use crate::thread::Worker;

/// Files whose pictures are still to be made. A file is finished each half minute, and its pictures take a tenth of a
/// second; more would wait only where the disk stands still.
const QUEUE: usize = 4;

/// Of a preview's JPEG.
const QUALITY: u8 = 80;

/// The pictures that one finished file is to get.
struct Job {
    clip: PathBuf,
    keyframe: Keyframe,
}

/// The recorder's end of the queue to the thread. Dropping it lets the thread end when it has made what waits.
pub(crate) struct PreviewInput {
    sender: SyncSender<Job>,
    tally: Tally,
}

impl PreviewInput {
    /// Asks for the pictures of a finished file. Never waits: what finds the queue full gets none, and is counted.
    pub(crate) fn of(&self, report: &ClipReport) {
        // What was finished after a crash has no key frame at hand.
        let Some(keyframe) = report.newest_keyframe.clone() else {
            return;
        };
        let clip = report.path.clone();
        self.give(Job { clip, keyframe });
    }

    fn give(&self, job: Job) {
        if self.sender.try_send(job).is_err() {
            self.tally.count(|previews| previews.left_out += 1);
        }
    }
}

/// Starts the thread of a sink.
pub(crate) fn start(sink: String, counters: Counters) -> io::Result<(PreviewInput, Worker)> {
    let (sender, jobs) = sync_channel(QUEUE);
    let tally = Tally { sink, counters };
    let input = PreviewInput {
        sender,
        tally: tally.clone(),
    };
    let worker = Worker::start("lva-preview", move || run(&jobs, &tally))?;
    Ok((input, worker))
}

fn run(jobs: &Receiver<Job>, tally: &Tally) {
    while let Ok(job) = jobs.recv() {
        match make(&job) {
            Ok(true) => tally.count(|previews| previews.made += 1),
            Ok(false) => tally.count(|previews| previews.left_out += 1),
            Err(error) => {
                tally.count(|previews| previews.failed += 1);
                tracing::warn!(sink = %tally.sink, clip = %job.clip.display(), error, "no preview pictures");
            }
        }
    }
}

/// Makes all sizes. `false`: the file is gone meanwhile.
fn make(job: &Job) -> Result<bool, String> {
    let picture = decode(&job.keyframe)?;
    let time = job.keyframe.unit.timestamp_90k;
    let mut jpeg = Vec::new();
    for size in PreviewSize::ALL {
        let (width, height) = (picture.width(), picture.height());
        let form = form(size, width, height);
        let plan = form.settings.plan(width, height).map_err(text)?;
        FrameMaker::new(form).make_file(&picture, &plan, &mut jpeg)?;
        if !write_preview(&job.clip, size, time, &jpeg).map_err(text)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn decode(keyframe: &Keyframe) -> Result<Picture, String> {
    let codec = decoded_codec(keyframe.video.codec).ok_or("nothing here decodes this video")?;
    // Opened for each picture: they are half a minute apart, and an open decoder holds several pictures.
    let options = DecoderOptions::default();
    let mut decoder = Decoder::open(codec, &keyframe.video.extra_data, &options).map_err(text)?;
    let unit = &keyframe.unit;
    let outcome = decoder.push(&unit.data, unit.timestamp_90k).map_err(text)?;
    decoder.flush();
    let picture = decoder.next_picture().ok_or("the key frame is no picture")?;
    if outcome == UnitOutcome::Damaged || picture.is_damaged() {
        return Err("the key frame is damaged".to_owned());
    }
    Ok(picture)
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// A JPEG whose longer side is as long as the size says, or the picture as it is where that is less.
fn form(size: PreviewSize, width: u32, height: u32) -> PictureForm {
    let side = size.long_edge();
    let settings = ImageSettings::new(PixelFormat::Bgr24);
    let settings = if width.max(height) > side {
        settings.with_scale(ScaleMode::PreserveAspectRatio, Some(side), Some(side))
    } else {
        settings
    };
    PictureForm {
        settings,
        file: Some(ImageFile::Jpeg { quality: QUALITY }),
    }
}

#[derive(Clone)]
struct Tally {
    sink: String,
    counters: Counters,
}

impl Tally {
    fn count(&self, change: impl FnOnce(&mut PreviewStats)) {
        self.counters
            .recording(&self.sink, |stats| change(&mut stats.previews));
    }
}

#[cfg(test)]
mod tests {
    use lva_recording::{MediaUnit, VideoCodec, VideoTrack};

    use super::*;

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

    fn tally() -> Tally {
        Tally {
            sink: "video".into(),
            counters: Counters::default(),
        }
    }

    #[test]
    fn what_is_no_picture_is_counted_and_the_next_is_looked_at() {
        let (sender, jobs) = sync_channel(QUEUE);
        for _ in 0..2 {
            sender.send(job()).unwrap();
        }
        drop(sender);
        let tally = tally();
        run(&jobs, &tally);
        let previews = tally.counters.snapshot().recordings["video"].previews;
        assert_eq!((previews.made, previews.failed, previews.left_out), (0, 2, 0));
    }

    #[test]
    fn a_thread_that_is_behind_costs_pictures_and_no_waiting() {
        let (sender, _jobs) = sync_channel(QUEUE);
        let tally = tally();
        let input = PreviewInput {
            sender,
            tally: tally.clone(),
        };
        for _ in 0..QUEUE + 3 {
            input.give(job());
        }
        let previews = tally.counters.snapshot().recordings["video"].previews;
        assert_eq!(previews.left_out, 3);
    }

    #[test]
    fn sizes_are_of_the_longer_side_and_nothing_is_enlarged() {
        let sizes = |width, height| {
            PreviewSize::ALL.map(|size| {
                let plan = form(size, width, height).settings.plan(width, height).unwrap();
                (plan.width(), plan.height())
            })
        };
        assert_eq!(sizes(1920, 1080), [(320, 180), (640, 360), (1280, 720)]);
        assert_eq!(sizes(1080, 1920), [(180, 320), (360, 640), (720, 1280)]);
        assert_eq!(sizes(640, 480), [(320, 240), (640, 480), (640, 480)]);
        assert_eq!(sizes(160, 120), [(160, 120); 3]);
    }
}
