//! One stream from its descriptor to its end.

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use lva_media_types::clean_text;
use tokio::sync::{mpsc, watch};
use tonic::{Code, Status, Streaming};

use super::extension::{Extension, ExtensionOpenError, ExtensionSession, Sample, SessionInfo, StreamError};
use super::options::ServerOptions;
use super::sequence::{Sequence, Step};
use super::stats::Counters;
use crate::client::MAX_WINDOW;
use crate::counters::{count, count_many};
use crate::shared_memory::{PeerRegion, PeerRegionError};
use crate::wire::media_descriptor::MediaSampleFormat;
use crate::wire::media_sample::Content;
use crate::wire::media_stream_descriptor::{DataTransferProperties, StreamIdentifier};
use crate::wire::media_stream_message::Payload;
use crate::wire::{self, MediaStreamMessage};
use crate::{FrameFormat, GraphIdentity, bounds, convert};

/// Consecutive failures of an extension after which the stream ends.
const FAILURES_IN_A_ROW: u32 = 3;

/// Characters of an extension's message in a status.
const MAX_STATUS_CHARACTERS: usize = 1000;

/// Characters of each name that a client gives.
const MAX_NAME_CHARACTERS: usize = 1024;

/// Longest accepted `extension_configuration` in bytes.
pub(super) const MAX_CONFIGURATION: usize = 1 << 20;

/// State that all streams of a server share.
#[derive(Debug)]
pub(super) struct ServerState<E> {
    pub(super) extension: E,
    pub(super) options: ServerOptions,
    pub(super) counters: Arc<Counters>,
    pub(super) shutdown: watch::Receiver<bool>,
}

type Outgoing = mpsc::Sender<MediaStreamMessage>;

/// What is known of a stream before its first message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) wants_preview: bool,
}

/// Runs a stream to its end. An error becomes the final status. `accepted` is called when the descriptor is.
pub(super) async fn run<E: Extension>(
    state: &ServerState<E>,
    call: Call,
    mut inbound: Streaming<MediaStreamMessage>,
    outgoing: Outgoing,
    accepted: impl FnOnce(),
) -> Result<(), Status> {
    let counters = &state.counters;
    let opened = open(state, call, &mut inbound, &outgoing).await;
    let (mut stream, mut session) = match opened {
        Ok(Some(opened)) => opened,
        Ok(None) => return Ok(()),
        Err(status) => {
            count(&counters.sessions_refused);
            return Err(status);
        }
    };
    accepted();
    count(&counters.sessions_opened);
    let _closed = CountClosed(counters);
    stream
        .serve(state, &mut inbound, &outgoing, session.as_mut())
        .await
}

/// Counts a stream as closed, also when its extension panics.
struct CountClosed<'a>(&'a Counters);

impl Drop for CountClosed<'_> {
    fn drop(&mut self) {
        count(&self.0.sessions_closed);
    }
}

/// `None` if the client closed the stream without a message.
async fn open<E: Extension>(
    state: &ServerState<E>,
    call: Call,
    inbound: &mut Streaming<MediaStreamMessage>,
    outgoing: &Outgoing,
) -> Result<Option<(Stream, Box<dyn ExtensionSession>)>, Status> {
    let options = &state.options;
    let first = match tokio::time::timeout(options.handshake_timeout, inbound.message()).await {
        Err(_) => {
            return Err(Status::deadline_exceeded(
                "no descriptor received in time: it must be the first message",
            ));
        }
        Ok(Err(status)) => return Err(unreadable(status)),
        Ok(Ok(None)) => return Ok(None),
        Ok(Ok(Some(first))) => first,
    };
    begin(state, call, first, outgoing).await.map(Some)
}

