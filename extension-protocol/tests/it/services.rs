//! What a gRPC server is expected to answer beside its own service, and how it goes.

use lva_extension_protocol::server::*;
use lva_extension_protocol::wire::media_graph_extension_client::MediaGraphExtensionClient;
use lva_extension_protocol::wire::media_graph_extension_server::SERVICE_NAME;
use lva_extension_protocol::*;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ExtensionRequest, ServerReflectionRequest};

use crate::support::{Host, Raw, descriptor, embedded, small_format, within};

async fn channel(host: &Host) -> Channel {
    let address = host.url.to_string().replace("tcp", "http");
    Endpoint::from_shared(address).unwrap().connect().await.unwrap()
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.into(),
    }
}

fn status(response: &HealthCheckResponse) -> ServingStatus {
    ServingStatus::try_from(response.status).unwrap()
}

#[tokio::test]
async fn the_health_service_knows_the_server_and_the_service_without_credentials() {
    let options = ServerOptions::default().with_credentials(Credentials::new("user", "secret"));
    let host = Host::start(options).await;
    let mut health = HealthClient::new(channel(&host).await);
    for service in ["", SERVICE_NAME] {
        let response = health.check(of(service)).await.unwrap().into_inner();
        assert_eq!(status(&response), ServingStatus::Serving);
    }
    let unknown = health.check(of("unknown")).await.unwrap_err();
    assert_eq!(unknown.code(), GrpcCode::NotFound);
}

#[tokio::test]
async fn whoever_watches_is_told_of_the_shutdown_and_does_not_hold_it_up() {
    let host = Host::start(ServerOptions::default()).await;
    let mut health = HealthClient::new(channel(&host).await);
    let mut watch = health.watch(of(SERVICE_NAME)).await.unwrap().into_inner();
    let first = within(watch.message()).await.unwrap().unwrap();
    assert_eq!(status(&first), ServingStatus::Serving);
    let watching = async {
        let last = within(watch.message()).await.unwrap().unwrap();
        assert_eq!(status(&last), ServingStatus::NotServing);
        assert!(within(watch.message()).await.unwrap().is_none());
        drop((watch, health));
    };
    let (stopped, ()) = tokio::join!(host.stop(), watching);
    stopped.unwrap();
}

#[tokio::test]
async fn reflection_lists_the_contract_and_tells_its_messages() {
    let host = Host::start(ServerOptions::default()).await;
    let mut reflection = ServerReflectionClient::new(channel(&host).await);
    let ask = |message_request| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let questions = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(SERVICE_NAME.into())),
        ask(MessageRequest::FileContainingExtension(
            ExtensionRequest::default(),
        )),
    ];
    let response = reflection
        .server_reflection_info(tokio_stream::iter(questions))
        .await;
    let mut answers = response.unwrap().into_inner();
    let answer = within(answers.message()).await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}")
    };
    assert!(list.service.iter().any(|service| service.name == SERVICE_NAME));
    let answer = within(answers.message()).await.unwrap().unwrap();
    let Some(MessageResponse::FileDescriptorResponse(files)) = answer.message_response else {
        panic!("{answer:?}")
    };
    let words = String::from_utf8_lossy(&files.file_descriptor_proto[0]).into_owned();
    assert!(words.contains("ProcessMediaStream"), "{words}");
}

#[tokio::test]
async fn both_services_can_be_left_out() {
    let options = ServerOptions::default().with_health(false).with_reflection(false);
    let host = Host::start(options).await;
    let mut health = HealthClient::new(channel(&host).await);
    assert_eq!(
        health.check(of("")).await.unwrap_err().code(),
        GrpcCode::Unimplemented
    );
    let mut reflection = ServerReflectionClient::new(channel(&host).await);
    let refused = reflection
        .server_reflection_info(tokio_stream::iter(Vec::<ServerReflectionRequest>::new()))
        .await;
    assert_eq!(refused.unwrap_err().code(), GrpcCode::Unimplemented);
}

/// The frames are known to have come when a later request on the same connection is answered.
#[tokio::test]
async fn a_shutdown_answers_every_frame_that_has_come() {
    let (gate, digester) = crate::support::Gated::new();
    let listening = ExtensionServer::new(digester)
        .listen(ListenAddress::loopback(0))
        .await
        .unwrap();
    let (url, stats) = (listening.url(), listening.stats());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(listening.serve(async {
        let _ = stopped.await;
    }));
    let address = url.to_string().replace("tcp", "http");
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    let (to, messages) = tokio::sync::mpsc::channel(64);
    let response = MediaGraphExtensionClient::new(channel.clone())
        .process_media_stream(ReceiverStream::new(messages))
        .await
        .unwrap();
    let mut raw = Raw {
        to,
        from: response.into_inner(),
    };
    raw.send(1, descriptor(Some(small_format()), None, "")).await;
    raw.answer().await;
    for number in 2..=5 {
        raw.send(number, embedded(vec![number as u8; 64 * 48 * 3], number))
            .await;
    }
    within(gate.entered()).await;
    HealthClient::new(channel.clone()).check(of("")).await.unwrap();

    stop.send(()).unwrap();
    // The health of a server that goes: then it knows.
    within(async {
        let mut health = HealthClient::new(channel.clone());
        while let Ok(response) = health.check(of("")).await {
            if status(response.get_ref()) == ServingStatus::NotServing {
                break;
            }
        }
    })
    .await;
    gate.open();
    for number in 2..=5 {
        assert_eq!(raw.answer().await.ack_sequence_number, number);
    }
    assert_eq!(raw.end().await.code(), GrpcCode::Unavailable);
    drop((raw, channel));
    within(serving).await.unwrap().unwrap();
    assert_eq!(stats.read().answers, 4);
}
