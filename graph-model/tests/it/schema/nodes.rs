//! Nodes and operations.
#![allow(dead_code, reason = "these types are read by the derive alone")]
#![allow(clippy::enum_variant_names, reason = "the names are those of the contract")]

use schemars::JsonSchema;

use super::parts::*;

/// Where media and messages come from.
#[derive(JsonSchema)]
#[schemars(tag = "@type")]
pub(super) enum Source {
    /// A camera.
    RtspSource {
        name: Scalar,
        endpoint: Endpoint,
        transport: Option<Transport>,
    },
    /// Messages that open gates.
    IoTHubMessageSource(MessageSource),
    /// Messages that open gates.
    IotHubMessageSource(MessageSource),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct MessageSource {
    name: Scalar,
    /// The module's input.
    hub_input_name: Option<Scalar>,
}

/// What happens to frames and media.
#[derive(JsonSchema)]
#[schemars(tag = "@type")]
#[allow(clippy::large_enum_variant, reason = "never constructed")]
pub(super) enum Processor {
    /// Passes frames with motion, and reports where it is.
    #[schemars(rename_all = "camelCase")]
    MotionDetectionProcessor {
        name: Scalar,
        inputs: Vec<Input>,
        sensitivity: Option<SensitivityWord>,
        output_motion_region: Option<Flag>,
        event_aggregation_window: Option<Duration>,
    },
    /// Passes fewer frames. LVA 1.0 alone.
    #[schemars(rename_all = "camelCase")]
    FrameRateFilterProcessor {
        name: Scalar,
        inputs: Vec<Input>,
        maximum_fps: Option<Number>,
    },
    /// Shows frames to an extension over HTTP.
    HttpExtension(Extension),
    /// Shows frames to an extension over gRPC.
    #[schemars(rename_all = "camelCase")]
    GrpcExtension {
        name: Scalar,
        inputs: Vec<Input>,
        endpoint: Endpoint,
        image: Option<Image>,
        sampling_options: Option<Sampling>,
        data_transfer: DataTransfer,
        /// Given to the extension as it is.
        extension_configuration: Option<String>,
    },
    /// Shows frames to spatial analysis.
    CognitiveServicesVisionExtension(Extension),
    /// The earlier name of CognitiveServicesVisionExtension.
    RealTimeComputerVisionExtension(Extension),
    /// Sends frames to spatial analysis, with what to look for.
    #[schemars(rename_all = "camelCase")]
    CognitiveServicesVisionProcessor {
        name: Scalar,
        inputs: Vec<Input>,
        endpoint: Endpoint,
        image: Option<Image>,
        sampling_options: Option<Sampling>,
        operation: Operation,
    },
    /// Passes media around an event.
    #[schemars(rename_all = "camelCase")]
    SignalGateProcessor {
        name: Scalar,
        inputs: Vec<Input>,
        /// How long further, earlier events are waited for.
        activation_evaluation_window: Option<Duration>,
        /// Where the recording begins, from the event; before it where negative.
        activation_signal_offset: Option<Duration>,
        minimum_activation_time: Option<Duration>,
        maximum_activation_time: Option<Duration>,
    },
    /// Follows what an extension has found.
    ObjectTrackingProcessor {
        name: Scalar,
        inputs: Vec<Input>,
        accuracy: Option<AccuracyWord>,
    },
    /// Reports when a tracked object crosses a line.
    LineCrossingProcessor {
        name: Scalar,
        inputs: Vec<Input>,
        lines: Vec<Line>,
    },
    /// Does what a program brings along. Its type is none of the contract's, and its other members are its own.
    #[schemars(rename_all = "camelCase")]
    Custom {
        name: Scalar,
        inputs: Vec<Input>,
        sampling_options: Option<Sampling>,
    },
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct Extension {
    name: Scalar,
    inputs: Vec<Input>,
    endpoint: Endpoint,
    image: Option<Image>,
    sampling_options: Option<Sampling>,
}

/// Where media and messages go.
#[derive(JsonSchema)]
#[schemars(tag = "@type")]
pub(super) enum Sink {
    /// Gives events out.
    IoTHubMessageSink(MessageSink),
    /// Gives events out.
    IotHubMessageSink(MessageSink),
    /// Records into an asset.
    #[schemars(rename_all = "camelCase")]
    AssetSink {
        name: Scalar,
        inputs: Vec<Input>,
        asset_name_pattern: Option<Scalar>,
        segment_length: Option<Duration>,
        local_media_cache_path: Option<Scalar>,
        #[schemars(rename = "localMediaCacheMaximumSizeMiB")]
        cache_size: Option<Number>,
    },
    /// Records into files.
    #[schemars(rename_all = "camelCase")]
    FileSink {
        name: Scalar,
        inputs: Vec<Input>,
        /// Directory and name in one. LVA 1.0 only.
        file_path_pattern: Option<Scalar>,
        base_directory_path: Option<Scalar>,
        /// Holds a system variable, or files overwrite each other.
        file_name_pattern: Option<Scalar>,
        #[schemars(rename = "maximumSizeMiB")]
        maximum_size: Option<Number>,
    },
    /// Records into a video.
    #[schemars(rename_all = "camelCase")]
    VideoSink {
        name: Scalar,
        inputs: Vec<Input>,
        /// One name for all recordings; published samples write it with a capital too.
        video_name: Option<Scalar>,
        video_creation_properties: Option<VideoCreation>,
        video_publishing_options: Option<VideoPublishing>,
        local_media_cache_path: Option<Scalar>,
        #[schemars(rename = "localMediaCacheMaximumSizeMiB")]
        cache_size: Option<Number>,
    },
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct MessageSink {
    name: Scalar,
    inputs: Vec<Input>,
    /// The module's output.
    hub_output_name: Option<Scalar>,
}

/// Used when the video does not exist yet.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct VideoCreation {
    title: Option<Scalar>,
    description: Option<Scalar>,
    segment_length: Option<Duration>,
    retention_period: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct VideoPublishing {
    enable_video_preview_image: Option<Flag>,
}

/// What spatial analysis looks for.
#[derive(JsonSchema)]
#[schemars(tag = "@type")]
pub(super) enum Operation {
    #[schemars(rename_all = "camelCase")]
    SpatialAnalysisCustomOperation {
        /// A string with JSON, as the container takes it.
        extension_configuration: String,
    },
    SpatialAnalysisPersonCountOperation {
        #[schemars(flatten)]
        settings: OperationSettings,
        zones: Vec<Zone<CountEvent>>,
    },
    SpatialAnalysisPersonZoneCrossingOperation {
        #[schemars(flatten)]
        settings: OperationSettings,
        zones: Vec<Zone<ZoneCrossingEvent>>,
    },
    SpatialAnalysisPersonDistanceOperation {
        #[schemars(flatten)]
        settings: OperationSettings,
        zones: Vec<Zone<DistanceEvent>>,
    },
    SpatialAnalysisPersonLineCrossingOperation {
        #[schemars(flatten)]
        settings: OperationSettings,
        lines: Vec<WatchedLine>,
    },
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct OperationSettings {
    debug: Option<Flag>,
    enable_face_mask_classifier: Option<Flag>,
    camera_configuration: Option<String>,
    camera_calibrator_node_configuration: Option<String>,
    calibration_configuration: Option<String>,
    detector_node_configuration: Option<String>,
    tracker_node_configuration: Option<String>,
}

#[derive(JsonSchema)]
pub(super) struct Zone<E> {
    zone: Polygon,
    events: Option<Vec<E>>,
}

#[derive(JsonSchema)]
pub(super) struct WatchedLine {
    line: Line,
    events: Option<Vec<LineCrossingEvent>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct CountEvent {
    threshold: Option<Number>,
    focus: Option<FocusWord>,
    trigger: Option<TriggerWord>,
    output_frequency: Option<Number>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct ZoneCrossingEvent {
    threshold: Option<Number>,
    focus: Option<FocusWord>,
    event_type: Option<ZoneEventWord>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct DistanceEvent {
    threshold: Option<Number>,
    focus: Option<FocusWord>,
    trigger: Option<TriggerWord>,
    output_frequency: Option<Number>,
    /// In feet.
    minimum_distance_threshold: Option<Number>,
    /// In feet.
    maximum_distance_threshold: Option<Number>,
}

#[derive(JsonSchema)]
pub(super) struct LineCrossingEvent {
    threshold: Option<Number>,
    focus: Option<FocusWord>,
}
