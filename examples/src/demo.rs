//! Parts of the spatial-analysis demonstration: printed events, comparison with the truth, summary.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use async_trait::async_trait;
use lva_edge_module::readable::{SpatialReport, readable};
use lva_graph_runtime::{GraphEvent, InstanceStats, MessageSink, SinkError};
use lva_inference_schema::body::EventBody;
use lva_inference_schema::{EventClass, EventName};
use lva_media_types::MediaTime;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

use crate::output::printable;
use crate::picture::Moment;

const SECOND: f64 = MediaTime::TICKS_PER_SECOND as f64;
/// Largest distance between a reported event and the true one.
const TOLERANCE_SECONDS: f64 = 1.0;
/// Events kept for the comparison with the truth.
const MAX_SEEN: usize = 100_000;
/// Messages kept for a picture.
const MOMENTS: usize = 512;

/// Lines on standard output, up to a last one. Clones share the state.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<bool>>);

impl Lines {
    /// Prints a line, unless the last one was printed.
    ///
    /// # Errors
    ///
    /// Standard output is closed.
    pub fn print(&self, line: &str) -> std::io::Result<()> {
        self.write(line, false)
    }

    /// Prints the last line. Later lines, such as those of queued events, are discarded.
    ///
    /// # Errors
    ///
    /// Standard output is closed.
    pub fn last(&self, line: &str) -> std::io::Result<()> {
        self.write(line, true)
    }

    fn write(&self, line: &str, last: bool) -> std::io::Result<()> {
        let mut ended = self.0.lock();
        if *ended {
            return Ok(());
        }
        *ended = last;
        // One write per line, so that readers of a pipe get whole lines.
        std::io::stdout().write_all(format!("{}\n", printable(line)).as_bytes())
    }
}

/// Prints events as JSON or as readable lines, and writes them to a file.
#[derive(Debug)]
pub struct Printer {
    topic: String,
    pretty: bool,
    file: Option<File>,
    lines: Lines,
}

impl Printer {
    /// Creates or replaces `file`.
    ///
    /// # Errors
    ///
    /// The file cannot be created.
    pub fn new(topic: String, pretty: bool, file: Option<&Path>) -> anyhow::Result<Self> {
        let create =
            |path: &Path| File::create(path).with_context(|| format!("cannot write {}", path.display()));
        let file = file.map(create).transpose()?;
        Ok(Self {
            topic,
            pretty,
            file,
            lines: Lines::default(),
        })
    }

    /// Prints with lines that the caller ends.
    #[must_use]
    pub fn with_lines(mut self, lines: Lines) -> Self {
        self.lines = lines;
        self
    }
}

#[async_trait]
impl MessageSink for Printer {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        let line = event.envelope(&self.topic).to_string();
        let shown = if self.pretty {
            readable(event)
        } else {
            line.clone()
        };
        self.lines.print(&shown)?;
        if let Some(file) = &mut self.file {
            file.write_all(format!("{line}\n").as_bytes())?;
        }
        Ok(())
    }
}

/// Records events for the end of the demonstration.
#[derive(Debug, Clone, Default)]
pub struct Witness {
    inner: Arc<Mutex<Seeing>>,
    changed: Arc<watch::Sender<()>>,
}

#[derive(Debug, Default)]
struct Seeing {
    seen: Vec<SpatialReport>,
    moments: VecDeque<Moment>,
    kinds: BTreeMap<String, u64>,
    fault: Option<String>,
}

impl Witness {
    /// Waits until the event counts by kind fulfil a condition.
    pub async fn until(&self, condition: impl Fn(&BTreeMap<String, u64>) -> bool) {
        let mut changed = self.changed.subscribe();
        while !condition(&self.kinds()) && changed.changed().await.is_ok() {}
    }

    /// The last event that reports a fault, as a readable line.
    pub fn last_fault(&self) -> Option<String> {
        self.inner.lock().fault.clone()
    }

    /// The first hundred thousand zone and line events.
    pub fn seen(&self) -> Vec<SpatialReport> {
        self.inner.lock().seen.clone()
    }

    /// The newest messages with zone and line events, oldest first.
    pub fn moments(&self) -> Vec<Moment> {
        let inner = self.inner.lock();
        inner.moments.iter().cloned().collect()
    }

    /// Event counts by kind; zone and line events also by status.
    pub fn kinds(&self) -> BTreeMap<String, u64> {
        self.inner.lock().kinds.clone()
    }
}

#[async_trait]
impl MessageSink for Witness {
    async fn publish(&mut self, event: &GraphEvent) -> Result<(), SinkError> {
        let seen = SpatialReport::all_of(event);
        let mut inner = self.inner.lock();
        *inner.kinds.entry(event.name.to_string()).or_default() += 1;
        for one in &seen {
            *inner
                .kinds
                .entry(format!("{} {}", one.name, one.status))
                .or_default() += 1;
        }
        let capacity = MAX_SEEN.saturating_sub(inner.seen.len());
        inner.seen.extend(seen.into_iter().take(capacity));
        if let Some(moment) = Moment::of(event) {
            if inner.moments.len() == MOMENTS {
                inner.moments.pop_front();
            }
            inner.moments.push_back(moment);
        }
        let is_fault = match &event.body {
            // Faults have a message.
            EventBody::StateChange(change) => change.message.is_some(),
            _ => event.class() == EventClass::Diagnostics,
        };
        if is_fault && event.name != EventName::MediaSessionEstablished {
            inner.fault = Some(readable(event));
        }
        drop(inner);
        self.changed.send_replace(());
        Ok(())
    }
}

