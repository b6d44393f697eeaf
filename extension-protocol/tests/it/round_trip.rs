//! Our client against our server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lva_extension_protocol::client::*;
use lva_extension_protocol::server::*;
use lva_extension_protocol::*;
use lva_inference_schema::{Entity, Event, Inference, Rectangle};

use crate::support::{Host, digest, end, next, seen, small_format, within};

fn shared_memory(url: &ExtensionUrl, format: FrameFormat) -> ClientOptions {
    ClientOptions::new(url.clone(), format)
        .with_transfer(Transfer::SharedMemory(SharedMemoryOptions::default()))
}

/// Sends `count` frames of pseudo-random bytes as fast as they are answered and compares digests.
async fn exchange(options: &ClientOptions, count: u64) -> SessionStats {
    let Session {
        frames,
        mut answers,
        peer,
        ..
    } = connect::<String>(options).await.unwrap();
    assert_eq!(peer.identifier, "digester");
    let mut state = 1_u64;
    let mut answered = 0;
    let mut sent = 0;
    while answered < count {
        while sent < count {
            let Ok(mut slot) = frames.slot() else { break };
            for byte in slot.iter_mut() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (state >> 56) as u8;
            }
            let expected = digest(&slot);
            slot.send(1000 + sent, &[], expected).unwrap();
            sent += 1;
        }
        let answer = next(&mut answers).await;
        assert_eq!(answer.timestamp_90k, 1000 + answered);
        let lva_inference_schema::InferenceValue::Event(event) = &answer.inferences[0].value else {
            panic!("not an event")
        };
        assert_eq!(event.properties["digest"], answer.context);
        answered += 1;
    }
    frames.finish();
    assert!(within(answers.next()).await.unwrap().is_none());
    assert!(answers.take_unanswered().is_empty());
    answers.stats()
}

#[tokio::test]
async fn frames_in_shared_memory_arrive_as_they_were_rendered_and_are_copied_by_the_server_alone() {
    let host = Host::start(ServerOptions::default()).await;
    let stats = exchange(&shared_memory(&host.url, small_format()), 200).await;
    assert_eq!((stats.sent, stats.answered, stats.frame_copies), (200, 200, 0));
    let server = host.stats.read();
    assert_eq!(
        (server.samples, server.answers, server.frame_copies),
        (200, 200, 200)
    );
    assert_eq!((server.sequence_gaps, server.sequence_repeats), (0, 0));
    host.stop().await.unwrap();
}

#[tokio::test]
async fn a_trusted_peers_frames_are_never_copied() {
    let host = Host::start(ServerOptions::default().with_trust(Trust::Peer)).await;
    let stats = exchange(&shared_memory(&host.url, small_format()), 200).await;
    assert_eq!((stats.frame_copies, host.stats.read().frame_copies), (0, 0));
    // Few slots, each seen again at the address where it lies in the mapping.
    let seen = host.seen.lock().unwrap();
    let mut addresses: Vec<usize> = seen.iter().map(|(_, address)| *address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), DEFAULT_WINDOW + 1);
}

#[tokio::test]
async fn embedded_frames_arrive_too_with_the_copies_said() {
    let host = Host::start(ServerOptions::default()).await;
    let options = ClientOptions::new(host.url.clone(), small_format());
    let stats = exchange(&options, 100).await;
    assert_eq!((stats.answered, stats.frame_copies), (100, 100));
    assert_eq!(host.stats.read().frame_copies, 0);
}

#[tokio::test]
async fn frames_over_four_mebibytes_are_no_trouble_embedded_or_not() {
    let host = Host::start(ServerOptions::default()).await;
    let format = FrameFormat::raw(PixelFormat::Bgr24, 1920, 1080).unwrap();
    exchange(&ClientOptions::new(host.url.clone(), format), 3).await;
    exchange(&shared_memory(&host.url, format), 6).await;
}

