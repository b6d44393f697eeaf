//! What real clients do, one test for each row; the numbers are those of the table in the crate's README.

use lva_extension_protocol::server::*;
use lva_extension_protocol::wire::media_stream_message::Payload;
use lva_extension_protocol::wire::{self, inference::InferenceType};
use lva_extension_protocol::*;

use crate::support::{Host, descriptor, digest, embedded, properties_of, reference, sample_of, small_format};

const FRAME: usize = 64 * 48 * 3;

/// | C1 all sample clients | wait for the descriptor before any frame | answered at once |
#[tokio::test]
async fn c1_the_descriptor_is_answered_before_any_sample_is_there() {
    let host = Host::start(ServerOptions::default()).await;
    let mut raw = host.raw().await;
    raw.send(1, descriptor(Some(small_format()), None, "")).await;
    let first = raw.answer().await;
    assert_eq!((first.sequence_number, first.ack_sequence_number), (1, 1));
    let Some(Payload::MediaStreamDescriptor(own)) = first.payload else {
        panic!("not a descriptor")
    };
    let media = own.media_descriptor.unwrap();
    assert_eq!((media.timescale, media.media_sample_format), (90_000, None));
}

/// | C2, C7 | never acknowledge; release slots by our acks | none expected; every sample is acknowledged by its number |
#[tokio::test]
async fn c2_c7_acks_of_the_client_are_not_needed_and_ours_name_the_sample() {
    let host = Host::start(ServerOptions::default()).await;
    let mut raw = host.raw().await;
    raw.open(small_format()).await;
    for number in 2..12 {
        raw.send(number, embedded(vec![0; FRAME], 0)).await;
        let answer = raw.answer().await;
        assert_eq!(
            (answer.sequence_number, answer.ack_sequence_number),
            (number, number)
        );
    }
}

/// | C3 | stride 0, empty ARM id | rows without padding; accepted |
#[tokio::test]
async fn c3_stride_nought_means_rows_side_by_side_and_an_empty_arm_id_is_fine() {
    let host = Host::start(ServerOptions::default()).await;
    let mut raw = host.raw().await;
    let Payload::MediaStreamDescriptor(mut first) = descriptor(Some(small_format()), None, "") else {
        unreachable!()
    };
    first.stream_identifier = Some(wire::media_stream_descriptor::StreamIdentifier::GraphIdentifier(
        wire::GraphIdentifier {
            media_services_arm_id: String::new(),
            graph_instance_name: "SampleGraph1".into(),
            graph_node_name: "SampleGraph1".into(),
        },
    ));
    raw.send(1, Payload::MediaStreamDescriptor(first)).await;
    raw.answer().await;
    raw.send(2, embedded(vec![5; FRAME], 0)).await;
    assert_eq!(properties_of(&raw.answer().await)["bytes"], FRAME.to_string());
}

/// | C4 | timestamp always 0 | echoed; need not increase |
#[tokio::test]
async fn c4_timestamps_that_are_always_nought_are_echoed() {
    let host = Host::start(ServerOptions::default()).await;
    let mut raw = host.raw().await;
    raw.open(small_format()).await;
    for number in 2..5 {
        raw.send(number, embedded(vec![0; FRAME], 0)).await;
        assert_eq!(sample_of(&raw.answer().await).timestamp, 0);
    }
}

/// | C5 | configuration absent or `{}` | passed on unchanged |
#[tokio::test]
async fn c5_configuration_is_passed_on_as_it_is() {
    let host = Host::start(ServerOptions::default()).await;
    let mut raw = host.raw().await;
    raw.send(1, descriptor(Some(small_format()), None, "answer empty"))
        .await;
    raw.answer().await;
    raw.send(2, embedded(vec![0; FRAME], 0)).await;
    assert!(
        sample_of(&raw.answer().await).inferences.is_empty(),
        "the extension received the configuration"
    );
}

