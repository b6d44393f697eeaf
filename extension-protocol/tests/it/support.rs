//! Shared by the tests: an extension that answers with digests, a raw client, a scripted server.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lva_extension_protocol::client::*;
use lva_extension_protocol::server::*;
use lva_extension_protocol::wire::media_graph_extension_client::MediaGraphExtensionClient;
use lva_extension_protocol::wire::media_graph_extension_server::{
    MediaGraphExtension, MediaGraphExtensionServer,
};
use lva_extension_protocol::wire::media_sample::Content;
use lva_extension_protocol::wire::media_stream_message::Payload;
use lva_extension_protocol::wire::{self, MediaStreamMessage};
use lva_extension_protocol::*;
use lva_inference_schema::{Event, Inference};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// Long enough for a busy machine; reached only by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn small_format() -> FrameFormat {
    FrameFormat::raw(PixelFormat::Bgr24, 64, 48).unwrap()
}

/// A hash of the bytes and their positions.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Answers each frame with the digest of its bytes, or behaves as the configuration asks.
#[derive(Debug, Default)]
pub(crate) struct Digester {
    pub(crate) seen: Arc<Mutex<Vec<(u64, usize)>>>,
}

struct DigesterSession {
    info: SessionInfo,
    seen: Arc<Mutex<Vec<(u64, usize)>>>,
}

#[async_trait]
impl Extension for Digester {
    fn identifier(&self) -> &str {
        "digester"
    }

    async fn open(&self, session: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        match session.configuration.as_str() {
            "refuse format" => Err(ExtensionOpenError::UnsupportedFormat(
                "only rgb24 is taken".into(),
            )),
            "refuse configuration" => Err(ExtensionOpenError::Configuration("no such zone".into())),
            _ => Ok(Box::new(DigesterSession {
                info: session.clone(),
                seen: Arc::clone(&self.seen),
            })),
        }
    }
}

#[async_trait]
impl ExtensionSession for DigesterSession {
    async fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        let address = sample.data().as_ptr() as usize;
        self.seen.lock().unwrap().push((sample.timestamp_90k(), address));
        match self.info.configuration.as_str() {
            "fail" => Err("as requested".into()),
            "bad frame" => Err(StreamError::BadFrame("Can't decode received bytes.".into()).into()),
            "bad format" => Err(StreamError::UnsupportedFormat("x".repeat(5000)).into()),
            "fail on odd" if sample.sequence() % 2 == 1 => Err("as requested".into()),
            "panic" => panic!("as requested"),
            "never end" => std::future::pending().await,
            "answer empty" => Ok(Vec::new()),
            "echo upstream" => Ok(sample.upstream().to_vec()),
            _ => Ok(vec![seen(sample.data())]),
        }
    }
}

/// Answers nothing until its gate opens, and reports each frame.
pub(crate) struct Gated(Arc<Gate>);

#[derive(Default)]
pub(crate) struct Gate {
    entered: tokio::sync::Notify,
    open: tokio::sync::Notify,
    is_open: std::sync::atomic::AtomicBool,
}

impl Gate {
    /// Waits for a frame.
    pub(crate) async fn entered(&self) {
        self.entered.notified().await;
    }

    /// From now on every frame is answered.
    pub(crate) fn open(&self) {
        self.is_open.store(true, std::sync::atomic::Ordering::SeqCst);
        self.open.notify_one();
    }
}

impl Gated {
    pub(crate) fn new() -> (Arc<Gate>, Self) {
        let gate = Arc::<Gate>::default();
        (Arc::clone(&gate), Self(gate))
    }
}

#[async_trait]
impl Extension for Gated {
    async fn open(&self, _: &SessionInfo) -> Result<Box<dyn ExtensionSession>, ExtensionOpenError> {
        Ok(Box::new(Self(Arc::clone(&self.0))))
    }
}

#[async_trait]
impl ExtensionSession for Gated {
    async fn process(&mut self, _: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        self.0.entered.notify_one();
        if !self.0.is_open.load(std::sync::atomic::Ordering::SeqCst) {
            self.0.open.notified().await;
        }
        Ok(Vec::new())
    }
}

/// The answer of [`Digester`] to these bytes.
pub(crate) fn seen(bytes: &[u8]) -> Inference {
    Inference::new(
        Event::new("seen")
            .with_property("digest", digest(bytes))
            .with_property("bytes", bytes.len().to_string()),
    )
}

/// This crate's server, which runs until it is dropped or stopped.
pub(crate) struct Host {
    pub(crate) url: ExtensionUrl,
    pub(crate) stats: StatsReader,
    pub(crate) seen: Arc<Mutex<Vec<(u64, usize)>>>,
    stop: Option<oneshot::Sender<()>>,
    serving: tokio::task::JoinHandle<Result<(), HostError>>,
}

impl Host {
    pub(crate) async fn start(options: ServerOptions) -> Self {
        Self::listen(options, ListenAddress::loopback(0)).await
    }

