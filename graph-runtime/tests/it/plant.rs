//! Two cameras, two extensions and every kind of sink in one module.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use lva_graph_runtime::{DropReason, GraphEvent, InstanceStats, Module, RuntimeOptions};
use lva_inference_schema::EventName;
use lva_rtsp_simulator::Faults;

pub(crate) use crate::site::{BACK, EXTENSIONS, FRONT, Site, named};
use crate::support::*;

/// Everything that runs.
pub(crate) struct Plant {
    pub(crate) site: Site,
    pub(crate) module: Module,
    pub(crate) events: EventLog,
}

impl Plant {
    /// Both cameras work and have been answered by both extensions; the front one plays a clip of this form. `prepare` is
    /// given the recordings' directory before anything starts.
    pub(crate) async fn start(front: &str, faults: Faults, prepare: impl FnOnce(&Path)) -> Self {
        Self::start_with(front, faults, prepare, |options| options).await
    }

    /// The same with options of its own.
    pub(crate) async fn start_with(
        front: &str,
        faults: Faults,
        prepare: impl FnOnce(&Path),
        own: impl FnOnce(RuntimeOptions) -> RuntimeOptions,
    ) -> Self {
        let site = Site::start(front, faults).await;
        let recordings = site.recordings();
        prepare(&recordings);
        let (module, events) = module_with(&recordings, own);
        let plant = Self { site, module, events };
        for (method, document) in plant.site.documents() {
            must(&plant.module, method, document).await;
        }
        for camera in [FRONT, BACK] {
            until_of(&plant.module, camera, |stats| answered(stats) >= 3).await;
        }
        plant
    }

    /// The first event of this name that a node of an instance emits at or after index `from`, and its index.
    pub(crate) async fn emitted(
        &self,
        instance: &str,
        node: &str,
        name: EventName,
        from: usize,
    ) -> (usize, GraphEvent) {
        let mut from = from;
        loop {
            let (place, event) = self.events.wait(name, from).await;
            if is_of(&event, instance, node) {
                return (place, event);
            }
            from = place + 1;
        }
    }

    /// How often a node has emitted an event of this name.
    pub(crate) fn count(&self, instance: &str, node: &str, name: EventName) -> usize {
        let all = self.events.all();
        let own = all
            .iter()
            .filter(|event| event.name == name && is_of(event, instance, node));
        own.count()
    }

    pub(crate) fn stats(&self, instance: &str) -> InstanceStats {
        self.module.stats(instance).unwrap()
    }

    /// Two more seconds of the back camera, answered by both extensions.
    pub(crate) async fn back_goes_on(&self) {
        let now = self.stats(BACK);
        until_of(&self.module, BACK, |stats| {
            stats.received >= now.received + 60 && answered(stats) >= answered(&now) + 5
        })
        .await;
    }

    /// Deactivates both. The back camera's pictures are in its video without a gap.
    pub(crate) async fn end(&self) -> [InstanceStats; 2] {
        must(&self.module, "GraphInstanceDeactivate", named("2.0", FRONT)).await;
        must(&self.module, "livePipelineDeactivate", named("1.1", BACK)).await;
        assert!(self.module.flush(Duration::from_secs(60)).await);
        let back = self.stats(BACK);
        assert_eq!((back.camera_sessions, back.clips), (1, 1), "{back:?}");
        let video = &back.newest_clips[0];
        assert_eq!(
            video.video_packets, back.received,
            "from the first picture to the last"
        );
        let (own, recorded) = (packet_hashes(&self.site.served), packet_hashes(&video.path));
        for (packet, played) in recorded.iter().zip(own.iter().cycle()) {
            assert_eq!(packet, played, "a gap in the back camera's video");
        }
        let both = [self.stats(FRONT), back];
        for stats in &both {
            assert_eq!(stats.memory.used_bytes, 0, "media are held after the end");
        }
        both
    }
}

fn is_of(event: &GraphEvent, instance: &str, node: &str) -> bool {
    let own = event.subject.node_name().is_some_and(|(_, name)| name == node);
    own && event.subject.to_string().contains(&format!("/{instance}/"))
}

/// Frames that the extension which was answered less has been answered.
pub(crate) fn answered(stats: &InstanceStats) -> u64 {
    let answered = EXTENSIONS.map(|node| stats.extensions[node].answered);
    answered.into_iter().min().unwrap()
}

/// What was lost, but for that which a busy machine drops.
pub(crate) fn losses(stats: &InstanceStats) -> BTreeMap<(String, DropReason), u64> {
    let mut losses = stats.dropped.clone();
    losses.retain(|(_, reason), _| !is_of_a_busy_machine(*reason));
    losses
}

/// What a node has dropped, for whatever reason.
pub(crate) fn dropped(stats: &InstanceStats, node: &str) -> u64 {
    let own = stats.dropped.iter().filter(|((name, _), _)| name == node);
    own.map(|(_, count)| count).sum()
}