/// Opens a stream by its first message.
async fn begin<E: Extension>(
    state: &ServerState<E>,
    Call {
        number,
        wants_preview,
    }: Call,
    first: MediaStreamMessage,
    outgoing: &Outgoing,
) -> Result<(Stream, Box<dyn ExtensionSession>), Status> {
    let options = &state.options;
    let Some(Payload::MediaStreamDescriptor(descriptor)) = first.payload else {
        return Err(Status::invalid_argument(
            "the first message must be a media stream descriptor",
        ));
    };
    let mut sequence = Sequence::default();
    sequence.see(first.sequence_number);
    let (mut info, region) = read_descriptor(descriptor, number, options)?;
    info.preview = wants_preview;
    let session = state.extension.open(&info).await.map_err(|error| match error {
        ExtensionOpenError::UnsupportedFormat(_) => Status::out_of_range(error.to_string()),
        ExtensionOpenError::Configuration(_) => Status::invalid_argument(error.to_string()),
        ExtensionOpenError::Busy(_) => Status::resource_exhausted(error.to_string()),
        ExtensionOpenError::Failed(source) => {
            tracing::error!(stream = number, %source, "the extension failed to start a stream");
            Status::internal("the extension failed to start the stream")
        }
    })?;
    // Answered before any sample is read: some clients wait for it before they send one.
    let descriptor = wire::MediaStreamDescriptor {
        stream_identifier: Some(StreamIdentifier::ExtensionIdentifier(
            state.extension.identifier().to_owned(),
        )),
        media_descriptor: Some(wire::MediaDescriptor {
            timescale: info.timescale,
            media_sample_format: None,
        }),
        ..Default::default()
    };
    let mut stream = Stream {
        number,
        format: info.format,
        timescale: info.timescale,
        region,
        sequence,
        sent: 0,
        failures: 0,
        buffer: BytesMut::new(),
    };
    let payload = Payload::MediaStreamDescriptor(descriptor);
    stream
        .send(outgoing, options, first.sequence_number, payload)
        .await?;
    tracing::info!(
        stream = number,
        instance = %info.identity.graph_instance_name,
        node = %info.identity.graph_node_name,
        shared_memory = info.shared_memory,
        "stream opened"
    );
    Ok((stream, session))
}

fn read_descriptor(
    descriptor: wire::MediaStreamDescriptor,
    number: u64,
    options: &ServerOptions,
) -> Result<(SessionInfo, Option<PeerRegion>), Status> {
    let identity = match descriptor.stream_identifier {
        Some(StreamIdentifier::GraphIdentifier(graph)) => GraphIdentity {
            media_services_arm_id: clean_text(&graph.media_services_arm_id, MAX_NAME_CHARACTERS),
            graph_instance_name: clean_text(&graph.graph_instance_name, MAX_NAME_CHARACTERS),
            graph_node_name: clean_text(&graph.graph_node_name, MAX_NAME_CHARACTERS),
        },
        Some(StreamIdentifier::ExtensionIdentifier(_)) | None => GraphIdentity::default(),
    };
    if descriptor.extension_configuration.len() > MAX_CONFIGURATION {
        return Err(Status::resource_exhausted(format!(
            "the extension configuration has {} bytes, at most {MAX_CONFIGURATION} are accepted",
            descriptor.extension_configuration.len()
        )));
    }
    let media = descriptor.media_descriptor.unwrap_or_default();
    let format = match &media.media_sample_format {
        Some(MediaSampleFormat::VideoFrameSampleFormat(format)) => {
            let format = FrameFormat::from_wire(format)
                .map_err(|error| Status::invalid_argument(format!("the announced frame format: {error}")))?;
            check_frame_size(format.frame_bytes().unwrap_or(0) as u64, options)?;
            Some(format)
        }
        None => None,
    };
    let region = match descriptor.data_transfer_properties {
        Some(DataTransferProperties::SharedMemoryBufferTransferProperties(memory)) => {
            if memory.length_bytes > options.max_region_bytes {
                return Err(Status::resource_exhausted(format!(
                    "shared memory of {} bytes was announced, at most {} are accepted",
                    memory.length_bytes, options.max_region_bytes
                )));
            }
            let opened = PeerRegion::open(
                &options.directory,
                &memory.handle_name,
                memory.length_bytes,
                options.trust,
            );
            Some(opened.map_err(|error| region_status(&error))?)
        }
        None => None,
    };
    let info = SessionInfo {
        number,
        identity,
        configuration: descriptor.extension_configuration,
        format,
        timescale: if media.timescale == 0 {
            convert::TIMESCALE
        } else {
            media.timescale
        },
        shared_memory: region.is_some(),
        preview: false,
    };
    Ok((info, region))
}

fn check_frame_size(bytes: u64, options: &ServerOptions) -> Result<usize, Status> {
    let limit = options.max_frame_bytes;
    usize::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes <= limit)
        .ok_or_else(|| {
            Status::resource_exhausted(format!(
                "a frame of {bytes} bytes was announced, at most {limit} are accepted"
            ))
        })
}

