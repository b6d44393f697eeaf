//! A stream of an instance's camera, and the dispatch of its events to decoder and recorders.

use std::time::{Duration, Instant};

use lva_inference_schema::EventName;
use lva_inference_schema::body::{EventBody, MediaSessionEstablished};
use lva_rtsp::{AccessUnit, Camera, CameraEvent, Codec, MediaKind, StreamInfo};
use tokio::sync::watch;

use super::dispatch::dispatch;
use crate::budget::Budget;
use crate::convert::recording::is_recordable;
use crate::decode::DecoderInput;
use crate::emitter::NodeReporter;
use crate::failure::Failure;
use crate::flow::{RecorderInput, StreamClock};
use crate::panics::{Panicked, catch_panic, failpoint};
use crate::rate_limiter::RateLimiter;
use crate::stats::DropReason;

/// After a longer absence of the camera, extensions get a new session, and tracks start over.
const TOLERATED_ABSENCE: Duration = Duration::from_secs(5);

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// It was stopped.
    Stopped,
    /// The camera did not answer within the limits of the options.
    GaveUp,
    /// The camera's task ended without a reason.
    NoCamera,
}

/// As the description has it where this runtime does not know it.
fn codec_name(stream: &StreamInfo) -> String {
    match stream.codec {
        Codec::Unsupported if stream.encoding_name.is_empty() => "of an unknown encoding".to_owned(),
        Codec::Unsupported => stream.encoding_name.to_ascii_uppercase(),
        codec => codec.to_string(),
    }
}

/// The task of a stream.
pub(super) struct Source {
    pub(super) node: NodeReporter,
    /// The first one of the topology.
    pub(super) is_first: bool,
    pub(super) budget: Budget,
    pub(super) clock: StreamClock,
    pub(super) camera: Camera,
    pub(super) decoder: Option<DecoderInput>,
    pub(super) recorders: Vec<RecorderInput>,
    pub(super) streams: Vec<StreamInfo>,
    pub(super) epoch: u64,
    pub(super) lost_at: Option<Instant>,
    /// The camera reported that it does not reconnect any more.
    pub(super) gave_up: bool,
    pub(super) panic_reports: RateLimiter,
}

