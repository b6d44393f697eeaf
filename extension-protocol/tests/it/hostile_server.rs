//! Servers that violate the contract or fail: the session returns the reason, and every frame.

use std::time::Duration;

use lva_extension_protocol::client::*;
use lva_extension_protocol::wire::media_stream_message::Payload;
use lva_extension_protocol::wire::{self, MediaStreamMessage};
use lva_extension_protocol::*;
use lva_inference_schema::InferenceValue;
use tonic::Status;

use crate::support::{PATIENCE, ScriptedServer, ack, end, next, server_descriptor, small_format, within};

const SOON: Duration = Duration::from_millis(50);

fn send<C: std::fmt::Debug>(frames: &FrameSender<C>, context: C) -> u64 {
    frames.slot().unwrap().send(0, &[], context).unwrap()
}

#[tokio::test]
async fn a_server_that_never_answers_the_descriptor_is_a_handshake_timeout() {
    let server = ScriptedServer::start(|script| async move {
        let _open = script;
        std::future::pending::<()>().await;
    })
    .await;
    let error = connect::<()>(&server.options().with_handshake_timeout(SOON))
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::HandshakeTimeout { .. }), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn an_address_that_nobody_listens_on_is_unreachable() {
    let unreachable = ClientOptions::new("tcp://127.0.0.1:1".parse().unwrap(), small_format());
    let error = connect::<()>(&unreachable).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }) && error.is_transient());
    let named = ["127.0.0.1:1", "refused"].map(|part| error.to_string().contains(part));
    assert_eq!(named, [true; 2], "{error}");
    assert!(
        std::error::Error::source(&error).is_none(),
        "the message names it"
    );
}

#[tokio::test]
async fn a_listener_that_speaks_something_else_does_not_hang_the_client() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ =
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"RTSP/1.0 400 Bad Request\r\n\r\n").await;
        }
    });
    let options =
        ClientOptions::new(ExtensionUrl::tcp(address), small_format()).with_handshake_timeout(PATIENCE / 2);
    assert!(within(connect::<()>(&options)).await.is_err());
}

#[tokio::test]
async fn a_first_message_that_is_no_descriptor_is_no_session() {
    let server = ScriptedServer::start(|mut script| async move {
        script.receive().await;
        script.send(ack(1, 1)).await;
    })
    .await;
    let error = connect::<()>(&server.options()).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotADescriptor { .. }), "{error}");
}

#[tokio::test]
async fn a_stream_that_ends_in_the_handshake_is_no_session() {
    let server = ScriptedServer::start(|mut script| async move {
        script.receive().await;
    })
    .await;
    let error = connect::<()>(&server.options()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Closed { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_frames_is_an_answer_timeout_and_keeps_the_window_shut() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        while script.receive().await.is_some() {}
    })
    .await;
    let options = server
        .shared_memory_options()
        .with_window(3)
        .with_first_answer_timeout(SOON);
    let Session {
        frames, mut answers, ..
    } = connect::<&str>(&options).await.unwrap();
    for context in ["a", "b", "c"] {
        send(&frames, context);
    }
    assert_eq!(frames.slot().unwrap_err(), NoSlot::WindowFull);
    let error = end(&mut answers).await;
    assert!(
        matches!(error, SessionError::AnswerTimeout { sequence: 2, .. }),
        "{error}"
    );
    assert!(error.is_transient());
    let left: Vec<_> = answers
        .take_unanswered()
        .into_iter()
        .map(|it| (it.sequence, it.context))
        .collect();
    assert_eq!(left, [(2, "a"), (3, "b"), (4, "c")]);
    assert!(within(answers.next()).await.unwrap().is_none(), "returned once");
    assert_eq!(frames.slot().unwrap_err(), NoSlot::Ended);
    let stats = answers.stats();
    assert_eq!((stats.sent, stats.answered, stats.abandoned), (3, 0, 3));
}

#[tokio::test]
async fn zero_unknown_and_repeated_acks_deliver_nothing_and_are_counted() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        for _ in 0..2 {
            script.receive().await;
        }
        for number in [0, 1, 4, 99, u64::MAX, 3, 3, 2] {
            script.send(ack(0, number)).await;
        }
        script.receive().await;
    })
    .await;
    let Session {
        frames, mut answers, ..
    } = connect::<&str>(&server.options()).await.unwrap();
    send(&frames, "first");
    send(&frames, "second");
    assert_eq!(next(&mut answers).await.context, "second");
    assert_eq!(next(&mut answers).await.context, "first");
    let stats = answers.stats();
    assert_eq!(
        (stats.zero_acks, stats.unknown_acks, stats.repeated_acks),
        (1, 3, 2)
    );
    assert_eq!((stats.answered, frames.in_flight()), (2, 0));
}

