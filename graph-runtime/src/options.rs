//! What the program around a module decides.

use std::path::PathBuf;
use std::time::Duration;

use lva_extension_protocol::BackoffPolicy;
use lva_framing::DecoderOptions;
use lva_graph_model::RegistryOptions;
use lva_rtsp::{ReconnectPolicy, Timeouts};

use crate::onvif::OnvifOptions;

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
            onvif: OnvifOptions::default(),
        }
    }

    /// Name of the module in the subjects of Video Analyzer's events. Default `lvaEdge`.
    #[must_use]
    pub fn with_module_name(mut self, name: impl Into<String>) -> Self {
        self.module = name.into();
        self
    }

    /// How documents are judged, and how many are held.
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

    /// How each camera is decoded: threads, and a device in place of them. Default: one thread, no device.
    #[must_use]
    pub fn with_decoder(mut self, options: DecoderOptions) -> Self {
        self.decoder = options;
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

    /// How long an extension may take for an answer; default 30 s. Then its session is over and a new one is opened; the
    /// first answer of a gRPC session has 60 s. Too short a time gives up on an extension that is merely slow; during a
    /// long one nothing is heard of a hung extension but drops.
    #[must_use]
    pub fn with_extension_answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }
}
