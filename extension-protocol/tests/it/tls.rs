//! TLS on both ends: the right certificate opens a session, and nothing else does.

use std::error::Error;

use lva_extension_protocol::client::*;
use lva_extension_protocol::server::*;
use lva_extension_protocol::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::support::{Host, next, small_format};

/// A root of our own.
fn root() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server's certificate for these names, signed by the root.
fn identity(root: &CertifiedIssuer<'_, KeyPair>, names: &[&str]) -> ServerTls {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, root)
        .unwrap();
    ServerTls::from_pem(certificate.pem(), key.serialize_pem()).unwrap()
}

async fn host(tls: ServerTls) -> Host {
    Host::start(ServerOptions::default().with_tls(tls)).await
}

fn trusting(root: &CertifiedIssuer<'_, KeyPair>) -> TrustedRoots {
    TrustedRoots::from_pem([root.pem()]).unwrap()
}

/// Every word of an error and its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

async fn refused(options: &ClientOptions) -> ConnectError {
    let error = connect::<()>(options).await.unwrap_err();
    eprintln!("{}", chain(&error));
    error
}

#[tokio::test]
async fn frames_go_over_tls_to_a_server_with_the_right_certificate() {
    let root = root();
    let host = host(identity(&root, &["127.0.0.1", "localhost"])).await;
    assert!(host.url.is_tls());
    let by_name: ExtensionUrl = host
        .url
        .to_string()
        .replace("127.0.0.1", "localhost")
        .parse()
        .unwrap();
    // Topologies write tcp:// into TLS endpoints too.
    let as_topologies_do: ExtensionUrl = host.url.to_string().replace("tls", "tcp").parse().unwrap();
    for url in [host.url.clone(), by_name, as_topologies_do] {
        for transfer in [
            Transfer::Embedded,
            Transfer::SharedMemory(SharedMemoryOptions::default()),
        ] {
            let options = ClientOptions::new(url.clone(), small_format())
                .with_transfer(transfer)
                .with_tls(trusting(&root));
            let Session {
                frames, mut answers, ..
            } = connect::<u8>(&options).await.unwrap();
            for context in 0..5 {
                let mut slot = frames.slot().unwrap();
                slot.fill(context);
                slot.send(7, &[], context).unwrap();
                let answer = next(&mut answers).await;
                assert_eq!((answer.context, answer.inferences.len()), (context, 1));
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_of_a_root_that_is_not_trusted_opens_nothing() {
    let (right, wrong) = (root(), root());
    let host = host(identity(&right, &["127.0.0.1"])).await;
    let options = ClientOptions::new(host.url.clone(), small_format());
    for options in [options.clone().with_tls(trusting(&wrong)), options] {
        let error = refused(&options).await;
        assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
        assert!(!error.is_transient());
    }
    assert_eq!(host.stats.read().sessions_opened, 0);
}

#[tokio::test]
async fn a_certificate_for_another_name_opens_nothing() {
    let root = root();
    let host = host(identity(&root, &["other.example", "127.0.0.2"])).await;
    let error =
        refused(&ClientOptions::new(host.url.clone(), small_format()).with_tls(trusting(&root))).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
    assert!(
        error.to_string().contains("contain the host name of the URL"),
        "{error}"
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_client_without_tls_does_not_get_through_to_a_server_with_it() {
    let host = host(identity(&root(), &["127.0.0.1"])).await;
    let plain: ExtensionUrl = host.url.to_string().replace("tls", "tcp").parse().unwrap();
    let error = refused(&ClientOptions::new(plain, small_format())).await;
    let hinted = chain(&error).contains("https:// or tls://");
    assert!(hinted, "{}", chain(&error));
    assert_eq!(host.stats.read().sessions_opened, 0);
}

#[tokio::test]
async fn a_client_with_tls_is_told_that_the_server_has_none() {
    let host = Host::start(ServerOptions::default()).await;
    let error =
        refused(&ClientOptions::new(host.url.clone(), small_format()).with_tls(trusting(&root()))).await;
    assert!(matches!(error, ConnectError::PeerWithoutTls { .. }), "{error:?}");
    assert!(!error.is_transient());
    let text = error.to_string();
    assert!(
        text.contains("tcp://") && !text.contains("trusted roots"),
        "{text}"
    );
}

#[tokio::test]
async fn tls_and_unix_sockets_do_not_mix() {
    let root = root();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let digester = crate::support::Digester::default();
    let listening = ExtensionServer::new(digester)
        .with_options(ServerOptions::default().with_tls(identity(&root, &["localhost"])))
        .listen(ListenAddress::Unix(path.clone()))
        .await;
    assert!(matches!(listening, Err(HostError::TlsOverUnix)));
    let options = ClientOptions::new(ExtensionUrl::unix(path), small_format()).with_tls(trusting(&root));
    let error = refused(&options).await;
    assert!(matches!(error, ConnectError::Options(_)), "{error:?}");
}

#[tokio::test]
async fn credentials_and_tls_go_together() {
    let root = root();
    let options = ServerOptions::default()
        .with_tls(identity(&root, &["127.0.0.1"]))
        .with_credentials(Credentials::new("user", "right"));
    let host = Host::start(options).await;
    let client = ClientOptions::new(host.url.clone(), small_format()).with_tls(trusting(&root));
    let error = refused(&client).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
    let client = client.with_credentials(Credentials::new("user", "right"));
    assert!(connect::<()>(&client).await.is_ok());
}