#[tokio::test]
async fn descriptors_in_the_middle_are_passed_over() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        script.receive().await;
        script.send(server_descriptor(2, 2)).await;
        script.send(ack(3, 2)).await;
        script.receive().await;
    })
    .await;
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&server.options()).await.unwrap();
    send(&frames, ());
    next(&mut answers).await;
    assert_eq!(answers.stats().unexpected_descriptors, 1);
}

#[tokio::test]
async fn a_stream_closed_by_the_server_alone_is_an_error() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
    })
    .await;
    let Session { mut answers, .. } = connect::<()>(&server.options()).await.unwrap();
    // The frame sender is gone, which half-closes: then a close is what was asked for.
    assert!(within(answers.next()).await.unwrap().is_none());

    let Session {
        frames, mut answers, ..
    } = connect::<()>(&server.options()).await.unwrap();
    assert_eq!(end(&mut answers).await, SessionError::ClosedByPeer);
    drop(frames);
}

#[tokio::test]
async fn a_status_ends_the_session_with_its_words_and_gives_the_frames_back() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        script.receive().await;
        script.receive().await;
        script
            .fail(Status::invalid_argument("Can't decode received bytes."))
            .await;
    })
    .await;
    let Session {
        frames, mut answers, ..
    } = connect::<u8>(&server.shared_memory_options()).await.unwrap();
    send(&frames, 1);
    send(&frames, 2);
    let error = end(&mut answers).await;
    assert!(
        error.to_string().contains("Can't decode received bytes."),
        "{error}"
    );
    assert!(!error.is_transient());
    assert_eq!(
        answers
            .take_unanswered()
            .iter()
            .map(|it| it.context)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(answers.take_unanswered(), []);
}

#[tokio::test]
async fn an_answer_over_the_limit_ends_the_session() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        script.receive().await;
        let big = wire::Inference {
            subtype: "x".repeat(100_000),
            value: Some(wire::inference::Value::Motion(wire::Motion::default())),
            ..Default::default()
        };
        let sample = wire::MediaSample {
            inferences: vec![big],
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
    let options = server.options().with_largest_answer(10_000);
    let Session {
        frames, mut answers, ..
    } = connect::<()>(&options).await.unwrap();
    send(&frames, ());
    assert!(matches!(end(&mut answers).await, SessionError::Status(_)));
}

#[tokio::test]
async fn a_place_returns_only_by_its_ack_even_when_the_caller_gave_the_frame_up() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        for number in 2..5 {
            script.receive().await;
            if number > 2 {
                script.send(ack(number, number)).await;
            }
        }
        // Much too late.
        script.receive().await;
        script.send(ack(5, 2)).await;
        script.send(ack(6, 5)).await;
        script.receive().await;
    })
    .await;
    let options = server
        .shared_memory_options()
        .with_answer_timeout(Duration::from_secs(5));
    let Session {
        frames, mut answers, ..
    } = connect::<&str>(&options).await.unwrap();
    send(&frames, "skipped");
    send(&frames, "b");
    send(&frames, "c");
    assert_eq!(next(&mut answers).await.context, "b");
    assert_eq!(next(&mut answers).await.context, "c");
    match within(answers.next()).await {
        Ok(Some(SessionEvent::Skipped(frame))) => assert_eq!((frame.sequence, frame.context), (2, "skipped")),
        other => panic!("{other:?}"),
    }
    assert_eq!(frames.in_flight(), 1, "its memory is still the server's");
    send(&frames, "d");
    assert_eq!(next(&mut answers).await.context, "d");
    assert_eq!(frames.in_flight(), 0);
    let stats = answers.stats();
    assert_eq!((stats.unanswered, stats.late_answers, stats.answered), (1, 1, 3));
}