/// | C6 | expect one answer per frame, then wait for the close | exactly one; half-close ends with OK |
#[tokio::test]
async fn c6_each_sample_has_exactly_one_answer_and_a_half_close_ends_well() {
    let host = Host::start(ServerOptions::default()).await;
    let mut raw = host.raw().await;
    raw.open(small_format()).await;
    for number in 2..32 {
        raw.send(number, embedded(vec![0; FRAME], number)).await;
    }
    drop(std::mem::replace(&mut raw.to, tokio::sync::mpsc::channel(1).0));
    let mut answered = Vec::new();
    while let Some(answer) = raw.receive().await.unwrap() {
        answered.push(answer.ack_sequence_number);
    }
    assert_eq!(answered, (2..32).collect::<Vec<u64>>());
}

/// | C9 | depend on `type` | always explicit |
#[tokio::test]
async fn c9_types_are_explicit() {
    let host = Host::start(ServerOptions::default()).await;
    let mut raw = host.raw().await;
    raw.open(small_format()).await;
    raw.send(2, embedded(vec![0; FRAME], 0)).await;
    let answer = raw.answer().await;
    assert_eq!(
        sample_of(&answer).inferences[0].r#type,
        i32::from(InferenceType::Event)
    );
}

/// | C10 | 1080p embedded, 6.2 MB | message limit follows the frame limit |
#[tokio::test]
async fn c10_embedded_full_high_definition_is_taken() {
    let host = Host::start(ServerOptions::default()).await;
    let format = FrameFormat::raw(PixelFormat::Bgr24, 1920, 1080).unwrap();
    let mut raw = host.raw().await;
    raw.open(format).await;
    raw.send(2, embedded(vec![1; 6_220_800], 0)).await;
    assert_eq!(properties_of(&raw.answer().await)["bytes"], "6220800");
}

/// | C11 | no credentials | required only if configured |
#[tokio::test]
async fn c11_without_credentials_of_our_own_none_are_asked_for() {
    let host = Host::start(ServerOptions::default()).await;
    host.raw().await.open(small_format()).await;
}

/// Every slot but the first begins on the last byte of the one before and claims one byte too many.
///
/// | Intel's slots | start on the last byte of the previous one, announce one byte too many | the exact frame is read; overlap and excess are accepted within the region |
#[tokio::test]
async fn intel_slots_that_overlap_by_a_byte_and_claim_one_too_many_are_read() {
    for trust in [Trust::Untrusted, Trust::Peer] {
        let directory = tempfile::tempdir_in("/dev/shm").unwrap();
        let options = ServerOptions::default()
            .with_trust(trust)
            .with_shared_memory_directory(directory.path());
        let host = Host::start(options).await;
        let bytes: Vec<u8> = (0..3 * FRAME).map(|at| (at % 251) as u8).collect();
        std::fs::write(directory.path().join("frames"), &bytes).unwrap();
        let mut raw = host.raw().await;
        raw.send(
            1,
            descriptor(Some(small_format()), Some(("frames", bytes.len() as u64)), ""),
        )
        .await;
        raw.answer().await;
        let frame = FRAME as u64;
        for (number, offset, claimed) in [
            (2, 0, frame),
            (3, frame - 1, frame + 1),
            (4, 2 * frame - 1, frame + 1),
        ] {
            raw.send(number, reference(offset, claimed)).await;
            let expected = digest(&bytes[offset as usize..offset as usize + FRAME]);
            assert_eq!(properties_of(&raw.answer().await)["digest"], expected);
        }
    }
}

/// Files of clients under another user are 0755: no more than reading is possible, and enough.
///
/// | files of another user | mode 0755 | opened read-only |
#[tokio::test]
async fn a_file_that_may_only_be_read_is_enough() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let host = Host::start(ServerOptions::default().with_shared_memory_directory(directory.path())).await;
    let path = directory.path().join("frames");
    std::fs::write(&path, vec![1; FRAME]).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
    let mut raw = host.raw().await;
    raw.send(
        1,
        descriptor(Some(small_format()), Some(("frames", FRAME as u64)), ""),
    )
    .await;
    raw.answer().await;
    std::fs::remove_file(&path).unwrap();
    raw.send(2, reference(0, FRAME as u64)).await;
    raw.answer().await;
}
