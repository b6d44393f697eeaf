//! What real servers do, one test for each row; the numbers are those of the table in the crate's README.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use lva_extension_protocol::client::*;
use lva_extension_protocol::server::*;
use lva_extension_protocol::wire::media_sample::Content;
use lva_extension_protocol::wire::media_stream_descriptor::DataTransferProperties;
use lva_extension_protocol::wire::media_stream_message::Payload;
use lva_extension_protocol::wire::{self, MediaStreamMessage};
use lva_extension_protocol::*;
use lva_inference_schema::InferenceKind;
use tonic::Status;

use crate::support::{Script, ScriptedServer, ack, end, next, sample_of, server_descriptor, within};

fn send<C: std::fmt::Debug>(frames: &FrameSender<C>, timestamp_90k: u64, context: C) -> u64 {
    frames.slot().unwrap().send(timestamp_90k, &[], context).unwrap()
}

fn memory_of(descriptor: &wire::MediaStreamDescriptor) -> &wire::SharedMemoryBufferTransferProperties {
    match &descriptor.data_transfer_properties {
        Some(DataTransferProperties::SharedMemoryBufferTransferProperties(memory)) => memory,
        None => panic!("no shared memory"),
    }
}

fn reference_of(message: &MediaStreamMessage) -> &wire::ContentReference {
    match &sample_of(message).content {
        Some(Content::ContentReference(reference)) => reference,
        other => panic!("{other:?}"),
    }
}

/// | S1, S2 Python, C# | join name to `/dev/shm`, open for writing, map everything | bare name; file complete before it is announced; mode is an option |
#[tokio::test]
async fn s1_s2_the_handle_is_a_bare_name_and_the_file_is_complete_before_it_is_named() {
    let server = ScriptedServer::start(|mut script| async move {
        let descriptor = script.handshake().await;
        let memory = memory_of(&descriptor);
        assert!(!memory.handle_name.contains('/'));
        // As known servers do: for reading and writing, mapped in full.
        let path = std::path::Path::new("/dev/shm").join(&memory.handle_name);
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        let metadata = file.metadata().unwrap();
        assert_eq!(metadata.len(), memory.length_bytes);
        assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
        script.receive().await;
        script.send(ack(2, 2)).await;
        script.receive().await;
    })
    .await;
    let memory = SharedMemoryOptions::default().with_mode(0o660);
    let options = server.options().with_transfer(Transfer::SharedMemory(memory));
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&options).await.unwrap();
    send(&frames, 0, ());
    next(&mut answers).await;
}

/// | S3 C# | descriptor with number 0 and ack 0, timestamps 0 | ignored |
#[tokio::test]
async fn s3_a_descriptor_with_number_and_ack_nought_and_timestamps_of_nought_are_fine() {
    let server = ScriptedServer::start(|mut script| async move {
        script.receive().await;
        script.send(server_descriptor(0, 0)).await;
        for number in 2..5 {
            script.receive().await;
            script.send(ack(number - 1, number)).await;
        }
        script.receive().await;
    })
    .await;
    let Session {
        frames, mut answers, ..
    } = connect::<u64>(&server.options()).await.unwrap();
    for timestamp in [143_810_610_210_090, 5, 6] {
        send(&frames, timestamp, timestamp);
        let answer = next(&mut answers).await;
        assert_eq!((answer.timestamp_90k, answer.context), (timestamp, timestamp));
    }
}

/// | S4 Intel | numbers stay 0 | matched by ack only |
#[tokio::test]
async fn s4_answers_whose_own_number_stays_nought_are_matched_by_ack() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        while let Some(sample) = script.receive().await {
            script.send(ack(0, sample.sequence_number)).await;
        }
    })
    .await;
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&server.options()).await.unwrap();
    for _ in 0..5 {
        let sequence = send(&frames, 0, ());
        assert_eq!(next(&mut answers).await.sequence, sequence);
    }
}

/// | S5 Intel, DeepStream | answer a frame when the next one arrives | window of at least 2; the newest frame is never late; half-close flushes |
#[tokio::test]
async fn s5_a_server_that_answers_only_when_the_next_frame_comes_is_flushed_by_the_half_close() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        let mut held = None;
        while let Some(sample) = script.receive().await {
            if let Some(number) = held.replace(sample.sequence_number) {
                script.send(ack(0, number)).await;
            }
        }
        script.send(ack(0, held.unwrap())).await;
    })
    .await;
    // That the newest frame alone is never late is a rule, tested with a clock of its own.
    let options = server.shared_memory_options().with_window(2);
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&options).await.unwrap();
    send(&frames, 0, ());
    for _ in 0..10 {
        let newest = send(&frames, 0, ());
        assert_eq!(next(&mut answers).await.sequence, newest - 1);
    }
    frames.finish();
    next(&mut answers).await;
    assert!(within(answers.next()).await.unwrap().is_none());
}

