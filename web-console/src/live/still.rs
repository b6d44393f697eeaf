//! Still pictures: the newest key frame as JPEG.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use lva_framing::{
    DecodeQuality, Decoder, DecoderOptions, FrameEncoder, ImageFile, ImageSettings, Picture, PixelFormat,
    Renderer, ScaleMode,
};
use lva_rtsp::VideoCodec;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::KeyPicture;
use super::mux::EncodedPicture;

/// Of the JPEG.
const QUALITY: u8 = 80;

/// Pictures are made no wider than that.
const MAX_WIDTH: u32 = 1280;

/// Pictures that are decoded at the same time: they take the time of cores that cameras need.
const AT_A_TIME: usize = 2;

/// There is no still picture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StillError {
    /// No key frame has come since the camera is connected.
    #[error("the camera has sent no key frame yet")]
    NoPicture,
    /// It cannot be decoded.
    #[error("the key frame cannot be shown: {0}")]
    Undecodable(String),
}

/// Makes still pictures, each of them once.
pub(crate) struct Stills {
    permits: Semaphore,
    newest: Mutex<HashMap<String, (u64, Bytes)>>,
}

impl Default for Stills {
    fn default() -> Self {
        Self {
            permits: Semaphore::new(AT_A_TIME),
            newest: Mutex::default(),
        }
    }
}

impl Stills {
    /// The JPEG of a key frame.
    pub(crate) async fn jpeg(
        self: &Arc<Self>,
        camera: &str,
        key: Option<KeyPicture>,
    ) -> Result<Bytes, StillError> {
        let key = key.ok_or(StillError::NoPicture)?;
        if key.video.codec == VideoCodec::Mjpeg {
            return Ok(key.data);
        }
        let gone = |_| StillError::Undecodable("this program stops".to_owned());
        let _permit = self.permits.acquire().await.map_err(gone)?;
        if let Some((time, jpeg)) = self.newest.lock().get(camera)
            && *time == key.timestamp_90k
        {
            return Ok(jpeg.clone());
        }
        let time = key.timestamp_90k;
        let jpeg = decode(EncodedPicture {
            video: key.video,
            timestamp_90k: time,
            units: vec![(time, key.data)],
        })
        .await?;
        self.newest.lock().insert(camera.to_owned(), (time, jpeg.clone()));
        Ok(jpeg)
    }

    /// The JPEG of any picture; `None` when as many are made already.
    pub(crate) async fn jpeg_of(&self, picture: EncodedPicture) -> Option<Result<Bytes, StillError>> {
        let _permit = self.permits.try_acquire().ok()?;
        Some(decode(picture).await)
    }

    /// Forgets the pictures of cameras that are gone.
    pub(crate) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        self.newest.lock().retain(|camera, _| is_there(camera));
    }
}

async fn decode(picture: EncodedPicture) -> Result<Bytes, StillError> {
    let made = tokio::task::spawn_blocking(move || make(&picture)).await;
    let made = made.unwrap_or_else(|_| Err("its decoder panicked".to_owned()));
    made.map(Bytes::from).map_err(StillError::Undecodable)
}

/// Decodes what a picture needs, and makes a JPEG of it.
fn make(wanted: &EncodedPicture) -> Result<Vec<u8>, String> {
    let options = DecoderOptions::default().with_quality(DecodeQuality::Fast);
    let mut decoder = Decoder::open(wanted.video.codec, &wanted.video.extra_data, options).map_err(text)?;
    let mut newest = None;
    for (time, unit) in &wanted.units {
        decoder.push(unit, *time).map_err(text)?;
        newest = decoded(&mut decoder, wanted).or(newest);
    }
    decoder.flush();
    let picture = decoded(&mut decoder, wanted).or(newest);
    encode(&picture.ok_or("it does not decode to a picture")?)
}

fn decoded(decoder: &mut Decoder, wanted: &EncodedPicture) -> Option<Picture> {
    let pictures = std::iter::from_fn(|| decoder.next_picture());
    pictures
        .filter(|picture| picture.timestamp_90k() == wanted.timestamp_90k)
        .last()
}

fn encode(picture: &Picture) -> Result<Vec<u8>, String> {
    let (width, height) = (picture.width(), picture.height());
    let mut settings = ImageSettings::new(PixelFormat::Bgr24);
    if width > MAX_WIDTH {
        settings = settings.with_scale(ScaleMode::PreserveAspectRatio, Some(MAX_WIDTH), None);
    }
    let plan = settings.plan(width, height).map_err(text)?;
    let mut pixels = vec![0; plan.bytes()];
    Renderer::new(plan).render(picture, &mut pixels).map_err(text)?;
    let mut jpeg = Vec::new();
    let format = ImageFile::Jpeg { quality: QUALITY };
    FrameEncoder::new()
        .encode(&plan, &pixels, format, &mut jpeg)
        .map_err(text)?;
    Ok(jpeg)
}

fn text(error: impl Display) -> String {
    error.to_string()
}
