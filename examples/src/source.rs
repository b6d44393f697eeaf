//! Pictures from a file or a camera.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use lva_framing::{Decoder, DecoderOptions, FrameRate, Pacer, Picture, VideoCodec};
use lva_media_types::MediaTime;
use lva_rtsp::{
    AccessUnit, Camera, CameraEvent, CameraOptions, CameraStopReason, CameraUrl, StreamInfo, Timeouts,
};
use parking_lot::{Condvar, Mutex};
use tokio::sync::mpsc;

use crate::UnitReader;

/// Time between two pictures of a file with a single picture.
const DEFAULT_STEP_90K: u64 = MediaTime::TICKS_PER_SECOND / 30;

/// Most units queued for the decoder.
const QUEUE: usize = 64;

/// How long a camera may be disconnected before the run ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// A file, whose pictures wait, or a camera, whose pictures do not.
#[derive(Debug)]
pub enum Source {
    /// All pictures of a file in order.
    File(Box<FilePictures>),
    /// The newest picture of a camera.
    Camera(CameraPictures),
}

impl Source {
    /// Opens a file, or connects to a camera if `video` starts with `rtsp:`. Yields at most `fps` pictures per second of
    /// media time. An `endless` file restarts at its end. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// The file is not a video, or the address is invalid.
    pub fn open(video: &str, fps: Option<FrameRate>, endless: bool) -> anyhow::Result<Self> {
        let pacer = fps.map(Pacer::new);
        let is_camera = video
            .trim()
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("rtsp:"));
        Ok(if is_camera {
            Self::Camera(CameraPictures::connect(video, pacer)?)
        } else {
            Self::File(Box::new(FilePictures::open(
                Path::new(video),
                DecoderOptions::default(),
                pacer,
                endless,
            )?))
        })
    }

    /// Blocks until the next picture. `None` at the end of a file and after a stop.
    ///
    /// # Errors
    ///
    /// The file cannot be decoded, or the camera was disconnected for too long.
    pub fn next_picture(&mut self) -> anyhow::Result<Option<Picture>> {
        match self {
            Self::File(file) => file.next_picture(),
            Self::Camera(camera) => camera.shared.take(),
        }
    }

    /// Stops [`next_picture`](Self::next_picture) of a camera from another thread. No effect on a file.
    pub fn stopper(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = match self {
            Self::File(_) => None,
            Self::Camera(camera) => Some(Arc::clone(&camera.shared)),
        };
        move || {
            if let Some(shared) = &shared {
                shared.end(Ok(()));
            }
        }
    }

    /// Dropped pictures by reason.
    pub fn dropped(&self) -> Vec<(&'static str, u64)> {
        match self {
            Self::File(_) => Vec::new(),
            Self::Camera(camera) => camera.shared.dropped(),
        }
    }
}

/// The pictures of a file, as fast as they are requested. Their times follow the file's, starting now.
pub struct FilePictures {
    path: PathBuf,
    reader: UnitReader,
    decoder: Decoder,
    options: DecoderOptions,
    pacer: Option<Pacer>,
    endless: bool,
    /// Media time of the file's first picture, and the file's own time of it.
    start_90k: u64,
    first_90k: Option<u64>,
    last_90k: Option<u64>,
    step_90k: u64,
    at_end: bool,
}

impl std::fmt::Debug for FilePictures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilePictures")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl FilePictures {
    pub(crate) fn open(
        path: &Path,
        options: DecoderOptions,
        pacer: Option<Pacer>,
        endless: bool,
    ) -> anyhow::Result<Self> {
        let reader = UnitReader::open(path)?;
        let decoder = Decoder::open(reader.codec(), reader.extra_data(), options.clone())?;
        Ok(Self {
            path: path.to_owned(),
            reader,
            decoder,
            options,
            pacer,
            endless,
            start_90k: MediaTime::from_system_time(SystemTime::now()).ticks_90k(),
            first_90k: None,
            last_90k: None,
            step_90k: DEFAULT_STEP_90K,
            at_end: false,
        })
    }

    /// Number of pictures according to the file; 0 if unknown.
    pub fn count(&self) -> u64 {
        self.reader.count()
    }

    pub(crate) fn next_picture(&mut self) -> anyhow::Result<Option<Picture>> {
        loop {
            if let Some(picture) = self.decoder.next_picture() {
                let time = picture.timestamp_90k();
                if let Some(last) = self.last_90k.replace(time) {
                    self.step_90k = time.saturating_sub(last).max(1);
                }
                if self.pacer.as_mut().is_none_or(|pacer| pacer.admit(time)) {
                    return Ok(Some(picture));
                }
            } else if !self.at_end {
                self.feed()?;
            } else if self.endless && self.last_90k.is_some() {
                self.restart()?;
            } else {
                return Ok(None);
            }
        }
    }

    fn feed(&mut self) -> anyhow::Result<()> {
        let Some((unit, time)) = self.reader.next_unit() else {
            self.at_end = true;
            self.decoder.flush();
            return Ok(());
        };
        let first = *self.first_90k.get_or_insert(time);
        let time = self.start_90k + time.saturating_sub(first);
        let pushed = self.decoder.push(unit.data().unwrap_or_default(), time);
        let _ = pushed.with_context(|| format!("cannot decode {}", self.path.display()))?;
        Ok(())
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        let start_90k = self.last_90k.map_or(self.start_90k, |last| last + self.step_90k);
        *self = Self {
            start_90k,
            last_90k: self.last_90k,
            step_90k: self.step_90k,
            ..Self::open(&self.path, self.options.clone(), self.pacer.take(), true)?
        };
        Ok(())
    }
}

