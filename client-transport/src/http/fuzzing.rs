//! A server's bytes to the client, without a socket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{HttpAuthenticator, HttpConnection, HttpCredentials, HttpLimits, Origin};
use crate::tls::ClientTls;

/// Bytes of a body that are accepted.
const MAX_BODY: usize = 4096;
/// Bytes of one read: heads are cut anywhere.
const PIECE: usize = 7;

/// A server that sends these bytes, whatever it is asked, and closes.
struct Canned {
    bytes: Vec<u8>,
    at: usize,
}

impl AsyncRead for Canned {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let piece = rest.len().min(PIECE).min(buffer.remaining());
        buffer.put_slice(rest.get(..piece).unwrap_or_default());
        self.at += piece;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Canned {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Responses one after the other, and the challenges in them.
pub(crate) async fn responses(bytes: &[u8]) {
    let limits = HttpLimits {
        max_body_bytes: MAX_BODY,
        ..HttpLimits::default()
    };
    let connection = HttpConnection::new(Origin::http("camera", 80), &ClientTls::platform(), limits);
    let Ok(mut connection) = connection else { return };
    let server = Canned {
        bytes: bytes.to_vec(),
        at: 0,
    };
    let mut credentials = HttpAuthenticator::new(Some(HttpCredentials::password("user", "secret")));
    if connection.open_over(server).await.is_err() {
        return;
    }
    // It ends with the bytes: a new connection would need a server.
    while connection.is_open() {
        let Ok(request) = Request::get("/").body(bytes::Bytes::new()) else {
            return;
        };
        let Ok(response) = connection.exchange(request).await else {
            return;
        };
        assert!(response.body.len() <= MAX_BODY, "more than was allowed");
        let _ = response.header(CONTENT_TYPE);
        if credentials.challenged(response.challenges()) {
            let answer = credentials.header(&Method::GET, "/", b"");
            assert!(answer.is_some_and(|(name, _)| name == AUTHORIZATION));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    fn run(bytes: &[u8]) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(super::responses(bytes));
    }

    #[test]
    fn the_corpus_of_responses_is_read() {
        let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/responses")).unwrap();
        let count = seeds
            .map(|seed| run(&std::fs::read(seed.unwrap().path()).unwrap()))
            .count();
        assert!(count > 0);
    }

    proptest! {
        #[test]
        fn any_response_is_read_or_refused(
            status in 100_u16..600, length in 0_u64..6000, body in proptest::collection::vec(any::<u8>(), 0..400)
        ) {
            let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n");
            run(&[head.as_bytes(), &body].concat());
            run(&body);
        }
    }
}
