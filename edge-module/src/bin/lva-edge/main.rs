//! `lva-edge`: the program that a site installs.

#[cfg(feature = "demo")]
mod demo;
mod generate;
mod health;
#[cfg(any(feature = "simulator", feature = "spatial-analysis"))]
mod log_args;
mod module;
mod operations;
#[cfg(feature = "simulator")]
mod simulator;
#[cfg(feature = "spatial-analysis")]
mod spatial_analysis;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use lva_edge_module::logs;

/// Exit code for arguments, files or a machine with which a command cannot start.
const CANNOT_START: u8 = 2;
/// Exit code after a signal that interrupts, as shells report SIGINT.
const INTERRUPTED: u8 = 130;
/// How long the end waits for look-ups of names and for files, which may hang.
const BLOCKED_LIMIT: Duration = Duration::from_secs(1);

/// Live video analytics on this machine, without a cloud.
///
/// To see all of it work: lva-edge module --demo
#[derive(Parser)]
#[command(name = "lva-edge", version, propagate_version = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

/// A flag wins over a file.
fn set<T: Clone>(value: &mut T, flag: &Option<T>) {
    if let Some(flag) = flag {
        value.clone_from(flag);
    }
}

#[derive(Subcommand)]
enum Command {
    Module(Box<module::Args>),
    #[cfg(feature = "spatial-analysis")]
    SpatialAnalysis(Box<spatial_analysis::Args>),
    #[cfg(feature = "simulator")]
    Simulator(Box<simulator::Args>),
    Operations(Box<operations::Args>),
    Health(Box<health::Args>),
    /// Write manual pages and completions of shells into a directory, for packages.
    #[command(hide = true)]
    Generate {
        /// The directory.
        directory: std::path::PathBuf,
    },
}

#[allow(clippy::print_stderr)] // a program
fn main() -> ExitCode {
    let command = Args::parse().command;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("lva-edge: cannot start threads: {error}");
            return ExitCode::from(CANNOT_START);
        }
    };
    let code = runtime.block_on(run(command));
    // A drop would wait for them without limit.
    runtime.shutdown_timeout(BLOCKED_LIMIT);
    logs::flush();
    code
}

async fn run(command: Command) -> ExitCode {
    match command {
        Command::Module(args) => module::run(*args).await,
        #[cfg(feature = "spatial-analysis")]
        Command::SpatialAnalysis(args) => spatial_analysis::run(*args).await,
        #[cfg(feature = "simulator")]
        Command::Simulator(args) => simulator::run(*args).await,
        Command::Operations(args) => operations::run(*args).await,
        Command::Health(args) => health::run(*args).await,
        Command::Generate { directory } => generate::run(&directory),
    }
}
