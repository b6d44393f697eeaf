//! Processors.

use std::collections::HashSet;
use std::time::Duration;

use lva_media_types::PixelFormat;

use super::endpoint::Peer;
use super::members::Members;
use super::{Presence, Reader, ValueError};
use crate::diagnostic::{DiagnosticCode, DocumentKind, Findings, Strictness};
use crate::generation::{Family, Generation};
use crate::graph::{
    Accuracy, DEFAULT_JPEG_QUALITY, DataTransfer, ExtensionProcessor, ExtensionProtocol, FrameRateFilter,
    Image, ImageFormat, ImageScale, LineCrossing, MotionDetection, NamedLine, Node, ObjectTracking, Rate,
    Sampling, Sensitivity, SignalGateProcessor,
};
use crate::kind::NodeKind;
use crate::string_enum::string_enum;

/// An extension's default image: the camera's size as JPEG.
const PLAIN_IMAGE: Image = Image {
    scale: None,
    format: ImageFormat::Jpeg {
        quality: DEFAULT_JPEG_QUALITY,
    },
};

/// The spatial-analysis container's default image, as in the published LVA samples.
const CONTAINER_IMAGE: Image = Image {
    scale: Some(ImageScale::Pad {
        width: 1408,
        height: 786,
    }),
    format: ImageFormat::Raw(PixelFormat::Bgr24),
};

string_enum! {
    /// How frames travel beside gRPC, as documents write it.
    enum TransferMode {
        /// Inside messages.
        Embedded = "embedded",
        /// Beside them.
        SharedMemory = "sharedMemory",
    }
}

/// Most lines of a node.
const MAX_LINES: usize = 256;

const SECOND: Duration = Duration::from_secs(1);

