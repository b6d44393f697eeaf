//! The camera of an instance: what comes of it, handed out to decoder and recorders.

use std::time::{Duration, Instant};

use lva_inference_schema::EventName;
use lva_inference_schema::body::{EventBody, MediaSessionEstablished};
use lva_rtsp::{AccessUnit, Camera, CameraEvent, Codec, MediaKind, StreamInfo};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use super::StatsSource;
use crate::budget;
use crate::data_dropped::LossVoice;
use crate::decode::DecoderInput;
use crate::event::event_now;
use crate::failure::Failure;
use crate::guard::{Panicked, guarded, trap};
use crate::once_a_minute::OnceAMinute;
use crate::plan::Named;
use crate::record::RecorderInput;
use crate::seam::camera::video_codec;
use crate::speaker::Speaker;
use crate::stats::DropReason;

/// A camera that was away for longer begins a new session with each extension, so that what they follow starts anew.
const TOLERATED_ABSENCE: Duration = Duration::from_secs(5);

/// How soon the first drop of a node is said.
const LOOK: Duration = Duration::from_secs(1);

/// How a life ended.
pub(super) enum End {
    /// As it was told to.
    Told,
    /// The camera did not answer for as long as the options are patient.
    GaveUp,
    /// The camera's task is gone, and has not said why.
    NoCamera,
}

/// The camera's task.
pub(super) struct Source {
    pub(super) node: Named,
    pub(super) stats: StatsSource,
    pub(super) losses: LossVoice,
    pub(super) camera: Camera,
    pub(super) speaker: Speaker,
    pub(super) decoder: Option<DecoderInput>,
    pub(super) recorders: Vec<RecorderInput>,
    pub(super) streams: Vec<StreamInfo>,
    pub(super) epoch: u64,
    pub(super) lost_at: Option<Instant>,
    /// Nothing more comes of the camera, as it has said.
    pub(super) gave_up: bool,
    pub(super) defects: OnceAMinute,
}

impl Source {
    /// Until it is stopped, or the camera gives up.
    pub(super) async fn run(&mut self, mut stop: oneshot::Receiver<()>) -> End {
        let mut stopping = false;
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = &mut stop, if !stopping => {
                    stopping = true;
                    // What has come already is taken still.
                    self.camera.stop();
                }
                _ = looks.tick() => self.say_losses(),
                event = self.camera.next() => match event {
                    Some(event) => {
                        if let Err(panicked) = guarded(|| self.take(event)) {
                            self.stumbled(&panicked);
                        }
                    }
                    None => break,
                },
            }
        }
        match (stopping, self.gave_up) {
            (true, _) => End::Told,
            (false, true) => End::GaveUp,
            (false, false) => End::NoCamera,
        }
    }

    fn say_losses(&mut self) {
        for event in self.losses.due(Instant::now(), &self.stats.drops()) {
            self.speaker.say(event);
        }
    }

    /// What was not yet said.
    pub(super) fn say_last_losses(&mut self) {
        for event in self.losses.last(Instant::now(), &self.stats.drops()) {
            self.speaker.say(event);
        }
    }

    /// What came is lost, and it may have been a picture.
    fn stumbled(&mut self, panicked: &Panicked) {
        let counters = self.speaker.counters();
        counters.dropped(&self.node.name, DropReason::Defect, 1);
        if let Some(decoder) = &mut self.decoder {
            decoder.wait_for_key();
        }
        for recorder in &mut self.recorders {
            recorder.wait_for_key();
        }
        self.speaker.stumbled(&self.node, &mut self.defects, panicked);
    }

    fn take(&mut self, event: CameraEvent) {
        trap("source", &self.node.name);
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
                if let Some(decoder) = &mut self.decoder {
                    decoder.pause();
                }
                self.speaker.fail(&self.node, &Failure::camera(&error));
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
        self.speaker
            .counters()
            .update(|stats| stats.first_picture_90k = None);
        let body = EventBody::MediaSessionEstablished(MediaSessionEstablished::new(sdp));
        let event = event_now(EventName::MediaSessionEstablished, &self.node.subject, body);
        self.speaker.say(event);
        self.complain_of_media();
        self.announce_streams();
    }

    /// Says what of the camera's media somebody wants and nobody here can use.
    fn complain_of_media(&self) {
        let records = !self.recorders.is_empty();
        let records_sound = self.recorders.iter().any(RecorderInput::wants_sound);
        let of = |media: MediaKind| self.streams.iter().filter(move |stream| stream.media == media);
        let recordable = |codec: Codec| matches!(codec, Codec::H264 | Codec::H265);
        let video_lost = of(MediaKind::Video).any(|stream| stream.format_error_code().is_some())
            || records && of(MediaKind::Video).any(|stream| stream.playing && !recordable(stream.codec));
        let sound_lost = of(MediaKind::Audio).any(|stream| stream.format_error_code().is_some())
            || records_sound && of(MediaKind::Audio).any(|stream| stream.codec != Codec::Aac);
        if video_lost {
            let failure = Failure::unusable_video(self.node.name.clone());
            self.speaker.fail(&self.node, &failure);
        }
        if sound_lost {
            let failure = Failure::unusable_audio(self.node.name.clone());
            self.speaker.fail(&self.node, &failure);
        }
    }

    /// Tells decoder and recorders what comes from now on.
    fn announce_streams(&mut self) {
        if let Some(decoder) = &mut self.decoder
            && let Some(video) = self
                .streams
                .iter()
                .find(|stream| stream.playing && stream.media == MediaKind::Video)
            && let Some(codec) = video_codec(video.codec)
        {
            decoder.stream(codec, video.extra_data.clone());
        }
        for recorder in &mut self.recorders {
            recorder.streams(&self.streams);
        }
    }

    fn unit(&mut self, unit: AccessUnit) {
        let stream = self.streams.iter().find(|stream| stream.index == unit.stream);
        let Some(media) = stream.map(|stream| stream.media) else {
            return;
        };
        let decoder = match media {
            MediaKind::Video => {
                let counters = self.speaker.counters();
                counters.received(unit.timestamp_90k, unit.received_at);
                self.decoder.as_mut().map(|decoder| (decoder, self.epoch))
            }
            MediaKind::Audio => None,
            _ => return,
        };
        budget::hand_out(&self.stats.budget, unit, media, &mut self.recorders, decoder);
    }
}
