//! Against servers of a few lines, most of them hostile.

use std::future::Future;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// A server on loopback that treats each connection in the same way.
async fn server<F, S>(serve: F) -> Origin
where
    F: Fn(TcpStream) -> S + Send + 'static,
    S: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            // A client that has heard enough closes the connection.
            tokio::spawn(serve(socket));
        }
    });
    Origin::http("127.0.0.1", port)
}

/// Reads the head of a request.
async fn request(socket: &mut TcpStream) -> io::Result<()> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(socket.read_u8().await?);
    }
    Ok(())
}

/// A server that answers the first request with these bytes, and then neither sends more nor closes.
async fn answering(answer: &'static [u8]) -> Origin {
    server(move |mut socket| async move {
        request(&mut socket).await?;
        socket.write_all(answer).await?;
        socket.read_u8().await.map(drop)
    })
    .await
}

/// A server that repeats bytes after the first ones, as fast as they are read.
async fn endless(first: &'static [u8], repeated: &'static [u8]) -> Origin {
    server(move |mut socket| async move {
        request(&mut socket).await?;
        socket.write_all(first).await?;
        loop {
            socket.write_all(repeated).await?;
        }
    })
    .await
}

fn limits() -> HttpLimits {
    HttpLimits {
        connect_timeout: Duration::from_secs(20),
        exchange_timeout: Duration::from_secs(20),
        max_header_bytes: 8 * 1024,
        max_body_bytes: 1000,
    }
}

fn client(origin: Origin, limits: HttpLimits) -> HttpConnection {
    HttpConnection::new(origin, &ClientTls::platform(), limits).unwrap()
}

fn get() -> Request<Bytes> {
    Request::get("/").body(Bytes::new()).unwrap()
}

async fn failure(origin: Origin, limits: HttpLimits) -> HttpTransportError {
    client(origin, limits).exchange(get()).await.unwrap_err()
}

