//! Pictures with times, from a file or a camera.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use ffmpeg::codec::context::Context as CodecContext;
use ffmpeg::format::{self, Pixel};
use ffmpeg::software::scaling;
use ffmpeg::util::color;
use ffmpeg::util::frame::Video;
use ffmpeg_next as ffmpeg;
use lva_framing::{
    ColorMatrix, ColorRange, Decoder, DecoderOptions, FrameRate, Pacer, Picture, PictureFormat, VideoCodec,
};
use lva_rtsp::{
    AccessUnit, Camera, CameraEvent, CameraOptions, CameraStopReason, CameraUrl, Codec, MediaKind,
    StreamInfo, Timeouts,
};
use tokio::sync::mpsc;

/// Time from one picture to the next where a file does not say: 30 a second.
const USUAL_STEP: u64 = 3000;

/// Units that wait for the decoder.
const QUEUE: usize = 64;

/// How long a camera may be away before the run ends.
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
    /// Opens a file, or connects to a camera where it begins with `rtsp:`. At most `fps` of its pictures in a second of
    /// its own time come out. A file begins again at its end when it is `endless`. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// A file that is no video, an address that is none.
    pub fn open(video: &str, fps: Option<FrameRate>, endless: bool) -> anyhow::Result<Self> {
        let pacer = fps.map(Pacer::new);
        let is_camera = video
            .trim()
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("rtsp:"));
        Ok(if is_camera {
            Self::Camera(CameraPictures::connect(video, pacer)?)
        } else {
            Self::File(Box::new(FilePictures::open(Path::new(video), pacer, endless)?))
        })
    }

    /// The next picture: blocks until there is one. `None` at the end of a file, and when it was stopped.
    ///
    /// # Errors
    ///
    /// A file that cannot be decoded; a camera that is away for too long.
    pub fn next_picture(&mut self) -> anyhow::Result<Option<Picture>> {
        match self {
            Self::File(file) => file.next_picture(),
            Self::Camera(camera) => camera.shared.take(),
        }
    }

    /// Ends the waiting in [`next_picture`](Self::next_picture) from another thread; does nothing to a file.
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

    /// Pictures that were not looked at, by reason.
    pub fn dropped(&self) -> Vec<(&'static str, u64)> {
        match self {
            Self::File(_) => Vec::new(),
            Self::Camera(camera) => camera.shared.dropped(),
        }
    }
}

/// The pictures of a file, as fast as they are asked for, with the file's own times counted from now.
pub struct FilePictures {
    path: PathBuf,
    input: format::context::Input,
    stream: usize,
    decoder: ffmpeg::decoder::Video,
    convert: Option<scaling::Context>,
    decoded: Video,
    drained: bool,
    pacer: Option<Pacer>,
    endless: bool,
    /// Time of the file's first picture.
    begin_90k: u64,
    first: Option<i64>,
    last_90k: Option<u64>,
    step_90k: u64,
    came: bool,
}