/// | S6 DeepStream | acks out of order, tail never answered | any order; the tail is returned at the end |
#[tokio::test]
async fn s6_acks_in_any_order_free_their_own_place_and_the_tail_comes_back_at_the_end() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        for _ in 2..6 {
            script.receive().await;
        }
        for number in [4, 2, 3] {
            script.send(ack(0, number)).await;
        }
        script.receive().await;
    })
    .await;
    let Session {
        frames, mut answers, ..
    } = connect::<u64>(&server.shared_memory_options()).await.unwrap();
    for context in 2..6 {
        send(&frames, 0, context);
    }
    for expected in [4, 2, 3] {
        assert_eq!(next(&mut answers).await.context, expected);
    }
    frames.finish();
    assert!(within(answers.next()).await.unwrap().is_none());
    let left: Vec<u64> = answers
        .take_unanswered()
        .into_iter()
        .map(|frame| frame.context)
        .collect();
    assert_eq!(left, [5], "never drained by that server");
}

/// | S7 Python | a failed frame gets no answer | skipped after a time-out; its slot stays allocated |
#[tokio::test]
async fn s7_a_frame_without_any_answer_is_given_up_alone() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        while let Some(sample) = script.receive().await {
            if sample.sequence_number != 4 {
                script.send(ack(0, sample.sequence_number)).await;
            }
        }
    })
    .await;
    let options = server
        .shared_memory_options()
        .with_answer_timeout(Duration::from_secs(5));
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&options).await.unwrap();
    for _ in 0..4 {
        send(&frames, 0, ());
    }
    for expected in [2, 3, 5] {
        assert_eq!(next(&mut answers).await.sequence, expected);
    }
    match within(answers.next()).await {
        Ok(Some(SessionEvent::Skipped(frame))) => assert_eq!(frame.sequence, 4),
        other => panic!("{other:?}"),
    }
    let sequence = send(&frames, 0, ());
    assert_eq!(next(&mut answers).await.sequence, sequence, "the session goes on");
    assert_eq!(
        frames.in_flight(),
        1,
        "the skipped frame's place is still the server's"
    );
}

/// | S8, S9 | refuse a format or a picture with their own message | message shown, not transient |
#[tokio::test]
async fn s8_s9_a_refused_format_is_told_in_the_servers_words_and_not_retried() {
    for (code, words) in [
        (
            GrpcCode::InvalidArgument,
            "Received an image of size 64x48, but expected 416x416",
        ),
        (GrpcCode::OutOfRange, "Encoding not supported"),
    ] {
        let server = ScriptedServer::start(move |mut script| async move {
            script.receive().await;
            script.fail(Status::new(code, words)).await;
        })
        .await;
        let error = connect::<()>(&server.options()).await.unwrap_err();
        assert!(
            error.to_string().contains(words) && !error.is_transient(),
            "{error}"
        );
    }
}

/// | S10 C# | one stream per connection | one connection per session |
#[tokio::test]
async fn s10_one_stream_for_each_connection() {
    let server = ScriptedServer::start(|mut script: Script| async move {
        script.handshake().await;
        script.receive().await;
    })
    .await;
    // Two sessions at once, each handshake done: neither waits behind the other on a connection.
    let first = connect::<()>(&server.options()).await.unwrap();
    let second = connect::<()>(&server.options()).await.unwrap();
    drop((first, second));
}

/// | S11 Python | a fourth stream gets no answer | handshake time-out, a separate error |
#[tokio::test]
async fn s11_a_stream_without_a_worker_is_a_handshake_timeout_of_its_own() {
    let streams = std::sync::Arc::new(tokio::sync::Semaphore::new(3));
    let server = ScriptedServer::start(move |mut script| {
        let streams = std::sync::Arc::clone(&streams);
        async move {
            let _worker = streams.acquire().await.unwrap();
            script.handshake().await;
            while let Some(sample) = script.receive().await {
                script.send(ack(0, sample.sequence_number)).await;
            }
        }
    })
    .await;
    let mut three = Vec::new();
    for _ in 0..3 {
        three.push(connect::<()>(&server.options()).await.unwrap());
    }
    let fourth = server
        .options()
        .with_handshake_timeout(Duration::from_millis(100));
    let error = connect::<()>(&fourth).await.unwrap_err();
    assert!(matches!(error, ConnectError::HandshakeTimeout { .. }), "{error}");
    for session in &mut three {
        send(&session.frames, 0, ());
        next(&mut session.answers).await;
    }
}