#[tokio::test]
async fn provisional_answers_are_passed_over_and_without_end_they_are_an_error() {
    const PROVISIONAL: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let few = Box::leak([PROVISIONAL, PROVISIONAL, OK].concat().into_boxed_slice());
    let mut client = client(answering(few).await, limits());
    assert_eq!(&client.exchange(get()).await.unwrap().body[..], b"hi");
    // Long before the time of the exchange is over.
    let error = failure(endless(PROVISIONAL, PROVISIONAL).await, limits()).await;
    assert!(
        matches!(
            error,
            HttpTransportError::Provisional {
                limit: MAX_PROVISIONAL
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn requests_share_a_connection_and_name_the_host() {
    let origin = server(|mut socket| async move {
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await?);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            assert!(
                head.contains(&format!("host: {}\r\n", socket.local_addr()?)),
                "{head}"
            );
            socket.write_all(OK).await?;
        }
    })
    .await;
    let mut client = client(origin, limits());
    for _ in 0..3 {
        let response = client.exchange(get()).await.unwrap();
        assert_eq!(
            (response.status, &response.body[..]),
            (StatusCode::OK, &b"hi"[..])
        );
    }
    assert_eq!(client.opened(), 1);
}

#[tokio::test]
async fn a_request_over_a_connection_that_was_closed_meanwhile_goes_over_a_new_one() {
    let origin = answering_once().await;
    let mut client = client(origin, limits());
    for _ in 0..3 {
        assert_eq!(client.exchange(get()).await.unwrap().status, StatusCode::OK);
    }
    assert_eq!(client.opened(), 3);
}

/// A server that promises to keep the connection, and closes it.
async fn answering_once() -> Origin {
    server(|mut socket| async move {
        request(&mut socket).await?;
        socket.write_all(OK).await
    })
    .await
}

#[tokio::test]
async fn a_server_that_says_nothing_costs_the_time_of_an_exchange_and_no_more() {
    let waited = Duration::from_millis(50);
    let limits = HttpLimits {
        exchange_timeout: waited,
        ..limits()
    };
    for answer in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    ] {
        let error = failure(answering(answer).await, limits).await;
        assert!(
            matches!(error, HttpTransportError::TimedOut { waited: reported } if reported == waited),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_body_that_trickles_does_not_prolong_an_exchange() {
    let origin = server(|mut socket| async move {
        request(&mut socket).await?;
        socket
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
            .await?;
        loop {
            socket.write_all(b".").await?;
            tokio::time::sleep(Duration::from_millis(5)).await; // the server's pace, which nothing waits for
        }
    })
    .await;
    let limits = HttpLimits {
        exchange_timeout: Duration::from_millis(100),
        ..limits()
    };
    let error = failure(origin, limits).await;
    assert!(matches!(error, HttpTransportError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn an_announced_body_above_the_limit_is_not_waited_for() {
    let origin = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n").await;
    let error = failure(origin, limits()).await;
    assert!(
        matches!(error, HttpTransportError::TooLarge { limit: 1000 }),
        "{error}"
    );
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let error = failure(endless(chunked, b"4\r\nmore\r\n").await, limits()).await;
    assert!(
        matches!(error, HttpTransportError::TooLarge { limit: 1000 }),
        "{error}"
    );
    let until_close = b"HTTP/1.1 200 OK\r\n\r\n";
    let origin = endless(until_close, b"more").await;
    let mut client = client(origin, limits());
    let error = client.exchange_bounded(get(), 7).await.unwrap_err();
    assert!(
        matches!(error, HttpTransportError::TooLarge { limit: 7 }),
        "{error}"
    );
}

#[tokio::test]
async fn endless_headers_are_an_error() {
    let error = failure(endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n").await, limits()).await;
    assert!(matches!(error, HttpTransportError::Broken(_)), "{error}");
    let error = failure(endless(b"HTTP/1.1 200 OK\r\nX: ", b"yyyy").await, limits()).await;
    assert!(matches!(error, HttpTransportError::Broken(_)), "{error}");
}

#[tokio::test]
async fn what_is_not_http_is_an_error_and_the_next_request_connects_again() {
    let origin = answering(b"SSH-2.0-OpenSSH_9.6\r\n").await;
    let mut client = client(origin, limits());
    for opened in 1..3 {
        let error = client.exchange(get()).await.unwrap_err();
        assert!(matches!(error, HttpTransportError::Broken(_)), "{error}");
        assert_eq!(client.opened(), opened);
    }
}

#[tokio::test]
async fn a_response_cut_off_is_an_error() {
    let origin = server(|mut socket| async move {
        request(&mut socket).await?;
        socket
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            .await
    })
    .await;
    let error = failure(origin, limits()).await;
    assert!(matches!(error, HttpTransportError::Broken(_)), "{error}");
}

#[tokio::test]
async fn a_redirection_is_returned_and_not_followed() {
    let origin =
        answering(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n").await;
    let response = client(origin, limits()).exchange(get()).await.unwrap();
    assert_eq!(response.status, StatusCode::FOUND);
    assert_eq!(response.header(header::LOCATION), Some("http://127.0.0.1:1/"));
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_unreachable() {
    // Bound, so that no other process takes the port, and not listening.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = closed.local_addr().unwrap().port();
    let error = failure(Origin::http("127.0.0.1", port), limits()).await;
    assert!(matches!(&error, HttpTransportError::Unreachable(_)), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(
        std::error::Error::source(&error).is_none(),
        "a chain would repeat it"
    );
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_not_trusted() {
    let plain = server(|mut socket| async move {
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
        socket.read_u8().await.map(drop)
    })
    .await;
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = ClientTls::from_pem([certificate.cert.pem()]).unwrap();
    let mut client = HttpConnection::new(Origin::https("127.0.0.1", plain.port()), &tls, limits()).unwrap();
    let error = client.exchange(get()).await.unwrap_err();
    assert!(matches!(error, HttpTransportError::Untrusted(_)), "{error}");
}
