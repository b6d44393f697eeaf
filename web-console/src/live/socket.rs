//! A viewer's socket.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use http::Extensions;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::Watching;
use super::viewer::Item;

/// A viewer that takes nothing for so long is gone.
const SEND_LIMIT: Duration = Duration::from_secs(20);

/// How often a viewer is asked whether it is there, and after how long without a sign it is not.
const PING: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(60);

/// Players count a connection as dead on which nothing comes for some seconds: without pictures, the state is repeated.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);

/// Messages of a viewer between two pings; it has nothing to say.
const MAX_MESSAGES: u32 = 64;

/// Sends everything to one viewer, until it goes or is too slow. `_kept` is what the server has attached to the request: it
/// lives as long as the socket.
pub(crate) async fn serve(socket: WebSocket, watching: Watching, _kept: Extensions) {
    let (mut sink, mut stream) = socket.split();
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut signs = interval(SIGN_OF_LIFE);
    signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut spoke = Instant::now();
    let (mut heard, mut messages) = (Instant::now(), 0);
    loop {
        tokio::select! {
            () = watching.viewer.filled() => {
                let Some(items) = watching.viewer.take() else { break };
                spoke = Instant::now();
                if !matches!(timeout(SEND_LIMIT, send(&mut sink, items)).await, Ok(Ok(()))) {
                    break;
                }
            }
            message = stream.next() => {
                heard = Instant::now();
                messages += 1;
                let is_over = matches!(message, None | Some(Err(_) | Ok(Message::Close(_))));
                if is_over || messages > MAX_MESSAGES {
                    break;
                }
            }
            _ = signs.tick() => {
                if spoke.elapsed() >= SIGN_OF_LIFE {
                    watching.tell_state();
                }
            }
            _ = pings.tick() => {
                messages = 0;
                if ping(&mut sink, heard).await.is_break() {
                    break;
                }
            }
        }
    }
    let _ = timeout(Duration::from_secs(1), sink.close()).await;
}

async fn ping(sink: &mut SplitSink<WebSocket, Message>, heard: Instant) -> ControlFlow<()> {
    if heard.elapsed() > SILENCE {
        return ControlFlow::Break(());
    }
    let sent = timeout(SEND_LIMIT, sink.send(Message::Ping(bytes::Bytes::new()))).await;
    match sent {
        Ok(Ok(())) => ControlFlow::Continue(()),
        Ok(Err(_)) | Err(_) => ControlFlow::Break(()),
    }
}

async fn send(
    sink: &mut SplitSink<WebSocket, Message>,
    items: impl IntoIterator<Item = Item>,
) -> Result<(), axum::Error> {
    for item in items {
        match item {
            Item::Note(text) => sink.feed(Message::Text(text)).await?,
            Item::Picture(bytes) => sink.feed(Message::Binary(bytes)).await?,
            Item::Skipped(pictures) => {
                let text = json!({"type": "skipped", "pictures": pictures}).to_string();
                sink.feed(Message::Text(text.into())).await?;
            }
            Item::Init(init) => {
                let text = json!({
                    "type": "init",
                    "codec": init.codec,
                    "width": init.width,
                    "height": init.height,
                    "epoch90k": init.epoch_90k,
                });
                sink.feed(Message::Text(text.to_string().into())).await?;
                sink.feed(Message::Binary(init.segment.clone())).await?;
            }
        }
    }
    sink.flush().await
}
