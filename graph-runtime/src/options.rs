//! The options of a module.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lva_extension_protocol::BackoffPolicy;
use lva_framing::DecoderOptions;
use lva_graph_model::CustomNodeTypeError;
use lva_graph_model::methods::RegistryOptions;
use lva_onvif::OnvifOptions;
use lva_rtsp::{BasicAuthentication, ReconnectPolicy, Timeouts, WallClock};

use crate::node::{Factories, NodeFactory};

/// The options of a module; topologies decide the rest.
#[derive(Debug, Clone)]
pub struct RuntimeOptions {
    pub(crate) recordings: PathBuf,
    pub(crate) recordings_also_under: Vec<PathBuf>,
    pub(crate) module: String,
    pub(crate) registry: RegistryOptions,
    pub(crate) camera_reconnect: ReconnectPolicy,
    pub(crate) camera_timeouts: Timeouts,
    pub(crate) basic_authentication: BasicAuthentication,
    pub(crate) extension_backoff: BackoffPolicy,
    pub(crate) answer_timeout: Duration,
    pub(crate) decoder: DecoderOptions,
    pub(crate) memory_budget: usize,
    pub(crate) factories: Factories,
    pub(crate) wall: WallClock,
    pub(crate) onvif: OnvifOptions,
    pub(crate) unsecured_endpoints: bool,
    pub(crate) previews: bool,
}

impl RuntimeOptions {
    /// Recordings go into this directory, which is created with the first one: assets to `DIRECTORY/ASSET/…mp4`, files to the
    /// topology's own directory. That one is below this directory too: a relative one as it is, an absolute one such as
    /// `/var/media` as `DIRECTORY/var/media`, unless it is in a directory that is
    /// [allowed](Self::with_recordings_also_under). The cache path of an asset sink is not used, because nothing is
    /// uploaded.
    pub fn new(recordings: impl Into<PathBuf>) -> Self {
        Self {
            recordings: recordings.into(),
            recordings_also_under: Vec::new(),
            module: "lvaEdge".to_owned(),
            registry: RegistryOptions::default(),
            camera_reconnect: ReconnectPolicy::default(),
            camera_timeouts: Timeouts::default(),
            basic_authentication: BasicAuthentication::default(),
            extension_backoff: BackoffPolicy::default(),
            answer_timeout: Duration::from_secs(30),
            decoder: DecoderOptions::default(),
            memory_budget: 256 << 20,
            factories: Factories::default(),
            wall: WallClock::default(),
            onvif: OnvifOptions::default(),
            unsecured_endpoints: true,
            previews: false,
        }
    }

    /// File sinks whose absolute `baseDirectoryPath` is in this directory write there, as the contract has it. May be
    /// called several times; `/` allows every directory. Default: none, and an absolute path counts from the directory of
    /// all recordings, which a log line reports.
    #[must_use]
    pub fn with_recordings_also_under(mut self, folder: impl Into<PathBuf>) -> Self {
        self.recordings_also_under.push(folder.into());
        self
    }

    /// Name of the module in the subjects of Video Analyzer's events. Default `lvaEdge`.
    #[must_use]
    pub fn with_module_name(mut self, name: impl Into<String>) -> Self {
        self.module = name.into();
        self
    }

    /// How strictly documents are validated, and how many are stored. Custom node types come from the
    /// [factories](Self::with_node_factory) alone.
    #[must_use]
    pub fn with_registry(mut self, options: RegistryOptions) -> Self {
        self.registry = options;
        self
    }

    /// The delays before a camera is reconnected.
    #[must_use]
    pub fn with_camera_reconnect(mut self, policy: ReconnectPolicy) -> Self {
        self.camera_reconnect = policy;
        self
    }

