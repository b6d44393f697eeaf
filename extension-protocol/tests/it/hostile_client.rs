//! Clients that violate the contract: each ends only its own stream, with a status and a message that names the fault.

use std::os::unix::fs::FileExt;

use lva_extension_protocol::server::*;
use lva_extension_protocol::wire::media_stream_message::Payload;
use lva_extension_protocol::wire::{self, MediaStreamMessage};
use lva_extension_protocol::*;
use lva_media_types::limits::MAX_ANNOUNCED_SIDE;

use crate::support::{Host, Raw, descriptor, embedded, properties_of, reference, sample_of, small_format};

/// A server with its own directory for shared memory, and a file there.
struct Scene {
    host: Host,
    directory: tempfile::TempDir,
}

const NAME: &str = "frames";

impl Scene {
    async fn new(options: ServerOptions) -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        let host = Host::start(options.with_shared_memory_directory(directory.path())).await;
        Self { host, directory }
    }

    fn file(&self, bytes: usize) -> std::fs::File {
        let path = self.directory.path().join(NAME);
        std::fs::write(&path, vec![1; bytes]).unwrap();
        std::fs::OpenOptions::new().write(true).open(path).unwrap()
    }

    /// A stream with shared memory, after the descriptors.
    async fn open(&self, length: u64) -> Raw {
        let mut raw = self.host.raw().await;
        raw.send(1, descriptor(Some(small_format()), Some((NAME, length)), ""))
            .await;
        raw.answer().await;
        raw
    }

    /// The status that a descriptor gets.
    async fn refusal(&self, payload: Payload) -> tonic::Status {
        let mut raw = self.host.raw().await;
        raw.send(1, payload).await;
        raw.end().await
    }
}

const FRAME: usize = 64 * 48 * 3;

/// Also prints the status that the client gets: `cargo test -p lva-extension-protocol hostile_client -- --nocapture`.
fn assert_status(status: &tonic::Status, code: GrpcCode, words: &str) {
    let case = std::thread::current().name().unwrap_or_default().to_owned();
    let case = case.rsplit("::").next().unwrap_or_default().replace('_', " ");
    eprintln!("| {case} | {:?} | {} |", status.code(), status.message());
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains(words), "{status}");
}

/// The server still serves others.
async fn assert_alive(host: &Host) {
    let mut raw = host.raw().await;
    raw.open(small_format()).await;
    raw.send(2, embedded(vec![9; FRAME], 5)).await;
    assert_eq!(sample_of(&raw.answer().await).timestamp, 5);
}

#[tokio::test]
async fn a_first_message_that_is_no_descriptor_is_an_invalid_argument() {
    let host = Host::start(ServerOptions::default()).await;
    let mut raw = host.raw().await;
    raw.send(1, embedded(vec![0; FRAME], 0)).await;
    assert_status(&raw.end().await, GrpcCode::InvalidArgument, "descriptor");
    let mut raw = host.raw().await;
    raw.to.send(MediaStreamMessage::default()).await.unwrap();
    assert_status(&raw.end().await, GrpcCode::InvalidArgument, "descriptor");
    assert_alive(&host).await;
}

/// Looks like a message whose descriptor is made of noise.
#[derive(Clone, PartialEq, prost::Message)]
struct Noise {
    #[prost(uint64, tag = "1")]
    sequence_number: u64,
    #[prost(bytes = "vec", tag = "5")]
    descriptor: Vec<u8>,
}