/// | S12 | 4 MiB per message | status shown with a hint, not transient |
#[tokio::test]
async fn s12_a_frame_over_the_servers_message_limit_gets_a_hint() {
    let format = FrameFormat::raw(PixelFormat::Bgr24, 1920, 1080).unwrap();
    // The generated server keeps the default limit of 4 MiB, as Python servers do.
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        if let Err(status) = script.from.message().await {
            assert_eq!(status.code(), GrpcCode::OutOfRange);
            script
                .fail(Status::resource_exhausted(
                    "Received message larger than max (6220819 vs. 4194304)",
                ))
                .await;
        }
    })
    .await;
    let options = ClientOptions::new(server.url.clone(), format);
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&options).await.unwrap();
    send(&frames, 0, ());
    let error = end(&mut answers).await;
    assert!(
        error.to_string().contains("use shared memory") && !error.is_transient(),
        "{error}"
    );
}

/// | S13 | type AUTO; a batch event as ack | type from the value; an answer |
#[tokio::test]
async fn s13_inferences_of_type_auto_are_resolved_and_a_batch_ack_is_an_answer() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        script.receive().await;
        let batched = wire::Inference {
            subtype: "BatchAggregation".into(),
            value: Some(wire::inference::Value::Event(wire::Event {
                name: "Adding image #1 to batch.".into(),
                ..Default::default()
            })),
            ..Default::default()
        };
        let sample = wire::MediaSample {
            inferences: vec![batched],
            ..Default::default()
        };
        let payload = Some(Payload::MediaSample(sample));
        script
            .send(MediaStreamMessage {
                sequence_number: 2,
                ack_sequence_number: 2,
                payload,
            })
            .await;
        script.receive().await;
    })
    .await;
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&server.options()).await.unwrap();
    send(&frames, 0, ());
    let answer = next(&mut answers).await;
    assert_eq!(answer.inferences[0].kind(), InferenceKind::Event);
}

/// The same server reads an acknowledged frame once more when the next one arrives: its place must not have been used
/// again by then.
///
/// | S13 | reads an acknowledged frame again | the slot released last is avoided while another fits |
#[tokio::test]
async fn s13_an_acknowledged_frame_stays_as_it_was_until_the_next_one_is_there() {
    let server = ScriptedServer::start(|mut script| async move {
        let descriptor = script.handshake().await;
        let path = std::path::Path::new("/dev/shm").join(&memory_of(&descriptor).handle_name);
        let mut before: Option<(usize, u8)> = None;
        let mut fill = 0;
        while let Some(sample) = script.receive().await {
            let file = std::fs::read(&path).unwrap();
            if let Some((offset, fill)) = before {
                assert_eq!(file[offset], fill, "the frame before was overwritten");
            }
            let offset = reference_of(&sample).address_offset as usize;
            assert_eq!(file[offset], fill);
            before = Some((offset, fill));
            fill += 1;
            script.send(ack(0, sample.sequence_number)).await;
        }
        script.fail(Status::ok("")).await;
    })
    .await;
    let options = server.shared_memory_options().with_window(2);
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&options).await.unwrap();
    for fill in 0..50 {
        let mut slot = frames.slot().unwrap();
        slot.fill(fill);
        slot.send(0, &[], ()).unwrap();
        next(&mut answers).await;
    }
}

/// | S14 C#, DeepStream | empty sample, or no payload | an answer without inferences |
#[tokio::test]
async fn s14_an_empty_sample_and_a_message_without_payload_are_acks() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        script.receive().await;
        script.send(ack(2, 2)).await;
        script.receive().await;
        let bare = MediaStreamMessage {
            sequence_number: 3,
            ack_sequence_number: 3,
            payload: None,
        };
        script.send(bare).await;
        script.receive().await;
    })
    .await;
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&server.options()).await.unwrap();
    for _ in 0..2 {
        let sequence = send(&frames, 0, ());
        let answer = next(&mut answers).await;
        assert_eq!((answer.sequence, answer.inferences.len()), (sequence, 0));
    }
}

/// | S16 | descriptor without name or timescale | both optional |
#[tokio::test]
async fn s16_extension_identifier_and_timescale_are_both_optional() {
    let server = ScriptedServer::start(|mut script| async move {
        script.receive().await;
        let empty = Some(Payload::MediaStreamDescriptor(Default::default()));
        script
            .send(MediaStreamMessage {
                sequence_number: 1,
                ack_sequence_number: 1,
                payload: empty,
            })
            .await;
        script.receive().await;
    })
    .await;
    let session = connect::<()>(&server.options()).await.unwrap();
    assert_eq!(
        (session.peer.identifier.as_str(), session.peer.timescale),
        ("", 0)
    );
}

