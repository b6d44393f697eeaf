//! The module in a program of your own: `lva-edge module`, and a message sink that prints what happens.
//!
//! `cargo run -p lva-edge-module --example edge-module-minimal -- data`, until Ctrl-C; methods as in the README.
#![allow(clippy::print_stdout)] // a program

use std::process::ExitCode;

use lva_edge_module::service::{self, Signals};
use lva_edge_module::{Config, EdgeModule, logs};
use lva_graph_runtime::{GraphEvent, MessageSink, SinkError};

struct Print;

#[async_trait::async_trait]
impl MessageSink for Print {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        println!("{} {}", event.name, event.subject);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let Some(data) = std::env::args().nth(1) else {
        anyhow::bail!("usage: edge-module-minimal DIRECTORY");
    };
    // `Config::from_file` reads what `lva-edge module --config` reads.
    let mut config = Config::default();
    config.module.data = data.into();
    let log = logs::start(&config)?;
    let signals = Signals::listen()?;
    let builder = EdgeModule::builder(config).with_log_control(log);
    let module = builder.with_sink("print", Print).start().await?;
    let exit_code = service::run(module, signals).await;
    logs::flush();
    Ok(exit_code)
}