#[tokio::test]
async fn a_unix_socket_serves_like_tcp_and_its_file_goes_away() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("extension.sock");
    // Left behind by a server that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let host = Host::listen(ServerOptions::default(), ListenAddress::Unix(path.clone())).await;
    exchange(&shared_memory(&host.url, small_format()), 50).await;
    host.stop().await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_that_is_in_use_is_not_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("extension.sock");
    let _host = Host::listen(ServerOptions::default(), ListenAddress::Unix(path.clone())).await;
    let second = ExtensionServer::new(crate::support::Digester::default()).listen(ListenAddress::Unix(path));
    assert!(matches!(second.await, Err(HostError::Bind { .. })));
}

#[tokio::test]
async fn every_encoding_and_pixel_format_reaches_the_extension() {
    let host = Host::start(ServerOptions::default()).await;
    let mut formats: Vec<FrameFormat> = PixelFormat::ALL
        .iter()
        .map(|pixels| FrameFormat::raw(*pixels, 33, 17).unwrap())
        .collect();
    for format in [
        FrameFormat::jpg(33, 17),
        FrameFormat::png(33, 17),
        FrameFormat::bmp(33, 17),
    ] {
        formats.push(format.unwrap());
    }
    for format in formats {
        exchange(&shared_memory(&host.url, format), 3).await;
    }
}

#[tokio::test]
async fn encoded_frames_of_different_sizes_share_the_region() {
    let host = Host::start(ServerOptions::default()).await;
    let options = shared_memory(&host.url, FrameFormat::jpg(64, 48).unwrap()).with_largest_frame(10_000);
    let Session {
        frames, mut answers, ..
    } = connect::<usize>(&options).await.unwrap();
    assert!(matches!(
        frames.slot_with_size(10_001),
        Err(NoSlot::TooLarge {
            bytes: 10_001,
            limit: 10_000
        })
    ));
    for size in [10_000, 1, 777, 9_999, 4_000] {
        let mut slot = frames.slot().unwrap();
        slot.truncate(size);
        slot.fill(size as u8);
        slot.send(0, &[], size).unwrap();
        let answer = next(&mut answers).await;
        assert_eq!(answer.inferences, [seen(&vec![size as u8; size])]);
    }
}

#[tokio::test]
async fn a_full_window_is_said_at_once_and_opens_with_the_answer() {
    let host = Host::start(ServerOptions::default()).await;
    let options = shared_memory(&host.url, small_format()).with_window(2);
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&options).await.unwrap();
    let first = frames.slot().unwrap();
    let second = frames.slot().unwrap();
    assert_eq!(frames.slot().unwrap_err(), NoSlot::WindowFull);
    drop(second);
    let second = frames.slot().unwrap();
    first.send(1, &[], ()).unwrap();
    second.send(2, &[], ()).unwrap();
    assert_eq!(frames.slot().unwrap_err(), NoSlot::WindowFull);
    assert_eq!(frames.in_flight(), 2);
    next(&mut answers).await;
    within(frames.ready()).await;
    assert!(frames.slot().is_ok());
    let stats = frames.stats();
    assert_eq!((stats.sent, stats.refused_window_full), (2, 2));
}

#[tokio::test]
async fn a_small_region_narrows_the_window_and_too_small_a_one_is_refused() {
    let host = Host::start(ServerOptions::default()).await;
    let frame = small_format().frame_bytes().unwrap() as u64;
    let region = |bytes| {
        let memory = SharedMemoryOptions::default().with_bytes(bytes);
        ClientOptions::new(host.url.clone(), small_format()).with_transfer(Transfer::SharedMemory(memory))
    };
    let session = connect::<()>(&region(3 * frame)).await.unwrap();
    assert_eq!(session.frames.window(), 3);
    let refused = connect::<()>(&region(2 * frame - 1)).await.unwrap_err();
    assert!(!refused.is_transient());
    assert!(
        refused.to_string().contains(&(2 * frame).to_string()),
        "{refused}"
    );
}

