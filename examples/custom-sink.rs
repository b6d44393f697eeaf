//! A message sink of one's own: counts events in a table that any spreadsheet reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use async_trait::async_trait;
use clap::Parser;
use lva_examples::play::{camera, play};
use lva_graph_runtime::{GraphEvent, MessageSink, Module, RuntimeOptions, SinkError};
use lva_inference_schema::event_time;

/// Keep a table of what a camera's graph says: for each node and event, how often, first and last.
///
/// A motion node looks at the pictures. A sink of this program's own is given every event of the graph, trouble included, and
/// writes the table anew, in one step, so that whoever reads it never sees half of it.
///
/// Example: custom-sink -- --camera rtsp://user:password@192.168.1.20/stream1 --table counts.csv
#[derive(Parser)]
struct Args {
    /// The camera; without one, the plaza is played.
    #[arg(long)]
    camera: Option<String>,
    /// The table.
    #[arg(long, default_value = "events.csv")]
    table: PathBuf,
    /// Stop after so many seconds. Default: by Ctrl-C.
    #[arg(long)]
    seconds: Option<f64>,
}

/// A message sink has a task and a queue of its own: while it writes, no camera waits.
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
    /// An error counts the event as failed (`Module::sink_stats`), and the next one comes all the same.
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
            // Names of nodes may hold anything.
            let node = node.replace('"', "\"\"");
            writeln!(
                table,
                "\"{node}\",{event},{count},{},{}",
                event_time(*first),
                event_time(*last)
            )?;
        }
        let (file, unfinished) = (self.file.clone(), self.file.with_extension("part"));
        // A disk that stands still is nobody else's trouble.
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
