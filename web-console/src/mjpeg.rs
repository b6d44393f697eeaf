//! Pictures one after the other as JPEG, for browsers that play nothing else: of a JPEG camera all, of another its key frames.

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::header;
use tokio::sync::watch;

use crate::live::{KeyPicture, Stills};

const BOUNDARY: &str = "picture";

/// The answer that goes on as long as its reader takes pictures. A slow reader gets the newest one next. `kept` lives as long.
pub(crate) fn stream<K: Send + 'static>(
    camera: String,
    keys: watch::Receiver<Option<KeyPicture>>,
    stills: Arc<Stills>,
    kept: K,
) -> Response {
    struct Reading<K> {
        camera: String,
        keys: watch::Receiver<Option<KeyPicture>>,
        stills: Arc<Stills>,
        is_first: bool,
        _kept: K,
    }
    let reading = Reading {
        camera,
        keys,
        stills,
        is_first: true,
        _kept: kept,
    };
    let parts = stream::unfold(reading, |mut reading| async move {
        loop {
            if !std::mem::take(&mut reading.is_first) {
                reading.keys.changed().await.ok()?;
            }
            let key = reading.keys.borrow_and_update().clone();
            // A key frame that does not decode is left out.
            if let Ok(jpeg) = reading.stills.jpeg(&reading.camera, key).await {
                return Some((Ok::<_, std::convert::Infallible>(part(&jpeg)), reading));
            }
        }
    });
    let content_type = format!("multipart/x-mixed-replace; boundary={BOUNDARY}");
    ([(header::CONTENT_TYPE, content_type)], Body::from_stream(parts)).into_response()
}

fn part(jpeg: &[u8]) -> Bytes {
    let length = jpeg.len();
    let head = format!("--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n");
    let mut part = BytesMut::with_capacity(head.len() + length + 2);
    part.extend_from_slice(head.as_bytes());
    part.extend_from_slice(jpeg);
    part.extend_from_slice(b"\r\n");
    part.freeze()
}
