//! A custom message sink: counts events in a CSV table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use async_trait::async_trait;
use clap::Parser;
use lva_examples::play::{camera, play};
use lva_graph_runtime::{GraphEvent, MessageSink, Module, RuntimeOptions, SinkError};
use lva_inference_schema::event_time;

/// Keep a table of the events of a camera's graph: for each node and event, the count and the first and last time.
///
/// A motion node analyses the pictures. The custom sink receives every event of the graph, including faults, and replaces
/// the table atomically, so that readers never see a part of it.
///
/// Example: custom-sink -- --camera rtsp://user:password@192.168.1.20/stream1 --table counts.csv
#[derive(Parser)]
struct Args {
    /// The camera. Default: a simulated camera that plays the plaza.
    #[arg(long)]
    camera: Option<String>,
    /// The table.
    #[arg(long, default_value = "events.csv")]
    table: PathBuf,
    /// Stop after this many seconds. Default: on Ctrl-C.
    #[arg(long)]
    seconds: Option<f64>,
}

/// A message sink has its own task and queue: while it writes, no camera waits.
struct Table {
    file: PathBuf,
    /// By node and event.
    rows: BTreeMap<(String, &'static str), Row>,
}

struct Row {
    count: u64,
    first: u64,
    last: u64,
}

#[async_trait]
impl MessageSink for Table {
    /// An error counts the event as failed (`Module::sink_stats`); the next event is published anyway.
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        let node = event.subject.node_name().map_or("", |(_, name)| name);
        let now = event.timestamp_90k;
        let row = self
            .rows
            .entry((node.to_owned(), event.name.as_str()))
            .or_insert(Row {
                count: 0,
                first: now,
                last: now,
            });
        row.count += 1;
        row.last = now;
        let mut table = String::from("node,event,count,first,last\n");
        for ((node, event), Row { count, first, last }) in &self.rows {
            // Node names may contain any character.
            let node = node.replace('"', "\"\"");
            writeln!(
                table,
                "\"{node}\",{event},{count},{},{}",
                event_time(*first),
                event_time(*last)
            )?;
        }
        let (file, unfinished) = (self.file.clone(), self.file.with_extension("part"));
        // A slow disk must not block the runtime.
        tokio::task::spawn_blocking(move || {
            std::fs::write(&unfinished, table)?;
            std::fs::rename(&unfinished, &file)
        })
        .await??;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let table = Table {
        file: args.table,
        rows: BTreeMap::new(),
    };
    let module = Module::new(RuntimeOptions::new("recordings"), vec![Box::new(table)]);
    let topology = serde_json::from_str(include_str!("documents/custom-sink.json"))?;
    let camera = camera(args.camera.as_deref()).await?;
    play(&module, topology, camera, args.seconds).await
}
