//! Replays cases of people and zones, one per line, and prints their events, one line per case.
//!
//! ```sh
//! cargo run --release --example replay-zones -- < in.jsonl > out.jsonl
//! ```
//!
//! [`lva_examples::replay::replay_case`] documents both forms. The answer to an invalid case has its name and the reason; the program
//! continues and ends with 0.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use anyhow::Context;
use clap::Parser;
use lva_examples::replay::{MAX_CASE_BYTES, replay_case};

/// Replay cases of people and zones from standard input and print their events.
#[derive(Debug, Parser)]
struct Args {}

fn main() -> anyhow::Result<()> {
    let Args {} = Args::parse();
    let mut cases = BufReader::new(io::stdin().lock());
    let mut answers = BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        // One byte more than the limit, so that longer cases are rejected and not truncated.
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
            // Skip the rest of the line.
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