#[tokio::test]
async fn a_message_that_cannot_be_decoded_is_an_invalid_argument() {
    let host = Host::start(ServerOptions::default()).await;
    let address = host.url.to_string().replace("tcp", "http");
    let channel = tonic::transport::Endpoint::from_shared(address)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let noise = Noise {
        sequence_number: 1,
        descriptor: vec![0xff; 40],
    };
    let path = "/microsoft.azure.media.live_video_analytics.extensibility.grpc.v1.MediaGraphExtension\
                /ProcessMediaStream";
    let codec = tonic_prost::ProstCodec::<Noise, MediaStreamMessage>::default();
    let request = tonic::Request::new(tokio_stream::iter([noise]));
    let response = client
        .streaming(request, path.parse().unwrap(), codec)
        .await
        .unwrap();
    let status = response.into_inner().message().await.unwrap_err();
    assert_status(&status, GrpcCode::InvalidArgument, "decoded");
    assert_alive(&host).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_not_waited_for_for_ever() {
    let options = ServerOptions::default().with_handshake_timeout(std::time::Duration::from_millis(50));
    let host = Host::start(options).await;
    let mut raw = host.raw().await;
    assert_status(&raw.end().await, GrpcCode::DeadlineExceeded, "descriptor");
}

#[tokio::test]
async fn bad_handle_names_are_invalid_arguments() {
    let scene = Scene::new(ServerOptions::default()).await;
    scene.file(FRAME);
    for name in [
        "",
        ".",
        "..",
        "../frames",
        "/frames",
        "/dev/shm/frames",
        "a/../frames",
        "frames\0",
    ] {
        let status = scene
            .refusal(descriptor(Some(small_format()), Some((name, 1)), ""))
            .await;
        assert_status(&status, GrpcCode::InvalidArgument, "handle name");
    }
    assert_alive(&scene.host).await;
}

#[tokio::test]
async fn an_absent_file_is_not_found_and_the_message_asks_about_ipc_mode() {
    let scene = Scene::new(ServerOptions::default()).await;
    let status = scene
        .refusal(descriptor(Some(small_format()), Some((NAME, 1)), ""))
        .await;
    assert_status(&status, GrpcCode::NotFound, "IpcMode");
}

#[tokio::test]
async fn a_file_shorter_than_announced_is_a_failed_precondition() {
    let scene = Scene::new(ServerOptions::default()).await;
    scene.file(FRAME);
    let status = scene
        .refusal(descriptor(
            Some(small_format()),
            Some((NAME, FRAME as u64 + 1)),
            "",
        ))
        .await;
    assert_status(&status, GrpcCode::FailedPrecondition, "announced");
}

#[tokio::test]
async fn gigantic_announcements_are_resource_exhausted() {
    let scene = Scene::new(ServerOptions::default()).await;
    let status = scene
        .refusal(descriptor(Some(small_format()), Some((NAME, u64::MAX)), ""))
        .await;
    assert_status(&status, GrpcCode::ResourceExhausted, "at most");
    let huge = FrameFormat::raw(PixelFormat::Bgr24, MAX_ANNOUNCED_SIDE, MAX_ANNOUNCED_SIDE).unwrap();
    let status = scene.refusal(descriptor(Some(huge), None, "")).await;
    assert_status(&status, GrpcCode::ResourceExhausted, "frame");
    let status = scene
        .refusal(descriptor(Some(small_format()), None, &"x".repeat((1 << 20) + 1)))
        .await;
    assert_status(&status, GrpcCode::ResourceExhausted, "configuration");
    assert_alive(&scene.host).await;
}

#[tokio::test]
async fn impossible_formats_are_invalid_arguments() {
    let host = Host::start(ServerOptions::default()).await;
    type Spoil = fn(&mut wire::VideoFrameSampleFormat);
    let spoilers: [(Spoil, &str); 4] = [
        (|format| format.dimensions = None, "0x0"),
        (|format| format.pixel_format = 0, "pixel format 0"),
        (|format| format.encoding = 77, "encoding 77"),
        (|format| format.stride_bytes = 5, "stride"),
    ];
    for (spoil, words) in spoilers {
        let Payload::MediaStreamDescriptor(mut spoiled) = descriptor(Some(small_format()), None, "") else {
            unreachable!()
        };
        let media = spoiled.media_descriptor.as_mut().unwrap();
        let Some(wire::media_descriptor::MediaSampleFormat::VideoFrameSampleFormat(format)) =
            &mut media.media_sample_format
        else {
            unreachable!()
        };
        spoil(format);
        let mut raw = host.raw().await;
        raw.send(1, Payload::MediaStreamDescriptor(spoiled)).await;
        assert_status(&raw.end().await, GrpcCode::InvalidArgument, words);
    }
}

#[tokio::test]
async fn references_out_of_the_region_are_invalid_arguments() {
    for trust in [Trust::Untrusted, Trust::Peer] {
        let scene = Scene::new(ServerOptions::default().with_trust(trust)).await;
        scene.file(3 * FRAME);
        let frame = FRAME as u64;
        for (offset, length) in [
            (frame * 2 + 1, frame),
            (u64::MAX, frame),
            (u64::MAX - frame + 1, frame),
            (frame * 3, u64::MAX),
            // The frame itself would be inside.
            (0, u64::MAX),
            (frame * 2, frame + 1),
        ] {
            let mut raw = scene.open(frame * 3).await;
            raw.send(2, reference(offset, length)).await;
            assert_status(
                &raw.end().await,
                GrpcCode::InvalidArgument,
                "exceed the shared memory",
            );
        }
        let mut raw = scene.open(frame * 3).await;
        raw.send(2, reference(0, frame - 1)).await;
        assert_status(&raw.end().await, GrpcCode::InvalidArgument, "a frame of");
        assert_alive(&scene.host).await;
    }
}

#[tokio::test]
async fn a_reference_without_shared_memory_and_a_sample_without_content_are_invalid_arguments() {
    let host = Host::start(ServerOptions::default()).await;
    for (payload, words) in [
        (reference(0, FRAME as u64), "announced none"),
        (Payload::MediaSample(wire::MediaSample::default()), "no content"),
        (embedded(vec![0; FRAME - 1], 0), "a frame of"),
        (descriptor(Some(small_format()), None, ""), "second descriptor"),
    ] {
        let mut raw = host.raw().await;
        raw.open(small_format()).await;
        raw.send(2, payload).await;
        assert_status(&raw.end().await, GrpcCode::InvalidArgument, words);
    }
}

#[tokio::test]
async fn an_encoded_frame_over_the_limit_is_resource_exhausted_before_any_byte_of_it_is_read() {
    let scene = Scene::new(ServerOptions::default().with_max_frame_bytes(1000)).await;
    scene.file(4096);
    let mut raw = scene.host.raw().await;
    raw.send(
        1,
        descriptor(Some(FrameFormat::jpg(8, 8).unwrap()), Some((NAME, 4096)), ""),
    )
    .await;
    raw.answer().await;
    raw.send(2, reference(0, 1001)).await;
    assert_status(&raw.end().await, GrpcCode::ResourceExhausted, "at most 1000");
}

#[tokio::test]
async fn an_embedded_message_over_the_limit_is_resource_exhausted() {
    let host = Host::start(ServerOptions::default().with_max_frame_bytes(FRAME)).await;
    let mut raw = host.raw().await;
    raw.open(small_format()).await;
    raw.send(2, embedded(vec![0; 4 << 20], 0)).await;
    assert_status(
        &raw.end().await,
        GrpcCode::ResourceExhausted,
        "larger than this server accepts",
    );
}

#[tokio::test]
async fn a_file_cut_short_while_the_stream_is_open_ends_that_stream_alone() {
    let scene = Scene::new(ServerOptions::default()).await;
    let file = scene.file(2 * FRAME);
    let mut raw = scene.open(2 * FRAME as u64).await;
    let mut other = scene.host.raw().await;
    other.open(small_format()).await;
    raw.send(2, reference(FRAME as u64, FRAME as u64)).await;
    raw.answer().await;

    file.set_len(100).unwrap();
    raw.send(3, reference(FRAME as u64, FRAME as u64)).await;
    assert_status(&raw.end().await, GrpcCode::FailedPrecondition, "truncated");

    other.send(2, embedded(vec![0; FRAME], 1)).await;
    other.answer().await;
    assert_alive(&scene.host).await;
}

#[tokio::test]
async fn a_file_cut_short_and_grown_again_all_the_time_never_kills_the_process() {
    let scene = Scene::new(ServerOptions::default()).await;
    let file = scene.file(2 * FRAME);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let vandal = std::thread::spawn(move || {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            file.set_len(10).unwrap();
            file.set_len(2 * FRAME as u64).unwrap();
            file.write_all_at(&[3; 100], 0).unwrap();
        }
    });
    let mut ended = 0;
    for _ in 0..20 {
        let mut raw = scene.host.raw().await;
        raw.send(
            1,
            descriptor(Some(small_format()), Some((NAME, 2 * FRAME as u64)), ""),
        )
        .await;
        for number in 2..50 {
            raw.send(number, reference(FRAME as u64, FRAME as u64)).await;
        }
        drop(std::mem::replace(&mut raw.to, tokio::sync::mpsc::channel(1).0));
        let status = raw.end().await;
        assert!(
            matches!(status.code(), GrpcCode::Ok | GrpcCode::FailedPrecondition),
            "{status}"
        );
        ended += u32::from(status.code() != GrpcCode::Ok);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    vandal.join().unwrap();
    assert_alive(&scene.host).await;
    // How many streams hit the gap is chance; that the process survives is not.
    assert!(ended <= 20);
}

#[tokio::test]
async fn links_and_pipes_in_place_of_the_file_are_refused_and_block_nobody() {
    let scene = Scene::new(ServerOptions::default()).await;
    std::os::unix::fs::symlink("/etc/hostname", scene.directory.path().join(NAME)).unwrap();
    let status = scene
        .refusal(descriptor(Some(small_format()), Some((NAME, 1)), ""))
        .await;
    assert_status(&status, GrpcCode::FailedPrecondition, "not a regular file");
    std::fs::create_dir(scene.directory.path().join("directory")).unwrap();
    let status = scene
        .refusal(descriptor(Some(small_format()), Some(("directory", 0)), ""))
        .await;
    assert_status(&status, GrpcCode::FailedPrecondition, "not a regular file");
}

#[tokio::test]
async fn gaps_and_repeats_in_numbers_are_tolerated_and_counted() {
    let host = Host::start(ServerOptions::default()).await;
    let mut raw = host.raw().await;
    raw.open(small_format()).await;
    for number in [2, 7, 7, 3, 8, u64::MAX] {
        raw.send(number, embedded(vec![0; FRAME], number)).await;
        let answer = raw.answer().await;
        assert_eq!(
            (answer.ack_sequence_number, sample_of(&answer).timestamp),
            (number, number)
        );
    }
    let stats = host.stats.read();
    assert_eq!((stats.sequence_gaps, stats.sequence_repeats), (2, 2));
}

#[tokio::test]
async fn a_sample_with_number_zero_cannot_be_acknowledged_and_ends_the_stream() {
    let host = Host::start(ServerOptions::default()).await;
    let mut raw = host.raw().await;
    raw.open(small_format()).await;
    raw.send(0, embedded(vec![0; FRAME], 0)).await;
    assert_status(&raw.end().await, GrpcCode::InvalidArgument, "sequence number 0");
}

#[tokio::test]
async fn messages_without_payload_are_passed_over() {
    let host = Host::start(ServerOptions::default()).await;
    let mut raw = host.raw().await;
    raw.open(small_format()).await;
    let bare = MediaStreamMessage {
        sequence_number: 2,
        ack_sequence_number: 1,
        payload: None,
    };
    raw.to.send(bare).await.unwrap();
    raw.send(3, embedded(vec![0; FRAME], 0)).await;
    assert_eq!(raw.answer().await.ack_sequence_number, 3);
    assert_eq!(host.stats.read().empty_messages, 1);
}

#[tokio::test]
async fn a_client_that_reads_no_answers_loses_its_place_and_holds_up_nobody() {
    let options = ServerOptions::default()
        .with_max_sessions(1)
        .with_answer_timeout(std::time::Duration::from_millis(100));
    let host = Host::start(options).await;
    let mut raw = host.raw().await;
    // Answers as large as their questions, so that the transport's buffers are soon full.
    let echo = wire::Inference {
        subtype: "x".repeat(100_000),
        value: Some(wire::inference::Value::Motion(wire::Motion::default())),
        ..Default::default()
    };
    let Payload::MediaSample(mut sample) = embedded(vec![0; FRAME], 0) else {
        unreachable!()
    };
    sample.inferences = vec![echo];
    raw.send(1, descriptor(Some(small_format()), None, "echo upstream"))
        .await;
    let to = raw.to.clone();
    let sending = tokio::spawn(async move {
        for sequence_number in 2.. {
            let payload = Some(Payload::MediaSample(sample.clone()));
            let message = MediaStreamMessage {
                sequence_number,
                ack_sequence_number: 0,
                payload,
            };
            if to.send(message).await.is_err() {
                break;
            }
        }
    });
    crate::support::within(async {
        while host.stats.read().sessions_failed == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    host.raw_when_free().await.open(small_format()).await;
    sending.abort();
    // The status that it gets once it reads.
    assert_status(&raw.end().await, GrpcCode::DeadlineExceeded, "not read");
}

#[tokio::test]
async fn a_client_that_vanishes_frees_its_place() {
    let host = Host::start(ServerOptions::default().with_max_sessions(1)).await;
    for _ in 0..5 {
        host.raw_when_free().await.open(small_format()).await;
    }
}

#[tokio::test]
async fn random_messages_end_a_stream_or_are_answered_and_never_more() {
    let scene = Scene::new(ServerOptions::default()).await;
    scene.file(2 * FRAME);
    let mut state = 7_u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..60 {
        let mut raw = scene.host.raw().await;
        for number in 0..random(12) {
            let payload = match random(6) {
                0 | 1 => descriptor(Some(small_format()), Some((NAME, random(3 * FRAME as u64))), ""),
                2 => embedded(vec![0; random(2 * FRAME as u64) as usize], random(10)),
                3 | 4 => reference(random(3 * FRAME as u64), FRAME as u64 + random(2)),
                _ => Payload::MediaSample(wire::MediaSample::default()),
            };
            let number = if number == 0 { 1 } else { random(20) };
            raw.send(number, payload).await;
        }
        drop(std::mem::replace(&mut raw.to, tokio::sync::mpsc::channel(1).0));
        let status = raw.end().await;
        assert_ne!(status.code(), GrpcCode::Internal, "{status}");
    }
    assert_alive(&scene.host).await;
    assert_eq!(
        properties_of(&{
            let mut raw = scene.open(2 * FRAME as u64).await;
            raw.send(2, reference(0, FRAME as u64)).await;
            raw.answer().await
        })["bytes"],
        FRAME.to_string()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_empty_messages_is_counted_and_holds_up_nobody() {
    const FLOOD: u64 = 50_000;
    let host = Host::start(ServerOptions::default()).await;
    let mut flood = host.raw().await;
    flood.open(small_format()).await;
    let to = std::mem::replace(&mut flood.to, tokio::sync::mpsc::channel(1).0);
    let flooding = tokio::spawn(async move {
        for _ in 0..FLOOD {
            to.send(MediaStreamMessage::default()).await.unwrap();
        }
    });
    for _ in 0..20 {
        assert_alive(&host).await;
    }
    crate::support::within(flooding).await.unwrap();
    assert_status(&flood.end().await, GrpcCode::Ok, "closed");
    assert_eq!(host.stats.read().empty_messages, FLOOD);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_streams_is_refused_beyond_the_limit_and_those_within_go_on() {
    let host = Host::start(ServerOptions::default().with_max_sessions(4)).await;
    let mut within_limit = Vec::new();
    for _ in 0..4 {
        let mut raw = host.raw().await;
        raw.open(small_format()).await;
        within_limit.push(raw);
    }
    for number in 0..100 {
        let Err(status) = Raw::try_connect(&host.url).await else {
            panic!("a fifth stream was taken")
        };
        assert_eq!(status.code(), GrpcCode::ResourceExhausted);
        if number == 0 {
            assert_status(&status, GrpcCode::ResourceExhausted, "4 streams are already open");
        }
    }
    for raw in &mut within_limit {
        raw.send(2, embedded(vec![0; FRAME], 5)).await;
        assert_eq!(sample_of(&raw.answer().await).timestamp, 5);
    }
    assert_eq!(host.stats.read().sessions_refused, 100);
}

#[tokio::test]
async fn connections_that_say_nothing_or_nonsense_hold_up_nobody() {
    use tokio::io::AsyncWriteExt;
    let host = Host::start(ServerOptions::default()).await;
    let address = host.url.to_string().replace("tcp://", "");
    let mut open = Vec::new();
    for number in 0..100 {
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        if number % 2 == 0 {
            // The server may close at once.
            let _ = socket.write_all(b"GET / HTTP/1.1\r\n\r\n\0\0\0").await;
        }
        open.push(socket);
    }
    assert_alive(&host).await;
}