/// The status of each violation, as documented.
fn region_status(error: &PeerRegionError) -> Status {
    let code = match error {
        PeerRegionError::Name { .. } | PeerRegionError::OutOfBounds { .. } => Code::InvalidArgument,
        PeerRegionError::NotFound { .. } => Code::NotFound,
        PeerRegionError::Open { .. } | PeerRegionError::NotAFile { .. } => Code::FailedPrecondition,
        PeerRegionError::Short { .. } | PeerRegionError::Truncated => Code::FailedPrecondition,
        PeerRegionError::Read(_) => Code::Internal,
    };
    Status::new(code, error.to_string())
}

/// The status for a message that the transport could not decode.
fn unreadable(status: Status) -> Status {
    match status.code() {
        Code::Internal => {
            Status::invalid_argument(format!("a message could not be decoded: {}", status.message()))
        }
        Code::OutOfRange => Status::resource_exhausted(format!(
            "a message is larger than this server accepts: {}",
            status.message()
        )),
        _ => status,
    }
}

/// State of a stream between two samples.
#[derive(Debug)]
struct Stream {
    number: u64,
    format: Option<FrameFormat>,
    timescale: u32,
    region: Option<PeerRegion>,
    sequence: Sequence,
    sent: u64,
    failures: u32,
    /// Private memory for frames of untrusted peers, reused.
    buffer: BytesMut,
}

impl Stream {
    async fn serve<E: Extension>(
        &mut self,
        state: &ServerState<E>,
        inbound: &mut Streaming<MediaStreamMessage>,
        outgoing: &Outgoing,
        session: &mut dyn ExtensionSession,
    ) -> Result<(), Status> {
        let mut shutdown = state.shutdown.clone();
        loop {
            let message = tokio::select! {
                biased;
                _ = shutdown.wait_for(|down| *down) => break,
                message = inbound.message() => message,
            };
            if self.take(state, message, outgoing, session).await?.is_break() {
                return Ok(());
            }
        }
        // All messages received so far, before an answer makes the client send more.
        let mut in_flight = Vec::new();
        while in_flight.len() < MAX_WINDOW {
            tokio::select! {
                biased;
                message = inbound.message() => {
                    let goes_on = matches!(message, Ok(Some(_)));
                    in_flight.push(message);
                    if !goes_on {
                        break;
                    }
                }
                () = std::future::ready(()) => break,
            }
        }
        for message in in_flight {
            if self.take(state, message, outgoing, session).await?.is_break() {
                return Ok(());
            }
        }
        Err(Status::unavailable("the extension is shutting down"))
    }

    /// Handles a result of the transport; breaks when the client has finished.
    async fn take<E: Extension>(
        &mut self,
        state: &ServerState<E>,
        message: Result<Option<MediaStreamMessage>, Status>,
        outgoing: &Outgoing,
        session: &mut dyn ExtensionSession,
    ) -> Result<ControlFlow<()>, Status> {
        let counters = &state.counters;
        let message = match message {
            Ok(Some(message)) => message,
            // Half-closed: every sample is answered, so the stream ends with OK.
            Ok(None) => return Ok(ControlFlow::Break(())),
            Err(status) if matches!(status.code(), Code::Internal | Code::OutOfRange) => {
                count(&counters.sessions_failed);
                return Err(unreadable(status));
            }
            Err(status) => {
                tracing::debug!(stream = self.number, %status, "the client disconnected");
                return Ok(ControlFlow::Break(()));
            }
        };
        let step = self.step(state, message, outgoing, session).await;
        step.inspect_err(|status| {
            if !matches!(status.code(), Code::Internal | Code::Cancelled) {
                count(&counters.sessions_failed);
            }
        })?;
        Ok(ControlFlow::Continue(()))
    }