impl Source {
    /// Runs until it is stopped, or the camera gives up.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> (Self, End) {
        let mut stopping = false;
        loop {
            tokio::select! {
                biased;
                () = is_set(&mut stop), if !stopping => {
                    stopping = true;
                    // What has arrived is still processed.
                    self.camera.stop();
                }
                event = self.camera.next() => match event {
                    Some(event) => {
                        if let Err(panicked) = catch_panic(|| self.take(event)) {
                            self.on_panic(&panicked);
                        }
                    }
                    None => break,
                },
            }
        }
        let end = match (stopping, self.gave_up) {
            (true, _) => End::Stopped,
            (false, true) => End::GaveUp,
            (false, false) => End::NoCamera,
        };
        (self, end)
    }

    /// The camera's event is lost, and may have been a picture.
    fn on_panic(&mut self, panicked: &Panicked) {
        self.node.dropped(DropReason::InternalError, 1);
        if let Some(decoder) = &mut self.decoder {
            decoder.wait_for_key();
        }
        for recorder in &mut self.recorders {
            recorder.wait_for_key();
        }
        self.node.on_panic(&mut self.panic_reports, panicked);
    }

    fn take(&mut self, event: CameraEvent) {
        failpoint("source", self.node.name());
        match event {
            CameraEvent::Established { streams, sdp } => self.established(streams, &sdp),
            CameraEvent::StreamChanged(stream) => {
                if let Some(known) = self.streams.iter_mut().find(|known| known.index == stream.index) {
                    *known = stream;
                    self.announce_streams();
                }
            }
            CameraEvent::Unit(unit) => self.unit(unit),
            CameraEvent::Lost { error } => {
                self.lost_at.get_or_insert_with(Instant::now);
                if self.is_first {
                    self.node.emitter().observers().lost();
                }
                if let Some(decoder) = &mut self.decoder {
                    decoder.pause();
                }
                self.node.emit_failure(&Failure::camera(&error));
            }
            CameraEvent::NoPictures { cause, .. } => {
                self.node
                    .emit_failure(&Failure::no_pictures(self.node.name(), &cause));
            }
            CameraEvent::Stopped { .. } => self.gave_up = true,
            CameraEvent::Waiting { .. } => {}
            // `CameraEvent` may grow.
            _ => {}
        }
    }

    fn established(&mut self, streams: Vec<StreamInfo>, sdp: &str) {
        let away = self.lost_at.take().map(|lost_at| lost_at.elapsed());
        if away.is_none_or(|away| away > TOLERATED_ABSENCE) {
            self.epoch += 1;
        }
        self.streams = streams;
        if self.is_first {
            self.node.emitter().counters().session_began();
        }
        let body = EventBody::MediaSessionEstablished(MediaSessionEstablished::new(sdp));
        self.node.emit_now(EventName::MediaSessionEstablished, body);
        self.report_unusable_media();
        self.announce_streams();
    }

    /// Reports media that the graph needs and this runtime cannot use.
    fn report_unusable_media(&self) {
        let records = !self.recorders.is_empty();
        let records_audio = self.recorders.iter().any(RecorderInput::wants_audio);
        let of = |media: MediaKind| self.streams.iter().filter(move |stream| stream.media == media);
        let not_recordable =
            |stream: &&StreamInfo, records: bool| stream.playing && records && !is_recordable(stream.codec);
        let video = of(MediaKind::Video)
            .find(|stream| stream.format_error_code().is_some() || not_recordable(stream, records));
        if let Some(stream) = video {
            self.node
                .emit_failure(&Failure::unusable_video(self.node.name(), &codec_name(stream)));
        }
        // Beside audio that plays, other audio does not matter: it may be talk-back.
        let audio_plays = of(MediaKind::Audio).any(|stream| stream.playing);
        let audio = of(MediaKind::Audio).find(|stream| {
            let unusable = !audio_plays && stream.format_error_code().is_some();
            unusable || not_recordable(stream, records_audio)
        });
        if let Some(stream) = audio {
            self.node
                .emit_failure(&Failure::unusable_audio(self.node.name(), &codec_name(stream)));
        }
    }

    /// Passes the current streams to decoder, recorders and observers.
    fn announce_streams(&mut self) {
        if self.is_first {
            self.node.emitter().observers().streams(&self.streams);
        }
        if let Some(decoder) = &mut self.decoder
            && let Some(video) = self.streams.iter().find(|stream| stream.is_playing_video())
            && let Some(codec) = video.codec.video_codec()
        {
            decoder.stream(codec, video.extra_data.clone());
        }
        for recorder in &mut self.recorders {
            recorder.streams(&self.streams);
        }
    }

    fn unit(&mut self, unit: AccessUnit) {
        let (time, received_at, media) = (unit.timestamp_90k, unit.received_at, unit.media);
        let clock_source = unit.clock;
        let decoder = match media {
            MediaKind::Video => self.decoder.as_mut().map(|decoder| (decoder, self.epoch)),
            MediaKind::Audio => None,
            _ => return,
        };
        if self.is_first {
            self.node.emitter().observers().unit(&unit);
        }
        dispatch(&self.budget, unit, &mut self.recorders, decoder);
        // Only now: a signal at this time must follow the unit in the queues.
        if media == MediaKind::Video {
            self.clock.observe(time, received_at, clock_source);
            self.node
                .emitter()
                .counters()
                .received(self.is_first.then_some(time));
        }
    }
}

/// Waits until the flag is set, or nothing is left to set it.
async fn is_set(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|set| *set).await;
}