#[tokio::test]
async fn upstream_inferences_identity_and_configuration_reach_the_extension() {
    let host = Host::start(ServerOptions::default()).await;
    let options = shared_memory(&host.url, small_format())
        .with_identity(GraphIdentity::new("Sample-Graph-1", "extension"))
        .with_configuration("echo upstream");
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&options).await.unwrap();
    let found = Inference::new(Entity::new(
        "person",
        0.5_f32,
        Rectangle::new(0.1_f32, 0.2_f32, 0.3_f32, 0.4_f32),
    ))
    .with_id("1")
    .with_subtype("upstream");
    frames
        .slot()
        .unwrap()
        .send(7, std::slice::from_ref(&found), ())
        .unwrap();
    assert_eq!(next(&mut answers).await.inferences, [found]);
}

#[tokio::test]
async fn a_session_without_frames_carries_what_was_found_upstream() {
    let host = Host::start(ServerOptions::default()).await;
    let options = ClientOptions::without_frames(host.url.clone()).with_configuration("echo upstream");
    for options in [
        options.clone(),
        // There is nothing to share, so no memory is taken.
        options.with_transfer(Transfer::SharedMemory(
            SharedMemoryOptions::default().with_bytes(1),
        )),
    ] {
        let Session {
            frames, mut answers, ..
        } = connect::<u8>(&options).await.unwrap();
        for context in 0..10 {
            let found = Inference::new(Event::new("upstream").with_property("n", context.to_string()));
            let slot = frames.slot().unwrap();
            assert!(slot.is_empty());
            slot.send(7, std::slice::from_ref(&found), context).unwrap();
            let answer = next(&mut answers).await;
            assert_eq!((answer.context, answer.inferences), (context, vec![found]));
        }
        assert_eq!(frames.stats().frame_copies, 0);
    }
    let text = "a configuration";
    let with_one = ClientOptions::without_frames(host.url.clone()).with_configuration(text);
    drop(connect::<()>(&with_one).await.unwrap());
}

#[tokio::test]
async fn credentials_are_asked_for_when_the_server_has_some() {
    let options = ServerOptions::default().with_credentials(Credentials::new("user", "right"));
    let host = Host::start(options).await;
    let client = shared_memory(&host.url, small_format());
    exchange(
        &client.clone().with_credentials(Credentials::new("user", "right")),
        2,
    )
    .await;
    for client in [
        client.clone(),
        client.with_credentials(Credentials::new("user", "wrong")),
    ] {
        let refused = connect::<()>(&client).await.unwrap_err();
        assert!(!refused.is_transient());
        let text = refused.to_string();
        assert!(
            text.contains("Unauthenticated") && !text.contains("dXNlcjp3cm9uZw"),
            "{text}"
        );
    }
    assert_eq!(host.stats.read().sessions_refused, 2);
}