/// The newest picture of a camera.
#[derive(Debug)]
pub struct CameraPictures {
    shared: Arc<Newest>,
}

#[derive(Debug, Default)]
struct Newest {
    slot: Mutex<Slot>,
    changed: Condvar,
    replaced: AtomicU64,
    damaged: AtomicU64,
    decoder_busy: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    picture: Option<Picture>,
    end: Option<Result<(), String>>,
}

impl Newest {
    fn put(&self, picture: Picture) {
        let mut slot = self.slot.lock();
        if slot.picture.replace(picture).is_some() {
            self.replaced.fetch_add(1, Ordering::Relaxed);
        }
        self.changed.notify_all();
    }

    fn end(&self, how: Result<(), String>) {
        let mut slot = self.slot.lock();
        slot.end.get_or_insert(how);
        self.changed.notify_all();
    }

    fn take(&self) -> anyhow::Result<Option<Picture>> {
        let mut slot = self.slot.lock();
        let is_empty = |slot: &mut Slot| slot.picture.is_none() && slot.end.is_none();
        self.changed.wait_while(&mut slot, is_empty);
        match &slot.end {
            Some(Ok(())) => Ok(None),
            Some(Err(why)) => bail!("{why}"),
            None => Ok(slot.picture.take()),
        }
    }

    fn dropped(&self) -> Vec<(&'static str, u64)> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        vec![
            ("replacedByNewer", read(&self.replaced)),
            ("damagedPicture", read(&self.damaged)),
            ("decoderBusy", read(&self.decoder_busy)),
        ]
    }
}

enum Command {
    Stream(VideoCodec, bytes::Bytes),
    Unit(AccessUnit),
}

impl CameraPictures {
    fn connect(address: &str, pacer: Option<Pacer>) -> anyhow::Result<Self> {
        let (url, credentials) = CameraUrl::parse_with_credentials(address)?;
        let options = CameraOptions::new(url)
            .with_credentials(credentials)
            .with_timeouts(Timeouts::default().with_give_up(Some(PATIENCE)));
        let shared = Arc::new(Newest::default());
        let (commands, queue) = mpsc::channel(QUEUE);
        tokio::spawn(listen(options, commands, Arc::clone(&shared)));
        let pictures = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("decode".to_owned())
            .spawn(move || decode(queue, &pictures, pacer))?;
        Ok(Self { shared })
    }
}

/// The first video stream that can be decoded.
fn video_of(streams: &[StreamInfo]) -> Option<(usize, VideoCodec, bytes::Bytes)> {
    let video = streams.iter().find(|stream| stream.is_playing_video())?;
    Some((video.index, video.codec.video_codec()?, video.extra_data.clone()))
}

async fn listen(options: CameraOptions, commands: mpsc::Sender<Command>, shared: Arc<Newest>) {
    let mut camera = Camera::connect(options);
    let (mut video, mut waits_for_key, mut last_error) = (None, true, None);
    while let Some(event) = camera.next().await {
        let streams = match event {
            CameraEvent::Established { streams, .. } => streams,
            CameraEvent::StreamChanged(stream) if Some(stream.index) == video => vec![stream],
            CameraEvent::Unit(unit) if Some(unit.stream) == video => {
                // After a gap, wait for a keyframe.
                waits_for_key &= !unit.keyframe;
                if waits_for_key || commands.try_send(Command::Unit(unit)).is_err() {
                    waits_for_key = true;
                    shared.decoder_busy.fetch_add(1, Ordering::Relaxed);
                }
                continue;
            }
            CameraEvent::Lost { error } => {
                eprintln!("camera: {error}");
                last_error = Some(error.to_string());
                continue;
            }
            CameraEvent::NoPictures { cause, .. } => {
                eprintln!("camera: {cause}");
                continue;
            }
            CameraEvent::Stopped { reason } => {
                let how = match reason {
                    CameraStopReason::Asked => Ok(()),
                    _ => Err(format!(
                        "the camera was disconnected for {} s: {}",
                        PATIENCE.as_secs(),
                        last_error.take().unwrap_or_default()
                    )),
                };
                shared.end(how);
                return;
            }
            _ => continue,
        };
        let Some((index, codec, extra_data)) = video_of(&streams) else {
            shared.end(Err("the camera has no video that can be decoded".to_owned()));
            return;
        };
        video = Some(index);
        if commands.send(Command::Stream(codec, extra_data)).await.is_err() {
            return;
        }
    }
}

fn decode(mut queue: mpsc::Receiver<Command>, shared: &Newest, mut pacer: Option<Pacer>) {
    let mut decoder: Option<Decoder> = None;
    while let Some(command) = queue.blocking_recv() {
        match command {
            Command::Stream(codec, extra_data) => {
                match Decoder::open(codec, &extra_data, DecoderOptions::default()) {
                    Ok(opened) => decoder = Some(opened),
                    Err(error) => return shared.end(Err(error.to_string())),
                }
            }
            Command::Unit(unit) => {
                let Some(decoder) = &mut decoder else { continue };
                if decoder.push(&unit.data, unit.timestamp_90k).is_err() {
                    shared.damaged.fetch_add(1, Ordering::Relaxed);
                }
                while let Some(picture) = decoder.next_picture() {
                    if picture.is_damaged() {
                        shared.damaged.fetch_add(1, Ordering::Relaxed);
                    } else if pacer
                        .as_mut()
                        .is_none_or(|pacer| pacer.admit(picture.timestamp_90k()))
                    {
                        shared.put(picture);
                    }
                }
            }
        }
    }
}