/// The true events of a clip that is repeated.
#[derive(Debug, Clone)]
pub struct Truth {
    seconds: f64,
    /// Second in the clip, zone or line, status.
    events: Vec<(f64, String, String)>,
}

/// Agreement of reported and true events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// True events.
    pub truly: usize,
    /// Reported events.
    pub reported: usize,
    /// Matches: the same place and status within a second.
    pub matched: usize,
}

impl Truth {
    /// Reads a truth file of the sample world.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not a truth file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let value: Value = serde_json::from_slice(&text).context("the truth is not JSON")?;
        let number = |name: &str| {
            value[name]
                .as_f64()
                .with_context(|| format!("the truth has no '{name}'"))
        };
        let seconds = number("frameCount")? / number("fps")?;
        ensure!(seconds > 0.0, "the truth describes an empty clip");
        let list = value["events"].as_array().context("the truth has no 'events'")?;
        let read = |event: &Value| {
            let text = |name: &str| event[name].as_str().map(str::to_owned);
            Some((event["seconds"].as_f64()?, text("boundary")?, text("status")?))
        };
        let events = list
            .iter()
            .map(|event| read(event).context("an event of the truth is incomplete"));
        let events = events.collect::<Result<_, _>>()?;
        Ok(Self { seconds, events })
    }

    /// Compares reported events with those from `first_90k`, the time of the clip's first picture, to `last_90k`.
    pub fn compare(&self, seen: &[SpatialReport], first_90k: u64, last_90k: u64) -> Agreement {
        let length = last_90k.saturating_sub(first_90k) as f64 / SECOND;
        let rounds = (length / self.seconds).ceil() as usize;
        let all = (0..rounds).flat_map(|round| {
            let begin = round as f64 * self.seconds;
            self.events
                .iter()
                .map(move |(at, place, status)| (begin + at, place, status))
        });
        let mut open: Vec<_> = all.filter(|(at, ..)| *at <= length).collect();
        let truly = open.len();
        let mut matched = 0;
        for one in seen {
            let at = one.timestamp_90k as f64 / SECOND - first_90k as f64 / SECOND;
            let near = open
                .iter()
                .enumerate()
                .filter(|(_, (_, place, status))| **place == one.place && **status == one.status)
                .map(|(index, (when, ..))| (index, (when - at).abs()))
                .filter(|(_, apart)| *apart <= TOLERANCE_SECONDS)
                .min_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((index, _)) = near {
                open.swap_remove(index);
                matched += 1;
            }
        }
        Agreement {
            truly,
            reported: seen.len(),
            matched,
        }
    }
}

impl std::fmt::Display for Agreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            truly,
            reported,
            matched,
        } = self;
        write!(
            f,
            r#"{{"true":{truly},"reported":{reported},"matched":{matched}}}"#
        )
    }
}

/// The summary table.
pub fn summary(stats: &InstanceStats, kinds: &BTreeMap<String, u64>) -> String {
    let mut table = String::from("--- summary\n");
    let mut rows = Vec::new();
    let mut row = |name: String, value: String| rows.push((name, value));
    row("frames received".into(), stats.received.to_string());
    row("frames decoded".into(), stats.decoded.to_string());
    for (node, extension) in &stats.extensions {
        row(
            format!("{node}: frames skipped by rate"),
            extension.filtered.to_string(),
        );
        row(format!("{node}: frames sent"), extension.sent.to_string());
        row(format!("{node}: frames answered"), extension.answered.to_string());
    }
    for ((node, reason), count) in &stats.dropped {
        row(format!("{node}: dropped, {reason}"), count.to_string());
    }
    for (kind, count) in kinds {
        row(format!("event {kind}"), count.to_string());
    }
    for (name, latency) in [
        ("frame to event", stats.frame_to_event),
        ("frame to answer", stats.frame_to_answer),
    ] {
        for (part, value) in [("p50", latency.p50), ("p99", latency.p99)] {
            row(
                format!("latency {name}, {part}"),
                format!("{} ms", value.as_millis()),
            );
        }
    }
    for clip in &stats.newest_clips {
        row(
            format!("clip, {:.1} s, {} pictures", clip.seconds, clip.video_packets),
            clip.path.display().to_string(),
        );
    }
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    for (name, value) in rows {
        table.push_str(&format!("{name:<width$} {value:>10}\n"));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(seconds: f64, status: &str) -> SpatialReport {
        SpatialReport {
            timestamp_90k: 90_000_000 + (seconds * SECOND) as u64,
            name: "personZoneEvent".into(),
            place: "door".into(),
            status: status.into(),
        }
    }

    #[test]
    fn reports_match_the_truth_within_a_second_and_once_over_all_repetitions() {
        let event = |at, status: &str| (at, "door".to_owned(), status.to_owned());
        let truth = Truth {
            seconds: 10.0,
            events: vec![event(2.0, "Enter"), event(5.0, "Exit")],
        };
        let all = [
            seen(2.9, "Enter"),
            seen(2.1, "Enter"), // a second report of the same event
            seen(6.5, "Exit"),  // too late
            seen(12.0, "Enter"),
            seen(12.0, "CrossLeft"), // no such event
        ];
        let agreement = truth.compare(&all, 90_000_000, 90_000_000 + 14 * 90_000);
        assert_eq!(agreement.to_string(), r#"{"true":3,"reported":5,"matched":2}"#);
    }
}
