//! The live pictures of one camera: received from its run once, written as MP4 once, given to all who watch.

mod clock;
mod mp4;
mod mux;
mod socket;
mod still;
mod viewer;

pub(crate) use self::socket::serve;
pub(crate) use self::still::Stills;
pub(crate) use self::viewer::Viewer;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use lva_graph_runtime::{Observer, RunObservation};
use lva_inference_schema::Inference;
use lva_rtsp::{AccessUnit, MediaKind, StreamInfo, VideoCodec, VideoParameters};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;

use self::mux::{EncodedPicture, Mux, Output};
use crate::boxes;
use crate::events::Events;
use crate::tracks::{TrackedFrames, Tracks};

/// Nodes whose tracks are kept.
const MAX_NODES: usize = 4;

/// What is shown of a camera's stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StreamState {
    /// Known once the camera has answered.
    pub(crate) video: Option<VideoParameters>,
    /// RFC 6381 name.
    pub(crate) codec_name: Option<String>,
    /// Whether pictures come.
    pub(crate) is_live: bool,
    /// Pictures in the newest whole second, and how long it was.
    pub(crate) frames_per_second: Option<f64>,
}

/// The newest key frame, to make a still picture of.
#[derive(Debug, Clone)]
pub(crate) struct KeyPicture {
    pub(crate) video: VideoParameters,
    pub(crate) timestamp_90k: u64,
    pub(crate) data: Bytes,
}

/// The live side of one camera.
pub(crate) struct Live {
    id: String,
    events: Arc<Events>,
    stills: Arc<Stills>,
    state: Mutex<State>,
    /// What nodes have answered in the last minutes, by their names.
    tracks: Mutex<BTreeMap<String, Tracks>>,
    key: watch::Sender<Option<KeyPicture>>,
}

#[derive(Default)]
struct State {
    mux: Mux,
    viewers: Vec<Arc<Viewer>>,
    stream: StreamState,
    video_index: Option<usize>,
    rate: Option<Rate>,
    is_observed: bool,
    /// When each node has answered last.
    answered: BTreeMap<String, Instant>,
}

/// Counts pictures of a second.
struct Rate {
    since: Instant,
    pictures: u32,
}

/// A viewer's place, until it is dropped.
pub(crate) struct Watching {
    live: Arc<Live>,
    pub(crate) viewer: Arc<Viewer>,
}

impl Watching {
    /// Repeats the state to this viewer.
    fn tell_state(&self) {
        let is_live = self.live.state.lock().stream.is_live;
        self.viewer.note(&state_note(is_live));
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut state = self.live.state.lock();
        state.viewers.retain(|viewer| !Arc::ptr_eq(viewer, &self.viewer));
    }
}

impl Live {
    pub(crate) fn new(id: String, events: Arc<Events>, stills: Arc<Stills>) -> Self {
        Self {
            id,
            events,
            stills,
            state: Mutex::default(),
            tracks: Mutex::default(),
            key: watch::Sender::default(),
        }
    }

    /// The people of the last minutes, of the node that has followed most.
    pub(crate) fn tracked(&self) -> Option<TrackedFrames> {
        let tracks = self.tracks.lock();
        let all = tracks.values().filter_map(Tracks::copied);
        all.max_by_key(|tracked| tracked.frames.len())
    }

    /// When a node has answered last.
    pub(crate) fn answered_at(&self, node: &str) -> Option<Instant> {
        self.state.lock().answered.get(node).copied()
    }

    pub(crate) fn stream(&self) -> StreamState {
        self.state.lock().stream.clone()
    }

    /// The newest key frame, and those that follow.
    pub(crate) fn keys(&self) -> watch::Receiver<Option<KeyPicture>> {
        self.key.subscribe()
    }

    /// A new viewer, which first gets what is needed to show a picture at once.
    pub(crate) fn watch(self: &Arc<Self>) -> Watching {
        let viewer = Arc::new(Viewer::default());
        let mut state = self.state.lock();
        viewer.note(&state_note(state.stream.is_live));
        if let Some((init, group)) = state.mux.beginning() {
            viewer.begin(init, group);
        }
        state.viewers.push(Arc::clone(&viewer));
        drop(state);
        Watching {
            live: Arc::clone(self),
            viewer,
        }
    }

    /// Ends all viewers: the camera is gone for good.
    pub(crate) fn close(&self) {
        for viewer in self.state.lock().viewers.drain(..) {
            viewer.close();
        }
    }