impl Reader<'_> {
    /// Reads a processor of a kind.
    pub(crate) fn processor(&mut self, kind: NodeKind, node: &mut Members<'_>) -> Option<Node> {
        match kind {
            NodeKind::MotionDetection => self.motion_detection(node),
            NodeKind::FrameRateFilter => self.frame_rate_filter(node),
            NodeKind::HttpExtension => self.http_extension(node),
            NodeKind::GrpcExtension => self.grpc_extension(node),
            NodeKind::ComputerVision => self.computer_vision(node),
            NodeKind::SignalGate => self.signal_gate(node),
            NodeKind::ObjectTracking => self.object_tracking(node),
            NodeKind::LineCrossing => self.line_crossing(node),
            // `custom_processor` reads it by its type.
            NodeKind::Custom => None,
            // Not processors. Named, so that a processor without a reader does not compile.
            NodeKind::RtspSource
            | NodeKind::MessageSource
            | NodeKind::MessageSink
            | NodeKind::AssetSink
            | NodeKind::FileSink
            | NodeKind::VideoSink => None,
        }
    }

    fn motion_detection(&mut self, node: &mut Members<'_>) -> Option<Node> {
        let sensitivity = self.string_enum::<Sensitivity>(node, "sensitivity", Presence::Optional);
        let region = self.boolean(node, "outputMotionRegion");
        self.since(
            node,
            "eventAggregationWindow",
            self.generation != Generation::Lva1,
        );
        let window = self.duration(node, "eventAggregationWindow");
        Some(Node::MotionDetection(MotionDetection {
            sensitivity: sensitivity.unwrap_or(Sensitivity::Medium),
            output_motion_region: region.unwrap_or(true),
            event_aggregation_window: window.unwrap_or(SECOND),
        }))
    }

    fn frame_rate_filter(&mut self, node: &mut Members<'_>) -> Option<Node> {
        let maximum_fps = self.rate(node, "maximumFps");
        Some(Node::FrameRateFilter(FrameRateFilter { maximum_fps }))
    }

    fn rate(&mut self, members: &mut Members<'_>, name: &'static str) -> Option<Rate> {
        self.scalar(members, name, Presence::Optional, |text| {
            match text.trim().parse::<f64>() {
                Ok(number) => Rate::new(number).ok_or_else(|| ValueError::range("a number above 0")),
                Err(_) => Err(ValueError::value("a number above 0")),
            }
        })
    }

    fn http_extension(&mut self, node: &mut Members<'_>) -> Option<Node> {
        self.extension(
            node,
            Peer::Http,
            PLAIN_IMAGE,
            self.default_image_presence(),
            |_, _| Some(ExtensionProtocol::Http),
        )
    }

    fn grpc_extension(&mut self, node: &mut Members<'_>) -> Option<Node> {
        self.extension(
            node,
            Peer::Grpc,
            PLAIN_IMAGE,
            self.default_image_presence(),
            |reader, node| {
                let transfer = reader.data_transfer(node);
                reader.since(
                    node,
                    "extensionConfiguration",
                    reader.generation != Generation::Lva1,
                );
                let configuration = reader.string(node, "extensionConfiguration", Presence::Optional);
                Some(ExtensionProtocol::Grpc {
                    transfer: transfer?,
                    configuration,
                })
            },
        )
    }

    fn computer_vision(&mut self, node: &mut Members<'_>) -> Option<Node> {
        let typed = self.generation.family() == Family::VideoAnalyzer;
        let presence = if typed {
            Presence::Optional
        } else {
            self.default_image_presence()
        };
        self.extension(node, Peer::Grpc, CONTAINER_IMAGE, presence, |reader, node| {
            if typed && node.get("operation").is_none() {
                node.missing("operation", reader.findings);
            }
            reader.since(node, "operation", typed);
            let operation = match node.get("operation") {
                None => None,
                Some(_) => Some(reader.operation(node)?),
            };
            Some(ExtensionProtocol::ComputerVision { operation })
        })
    }

    fn default_image_presence(&self) -> Presence {
        Presence::InGeneration(self.generation != Generation::Lva1)
    }

    fn extension(
        &mut self,
        node: &mut Members<'_>,
        peer: Peer,
        otherwise: Image,
        presence: Presence,
        protocol: impl FnOnce(&mut Self, &mut Members<'_>) -> Option<ExtensionProtocol>,
    ) -> Option<Node> {
        let endpoint = self.endpoint(node, peer);
        let image = self.image(node, presence, otherwise);
        self.since(node, "samplingOptions", self.generation != Generation::Lva1);
        let sampling = self.sampling(node);
        let protocol = protocol(self, node);
        if let (Some(image), Some(ExtensionProtocol::Grpc { transfer, .. })) = (&image, &protocol) {
            self.check_memory(node, image, *transfer);
        }
        Some(Node::Extension(ExtensionProcessor {
            endpoint: endpoint?,
            image: image?,
            sampling,
            protocol: protocol?,
        }))
    }

    /// A server may read a frame until the next one has come, so that two have to fit. Frames that follow the camera's size
    /// have a size that nothing here knows.
    fn check_memory(&mut self, node: &mut Members<'_>, image: &Image, transfer: DataTransfer) {
        let DataTransfer::SharedMemory { bytes } = transfer else {
            return;
        };
        let Some(needed) = two_frames(image).filter(|needed| *needed > bytes) else {
            return;
        };
        let mut silent = Findings::new(DocumentKind::Topology, Strictness::Open);
        let members = node.object("dataTransfer", &mut silent);
        let at = members.and_then(|mut members| members.get("sharedMemorySizeMiB"));
        let at = at.map_or_else(|| node.at.clone(), |(_, at)| at);
        let message = format!(
            "'sharedMemorySizeMiB' of {} is {}, but two frames of {} bytes have to fit: write {} or more, or choose \
             smaller frames",
            node.what,
            bytes >> 20,
            needed / 2,
            needed.div_ceil(1 << 20)
        );
        self.findings.error(DiagnosticCode::OutOfRange, &at, message);
    }

    pub(crate) fn sampling(&mut self, node: &mut Members<'_>) -> Sampling {
        let mut sampling = Sampling::default();
        if let Some(mut members) = node.object("samplingOptions", self.findings) {
            let skip = self.boolean(&mut members, "skipSamplesWithoutAnnotation");
            sampling.skip_samples_without_annotation = skip.unwrap_or(false);
            sampling.maximum_rate = self.rate(&mut members, "maximumSamplesPerSecond");
            members.finish(self.findings);
        }
        sampling
    }

    fn data_transfer(&mut self, node: &mut Members<'_>) -> Option<DataTransfer> {
        let Some(mut members) = node.object("dataTransfer", self.findings) else {
            if node.get("dataTransfer").is_none() {
                node.missing("dataTransfer", self.findings);
            }
            return None;
        };
        let mode = self.string_enum::<TransferMode>(&mut members, "mode", Presence::Required);
        let bytes = self.mebibytes(&mut members, "sharedMemorySizeMiB", Presence::Optional);
        let size = members.get("sharedMemorySizeMiB");
        let transfer = match mode? {
            TransferMode::Embedded => {
                if let Some((_, at)) = size {
                    let message = "'sharedMemorySizeMiB' has no effect with 'embedded': remove it";
                    self.findings.hint(DiagnosticCode::MemberIgnored, &at, message);
                }
                Some(DataTransfer::Embedded)
            }
            TransferMode::SharedMemory => {
                if size.is_none() {
                    members.missing("sharedMemorySizeMiB", self.findings);
                }
                bytes.map(|bytes| DataTransfer::SharedMemory { bytes })
            }
        };
        members.finish(self.findings);
        transfer
    }

    fn signal_gate(&mut self, node: &mut Members<'_>) -> Option<Node> {
        const USUAL: Duration = Duration::from_secs(30);
        const HOUR: Duration = Duration::from_secs(3600);
        let window = self
            .duration(node, "activationEvaluationWindow")
            .unwrap_or(SECOND);
        let keeps = window <= Duration::from_secs(10);
        self.bound(node, "activationEvaluationWindow", keeps, "at most 10 seconds");
        let offset = self.milliseconds(node, "activationSignalOffset").unwrap_or(0);
        let keeps = offset.unsigned_abs() <= 60_000;
        self.bound(node, "activationSignalOffset", keeps, "between -PT1M and PT1M");
        let minimum = self.duration(node, "minimumActivationTime");
        let maximum = self.duration(node, "maximumActivationTime");
        let (least, words) = match self.generation.family() {
            Family::Lva => (SECOND, "between 1 second and 1 hour"),
            Family::VideoAnalyzer => (SECOND * 10, "between 10 seconds and 1 hour"),
        };
        for (name, time) in [
            ("minimumActivationTime", minimum),
            ("maximumActivationTime", maximum),
        ] {
            let Some(time) = time else { continue };
            self.bound(node, name, time <= HOUR, words);
            self.limit(node, name, time >= least, words);
            if time.is_zero()
                && let Some((_, at)) = node.get(name)
            {
                let message = format!(
                    "'{name}' of {} is 0, so the gate never passes anything: make it longer",
                    node.what
                );
                self.findings.error(DiagnosticCode::OutOfRange, &at, message);
            }
        }
        let given = (minimum, maximum);
        let (minimum, maximum) = match given {
            (Some(minimum), Some(maximum)) => (minimum, maximum),
            (Some(minimum), None) => (minimum, minimum.max(USUAL)),
            (None, Some(maximum)) => (maximum.min(USUAL), maximum),
            (None, None) => (USUAL, USUAL),
        };
        if minimum > maximum {
            let message = format!(
                "'minimumActivationTime' of {} is longer than its 'maximumActivationTime': shorten it",
                node.what
            );
            self.findings.error(DiagnosticCode::OutOfRange, &node.at, message);
            return None;
        }
        // A minimum that an instance gives, or that is wrong, may be longer than the default.
        let is_known = given.0.is_some() || node.get("minimumActivationTime").is_none();
        let ends_first = u128::try_from(offset).is_ok_and(|offset| offset >= minimum.as_millis());
        if is_known
            && ends_first
            && let Some((_, at)) = node.get("activationSignalOffset")
        {
            let message = format!(
                "'activationSignalOffset' of {} is not shorter than its 'minimumActivationTime' ({} s), so nothing would \
                 be recorded: shorten it",
                node.what,
                minimum.as_secs_f64()
            );
            self.findings.error(DiagnosticCode::OutOfRange, &at, message);
        }
        Some(Node::SignalGate(SignalGateProcessor {
            evaluation_window: window,
            signal_offset_ms: offset,
            minimum_activation_time: minimum,
            maximum_activation_time: maximum,
        }))
    }

    fn object_tracking(&mut self, node: &mut Members<'_>) -> Option<Node> {
        let accuracy = self.string_enum::<Accuracy>(node, "accuracy", Presence::Optional);
        Some(Node::ObjectTracking(ObjectTracking {
            accuracy: accuracy.unwrap_or(Accuracy::Medium),
        }))
    }

    /// Events name lines, so each has a name of its own.
    fn check_line_names(&mut self, node: &mut Members<'_>, lines: &[NamedLine]) {
        let Some((_, at)) = node.get("lines") else { return };
        if lines.len() > MAX_LINES {
            let message = format!(
                "{} has more than {MAX_LINES} lines: divide them among several nodes",
                node.what
            );
            self.findings.error(DiagnosticCode::TooLarge, &at, message);
        }
        let mut names = HashSet::new();
        for (i, line) in lines.iter().enumerate() {
            let wrong = match line.name.as_str() {
                "" => "is empty",
                name if !names.insert(name) => "is that of another one",
                _ => continue,
            };
            let message = format!(
                "the name of line {} of {} {wrong}: give it one of its own",
                i + 1,
                node.what
            );
            self.findings
                .error(DiagnosticCode::InvalidName, &format!("{at}/{i}"), message);
        }
    }

    fn line_crossing(&mut self, node: &mut Members<'_>) -> Option<Node> {
        let list = node.list("lines", self.findings);
        if list.is_empty() {
            node.missing("lines", self.findings);
        }
        let mut lines = Some(Vec::with_capacity(list.len()));
        for item in list {
            let what = format!("a line of {}", node.what);
            let line = node
                .item(item, what, self.findings)
                .and_then(|mut m| self.named_line(&mut m));
            lines = lines.zip(line).map(|(mut lines, line)| {
                lines.push(line);
                lines
            });
        }
        let lines = lines.filter(|lines| !lines.is_empty())?;
        self.check_line_names(node, &lines);
        Some(Node::LineCrossing(LineCrossing { lines }))
    }
}

/// Bytes of two frames, each on a boundary of 64 bytes, where the document alone decides their size. Encoded ones may take
/// as much as their pixels with 24 bits each, and 64 KiB for whatever is around them.
fn two_frames(image: &Image) -> Option<u64> {
    let (width, height) = match image.scale? {
        ImageScale::Pad { width, height } | ImageScale::Stretch { width, height } => (width, height),
        ImageScale::Width(_) | ImageScale::Height(_) | ImageScale::Within { .. } => return None,
    };
    let frame = match image.format {
        ImageFormat::Raw(pixels) => pixels.packed_len(width, height)?,
        ImageFormat::Jpeg { .. } | ImageFormat::Png | ImageFormat::Bmp => {
            let pixels = PixelFormat::Bgr24.packed_len(width, height)?;
            pixels.checked_add(64 << 10)?
        }
    };
    let frame = frame.checked_next_multiple_of(64)?;
    u64::try_from(frame).ok()?.checked_mul(2)
}
