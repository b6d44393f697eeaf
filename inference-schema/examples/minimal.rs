//! Events in, findings out: what a module's events report about each frame.
//!
//! `cargo run -p lva-inference-schema --example inference-schema-minimal -- events.jsonl`, with an event on each line, as monitors of the hub
//! and the sinks of the runtime write them.
#![allow(clippy::print_stdout)]

use std::fs;

use lva_inference_schema::body::EventBody;
use lva_inference_schema::{Envelope, InferenceValue};

fn main() -> anyhow::Result<()> {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: inference-schema-minimal EVENTS, a file with an event on each line");
        std::process::exit(2);
    };
    for line in fs::read_to_string(path)?.lines() {
        let event = Envelope::from_slice(line.as_bytes())?;
        let EventBody::Analytics(body) = event.read_body()? else {
            continue;
        };
        let properties = event.properties.unwrap_or_default();
        let time = properties.event_time.as_deref().unwrap_or("at an unknown time");
        for inference in &body.inferences {
            match &inference.value {
                InferenceValue::Entity(entity) => {
                    let [l, t, w, h] =
                        [entity.bbox.l, entity.bbox.t, entity.bbox.w, entity.bbox.h].map(|v| v.get());
                    println!(
                        "{time}: {} at {l:.3},{t:.3}, size {w:.3}x{h:.3}",
                        entity.tag.value
                    );
                }
                InferenceValue::Event(event) => println!("{time}: {} {:?}", event.name, event.properties),
                other => println!("{time}: {}", other.kind()),
            }
        }
    }
    Ok(())
}
