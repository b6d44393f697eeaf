//! Panics, caught where they happen. A panic is a bug of this crate or of a library; what a camera sends may trigger it, and must
//! not end the camera's task.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs a future. Its panic, with the message, becomes an error; what it borrowed is in doubt and has to be dropped.
pub(crate) async fn contain<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let mut work = pin!(work);
    std::future::poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
            Err(payload) => Poll::Ready(Err(message(&*payload))),
        },
    )
    .await
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Panics once in a test whose camera has this path.
#[cfg(test)]
#[allow(clippy::panic)] // that is what it is for
pub(crate) fn failpoint(path: &str) {
    use std::sync::atomic::{AtomicBool, Ordering};

    static DUE: AtomicBool = AtomicBool::new(true);
    if path.ends_with("/panics-once") && DUE.swap(false, Ordering::Relaxed) {
        panic!("a failpoint of a test");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use crate::{Camera, CameraError, CameraEvent, CameraOptions};

    /// A camera that answers everything, describes one stream, and sends nothing.
    async fn serve(listener: TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = Vec::new();
                while let Ok(1..) = stream.read_buf(&mut buffer).await {
                    if !buffer.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let request = String::from_utf8_lossy(&std::mem::take(&mut buffer)).into_owned();
                    let header = |name| {
                        request
                            .lines()
                            .find(|line| line.starts_with(name))
                            .unwrap_or("X: y")
                    };
                    let body = if request.starts_with("DESCRIBE") {
                        "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
                    } else {
                        ""
                    };
                    let answer = format!(
                        "RTSP/1.0 200 OK\r\n{}\r\n{}\r\nSession: 1\r\nContent-Length: {}\r\n\r\n{body}",
                        header("CSeq"),
                        header("Transport"),
                        body.len()
                    );
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    }

    #[tokio::test]
    async fn a_panic_costs_its_session_and_the_next_one_plays() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("rtsp://{}/panics-once", listener.local_addr().unwrap());
        let serving = tokio::spawn(serve(listener));
        let mut camera = Camera::connect(CameraOptions::parse(&url).unwrap());
        let (mut established, mut lost) = (0, Vec::new());
        while established < 2 {
            match camera.next().await.unwrap() {
                CameraEvent::Established { .. } => established += 1,
                CameraEvent::Lost { error } => lost.push(error),
                _ => {}
            }
        }
        assert!(
            matches!(lost.as_slice(), [CameraError::Internal { message, .. }] if message.contains("failpoint")),
            "{lost:?}"
        );
        camera.close().await;
        serving.abort();
    }
}