#[tokio::test]
async fn an_extension_says_what_it_does_not_take() {
    let host = Host::start(ServerOptions::default()).await;
    for (configuration, code) in [
        ("refuse format", GrpcCode::OutOfRange),
        ("refuse configuration", GrpcCode::InvalidArgument),
    ] {
        let options = shared_memory(&host.url, small_format()).with_configuration(configuration);
        match connect::<()>(&options).await {
            Err(ConnectError::Refused { status, .. }) => {
                assert_eq!(status.code, code);
                assert!(!status.is_transient());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_extension_that_fails_on_a_frame_answers_it_empty() {
    let host = Host::start(ServerOptions::default()).await;
    let options = shared_memory(&host.url, small_format()).with_configuration("fail on odd");
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&options).await.unwrap();
    for _ in 0..10 {
        let sequence = frames.slot().unwrap().send(0, &[], ()).unwrap();
        let answer = next(&mut answers).await;
        assert_eq!(answer.inferences.is_empty(), sequence % 2 == 1);
    }
    assert_eq!(host.stats.read().process_failures, 5);
}

#[tokio::test]
async fn three_failures_in_a_row_end_the_stream_with_internal() {
    let host = Host::start(ServerOptions::default()).await;
    let options = shared_memory(&host.url, small_format()).with_configuration("fail");
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&options).await.unwrap();
    for _ in 0..2 {
        frames.slot().unwrap().send(0, &[], ()).unwrap();
        assert!(next(&mut answers).await.inferences.is_empty());
    }
    frames.slot().unwrap().send(0, &[], ()).unwrap();
    let SessionError::Status(status) = end(&mut answers).await else {
        panic!("no status")
    };
    assert_eq!(status.code, GrpcCode::Internal);
    assert_eq!(host.stats.read().process_failures, 3);
}

/// As the Python servers do with a picture that they cannot decode (S8).
#[tokio::test]
async fn an_extension_ends_a_stream_with_a_status_of_its_choice() {
    let host = Host::start(ServerOptions::default()).await;
    for (configuration, code, words) in [
        (
            "bad frame",
            GrpcCode::InvalidArgument,
            "Can't decode received bytes.",
        ),
        ("bad format", GrpcCode::OutOfRange, &*"x".repeat(1000)),
    ] {
        let options = shared_memory(&host.url, small_format()).with_configuration(configuration);
        let Session {
            frames, mut answers, ..
        } = connect::<u8>(&options).await.unwrap();
        frames.slot().unwrap().send(0, &[], 7).unwrap();
        let SessionError::Status(status) = end(&mut answers).await else {
            panic!("no status")
        };
        assert_eq!((status.code, status.message.as_str()), (code, words));
        assert!(!status.is_transient());
        assert_eq!(answers.take_unanswered().len(), 1);
    }
    let stats = host.stats.read();
    assert_eq!((stats.samples_refused, stats.process_failures), (2, 0));
    exchange(&shared_memory(&host.url, small_format()), 5).await;
}

#[tokio::test]
async fn an_extension_that_panics_ends_its_stream_and_no_other() {
    let host = Host::start(ServerOptions::default()).await;
    let panicking = shared_memory(&host.url, small_format()).with_configuration("panic");
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&panicking).await.unwrap();
    frames.slot().unwrap().send(0, &[], ()).unwrap();
    let SessionError::Status(status) = end(&mut answers).await else {
        panic!("no status")
    };
    assert_eq!(status.code, GrpcCode::Internal);
    let stats = host.stats.read();
    assert_eq!((stats.sessions_opened, stats.sessions_closed), (1, 1));
    exchange(&shared_memory(&host.url, small_format()), 5).await;
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused_until_one_ends() {
    let host = Host::start(ServerOptions::default().with_max_sessions(1)).await;
    let options = shared_memory(&host.url, small_format());
    let first = connect::<()>(&options).await.unwrap();
    match connect::<()>(&options).await {
        Err(error @ ConnectError::Refused { .. }) => assert!(error.is_transient(), "{error}"),
        other => panic!("{other:?}"),
    }
    first.frames.finish();
    let mut answers = first.answers;
    assert!(within(answers.next()).await.unwrap().is_none());
    within(async {
        // The place is given back when the stream's task is through, shortly after its end was read.
        while connect::<()>(&options).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_answers_the_frame_in_progress_and_ends_streams_as_unavailable() {
    let host = Host::start(ServerOptions::default()).await;
    let options = shared_memory(&host.url, small_format());
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&options).await.unwrap();
    frames.slot().unwrap().send(0, &[], ()).unwrap();
    next(&mut answers).await;
    let (stopped, error) = tokio::join!(host.stop(), end(&mut answers));
    stopped.unwrap();
    let SessionError::Status(status) = &error else {
        panic!("{error}")
    };
    assert_eq!(status.code, GrpcCode::Unavailable);
    assert!(error.is_transient());
    drop((frames, answers));
    assert!(connect::<()>(&options).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_session_that_is_given_up_hands_out_nothing_more_and_counts_what_was_on_its_way() {
    let host = Host::start(ServerOptions::default()).await;
    let options = shared_memory(&host.url, small_format()).with_configuration("never end");
    let Session { frames, answers, .. } = connect::<&str>(&options).await.unwrap();
    frames.slot().unwrap().send(10, &[], "first").unwrap();
    frames.slot().unwrap().send(20, &[], "second").unwrap();
    let kept = frames.slot().unwrap();
    drop(answers);
    assert_eq!(frames.slot().unwrap_err(), NoSlot::Ended);
    assert_eq!(kept.send(30, &[], "third").unwrap_err().context, "third");
    within(frames.ready()).await;
    let stats = frames.stats();
    assert_eq!((stats.sent, stats.abandoned, stats.refused_ended), (2, 2, 2));
}

#[tokio::test]
async fn no_region_outlives_its_session() {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let options = ServerOptions::default().with_shared_memory_directory(directory.path());
    let host = Host::start(options).await;
    let memory = SharedMemoryOptions::default().with_directory(directory.path());
    let client =
        ClientOptions::new(host.url.clone(), small_format()).with_transfer(Transfer::SharedMemory(memory));
    let files = || std::fs::read_dir(directory.path()).unwrap().count();
    std::fs::write(directory.path().join("lva-frames-1-dead"), [0; 10]).unwrap();
    for _ in 0..5 {
        let session = connect::<()>(&client).await.unwrap();
        assert_eq!(files(), 1, "this session's; the crashed predecessor's is gone");
        drop(session);
        assert_eq!(files(), 0);
    }
    // Also if no session is established.
    let nowhere = "tcp://127.0.0.1:1".parse().unwrap();
    let memory = SharedMemoryOptions::default().with_directory(directory.path());
    let unreachable =
        ClientOptions::new(nowhere, small_format()).with_transfer(Transfer::SharedMemory(memory));
    assert!(matches!(
        connect::<()>(&unreachable).await,
        Err(ConnectError::Unreachable { .. })
    ));
    assert_eq!(files(), 0);
}

struct Counting(Arc<AtomicUsize>);

impl BlockingExtension for Counting {
    fn open(&self, session: &SessionInfo) -> Result<Box<dyn BlockingSession>, ExtensionOpenError> {
        if session.configuration == "refuse" {
            return Err(ExtensionOpenError::Busy("no".into()));
        }
        Ok(Box::new(CountingSession(
            Arc::clone(&self.0),
            std::rc::Rc::new(()),
        )))
    }
}

/// Holds something that must not leave its thread.
struct CountingSession(Arc<AtomicUsize>, #[expect(dead_code)] std::rc::Rc<()>);

impl BlockingSession for CountingSession {
    fn process(&mut self, sample: Sample<'_>) -> Result<Vec<Inference>, BoxError> {
        assert!(
            std::thread::current()
                .name()
                .is_some_and(|name| name.starts_with("extension-"))
        );
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(vec![seen(sample.data())])
    }
}

impl Drop for CountingSession {
    fn drop(&mut self) {
        self.0.fetch_add(1000, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_blocking_extension_runs_on_its_own_thread_and_ends_with_its_stream() {
    let count = Arc::new(AtomicUsize::new(0));
    let listening = ExtensionServer::new(ThreadPerStream::new(Counting(Arc::clone(&count))))
        .with_options(ServerOptions::default().with_trust(Trust::Peer))
        .listen(ListenAddress::loopback(0))
        .await
        .unwrap();
    let url = listening.url();
    let serving = tokio::spawn(listening.serve(std::future::pending()));
    let options = shared_memory(&url, small_format());
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&options).await.unwrap();
    for fill in 0..20 {
        let mut slot = frames.slot().unwrap();
        slot.fill(fill);
        let expected = seen(&slot);
        slot.send(0, &[], ()).unwrap();
        assert_eq!(next(&mut answers).await.inferences, [expected]);
    }
    frames.finish();
    assert!(within(answers.next()).await.unwrap().is_none());
    within(async {
        while count.load(Ordering::Relaxed) != 1020 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let refused = connect::<()>(&options.with_configuration("refuse"))
        .await
        .unwrap_err();
    assert!(refused.is_transient(), "{refused}");
    serving.abort();
}
