//! `kill -9` at any moment: a child process writes, and this one kills it and reads what is left.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::clock::Now;
use super::counters::Counters;
use super::log::Log;
use super::{Outbox, OutboxOptions};
use crate::message::OutputMessage;

const DIRECTORY: &str = "LVA_HUB_KILL_TEST_DIRECTORY";
const FIRST: &str = "LVA_HUB_KILL_TEST_FIRST";
/// Events between two lines of the child that report what is safe.
const BATCH: u64 = 25;

/// Small, so that files are ended and compressed all the time.
fn options() -> OutboxOptions {
    OutboxOptions::default().with_segment_bytes(8 << 10)
}

fn read_all(directory: &Path) -> Vec<u64> {
    let counters = Counters::default();
    let mut log = Log::open(directory, options(), &counters).unwrap();
    let mut ids = Vec::new();
    while let Some(stored) = log.take_next(Now::read(), &counters).unwrap() {
        ids.push(stored.event.message_id.unwrap().parse().unwrap());
    }
    assert_eq!(counters.snapshot().dropped_total(), 0);
    ids
}

/// Kills a writer `kills` times in the same directory. What it had reported as safe must be there, in order, without gap
/// or duplicate.
fn kill_writers(kills: u64) {
    let directory = TempDir::new().unwrap();
    let mut expected = 0;
    for kill in 0..kills {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "outbox::kill_tests::writer_that_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(DIRECTORY, directory.path())
            .env(FIRST, expected.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Different moments: right at the start, between two batches, in the middle of compressing.
        let lines = kill.wrapping_mul(7) % 23;
        let mut safe = expected;
        let output = BufReader::new(child.stdout.take().unwrap());
        let reports = output.lines().map_while(Result::ok);
        let mut reports = reports.filter_map(|line| line.strip_prefix("safe ")?.parse::<u64>().ok());
        for report in reports.by_ref().take(lines as usize) {
            safe = report;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it wrote into the pipe before it died counts as well.
        safe = reports.last().unwrap_or(safe);
        let ids = read_all(directory.path());
        assert_eq!(
            ids,
            (0..ids.len() as u64).collect::<Vec<_>>(),
            "after kill {kill}"
        );
        assert!(
            ids.len() as u64 >= safe,
            "after kill {kill}: {} of {safe}",
            ids.len()
        );
        expected = ids.len() as u64;
    }
    assert!(expected > 0);
}

#[test]
fn nothing_that_was_written_is_lost_by_kill_9() {
    kill_writers(25);
}

#[test]
#[ignore = "a thousand kills take minutes"]
fn nothing_that_was_written_is_lost_by_a_thousand_kills() {
    // All is read after each kill, so directories stay small.
    (0..40).for_each(|_| kill_writers(25));
}

/// The child: not a test by itself, which is why it is ignored.
#[test]
#[ignore = "run by the tests above, with a directory"]
fn writer_that_is_killed() {
    let (Ok(directory), Ok(first)) = (env::var(DIRECTORY), env::var(FIRST)) else {
        return;
    };
    let outbox = Outbox::open(directory, options()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut id: u64 = first.parse().unwrap();
    loop {
        for _ in 0..BATCH {
            let event = OutputMessage::json("out", format!(r#"{{"id":{id},"filler":"{:0120}"}}"#, id * 7919));
            outbox.push(event.with_message_id(id.to_string())).unwrap();
            id += 1;
        }
        runtime.block_on(outbox.flush());
        println!("safe {id}");
    }
}
