//! TLS with certificates made on the spot: right ones, others' names, others' signatures, and the two switches.

use std::sync::Arc;

use lva_extension_protocol::FrameEncoding;
use lva_extension_protocol::http::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

use super::scripted::{Scripted, json};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server whose certificate is for `name`, signed by `authority`, and `year` the last year of its life.
async fn server(authority: &Authority, name: &str, year: i32) -> Scripted {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    Scripted::start_tls(TlsAcceptor::from(Arc::new(config))).await
}

/// Whether a picture is answered with the switches `ignoreHostname` and `ignoreSignature` as given.
async fn answered(server: &Scripted, trusted: &Authority, switches: (bool, bool)) -> bool {
    let tls = ClientTls::from_pem([trusted.pem()])
        .unwrap()
        .dangerous_ignore_hostname(switches.0)
        .dangerous_ignore_signature(switches.1);
    let options = HttpClientOptions::new(server.url.clone(), FrameEncoding::Jpg).with_tls(tls);
    match HttpClient::new(options).unwrap().ask("picture").await {
        Ok(_) => true,
        Err(error) => {
            assert!(matches!(error, HttpError::Untrusted { .. }), "{error:?}");
            assert!(
                !error.is_transient() && error.to_string().contains("certificate"),
                "{error}"
            );
            false
        }
    }
}

const SWITCHES: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

async fn with_all_switches(server: &Scripted, trusted: &Authority) -> Vec<bool> {
    let mut all = Vec::new();
    for switches in SWITCHES {
        all.push(answered(server, trusted, switches).await);
    }
    all
}

#[tokio::test]
async fn a_right_certificate_is_taken_whatever_the_switches() {
    let ours = authority();
    let right = server(&ours, "localhost", 4000).await;
    assert_eq!(with_all_switches(&right, &ours).await, [true, true, true, true]);
}

#[tokio::test]
async fn another_hosts_certificate_is_taken_with_ignore_hostname_alone() {
    let ours = authority();
    let other_name = server(&ours, "elsewhere", 4000).await;
    assert_eq!(
        with_all_switches(&other_name, &ours).await,
        [false, true, false, true]
    );
}

#[tokio::test]
async fn a_certificate_that_nobody_trusted_signed_is_taken_with_ignore_signature_alone() {
    let (ours, theirs) = (authority(), authority());
    let other_root = server(&theirs, "localhost", 4000).await;
    assert_eq!(
        with_all_switches(&other_root, &ours).await,
        [false, false, true, true]
    );
}

#[tokio::test]
async fn a_certificate_that_is_over_is_taken_with_ignore_signature_alone() {
    let ours = authority();
    let expired = server(&ours, "localhost", 2020).await;
    assert_eq!(
        with_all_switches(&expired, &ours).await,
        [false, false, true, true]
    );
}

#[tokio::test]
async fn both_wrong_needs_both_switches() {
    let (ours, theirs) = (authority(), authority());
    let both = server(&theirs, "elsewhere", 4000).await;
    assert_eq!(with_all_switches(&both, &ours).await, [false, false, false, true]);
}

#[tokio::test]
async fn the_platforms_authorities_do_not_know_a_certificate_of_our_making() {
    let ours = authority();
    let server = server(&ours, "localhost", 4000).await;
    let options = HttpClientOptions::new(server.url.clone(), FrameEncoding::Jpg);
    match HttpClient::new(options) {
        Ok(client) => {
            let error = client.ask("picture").await.unwrap_err();
            assert!(matches!(error, HttpError::Untrusted { .. }), "{error:?}");
        }
        // A machine without any.
        Err(error) => assert!(error.to_string().contains("ca-certificates"), "{error}"),
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_apart() {
    let plain = Scripted::start(|_, _| json("{}")).await;
    let url = format!("https://localhost:{}/", plain.url.port())
        .parse()
        .unwrap();
    let tls = ClientTls::from_pem([authority().pem()]).unwrap();
    let client = HttpClient::new(HttpClientOptions::new(url, FrameEncoding::Jpg).with_tls(tls)).unwrap();
    // The plain server takes the handshake for a request that never ends, so what comes first is a time-out or its
    // hanging up; either way nothing was sent to it.
    let asked = tokio::time::timeout(std::time::Duration::from_millis(300), client.ask("picture")).await;
    assert!(!matches!(asked, Ok(Ok(_))));
    assert!(plain.seen().is_empty());
}
