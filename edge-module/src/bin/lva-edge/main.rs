//! `lva-edge`: the program that a site installs.

mod module;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Live video analytics on this machine, without a cloud.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Module(module::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    match Args::parse().command {
        Command::Module(args) => module::run(args).await,
    }
}