impl std::fmt::Debug for FilePictures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilePictures")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl FilePictures {
    fn open(path: &Path, pacer: Option<Pacer>, endless: bool) -> anyhow::Result<Self> {
        ffmpeg::init()?;
        ffmpeg::log::set_level(ffmpeg::log::Level::Fatal);
        let input = format::input(path).with_context(|| format!("cannot read {}", path.display()))?;
        let best = input.streams().best(ffmpeg::media::Type::Video);
        let best = best.with_context(|| format!("{} has no video stream", path.display()))?;
        let decoder = CodecContext::from_parameters(best.parameters())?
            .decoder()
            .video()?;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            path: path.to_owned(),
            stream: best.index(),
            input,
            decoder,
            convert: None,
            decoded: Video::empty(),
            drained: false,
            pacer,
            endless,
            begin_90k: u64::try_from(since_1970.as_micros() * 9 / 100)?,
            first: None,
            last_90k: None,
            step_90k: USUAL_STEP,
            came: false,
        })
    }

    /// Pictures by the file's index; 0 where it does not say.
    pub fn count(&self) -> u64 {
        let stream = self.input.stream(self.stream);
        stream.map_or(0, |stream| u64::try_from(stream.frames()).unwrap_or(0))
    }

    fn next_picture(&mut self) -> anyhow::Result<Option<Picture>> {
        loop {
            match self.decoder.receive_frame(&mut self.decoded) {
                Ok(()) => {
                    self.came = true;
                    let time = self.time_90k();
                    if self.pacer.as_mut().is_none_or(|pacer| pacer.admit(time)) {
                        return self.picture(time).map(Some);
                    }
                }
                Err(ffmpeg::Error::Eof) if self.endless && self.came => self.begin_again()?,
                Err(ffmpeg::Error::Eof) => return Ok(None),
                Err(ffmpeg::Error::Other { errno }) if errno == ffmpeg::error::EAGAIN && !self.drained => {
                    self.feed()?;
                }
                Err(error) => bail!("cannot decode {}: {error}", self.path.display()),
            }
        }
    }

    fn feed(&mut self) -> anyhow::Result<()> {
        for (stream, packet) in self.input.packets() {
            if stream.index() == self.stream {
                return self.decoder.send_packet(&packet).context("cannot decode");
            }
        }
        self.drained = true;
        self.decoder.send_eof().context("cannot decode")
    }

    fn begin_again(&mut self) -> anyhow::Result<()> {
        let mut again = Self::open(&self.path, self.pacer.take(), true)?;
        again.begin_90k = self.last_90k.map_or(again.begin_90k, |last| last + self.step_90k);
        again.last_90k = self.last_90k;
        again.step_90k = self.step_90k;
        *self = again;
        Ok(())
    }

    /// Strictly rising, whatever the file says.
    fn time_90k(&mut self) -> u64 {
        let base = self.input.stream(self.stream).map(|stream| stream.time_base());
        let own = self.decoded.timestamp().zip(base).and_then(|(now, base)| {
            let first = *self.first.get_or_insert(now);
            let ticks = i128::from(now - first) * 90_000 * i128::from(base.numerator());
            u64::try_from(ticks / i128::from(base.denominator().max(1))).ok()
        });
        let after = |last: u64| last + 1;
        let time = match (own, self.last_90k) {
            (Some(own), last) => (self.begin_90k + own).max(last.map_or(0, after)),
            (None, Some(last)) => last + self.step_90k,
            (None, None) => self.begin_90k,
        };
        if let Some(last) = self.last_90k {
            self.step_90k = time - last;
        }
        self.last_90k = Some(time);
        time
    }

    fn picture(&mut self, time_90k: u64) -> anyhow::Result<Picture> {
        let range = match (self.decoded.format(), self.decoded.color_range()) {
            (Pixel::YUVJ420P | Pixel::YUVJ422P | Pixel::YUVJ444P, _) | (_, color::Range::JPEG) => {
                ColorRange::Full
            }
            _ => ColorRange::Limited,
        };
        let matrix = match self.decoded.color_space() {
            color::Space::BT709 => ColorMatrix::Bt709,
            color::Space::BT2020NCL => ColorMatrix::Bt2020,
            color::Space::SMPTE240M => ColorMatrix::Smpte240,
            _ => ColorMatrix::Bt601,
        };
        let size @ (width, height) = (self.decoded.width(), self.decoded.height());
        let mut planar = Video::empty();
        let source = if matches!(self.decoded.format(), Pixel::YUV420P | Pixel::YUVJ420P) {
            &self.decoded
        } else {
            let format = self.decoded.format();
            let flags = scaling::Flags::BILINEAR;
            let known = self.convert.take().filter(|convert| {
                let input = convert.input();
                (input.format, input.width, input.height) == (format, width, height)
            });
            let mut convert = match known {
                Some(convert) => convert,
                None => scaling::Context::get(format, width, height, Pixel::YUV420P, width, height, flags)?,
            };
            convert.run(&self.decoded, &mut planar)?;
            self.convert = Some(convert);
            &planar
        };
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let packed = |plane: usize, width: u32, height: u32| -> Vec<u8> {
            let rows = source
                .data(plane)
                .chunks(source.stride(plane).max(1))
                .take(height as usize);
            rows.flat_map(|row| row.iter().take(width as usize))
                .copied()
                .collect()
        };
        let planes = [
            packed(0, width, height),
            packed(1, half_width, half_height),
            packed(2, half_width, half_height),
        ];
        let planes = [&planes[0][..], &planes[1][..], &planes[2][..]];
        Ok(Picture::from_planes(
            PictureFormat::Yuv420p,
            size,
            planes,
            matrix,
            range,
            time_90k,
        )?)
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
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.picture.replace(picture).is_some() {
            self.replaced.fetch_add(1, Ordering::Relaxed);
        }
        self.changed.notify_all();
    }

    fn end(&self, how: Result<(), String>) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.end.get_or_insert(how);
        self.changed.notify_all();
    }

    fn take(&self) -> anyhow::Result<Option<Picture>> {
        let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = |slot: &mut Slot| slot.picture.is_none() && slot.end.is_none();
        let waited = self.changed.wait_while(slot, nothing);
        let mut slot = waited.unwrap_or_else(PoisonError::into_inner);
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

/// What decodes a stream; `None` for audio and for what nobody here decodes.
fn video_of(streams: &[StreamInfo]) -> Option<(usize, VideoCodec, bytes::Bytes)> {
    let video = streams
        .iter()
        .find(|stream| stream.playing && stream.media == MediaKind::Video)?;
    let codec = match video.codec {
        Codec::H264 => VideoCodec::H264,
        Codec::H265 => VideoCodec::H265,
        Codec::Jpeg => VideoCodec::Mjpeg,
        _ => return None,
    };
    Some((video.index, codec, video.extra_data.clone()))
}

async fn listen(options: CameraOptions, commands: mpsc::Sender<Command>, shared: Arc<Newest>) {
    let mut camera = Camera::connect(options);
    let (mut video, mut waits_for_key, mut last_error) = (None, true, None);
    while let Some(event) = camera.next().await {
        let streams = match event {
            CameraEvent::Established { streams, .. } => streams,
            CameraEvent::StreamChanged(stream) if Some(stream.index) == video => vec![stream],
            CameraEvent::Unit(unit) if Some(unit.stream) == video => {
                // Behind a gap, only a key frame helps.
                waits_for_key &= !unit.random_access;
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
            CameraEvent::Stopped { reason } => {
                let how = match reason {
                    CameraStopReason::Asked => Ok(()),
                    _ => Err(format!(
                        "the camera was away for {} s: {}",
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
                match Decoder::open(codec, &extra_data, &DecoderOptions::default()) {
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
