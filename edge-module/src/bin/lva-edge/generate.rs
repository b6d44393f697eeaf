//! `lva-edge generate`: manual pages and completions, from the flags themselves.
#![allow(clippy::print_stderr)] // a program

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{Args, CANNOT_START};

const NAME: &str = "lva-edge";

pub(crate) fn run(directory: &Path) -> ExitCode {
    match write(directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lva-edge: cannot write to {}: {error}", directory.display());
            ExitCode::from(CANNOT_START)
        }
    }
}

fn write(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    // One page for the program and one for each subcommand, as git has them.
    clap_mangen::generate_to(Args::command(), directory)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut Args::command(), NAME, directory)?;
    }
    Ok(())
}