    pub(crate) async fn listen(options: ServerOptions, address: ListenAddress) -> Self {
        let digester = Digester::default();
        let seen = Arc::clone(&digester.seen);
        let listening = ExtensionServer::new(digester)
            .with_options(options)
            .listen(address)
            .await
            .unwrap();
        let (url, stats) = (listening.url(), listening.stats());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(listening.serve(async {
            let _ = stopped.await;
        }));
        Self {
            url,
            stats,
            seen,
            stop: Some(stop),
            serving,
        }
    }

    pub(crate) async fn stop(mut self) -> Result<(), HostError> {
        drop(self.stop.take());
        within(self.serving).await.unwrap()
    }

    pub(crate) async fn raw(&self) -> Raw {
        Raw::connect(&self.url).await
    }

    /// Waits until the server accepts one more stream, and opens it.
    pub(crate) async fn raw_when_free(&self) -> Raw {
        within(async {
            loop {
                match Raw::try_connect(&self.url).await {
                    Ok(raw) => return raw,
                    Err(status) => assert_eq!(status.code(), GrpcCode::ResourceExhausted, "{status}"),
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("nothing hangs")
}

/// The generated client, under the control of a test.
pub(crate) struct Raw {
    pub(crate) to: mpsc::Sender<MediaStreamMessage>,
    pub(crate) from: Streaming<MediaStreamMessage>,
}

impl Raw {
    pub(crate) async fn connect(url: &ExtensionUrl) -> Self {
        Self::try_connect(url).await.unwrap()
    }

    /// The stream, unless the server refuses it at once.
    pub(crate) async fn try_connect(url: &ExtensionUrl) -> Result<Self, Status> {
        let address = url.to_string().replace("tcp://", "http://");
        let mut client = MediaGraphExtensionClient::connect(address).await.unwrap();
        let (to, messages) = mpsc::channel(1024);
        let response = client.process_media_stream(ReceiverStream::new(messages)).await?;
        Ok(Self {
            to,
            from: response.into_inner(),
        })
    }

    pub(crate) async fn send(&self, sequence_number: u64, payload: Payload) {
        let message = MediaStreamMessage {
            sequence_number,
            ack_sequence_number: 0,
            payload: Some(payload),
        };
        // A server that ended the stream stops reading; its status is asserted elsewhere.
        let _ = self.to.send(message).await;
    }

    pub(crate) async fn receive(&mut self) -> Result<Option<MediaStreamMessage>, Status> {
        within(self.from.message()).await
    }

    pub(crate) async fn answer(&mut self) -> MediaStreamMessage {
        self.receive().await.unwrap().expect("an answer")
    }

    pub(crate) async fn end(&mut self) -> Status {
        loop {
            match self.receive().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok("closed"),
                Err(status) => return status,
            }
        }
    }

    /// Descriptors of both sides, without shared memory.
    pub(crate) async fn open(&mut self, format: FrameFormat) {
        self.send(1, descriptor(Some(format), None, "")).await;
        let first = self.answer().await;
        assert!(matches!(first.payload, Some(Payload::MediaStreamDescriptor(_))));
    }
}

pub(crate) fn wire_format(format: FrameFormat) -> wire::VideoFrameSampleFormat {
    use wire::video_frame_sample_format::{Encoding, PixelFormat as Pixels};
    let (encoding, pixel_format) = match format.encoding() {
        FrameEncoding::Raw(_) => (Encoding::Raw, Pixels::Bgr24),
        FrameEncoding::Jpg => (Encoding::Jpg, Pixels::None),
        FrameEncoding::Png => (Encoding::Png, Pixels::None),
        FrameEncoding::Bmp => (Encoding::Bmp, Pixels::None),
    };
    wire::VideoFrameSampleFormat {
        encoding: encoding.into(),
        pixel_format: pixel_format.into(),
        dimensions: Some(wire::Dimensions {
            width: format.width(),
            height: format.height(),
        }),
        stride_bytes: 0,
    }
}

pub(crate) fn descriptor(
    format: Option<FrameFormat>,
    shared_memory: Option<(&str, u64)>,
    configuration: &str,
) -> Payload {
    Payload::MediaStreamDescriptor(wire::MediaStreamDescriptor {
        stream_identifier: None,
        extension_configuration: configuration.into(),
        media_descriptor: Some(wire::MediaDescriptor {
            timescale: 90_000,
            media_sample_format: format.map(|format| {
                wire::media_descriptor::MediaSampleFormat::VideoFrameSampleFormat(wire_format(format))
            }),
        }),
        data_transfer_properties: shared_memory.map(|(name, length_bytes)| {
            wire::media_stream_descriptor::DataTransferProperties::SharedMemoryBufferTransferProperties(
                wire::SharedMemoryBufferTransferProperties {
                    handle_name: name.into(),
                    length_bytes,
                },
            )
        }),
    })
}

pub(crate) fn embedded(bytes: Vec<u8>, timestamp: u64) -> Payload {
    Payload::MediaSample(wire::MediaSample {
        timestamp,
        inferences: Vec::new(),
        content: Some(Content::ContentBytes(wire::ContentBytes { bytes: bytes.into() })),
    })
}

pub(crate) fn reference(address_offset: u64, length_bytes: u64) -> Payload {
    Payload::MediaSample(wire::MediaSample {
        timestamp: 0,
        inferences: Vec::new(),
        content: Some(Content::ContentReference(wire::ContentReference {
            address_offset,
            length_bytes,
        })),
    })
}

pub(crate) fn sample_of(message: &MediaStreamMessage) -> &wire::MediaSample {
    match &message.payload {
        Some(Payload::MediaSample(sample)) => sample,
        other => panic!("not a sample: {other:?}"),
    }
}

pub(crate) fn properties_of(message: &MediaStreamMessage) -> BTreeMap<String, String> {
    match &sample_of(message).inferences[0].value {
        Some(wire::inference::Value::Event(event)) => event.properties.clone().into_iter().collect(),
        other => panic!("not an event: {other:?}"),
    }
}

pub(crate) fn ack(sequence_number: u64, ack_sequence_number: u64) -> MediaStreamMessage {
    let sample = wire::MediaSample::default();
    MediaStreamMessage {
        sequence_number,
        ack_sequence_number,
        payload: Some(Payload::MediaSample(sample)),
    }
}

pub(crate) fn server_descriptor(sequence_number: u64, ack_sequence_number: u64) -> MediaStreamMessage {
    let media = wire::MediaDescriptor {
        timescale: 90_000,
        media_sample_format: None,
    };
    MediaStreamMessage {
        sequence_number,
        ack_sequence_number,
        payload: Some(Payload::MediaStreamDescriptor(wire::MediaStreamDescriptor {
            media_descriptor: Some(media),
            ..Default::default()
        })),
    }
}

/// The connection of a scripted server.
pub(crate) struct Script {
    pub(crate) from: Streaming<MediaStreamMessage>,
    pub(crate) to: mpsc::Sender<Result<MediaStreamMessage, Status>>,
}

impl Script {
    pub(crate) async fn receive(&mut self) -> Option<MediaStreamMessage> {
        within(self.from.message()).await.ok().flatten()
    }

    pub(crate) async fn send(&self, message: MediaStreamMessage) {
        let _ = self.to.send(Ok(message)).await;
    }

    pub(crate) async fn fail(&self, status: Status) {
        let _ = self.to.send(Err(status)).await;
    }

    /// Takes the descriptor and answers with one.
    pub(crate) async fn handshake(&mut self) -> wire::MediaStreamDescriptor {
        let first = self.receive().await.expect("a descriptor");
        self.send(server_descriptor(1, 1)).await;
        match first.payload {
            Some(Payload::MediaStreamDescriptor(descriptor)) => descriptor,
            other => panic!("not a descriptor: {other:?}"),
        }
    }
}

type Act = Arc<dyn Fn(Script) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

struct Scripted(Act, Mutex<Vec<Option<String>>>);

#[tonic::async_trait]
impl MediaGraphExtension for Scripted {
    type ProcessMediaStreamStream =
        Pin<Box<dyn Stream<Item = Result<MediaStreamMessage, Status>> + Send + 'static>>;

    async fn process_media_stream(
        &self,
        request: Request<Streaming<MediaStreamMessage>>,
    ) -> Result<Response<Self::ProcessMediaStreamStream>, Status> {
        let header = request.metadata().get("x-ms-authentication");
        self.1
            .lock()
            .unwrap()
            .push(header.map(|value| value.to_str().unwrap().to_owned()));
        let (to, answers) = mpsc::channel(64);
        tokio::spawn((self.0)(Script {
            from: request.into_inner(),
            to,
        }));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

/// A server that runs the script for each stream.
pub(crate) struct ScriptedServer {
    pub(crate) url: ExtensionUrl,
    service: Arc<Scripted>,
    serving: tokio::task::JoinHandle<()>,
}

impl ScriptedServer {
    pub(crate) async fn start<F>(script: impl Fn(Script) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let act: Act = Arc::new(move |hand| Box::pin(script(hand)));
        let service = Arc::new(Scripted(act, Mutex::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = ExtensionUrl::tcp(listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder()
            .add_service(MediaGraphExtensionServer::from_arc(Arc::clone(&service)))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let serving = tokio::spawn(async move { server.await.unwrap() });
        Self {
            url,
            service,
            serving,
        }
    }

    pub(crate) fn options(&self) -> ClientOptions {
        ClientOptions::new(self.url.clone(), small_format())
    }

    pub(crate) fn shared_memory_options(&self) -> ClientOptions {
        self.options()
            .with_transfer(Transfer::SharedMemory(SharedMemoryOptions::default()))
    }

    /// The authentication header of each stream.
    pub(crate) fn headers(&self) -> Vec<Option<String>> {
        self.service.1.lock().unwrap().clone()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub(crate) async fn next<C>(answers: &mut Answers<C>) -> Answer<C> {
    match within(answers.next()).await {
        Ok(Some(SessionEvent::Answered(answer))) => answer,
        Ok(Some(_)) => panic!("a frame was skipped"),
        Ok(None) => panic!("the session has ended"),
        Err(error) => panic!("{error}"),
    }
}

pub(crate) async fn end<C>(answers: &mut Answers<C>) -> SessionError {
    loop {
        match within(answers.next()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the session ended well"),
            Err(error) => return error,
        }
    }
}