#[tokio::test]
async fn a_session_that_is_given_up_tells_of_each_frame_once() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        script.receive().await;
        script.receive().await;
        script.send(ack(3, 3)).await;
        // And it never closes its side.
        std::future::pending::<()>().await;
    })
    .await;
    let options = server
        .shared_memory_options()
        .with_answer_timeout(Duration::from_secs(3));
    let Session {
        frames, mut answers, ..
    } = connect::<&str>(&options).await.unwrap();
    send(&frames, "skipped");
    send(&frames, "answered");
    assert_eq!(next(&mut answers).await.context, "answered");
    send(&frames, "on its way");
    match within(answers.next()).await {
        Ok(Some(SessionEvent::Skipped(frame))) => assert_eq!(frame.context, "skipped"),
        other => panic!("{other:?}"),
    }
    frames.finish();
    let left: Vec<&str> = answers.abandon().into_iter().map(|frame| frame.context).collect();
    assert_eq!(left, ["on its way"]);
    assert!(answers.abandon().is_empty());
    assert_eq!(within(answers.next()).await, Ok(None));
    assert!(frames.slot().is_err());
}

#[tokio::test]
async fn boxes_out_of_the_picture_are_delivered_and_counted() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        script.receive().await;
        let entity = |l, w| wire::Inference {
            value: Some(wire::inference::Value::Entity(wire::Entity {
                r#box: Some(wire::Rectangle { l, t: 0.0, w, h: 1.0 }),
                ..Default::default()
            })),
            ..Default::default()
        };
        let inferences = vec![
            entity(0.0, 640.0),
            entity(f32::NAN, 0.5),
            entity(0.5, 0.5),
            entity(0.2, -0.1),
        ];
        let sample = wire::MediaSample {
            inferences,
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
    send(&frames, ());
    assert_eq!(next(&mut answers).await.inferences.len(), 4);
    assert_eq!(answers.stats().boxes_out_of_range, 3);
}

#[tokio::test]
async fn more_results_than_anybody_finds_are_left_out_and_counted() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        script.receive().await;
        let entity = |tag: String| wire::Inference {
            value: Some(wire::inference::Value::Entity(wire::Entity {
                tag: Some(wire::Tag {
                    value: tag,
                    confidence: 0.5,
                }),
                ..Default::default()
            })),
            ..Default::default()
        };
        let mut inferences = vec![entity("x".repeat(3 << 20))];
        inferences.resize(20_000, entity("person".to_owned()));
        let sample = wire::MediaSample {
            inferences,
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
    send(&frames, ());
    let inferences = next(&mut answers).await.inferences;
    let InferenceValue::Entity(first) = &inferences[0].value else {
        panic!("{:?}", inferences[0].kind());
    };
    let stats = answers.stats();
    assert_eq!((inferences.len(), first.tag.value.len()), (2000, 4096));
    assert_eq!((stats.inferences_left_out, stats.parts_left_out), (18_000, 1));
}

#[tokio::test]
async fn results_apart_from_an_answer_are_delivered_with_the_number_that_they_name() {
    let server = ScriptedServer::start(|mut script| async move {
        script.handshake().await;
        script.receive().await;
        // Results of no frame; then an acknowledgement, and its results under the same number.
        script.send(results(5, 0)).await;
        script.send(ack(0, 2)).await;
        script.send(results(6, 2)).await;
        script.receive().await;
    })
    .await;
    let Session {
        frames, mut answers, ..
    } = connect::<&str>(&server.options()).await.unwrap();
    send(&frames, "only");
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(match within(answers.next()).await.unwrap() {
            Some(SessionEvent::Answered(answer)) => (Some(answer.sequence), answer.inferences.len(), true),
            Some(SessionEvent::Results(found)) => (found.sequence, found.inferences.len(), false),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(seen, [(None, 1, false), (Some(2), 0, true), (Some(2), 1, false)]);
    let stats = answers.stats();
    assert_eq!((stats.sent, stats.answered, stats.inferences), (1, 1, 2));
}

/// One result, under an acknowledgement.
fn results(sequence_number: u64, acknowledged: u64) -> MediaStreamMessage {
    let mut message = ack(sequence_number, acknowledged);
    if let Some(Payload::MediaSample(sample)) = &mut message.payload {
        let event = wire::Event {
            name: "seen".into(),
            ..Default::default()
        };
        sample.inferences.push(wire::Inference {
            value: Some(wire::inference::Value::Event(event)),
            ..Default::default()
        });
    }
    message
}