    /// Whether the caller is the one to observe now.
    pub(crate) fn begin_observing(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().is_observed, true)
    }

    fn end_observing(&self) {
        let mut state = self.state.lock();
        state.is_observed = false;
        state.lost();
    }

    fn take(&self, observation: RunObservation) {
        match observation {
            RunObservation::Streams(streams) => self.state.lock().streams(&streams),
            RunObservation::Unit(unit) if unit.media == MediaKind::Video => {
                let mut state = self.state.lock();
                if state.video_index == Some(unit.stream) {
                    if let Some(video) = state.stream.video.clone().filter(|_| unit.keyframe) {
                        self.key.send_replace(Some(KeyPicture {
                            video,
                            timestamp_90k: unit.timestamp_90k,
                            data: unit.data.clone(),
                        }));
                    }
                    state.unit(unit);
                }
            }
            RunObservation::Lost => self.state.lock().lost(),
            RunObservation::Results {
                node,
                timestamp_90k,
                found,
            } => self.results(&node, timestamp_90k, &found),
            // `RunObservation` may grow.
            _ => {}
        }
    }

    fn results(&self, node: &str, timestamp_90k: u64, found: &[Inference]) {
        let events = {
            let mut tracks = self.tracks.lock();
            if !tracks.contains_key(node) && tracks.len() < MAX_NODES {
                tracks.insert(node.to_owned(), Tracks::default());
            }
            match tracks.get_mut(node) {
                Some(own) => {
                    own.add(timestamp_90k, found);
                    self.events.take(&self.id, node, timestamp_90k, found, |track| {
                        own.way(track, timestamp_90k)
                    })
                }
                None => self
                    .events
                    .take(&self.id, node, timestamp_90k, found, |_| Vec::new()),
            }
        };
        let mut state = self.state.lock();
        state.answered.insert(node.to_owned(), Instant::now());
        if let Some(event) = events.first()
            && let Some(picture) = state.mux.picture_at(timestamp_90k)
        {
            tokio::spawn(keep_picture(
                Arc::clone(&self.events),
                Arc::clone(&self.stills),
                event.id,
                picture,
            ));
        }
        if state.viewers.is_empty() {
            return;
        }
        let boxes = boxes::message(node, timestamp_90k, found);
        for note in std::iter::once(boxes).chain(events.into_iter().map(|event| event.message)) {
            state.viewers.iter().for_each(|viewer| viewer.note(&note));
        }
    }
}

impl State {
    fn streams(&mut self, streams: &[StreamInfo]) {
        let video = streams.iter().find(|stream| stream.is_playing_video());
        self.video_index = video.map(|stream| stream.index);
        let Some((stream, parameters)) = video.and_then(|stream| Some((stream, stream.video_parameters()?)))
        else {
            return;
        };
        self.stream.codec_name = stream.codec_name.clone();
        self.stream.video = Some(parameters.clone());
        if let (true, Some(name)) = (is_mp4(parameters.codec), &stream.codec_name) {
            let last = self.mux.stream(parameters, name.clone());
            self.give(last);
        }
    }

    fn unit(&mut self, unit: AccessUnit) {
        self.count();
        if !self.stream.is_live {
            self.stream.is_live = true;
            self.tell_state();
        }
        let is_shown = self
            .stream
            .video
            .as_ref()
            .is_some_and(|video| is_mp4(video.codec));
        if is_shown {
            let outputs = self.mux.push(unit);
            self.give(outputs);
        }
    }

    fn give(&self, outputs: impl IntoIterator<Item = Output>) {
        for output in outputs {
            for viewer in &self.viewers {
                match &output {
                    Output::Init(init) => viewer.init(init),
                    Output::Fragment(fragment) => viewer.picture(fragment),
                }
            }
        }
    }

    fn lost(&mut self) {
        let last = self.mux.flush();
        self.give(last);
        self.rate = None;
        self.stream.frames_per_second = None;
        if self.stream.is_live {
            self.stream.is_live = false;
            self.tell_state();
        }
    }

    fn tell_state(&self) {
        let note = state_note(self.stream.is_live);
        self.viewers.iter().for_each(|viewer| viewer.note(&note));
    }

    fn count(&mut self) {
        let now = Instant::now();
        let rate = self.rate.get_or_insert(Rate {
            since: now,
            pictures: 0,
        });
        let elapsed = now.duration_since(rate.since).as_secs_f64();
        if elapsed >= 1.0 {
            self.stream.frames_per_second = Some(f64::from(rate.pictures) / elapsed);
            *rate = Rate {
                since: now,
                pictures: 0,
            };
        }
        rate.pictures = rate.pictures.saturating_add(1);
    }
}

/// Whether browsers may show it without decoding here.
pub(crate) fn is_mp4(codec: VideoCodec) -> bool {
    match codec {
        VideoCodec::H264 | VideoCodec::H265 => true,
        VideoCodec::Mjpeg => false,
    }
}

fn state_note(is_live: bool) -> Utf8Bytes {
    let (state, text) = match is_live {
        true => ("live", ""),
        false => ("waiting", "waiting for the camera's pictures"),
    };
    json!({"type": "state", "state": state, "text": text})
        .to_string()
        .into()
}

/// Makes the picture of an event. There is none where the machine makes others at that moment.
async fn keep_picture(events: Arc<Events>, stills: Arc<Stills>, event: u64, picture: EncodedPicture) {
    match stills.jpeg_of(picture).await {
        Some(Ok(jpeg)) => events.keep_picture(event, jpeg),
        Some(Err(error)) => tracing::debug!(%error, "an event has no picture"),
        None => {}
    }
}

/// Passes a run's observations on until it ends, or nobody has the camera any more.
pub(crate) async fn observe(live: Weak<Live>, mut observer: Observer) {
    while let Some(observation) = observer.next().await {
        match live.upgrade() {
            Some(live) => live.take(observation),
            None => return,
        }
    }
    if let Some(live) = live.upgrade() {
        live.end_observing();
    }
}
