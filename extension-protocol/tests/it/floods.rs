//! Peers that hold or flood connections without credentials, while a good client works.

use lva_extension_protocol::server::*;
use lva_extension_protocol::wire::MediaStreamMessage;
use lva_extension_protocol::wire::media_graph_extension_client::MediaGraphExtensionClient;
use lva_extension_protocol::wire::media_graph_extension_server::SERVICE_NAME;
use lva_extension_protocol::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use crate::support::{Host, Raw, embedded, sample_of, small_format, within};

const FRAME: usize = 64 * 48 * 3;

async fn works(raw: &mut Raw, number: u64) {
    raw.send(number, embedded(vec![0; FRAME], number)).await;
    assert_eq!(sample_of(&raw.answer().await).timestamp, number);
}

async fn socket(host: &Host) -> TcpStream {
    let address = host.url.to_string().replace("tcp://", "");
    TcpStream::connect(address).await.unwrap()
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// HEADERS of a request that does not end (RFC 9113 section 6.2, RFC 7541 appendix A).
fn request(stream: u32, path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend_from_slice(path.as_bytes());
    block.extend_from_slice(b"\x0f\x10\x10application/grpc");
    frame(1, 4, stream, &block)
}

/// Opens streams on one connection whatever the server answers, until it closes the connection. Returns how many.
async fn flood(mut socket: TcpStream, path: &str, resets: bool) -> u32 {
    const STREAMS: u32 = 50_000;
    const AT_ONCE: u32 = 100;
    let (mut reader, mut writer) = socket.split();
    let mut answers = [0; 4096];
    let reading = async { while matches!(reader.read(&mut answers).await, Ok(1..)) {} };
    let writing = async {
        let mut first = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        first.extend(frame(4, 0, 0, &[]));
        if writer.write_all(&first).await.is_err() {
            return 0;
        }
        for begun in (0..STREAMS).step_by(AT_ONCE as usize) {
            let mut frames = Vec::new();
            for number in begun..begun + AT_ONCE {
                let stream = number * 2 + 1;
                frames.extend(request(stream, path));
                if resets {
                    frames.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
                }
            }
            if writer.write_all(&frames).await.is_err() {
                return begun;
            }
        }
        STREAMS
    };
    tokio::select! {
        () = reading => 0,
        opened = writing => opened,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_streams_on_a_connection_costs_little_and_holds_up_nobody() {
    let credentials = Credentials::new("user", "secret");
    for options in [
        ServerOptions::default(),
        ServerOptions::default().with_credentials(credentials),
    ] {
        let open_to_all = options.clone().with_reflection(true);
        let host = Host::start(open_to_all).await;
        let before = resident();
        for path in [
            format!("/{SERVICE_NAME}/ProcessMediaStream"),
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo".to_owned(),
            "/grpc.health.v1.Health/Watch".to_owned(),
            "/none".to_owned(),
        ] {
            for resets in [false, true] {
                within(flood(socket(&host).await, &path, resets)).await;
                let grown = resident().saturating_sub(before);
                assert!(grown < 40 << 20, "{path} {resets}: {grown} bytes");
                eprintln!("{path}, resets {resets}: grown by {grown} bytes");
            }
        }
        assert!(host.stats.read().sessions_refused < 5000);
    }
    let host = Host::start(ServerOptions::default()).await;
    let mut good = host.raw().await;
    good.open(small_format()).await;
    let flooding = tokio::spawn(flood(socket(&host).await, "/grpc.health.v1.Health/Watch", false));
    for number in 2..50 {
        works(&mut good, number).await;
    }
    within(flooding).await.unwrap();
    works(&mut good, 50).await;
}

#[tokio::test]
async fn idle_connections_beyond_the_limit_make_way_for_a_good_client() {
    let host = Host::start(ServerOptions::default()).await;
    let mut good = host.raw().await;
    good.open(small_format()).await;
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(socket(&host).await);
    }
    works(&mut good, 2).await;
    let mut late = host.raw().await;
    late.open(small_format()).await;
    works(&mut late, 2).await;
    works(&mut good, 3).await;
    let counts = host.stats.connections();
    assert!(counts.evicted >= 140 && counts.refused == 0, "{counts:?}");
    assert_eq!(counts.accept_errors, 0);
}

#[tokio::test]
async fn whoever_guesses_passwords_loses_the_connection() {
    let options = ServerOptions::default().with_credentials(Credentials::new("user", "secret"));
    let host = Host::start(options).await;
    let address = host.url.to_string().replace("tcp", "http");
    let mut client = MediaGraphExtensionClient::connect(address).await.unwrap();
    for _ in 0..40 {
        // Refused, or lost with the connection; the client opens another one.
        let messages = tokio_stream::empty::<MediaStreamMessage>();
        within(client.process_media_stream(messages)).await.unwrap_err();
    }
    let connections = host.stats.connections().admitted;
    assert!((2..=10).contains(&connections), "{connections}");
}

#[tokio::test]
async fn reflection_asks_for_the_credentials() {
    let credentials = Credentials::new("user", "secret");
    let host = Host::start(ServerOptions::default().with_credentials(credentials)).await;
    let address = host.url.to_string().replace("tcp", "http");
    let channel = tonic::transport::Endpoint::from_shared(address).unwrap();
    let mut reflection = ServerReflectionClient::new(channel.connect().await.unwrap());
    let list = || {
        use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
        let ask = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        tokio_stream::iter([ask])
    };
    let refused = reflection.server_reflection_info(list()).await.unwrap_err();
    assert_eq!(refused.code(), GrpcCode::Unauthenticated);
    let mut request = tonic::Request::new(list());
    // The base64 of user:secret.
    let header = "Basic dXNlcjpzZWNyZXQ=".parse().unwrap();
    request.metadata_mut().insert("x-ms-authentication", header);
    let mut answers = reflection
        .server_reflection_info(request)
        .await
        .unwrap()
        .into_inner();
    assert!(within(answers.message()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_file_in_the_place_of_the_unix_socket_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    std::fs::write(&path, "kept").unwrap();
    let listening = ExtensionServer::new(crate::support::Digester::default())
        .listen(ListenAddress::Unix(path.clone()))
        .await;
    assert!(matches!(listening, Err(HostError::Bind { .. })));
    assert_eq!(std::fs::read_to_string(path).unwrap(), "kept");
}
