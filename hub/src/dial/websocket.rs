//! MQTT in a WebSocket (MQTT 3.1.1 section 6), for sites whose firewalls let only HTTPS out.

use std::io;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, future};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

use super::MqttStream;

/// Longest message and frame that are read into memory. MQTT packets may span several, so none needs to be long.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Upgrades a connection to a WebSocket, and carries MQTT in its binary messages. `host` is written as in a URL, with its port.
pub(super) async fn upgrade(
    stream: Box<dyn MqttStream>,
    host: &str,
    path: &str,
) -> io::Result<Box<dyn MqttStream>> {
    // The scheme decides nothing: the stream below already has its TLS or has none.
    let uri = format!("ws://{host}{path}").parse().map_err(io::Error::other)?;
    let request = ClientRequestBuilder::new(uri).with_sub_protocol("mqtt");
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let (socket, _) = client_async_with_config(request, stream, Some(config))
        .await
        .map_err(explain)?;
    let (sink, messages) = socket.split();
    let received = messages.filter_map(|message| {
        future::ready(match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            Ok(Message::Text(_)) => Some(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "received a text message: MQTT comes in binary ones",
            ))),
            // The stream ends behind a Close; pings are answered below.
            Ok(_) => None,
            Err(error) => Some(Err(broken(error))),
        })
    });
    let sent = sink
        .sink_map_err(broken)
        .with(|bytes: Bytes| future::ready(Ok::<_, io::Error>(Message::Binary(bytes))));
    Ok(Box::new(tokio::io::join(
        StreamReader::new(received),
        SinkWriter::new(CopyToBytes::new(sent)),
    )))
}

fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// Names what answered instead of a WebSocket.
fn explain(error: Error) -> io::Error {
    match error {
        Error::Http(response) => io::Error::other(format!(
            "the server answers {} instead of opening a WebSocket: is this its host, port and path?",
            response.status()
        )),
        other => broken(other),
    }
}