/// | S18 | first message not checked | always a complete descriptor |
#[tokio::test]
async fn s18_the_descriptor_is_complete_and_first_whoever_checks_it() {
    let (seen, mut look) = tokio::sync::mpsc::channel(1);
    let server = ScriptedServer::start(move |mut script| {
        let seen = seen.clone();
        async move {
            let first = script.receive().await.unwrap();
            seen.send(first).await.unwrap();
            script.send(server_descriptor(1, 1)).await;
            script.receive().await;
        }
    })
    .await;
    let options = server
        .options()
        .with_identity(GraphIdentity::new("Sample-Graph-1", "node"))
        .with_configuration("{}")
        .with_credentials(Credentials::new("testuser", "testpassword"));
    let _session = connect::<()>(&options).await.unwrap();
    let first = look.recv().await.unwrap();
    assert_eq!((first.sequence_number, first.ack_sequence_number), (1, 0));
    let Some(Payload::MediaStreamDescriptor(descriptor)) = first.payload else {
        panic!("not a descriptor")
    };
    assert_eq!(descriptor.extension_configuration, "{}");
    let media = descriptor.media_descriptor.unwrap();
    assert_eq!(media.timescale, 90_000);
    let Some(wire::media_descriptor::MediaSampleFormat::VideoFrameSampleFormat(format)) =
        media.media_sample_format
    else {
        panic!("no format")
    };
    assert_eq!(
        (format.encoding, format.pixel_format, format.stride_bytes),
        (3, 61, 64 * 3)
    );
    assert_eq!(
        format.dimensions.unwrap(),
        wire::Dimensions {
            width: 64,
            height: 48
        }
    );
    assert_eq!(
        server.headers(),
        [Some("Basic dGVzdHVzZXI6dGVzdHBhc3N3b3Jk".to_owned())]
    );
}

/// | Python, file missing | UNKNOWN with `[Errno 2]` | message shown with the hint about IpcMode |
#[tokio::test]
async fn a_missing_file_ends_a_python_servers_stream_with_its_text_and_a_hint() {
    let server = ScriptedServer::start(|mut script| async move {
        script.receive().await;
        let text = "Exception iterating responses: [Errno 2] No such file or directory: '/dev/shm/x'";
        script.fail(Status::unknown(text)).await;
    })
    .await;
    let error = connect::<()>(&server.shared_memory_options()).await.unwrap_err();
    assert!(
        error.to_string().contains("[Errno 2]") && error.to_string().contains("IpcMode"),
        "{error}"
    );
}

/// | S15 DeepStream | fails silently on embedded frames, so none is ever acknowledged | answer time-out, transient; every frame is returned |
#[tokio::test]
async fn s15_a_server_that_never_acknowledges_embedded_frames_is_an_answer_timeout() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        while script.receive().await.is_some() {}
    })
    .await;
    let options = server
        .options()
        .with_first_answer_timeout(Duration::from_millis(100));
    let Session {
        frames, mut answers, ..
    } = connect::<u8>(&options).await.unwrap();
    send(&frames, 0, 1);
    send(&frames, 0, 2);
    let error = end(&mut answers).await;
    assert!(
        matches!(error, SessionError::AnswerTimeout { sequence: 2, .. }),
        "{error}"
    );
    assert!(error.is_transient());
    let back: Vec<u8> = answers
        .take_unanswered()
        .iter()
        .map(|frame| frame.context)
        .collect();
    assert_eq!(back, [1, 2]);
}

/// | DeepStream | a box in pixels (640×480) instead of fractions | delivered unchanged, counted as out of range |
#[tokio::test]
async fn boxes_in_pixels_are_counted() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        while let Some(sample) = script.receive().await {
            let mut answer = ack(2, sample.sequence_number);
            let Some(Payload::MediaSample(found)) = &mut answer.payload else {
                unreachable!()
            };
            found.inferences.push(wire::Inference {
                value: Some(wire::inference::Value::Motion(wire::Motion {
                    r#box: Some(wire::Rectangle {
                        l: 0.0,
                        t: 0.0,
                        w: 640.0,
                        h: 480.0,
                    }),
                })),
                ..Default::default()
            });
            script.send(answer).await;
        }
    })
    .await;
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&server.options()).await.unwrap();
    send(&frames, 0, ());
    assert_eq!(next(&mut answers).await.inferences.len(), 1);
    assert_eq!(answers.stats().boxes_out_of_range, 1);
}

/// | Python gRPC servers | share a port silently (`SO_REUSEPORT`) | ours does not: a second one is refused |
#[tokio::test]
async fn a_second_server_on_the_same_port_is_refused() {
    let host = crate::support::Host::start(ServerOptions::default()).await;
    let port = host.url.to_string().rsplit(':').next().unwrap().parse().unwrap();
    let second = ExtensionServer::new(crate::support::Digester::default())
        .listen(ListenAddress::loopback(port))
        .await;
    assert!(matches!(second, Err(HostError::Bind { .. })));
}
