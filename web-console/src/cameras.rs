//! The cameras of all instances, and who observes them.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use lva_graph_model::methods::{InstanceInfo, InstanceState};
use lva_graph_runtime::Module;
use lva_rtsp::VideoCodec;
use parking_lot::Mutex;
use serde::Serialize;

use crate::events::Events;
use crate::live::{self, Live, Stills};

/// A camera as the page lists it. Its name is that of its instance, which has one camera.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CameraEntry {
    id: String,
    name: String,
    instance: String,
    topology: String,
    /// Of the instance, in the words of Video Analyzer.
    instance_state: &'static str,
    /// `live`, `waiting` for pictures, or `off` when the instance does not run.
    state: &'static str,
    codec: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    frames_per_second: Option<f64>,
    /// How its pictures can be shown: `mse` by MediaSource, else `jpeg`.
    live: &'static str,
    last_error: Option<String>,
}

/// The live side of all cameras.
pub(crate) struct Cameras {
    module: Module,
    events: Arc<Events>,
    lives: Mutex<BTreeMap<String, Arc<Live>>>,
    pub(crate) stills: Arc<Stills>,
}

impl Cameras {
    pub(crate) fn new(module: Module, events: Arc<Events>) -> Self {
        Self {
            module,
            events,
            lives: Mutex::default(),
            stills: Arc::default(),
        }
    }

    /// Observes instances that run and are not observed, and forgets those that are deleted.
    pub(crate) fn look(self: &Arc<Self>) -> Vec<InstanceInfo> {
        let instances = self.module.instances();
        let mut lives = self.lives.lock();
        lives.retain(|name, live| {
            let is_there = instances.iter().any(|instance| instance.name == *name);
            if !is_there {
                live.close();
            }
            is_there
        });
        self.stills.retain(|name| lives.contains_key(name));
        for instance in &instances {
            let name = &instance.name;
            let live = lives.entry(name.clone()).or_insert_with(|| {
                let (events, stills) = (Arc::clone(&self.events), Arc::clone(&self.stills));
                Arc::new(Live::new(name.clone(), events, stills))
            });
            let runs = matches!(
                instance.state,
                InstanceState::Active | InstanceState::Deactivating
            );
            if runs
                && let Some(run) = self.module.instance(&instance.name)
                && live.begin_observing()
            {
                let observing = live::observe(Arc::downgrade(live), run.observe());
                let cameras = Arc::downgrade(self);
                tokio::spawn(async move {
                    observing.await;
                    // It may have been activated again by now.
                    if let Some(cameras) = Weak::upgrade(&cameras) {
                        cameras.look();
                    }
                });
            }
        }
        instances
    }

    /// The live side of a camera that is there.
    pub(crate) fn live(self: &Arc<Self>, id: &str) -> Option<Arc<Live>> {
        let is_there = self.module.state(id).is_some();
        let known = self.lives.lock().get(id).cloned();
        match known.filter(|_| is_there) {
            None if is_there => {
                self.look();
                self.lives.lock().get(id).cloned()
            }
            live => live,
        }
    }

    /// All cameras that `sees` lets through.
    pub(crate) fn list(self: &Arc<Self>, sees: impl Fn(&str) -> bool) -> Vec<CameraEntry> {
        let instances = self.look().into_iter().filter(|instance| sees(&instance.name));
        instances.map(|instance| self.entry(instance)).collect()
    }

    fn entry(&self, instance: InstanceInfo) -> CameraEntry {
        let live = self.lives.lock().get(&instance.name).cloned();
        let stream = live.map(|live| live.stream()).unwrap_or_default();
        let size = stream.video.as_ref().map(|video| video.size);
        let is_mp4 = stream
            .video
            .as_ref()
            .is_none_or(|video| live::is_mp4(video.codec));
        CameraEntry {
            id: instance.name.clone(),
            name: instance.name.clone(),
            instance: instance.name.clone(),
            topology: instance.topology,
            instance_state: state_word(instance.state),
            state: match (instance.state, stream.is_live) {
                (InstanceState::Active | InstanceState::Deactivating, true) => "live",
                (InstanceState::Inactive, _) => "off",
                _ => "waiting",
            },
            codec: stream
                .video
                .as_ref()
                .map(|video| codec_word(video.codec, stream.codec_name.as_deref())),
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            frames_per_second: stream.frames_per_second.map(|rate| (rate * 10.0).round() / 10.0),
            live: if is_mp4 { "mse" } else { "jpeg" },
            last_error: self.events.last_error(&instance.name),
        }
    }
}

pub(crate) fn state_word(state: InstanceState) -> &'static str {
    state.word(lva_graph_model::Family::VideoAnalyzer)
}

fn codec_word(codec: VideoCodec, name: Option<&str>) -> String {
    name.map_or_else(|| codec.to_string(), str::to_owned)
}

impl Drop for Cameras {
    /// Nobody waits for a console that is gone.
    fn drop(&mut self) {
        self.lives.get_mut().values().for_each(|live| live.close());
    }
}