    async fn step<E: Extension>(
        &mut self,
        state: &ServerState<E>,
        message: MediaStreamMessage,
        outgoing: &Outgoing,
        session: &mut dyn ExtensionSession,
    ) -> Result<(), Status> {
        let (options, counters) = (&state.options, &state.counters);
        let number = message.sequence_number;
        let sample = match message.payload {
            Some(Payload::MediaSample(sample)) => sample,
            Some(Payload::MediaStreamDescriptor(_)) => {
                return Err(Status::invalid_argument(
                    "a second descriptor was received: open a new stream instead",
                ));
            }
            None => {
                self.sequence.see(number);
                count(&counters.empty_messages);
                return Ok(());
            }
        };
        match self.sequence.see(number) {
            Step::Next => {}
            Step::Gap => count(&counters.sequence_gaps),
            Step::Repeat => count(&counters.sequence_repeats),
            Step::Zero => {
                return Err(Status::invalid_argument(
                    "a sample has sequence number 0, which no acknowledgement can name: count from 1",
                ));
            }
        }
        count(&counters.samples);
        let data = self.frame(sample.content, options, counters)?;
        let (mut upstream, without_value) = convert::inferences_from_wire(sample.inferences);
        let left_out = bounds::bound(&mut upstream);
        count_many(&counters.inferences_left_out, left_out.inferences);
        count_many(&counters.parts_left_out, left_out.parts);
        count_many(&counters.inferences_without_value, without_value);

        let shown = Sample::new(&data, sample.timestamp, self.timescale, number, &upstream);
        let inferences = match session.process(shown).await {
            Ok(inferences) => {
                self.failures = 0;
                inferences
            }
            Err(error) => {
                if let Some(end) = error.downcast_ref::<StreamError>() {
                    count(&counters.samples_refused);
                    // Statuses are sent in a header, which must stay small.
                    let message = clean_text(&end.to_string(), MAX_STATUS_CHARACTERS);
                    return Err(Status::new(end.code(), message));
                }
                self.failures += 1;
                count(&counters.process_failures);
                tracing::warn!(stream = self.number, sequence = number, %error, "the extension failed on a frame");
                if self.failures >= FAILURES_IN_A_ROW {
                    return Err(Status::internal(format!(
                        "the extension failed on {FAILURES_IN_A_ROW} frames in a row"
                    )));
                }
                Vec::new()
            }
        };
        // Before the acknowledgement: after it, the client may reuse the memory.
        if let Ok(buffer) = data.try_into_mut() {
            self.buffer = buffer;
        }
        let answer = wire::MediaSample {
            timestamp: sample.timestamp,
            inferences: convert::inferences_to_wire(&inferences),
            content: None,
        };
        self.send(outgoing, options, number, Payload::MediaSample(answer))
            .await?;
        count(&counters.answers);
        count_many(&counters.inferences, inferences.len() as u64);
        Ok(())
    }

    /// The bytes of a sample, with the exact size of a raw frame.
    fn frame(
        &mut self,
        content: Option<Content>,
        options: &ServerOptions,
        counters: &Counters,
    ) -> Result<Bytes, Status> {
        let Some(format) = self.format else {
            return Ok(Bytes::new());
        };
        let announced = match &content {
            Some(Content::ContentBytes(content)) => content.bytes.len() as u64,
            Some(Content::ContentReference(reference)) => reference.length_bytes,
            None => return Err(Status::invalid_argument("a sample has no content")),
        };
        // Known clients announce one byte more than a frame has, and start it on the last byte of the previous one. Extra
        // bytes and overlap are accepted, as long as they are inside of the region.
        let needed = match format.frame_bytes() {
            Some(exact) if announced < exact as u64 => {
                return Err(Status::invalid_argument(format!(
                    "a sample has {announced} bytes, a frame of {format} has {exact}"
                )));
            }
            Some(exact) => exact,
            None => check_frame_size(announced, options)?,
        };
        match content {
            Some(Content::ContentBytes(mut content)) => {
                content.bytes.truncate(needed);
                Ok(content.bytes)
            }
            Some(Content::ContentReference(reference)) => {
                let Some(region) = &self.region else {
                    return Err(Status::invalid_argument(
                        "a sample refers to shared memory, but the descriptor announced none",
                    ));
                };
                region
                    .end(reference.address_offset, announced)
                    .map_err(|error| region_status(&error))?;
                let buffer = std::mem::take(&mut self.buffer);
                let (bytes, copied) = region
                    .frame(reference.address_offset, needed, buffer)
                    .map_err(|error| region_status(&error))?;
                count_many(&counters.frame_copies, copied.into());
                Ok(bytes)
            }
            None => Err(Status::invalid_argument("a sample has no content")),
        }
    }

    async fn send(
        &mut self,
        outgoing: &Outgoing,
        options: &ServerOptions,
        acknowledged: u64,
        payload: Payload,
    ) -> Result<(), Status> {
        self.sent += 1;
        let message = MediaStreamMessage {
            sequence_number: self.sent,
            ack_sequence_number: acknowledged,
            payload: Some(payload),
        };
        match tokio::time::timeout(options.answer_timeout, outgoing.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Status::cancelled("the client disconnected")),
            Err(_) => Err(Status::deadline_exceeded(format!(
                "an answer was not read within {} s",
                options.answer_timeout.as_secs_f32()
            ))),
        }
    }
}
