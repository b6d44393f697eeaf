//! Opens a session: first the shared memory, which must exist before its name is sent, then the descriptors.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Request, Streaming};

use super::error::{BROKE_AT_ONCE, ConnectError, PeerStatus, SentForm};
use super::in_flight::Limits;
use super::options::{ClientOptions, Transfer};
use super::session::{PeerDescription, Session};
use super::store::Store;
use crate::causes::root_cause;
use crate::convert::TIMESCALE;
use crate::credentials;
use crate::preview;
use crate::shared_memory::{Region, SharedMemoryError, remove_stale_regions};
use crate::tls::{client_config, peer_has_no_tls, tls_failure};
use crate::wire::media_descriptor::MediaSampleFormat;
use crate::wire::media_graph_extension_client::MediaGraphExtensionClient;
use crate::wire::media_stream_descriptor::{DataTransferProperties, StreamIdentifier};
use crate::wire::media_stream_message::Payload;
use crate::wire::{self, MediaStreamMessage};

/// Bytes of a message besides the frame: upstream inferences and the encoding of the message.
const MESSAGE_OVERHEAD: usize = 1 << 20;

/// Opens a session with an extension.
///
/// Each session has its own connection, stream and, if configured, region of shared memory. The region is complete
/// before its name is sent and is removed with the session. `C` is a value that the caller gets back with each answer.
///
/// # Errors
///
/// [`ConnectError`]. Retry after [`Backoff`](crate::Backoff) if it [`is_transient`](ConnectError::is_transient).
///
/// # Panics
///
/// When it is polled outside of a tokio runtime with I/O and time.
pub async fn connect<C: Send + 'static>(options: &ClientOptions) -> Result<Session<C>, ConnectError> {
    let frame_limit = options.frame_limit();
    if frame_limit == 0 && options.format.is_some() {
        return Err(ConnectError::Options("the largest frame has 0 bytes"));
    }
    if options.tls.is_some() && options.url.socket_path().is_some() {
        return Err(ConnectError::Options("TLS is not supported on Unix sockets"));
    }
    let store = make_store(options, frame_limit).await?;
    let exact = options.format.and_then(|format| format.frame_bytes());
    let window = store.window(options.window, exact);
    let (outgoing, messages) = mpsc::channel(window + 1);
    let descriptor = MediaStreamMessage {
        sequence_number: 1,
        ack_sequence_number: 0,
        payload: Some(Payload::MediaStreamDescriptor(descriptor(options, &store))),
    };
    // The new channel has capacity for it.
    let _ = outgoing.try_send(descriptor);

    let sent = SentForm {
        shared_memory: store.is_shared(),
        largest_frame: frame_limit,
    };
    let url = || options.url.to_string();
    let handshake = handshake(options, frame_limit, sent, messages);
    let (inbound, peer) = match tokio::time::timeout(options.handshake_timeout, handshake).await {
        Ok(result) => result?,
        Err(_) => {
            return Err(ConnectError::HandshakeTimeout {
                url: url(),
                waited: options.handshake_timeout,
            });
        }
    };
    tracing::debug!(url = %options.url, extension = %peer.identifier, window, "session opened");
    let limits = Limits {
        window,
        answer_timeout: options.answer_timeout,
        first_answer_timeout: options.first_answer_timeout,
    };
    Ok(Session::new(
        store,
        limits,
        frame_limit,
        sent,
        peer,
        outgoing,
        Some(inbound),
    ))
}

async fn make_store(options: &ClientOptions, frame_limit: usize) -> Result<Store, ConnectError> {
    if options.format.is_none() {
        return Ok(Store::Nothing);
    }
    let Transfer::SharedMemory(memory) = &options.transfer else {
        return Ok(Store::embedded());
    };
    let (memory, window) = (memory.clone(), options.window);
    // Touching all pages blocks for milliseconds.
    let region = tokio::task::spawn_blocking(move || {
        if let Err(error) = remove_stale_regions(&memory.directory) {
            tracing::debug!(%error, "could not look for stale shared memory");
        }
        Region::create(&memory, frame_limit, window)
    });
    match region.await {
        Ok(region) => Ok(Store::shared(region?)),
        Err(error) => Err(ConnectError::SharedMemory(SharedMemoryError::Io {
            directory: match &options.transfer {
                Transfer::SharedMemory(memory) => memory.directory.clone(),
                Transfer::Embedded => Default::default(),
            },
            doing: "starting a blocking task",
            cause: std::io::Error::other(error),
        })),
    }
}