    /// The time-outs of a camera.
    #[must_use]
    pub fn with_camera_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.camera_timeouts = timeouts;
        self
    }

    /// When cameras, and devices that are asked by ONVIF, may get their password as it is. Default
    /// [`BasicAuthentication::Allowed`]: many cameras know Basic alone, and have no TLS.
    #[must_use]
    pub fn with_basic_authentication(mut self, basic: BasicAuthentication) -> Self {
        self.basic_authentication = basic;
        self
    }

    /// The wall clock for arrival times of media, names of files, and events that are not analytics. Default: the system's clock;
    /// use another one for tests of what happens when a clock is set.
    #[must_use]
    pub fn with_wall_clock(mut self, wall: WallClock) -> Self {
        self.wall = wall;
        self
    }

    /// How each camera is decoded: threads, how exactly, or on which device. Default: one thread, exactly, no device.
    #[must_use]
    pub fn with_decoder(mut self, options: DecoderOptions) -> Self {
        self.decoder = options;
        self
    }

    /// Bytes of encoded media that each instance may hold in memory, over all its queues and pre-rolls; default 256 MiB. It
    /// never holds more. A camera of 4 Mbit/s needs 13 MiB for a gate with 5 s of pre-roll, and half a MiB for each second that
    /// a disk stalls.
    ///
    /// Above seven eighths of it, units for analysis are dropped up to the next key frame, and pre-rolls evict their oldest
    /// groups of pictures until a sixteenth below that is free. A unit for a recording is dropped only where all of the budget is
    /// used. All of these are counted ([`DropReason::OverBudget`](crate::DropReason::OverBudget),
    /// [`DropReason::PreRollShrunk`](crate::DropReason::PreRollShrunk)). Each pre-roll has at most a half and 96 MiB, each queue
    /// to a disk at most a quarter and 64 MiB, so that one stalled disk cannot use it all.
    ///
    /// With too small a budget, clips start later than requested, or nothing is analysed while a disk stalls; below a few key
    /// frames nothing works. With a large one, many cameras on a failing disk use much memory at the same time. Decoded pictures
    /// and socket buffers do not count.
    #[must_use]
    pub fn with_memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = bytes;
        self
    }

    /// Whether instances may connect to endpoints without TLS, see
    /// [`Module::allow_unsecured_endpoints`](crate::Module::allow_unsecured_endpoints). Default true.
    #[must_use]
    pub fn with_unsecured_endpoints(mut self, allow: bool) -> Self {
        self.unsecured_endpoints = allow;
        self
    }

    /// Whether gRPC extensions are asked for what is only to be looked at: boxes of every frame, and reasons of events. They reach
    /// [observers](crate::InstanceHandle::observe) alone, never a gate, a node or a sink. Extensions that do not know this
    /// project's convention answer as ever. Default false; it costs some hundred bytes for each frame.
    #[must_use]
    pub fn with_previews(mut self, previews: bool) -> Self {
        self.previews = previews;
        self
    }

    /// Options of `onvifDeviceDiscover` and `onvifDeviceGet`.
    #[must_use]
    pub fn with_onvif(mut self, options: OnvifOptions) -> Self {
        self.onvif = options;
        self
    }

    /// The delays before an extension is reconnected.
    #[must_use]
    pub fn with_extension_backoff(mut self, policy: BackoffPolicy) -> Self {
        self.extension_backoff = policy;
        self
    }

    /// How long an extension or a custom node may take for an answer; default 30 s, and 60 s for the first answer of a gRPC
    /// session. After that, the session ends and a new one is opened. Too short a time-out ends sessions with an extension that
    /// is merely slow; with a long one, a stalled extension shows only as drops for that time.
    #[must_use]
    pub fn with_extension_answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// Adds a custom node type: topologies may contain such nodes, and instances run them. An instance that is restored by
    /// [`Module::restore`](crate::Module::restore) needs the factories that it had before.
    ///
    /// # Errors
    ///
    /// [`CustomNodeTypeError`] when the type is invalid, has a prefix of the contract, or was added before.
    pub fn with_node_factory(mut self, factory: impl NodeFactory) -> Result<Self, CustomNodeTypeError> {
        self.factories.add(Arc::new(factory))?;
        Ok(self)
    }

    /// The options of the registry, with the custom node types.
    pub(crate) fn registry(&self) -> RegistryOptions {
        self.registry
            .clone()
            .with_custom_types(self.factories.types().clone())
    }
}
