//! What the program around a module decides.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lva_extension_protocol::BackoffPolicy;
use lva_framing::DecoderOptions;
use lva_graph_model::{CustomNodeTypeError, RegistryOptions};
use lva_onvif::OnvifOptions;
use lva_rtsp::{ReconnectPolicy, Timeouts, WallClock};

use crate::node::{Factories, NodeFactory};

/// What the program around a module decides; topologies decide the rest.
#[derive(Debug, Clone)]
pub struct RuntimeOptions {
    pub(crate) recordings: PathBuf,
    pub(crate) module: String,
    pub(crate) registry: RegistryOptions,
    pub(crate) camera_reconnect: ReconnectPolicy,
    pub(crate) camera_timeouts: Timeouts,
    pub(crate) extension_backoff: BackoffPolicy,
    pub(crate) answer_timeout: Duration,
    pub(crate) decoder: DecoderOptions,
    pub(crate) memory_budget: usize,
    pub(crate) factories: Factories,
    pub(crate) wall: WallClock,
    pub(crate) onvif: OnvifOptions,
}

impl RuntimeOptions {
    /// Clips go below this folder, which is made when the first one is written: assets to `FOLDER/ASSET/…mp4`, files to
    /// the topology's own folder, which is taken relative to this one unless it is absolute. The cache path of an asset
    /// sink is never used: nothing waits for an upload here.
    pub fn new(recordings: impl Into<PathBuf>) -> Self {
        Self {
            recordings: recordings.into(),
            module: "lvaEdge".to_owned(),
            registry: RegistryOptions::default(),
            camera_reconnect: ReconnectPolicy::default(),
            camera_timeouts: Timeouts::default(),
            extension_backoff: BackoffPolicy::default(),
            answer_timeout: Duration::from_secs(30),
            decoder: DecoderOptions::default(),
            memory_budget: 256 << 20,
            factories: Factories::default(),
            wall: WallClock::default(),
            onvif: OnvifOptions::default(),
        }
    }

    /// Name of the module in the subjects of Video Analyzer's events. Default `lvaEdge`.
    #[must_use]
    pub fn with_module_name(mut self, name: impl Into<String>) -> Self {
        self.module = name.into();
        self
    }

    /// How documents are judged, and how many are held. Which own types of nodes they may hold is decided by the
    /// [factories](Self::with_node_factory) alone.
    #[must_use]
    pub fn with_registry(mut self, options: RegistryOptions) -> Self {
        self.registry = options;
        self
    }

    /// When a lost camera is connected to again.
    #[must_use]
    pub fn with_camera_reconnect(mut self, policy: ReconnectPolicy) -> Self {
        self.camera_reconnect = policy;
        self
    }

    /// How long to be patient with a camera.
    #[must_use]
    pub fn with_camera_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.camera_timeouts = timeouts;
        self
    }

    /// The clock by which media arrive. Default: this machine's; another one is for tests of what happens when a clock is
    /// set. Events that are no analytics, and names of files, always have the system's time.
    #[must_use]
    pub fn with_wall_clock(mut self, wall: WallClock) -> Self {
        self.wall = wall;
        self
    }

    /// How each camera is decoded: threads, and a device in place of them. Default: one thread, no device.
    #[must_use]
    pub fn with_decoder(mut self, options: DecoderOptions) -> Self {
        self.decoder = options;
        self
    }

    /// Bytes of encoded media that each instance may hold in memory, over all its queues and pre-rolls; default 256 MiB. It
    /// never holds more. A camera of 4 Mbit/s needs 13 MiB for a gate that reaches 5 s back, and half a MiB for each second that
    /// a disk stands still.
    ///
    /// Above seven eighths of it analysis gives way: its units are dropped up to the next key frame. Pre-rolls then let go their
    /// oldest groups of pictures until a sixteenth is free below that. A unit for a recording is dropped only where all of
    /// it is used. Each is counted ([`DropReason::OverBudget`](crate::DropReason::OverBudget),
    /// [`DropReason::PreRollShrunk`](crate::DropReason::PreRollShrunk)). Each pre-roll has at most a half and 96 MiB, each queue
    /// to a disk at most a quarter and 64 MiB, so that one disk that stands still cannot use it all.
    ///
    /// Too little, and clips begin later than asked, or nothing is analysed while a disk stands still; below a few key frames
    /// nothing works. With much, many cameras whose disk fails need much memory at the same time. Decoded pictures, and what
    /// the camera's socket holds, do not count.
    #[must_use]
    pub fn with_memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// How `onvifDeviceDiscover` and `onvifDeviceGet` are carried out.
    #[must_use]
    pub fn with_onvif(mut self, options: OnvifOptions) -> Self {
        self.onvif = options;
        self
    }

    /// When a lost extension is connected to again.
    #[must_use]
    pub fn with_extension_backoff(mut self, policy: BackoffPolicy) -> Self {
        self.extension_backoff = policy;
        self
    }

    /// How long an extension, or a node of your own, may take for an answer; default 30 s. Then its session is over and a new one is opened; the
    /// first answer of a gRPC session has 60 s. Too short a time gives up on an extension that is merely slow; during a
    /// long one nothing is heard of a hung extension but drops.
    #[must_use]
    pub fn with_extension_answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// Nodes of one more type, beside those of the contract and those given before: topologies may then hold them, and instances
    /// run them. An instance that comes back by [`Module::restore`](crate::Module::restore) needs the factories that it had.
    ///
    /// # Errors
    ///
    /// [`CustomNodeTypeError`] when its type is none, is one of the contract's, or was given before.
    pub fn with_node_factory(mut self, factory: impl NodeFactory) -> Result<Self, CustomNodeTypeError> {
        self.factories.add(Arc::new(factory))?;
        Ok(self)
    }

    /// As the registry takes them.
    pub(crate) fn registry(&self) -> RegistryOptions {
        self.registry
            .clone()
            .with_custom_types(self.factories.types().clone())
    }
}
