//! Plays cases of people and zones, one a line, and prints what happened, one a line.
//!
//! ```sh
//! cargo run --release --example replay-zones -- < in.jsonl > out.jsonl
//! ```
//!
//! Their forms are described at [`lva_examples::replay::replay_case`]. A case that cannot be played is answered with its name and the
//! reason; the program goes on and ends with 0.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use anyhow::Context;
use clap::Parser;
use lva_examples::replay::{MAX_CASE_BYTES, replay_case};

/// Plays cases of people and zones from standard input and prints their events.
#[derive(Debug, Parser)]
struct Args {}

fn main() -> anyhow::Result<()> {
    let Args {} = Args::parse();
    let mut cases = BufReader::new(io::stdin().lock());
    let mut answers = BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        // One byte more than a case may have, so that longer ones are refused and not cut.
        let limit = MAX_CASE_BYTES as u64 + 1;
        let read = cases
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut line)
            .context("cannot read standard input")?;
        if read == 0 {
            break;
        }
        if read as u64 == limit && line.last() != Some(&b'\n') {
            // The rest of that line is no case of its own.
            skip_line(&mut cases).context("cannot read standard input")?;
        }
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            continue;
        }
        writeln!(answers, "{}", replay_case(text.trim_end())).context("cannot write standard output")?;
    }
    answers.flush().context("cannot write standard output")
}

fn skip_line(cases: &mut impl BufRead) -> io::Result<()> {
    loop {
        let (used, ended) = {
            let buffer = cases.fill_buf()?;
            match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            }
        };
        cases.consume(used);
        if ended {
            return Ok(());
        }
    }
}