fn descriptor(options: &ClientOptions, store: &Store) -> wire::MediaStreamDescriptor {
    let identity = &options.identity;
    let shared_memory = store.region().map(|region| {
        DataTransferProperties::SharedMemoryBufferTransferProperties(
            wire::SharedMemoryBufferTransferProperties {
                handle_name: region.name().to_owned(),
                length_bytes: region.length() as u64,
            },
        )
    });
    wire::MediaStreamDescriptor {
        stream_identifier: Some(StreamIdentifier::GraphIdentifier(wire::GraphIdentifier {
            media_services_arm_id: identity.media_services_arm_id.clone(),
            graph_instance_name: identity.graph_instance_name.clone(),
            graph_node_name: identity.graph_node_name.clone(),
        })),
        extension_configuration: options.configuration.clone().unwrap_or_default(),
        media_descriptor: Some(wire::MediaDescriptor {
            timescale: TIMESCALE,
            media_sample_format: options
                .format
                .map(|format| MediaSampleFormat::VideoFrameSampleFormat(format.to_wire())),
        }),
        data_transfer_properties: shared_memory,
    }
}

async fn handshake(
    options: &ClientOptions,
    frame_limit: usize,
    sent: SentForm,
    messages: mpsc::Receiver<MediaStreamMessage>,
) -> Result<(Streaming<MediaStreamMessage>, PeerDescription), ConnectError> {
    let url = || options.url.to_string();
    let unreachable = |cause| ConnectError::Unreachable { url: url(), cause };
    let refused = |refusal: tonic::Status| {
        let mut status = PeerStatus::new(&refusal, sent);
        // A status with a source comes from the transport, not from the extension.
        if std::error::Error::source(&refusal).is_some() && !options.url.is_tls() {
            status.hint.get_or_insert(BROKE_AT_ONCE);
        }
        ConnectError::Refused { url: url(), status }
    };

    let unreachable = |cause: tonic::transport::Error| match tls_failure(&cause) {
        Some(error) if peer_has_no_tls(error) => ConnectError::PeerWithoutTls { url: url(), cause },
        Some(error) => ConnectError::Tls {
            url: url(),
            reason: error.to_string(),
            cause,
        },
        None => unreachable(cause),
    };
    let mut endpoint = Endpoint::from_shared(options.url.transport()).map_err(unreachable)?;
    if options.url.is_tls() {
        let host = endpoint.uri().host().unwrap_or_default().to_owned();
        let roots = options.tls.clone().unwrap_or_default();
        endpoint = endpoint
            .tls_config(client_config(&roots, &host))
            .map_err(|cause| ConnectError::Tls {
                url: url(),
                reason: root_cause(&cause).to_string(),
                cause,
            })?;
    }
    let channel = endpoint
        .tcp_nodelay(true)
        .tcp_keepalive(Some(Duration::from_secs(30)))
        .initial_stream_window_size(16 << 20)
        .initial_connection_window_size(32 << 20)
        .connect()
        .await
        .map_err(unreachable)?;
    let mut client = MediaGraphExtensionClient::new(channel)
        .max_decoding_message_size(options.largest_answer)
        .max_encoding_message_size(frame_limit.saturating_add(MESSAGE_OVERHEAD));
    let mut request = Request::new(ReceiverStream::new(messages));
    if let Some(credentials) = &options.credentials {
        credentials::write(credentials, request.metadata_mut());
    }
    if options.preview {
        preview::ask(request.metadata_mut());
    }
    let mut inbound = client
        .process_media_stream(request)
        .await
        .map_err(refused)?
        .into_inner();
    // The numbers of this message are ignored: real servers leave them at 0.
    let first = inbound
        .message()
        .await
        .map_err(refused)?
        .ok_or_else(|| ConnectError::Closed { url: url() })?;
    let Some(Payload::MediaStreamDescriptor(descriptor)) = first.payload else {
        return Err(ConnectError::NotADescriptor { url: url() });
    };
    Ok((inbound, PeerDescription::from_wire(descriptor)))
}
