//! TLS and SASL PLAIN (RFC 4616) before a broker that has neither: this part of Kafka's protocol is ours, the rest is the broker's.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Keys of requests (Kafka protocol guide).
const API_VERSIONS: i16 = 18;
const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;
/// Error codes.
const SASL_AUTHENTICATION_FAILED: i16 = 58;
const UNSUPPORTED_SASL_MECHANISM: i16 = 33;

pub(super) struct Relay {
    pub(super) port: u16,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    authenticated: AtomicU64,
    refused: AtomicU64,
}

impl Relay {
    /// To a broker on loopback, for clients that know this user and password.
    pub(super) async fn start(
        broker: u16,
        (chain, key): (String, String),
        (user, password): (&str, &str),
    ) -> Self {
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes())
            .map(Result::unwrap)
            .collect();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let counts = Arc::<Counts>::default();
        let expected: Arc<[u8]> = format!("\0{user}\0{password}").into_bytes().into();
        let shared = Arc::clone(&counts);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, counts, expected) = (tls.clone(), Arc::clone(&shared), Arc::clone(&expected));
                tokio::spawn(async move {
                    // Clients that do not trust us end here.
                    let Ok(client) = tls.accept(stream).await else {
                        return;
                    };
                    let _ = serve(client, broker, &expected, &counts).await;
                });
            }
        });
        Self { port, counts }
    }

    /// Connections that showed the password.
    pub(super) fn authenticated(&self) -> u64 {
        self.counts.authenticated.load(SeqCst)
    }

    /// Connections that showed another, or asked for something without one.
    pub(super) fn refused(&self) -> u64 {
        self.counts.refused.load(SeqCst)
    }
}

async fn serve(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    broker: u16,
    expected: &[u8],
    counts: &Counts,
) -> io::Result<()> {
    let mut broker = TcpStream::connect(("127.0.0.1", broker)).await?;
    loop {
        let request = frame(&mut client).await?;
        let (key, version) = (int16(&request, 0), int16(&request, 2));
        let correlation = &request[4..8];
        let answer = match key {
            // Who asks is not known yet; this is allowed before.
            API_VERSIONS => {
                write_frame(&mut broker, &request).await?;
                let answer = frame(&mut broker).await?;
                write_frame(&mut client, &answer).await?;
                continue;
            }
            SASL_HANDSHAKE => {
                let error = match request.ends_with(b"\x00\x05PLAIN") {
                    true => 0,
                    false => UNSUPPORTED_SASL_MECHANISM,
                };
                let mechanisms = b"\x00\x00\x00\x01\x00\x05PLAIN";
                [correlation, &error.to_be_bytes(), mechanisms].concat()
            }
            SASL_AUTHENTICATE => {
                // From version 2 on, tags follow: none.
                let shown = match version >= 2 {
                    true => request.strip_suffix(b"\x00").unwrap_or_default(),
                    false => &request,
                };
                let is_known = shown.ends_with(expected);
                let error = if is_known { 0 } else { SASL_AUTHENTICATION_FAILED };
                let count = if is_known {
                    &counts.authenticated
                } else {
                    &counts.refused
                };
                count.fetch_add(1, SeqCst);
                // No message and no bytes; from version 1 on no end of the session; from version 2 on in the compact form.
                let rest: &[u8] = match version {
                    0 => b"\xff\xff\x00\x00\x00\x00",
                    1 => b"\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
                    _ => b"\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00",
                };
                let tags: &[u8] = if version >= 2 { b"\x00" } else { b"" };
                let answer = [correlation, tags, &error.to_be_bytes(), rest].concat();
                write_frame(&mut client, &answer).await?;
                match is_known {
                    true => break,
                    false => return Ok(()),
                }
            }
            _ => {
                counts.refused.fetch_add(1, SeqCst);
                return Ok(());
            }
        };
        write_frame(&mut client, &answer).await?;
    }
    copy_bidirectional(&mut client, &mut broker).await.map(drop)
}

/// A message after its length.
async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = stream.read_i32().await?;
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    stream
        .write_i32(i32::try_from(bytes.len()).map_err(io::Error::other)?)
        .await?;
    stream.write_all(bytes).await?;
    stream.flush().await
}

fn int16(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}
