//! The results expected of a graph's nodes when something happens in front of its camera.

use lva_graph_model::nodes::SignalGateProcessor;
use lva_graph_model::{Edge, Flow, Graph, GraphNode, Node};
use lva_graph_runtime::InstanceStats;
use lva_media_types::MediaTime;

use super::{Contents, Heard, Recorded};

const SECOND: f64 = MediaTime::TICKS_PER_SECOND as f64;
/// Tolerance of times: the length of a picture, and rounding.
const SLACK: f64 = 0.25;
/// Recordings that were still open at the last pictures were ended by the end of the run.
const AT_THE_END: f64 = 1.0;
/// Shorter recordings need no audio, which may start a little after the video.
const SHORTEST_WITH_AUDIO: f64 = 1.0;
/// A message source without an input accepts every input.
const ANY_INPUT: &str = "trigger";

/// The expected results of a graph's nodes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expected {
    messages: Vec<Messages>,
    recordings: Vec<Recording>,
    extensions: Vec<String>,
    inputs: Vec<String>,
    audio: bool,
    pictures: bool,
}

/// A message sink, with the nodes whose results it publishes.
#[derive(Debug, Clone, PartialEq)]
struct Messages {
    sink: String,
    from: Vec<String>,
    output: Option<String>,
}

/// A recording sink.
#[derive(Debug, Clone, PartialEq)]
struct Recording {
    sink: String,
    /// `None` records continuously.
    gate: Option<SignalGateProcessor>,
    /// Whether it is split into segments, so that several files form one recording.
    segments: bool,
    /// Whether the path from the camera passes audio.
    audio: bool,
}

/// The actual results of a run.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The counters of the instance.
    pub stats: InstanceStats,
    /// Its events.
    pub heard: Heard,
    /// Its recordings.
    pub recordings: Vec<Recorded>,
}

impl Expected {
    /// The expected results of the graph's nodes.
    pub fn of(graph: &Graph) -> Self {
        let mut expected = Self {
            pictures: true,
            ..Self::default()
        };
        for node in graph.nodes() {
            match &node.kind {
                Node::MessageSink(sink) => expected.messages.push(Messages {
                    sink: node.name.clone(),
                    from: feeds(graph, node, Flow::Messages)
                        .map(|(_, from)| from.name.clone())
                        .collect(),
                    output: sink.hub_output_name.clone(),
                }),
                Node::AssetSink(_) | Node::VideoSink(_) | Node::FileSink(_) => {
                    let segments = !matches!(node.kind, Node::FileSink(_));
                    expected.recordings.extend(recording(graph, node, segments));
                }
                Node::Extension(_) | Node::Custom(_) => expected.extensions.push(node.name.clone()),
                Node::MessageSource(source) => {
                    let input = source.hub_input_name.clone();
                    expected
                        .inputs
                        .push(input.unwrap_or_else(|| ANY_INPUT.to_owned()));
                }
                _ => {}
            }
        }
        expected
    }

    /// Whether the camera has audio that can be recorded; without it, none is expected.
    #[must_use]
    pub fn with_audio(mut self, audio: bool) -> Self {
        self.audio = audio;
        self
    }

    /// Names of the sinks that record.
    pub fn recordings(&self) -> impl Iterator<Item = &str> {
        self.recordings.iter().map(|recording| recording.sink.as_str())
    }

    /// Inputs of the message sources.
    pub fn inputs(&self) -> &[String] {
        &self.inputs
    }

    /// Whether every node works: each message sink has an event, each recording sink has started, each extension has
    /// answered.
    pub fn has_started(&self, stats: &InstanceStats, heard: &Heard) -> bool {
        let recording = |sink: &str| heard.recordings.contains_key(sink);
        self.silent(heard).next().is_none()
            && self.recordings().all(recording)
            && self.extensions.iter().all(|node| answered(stats, node) > 0)
    }

    /// Readable lines about missing results.
    pub fn missing(&self, outcome: &Outcome) -> Vec<String> {
        let stats = &outcome.stats;
        let mut missing = Vec::new();
        if self.pictures && stats.received == 0 {
            missing.push("no frames from the camera".to_owned());
        }
        for messages in self.silent(&outcome.heard) {
            let from = messages.from.join("', '");
            missing.push(format!("'{}' received no messages from '{from}'", messages.sink));
        }
        for node in self.extensions.iter().filter(|node| answered(stats, node) == 0) {
            let sent = stats.extensions.get(node).map_or(0, |node| node.sent);
            missing.push(match sent {
                0 => format!("'{node}' received no frames"),
                _ => format!("'{node}' answered none of {sent} frames"),
            });
        }
        for recording in &self.recordings {
            recording.missing(self.audio, outcome, &mut missing);
        }
        missing
    }

    /// The message sinks without messages. Sinks that share an output and a node each need their own message.
    fn silent<'a>(&'a self, heard: &'a Heard) -> impl Iterator<Item = &'a Messages> {
        self.messages.iter().filter(move |messages| {
            let served = |from: &String| {
                let alike = |other: &&Messages| other.output == messages.output && other.from.contains(from);
                let sharing = self.messages.iter().filter(alike).count() as u64;
                let key = (from.clone(), messages.output.clone());
                heard.inferences.get(&key).is_some_and(|count| *count >= sharing)
            };
            !messages.from.iter().any(served)
        })
    }
}

impl Recording {
    fn missing(&self, has_audio: bool, outcome: &Outcome, missing: &mut Vec<String>) {
        let sink = &self.sink;
        let files = outcome.recordings.iter();
        let files: Vec<&Recorded> = files.filter(|recorded| recorded.sink == *sink).collect();
        if files.is_empty() {
            missing.push(format!("'{sink}' recorded nothing"));
            return;
        }
        for file in &files {
            let path = &file.path;
            match &file.contents {
                Contents::Removed => {}
                Contents::Unreadable(why) => missing.push(why.clone()),
                Contents::Read {
                    first_keyframe,
                    audio_packets,
                    ..
                } => {
                    if !first_keyframe {
                        missing.push(format!("{path} does not start with a keyframe"));
                    }
                    if !self.audio && *audio_packets > 0 {
                        missing.push(format!("{path} contains audio, which the topology excludes"));
                    }
                    let long = file.seconds >= SHORTEST_WITH_AUDIO;
                    if self.audio && has_audio && long && *audio_packets == 0 {
                        missing.push(format!("{path} has no audio"));
                    }
                }
            }
        }
        let gop = outcome.longest_gop();
        match &self.gate {
            Some(gate) => self.openings_missing(gate, &files, gop, outcome, missing),
            None => self.gaps(&files, gop, outcome, missing),
        }
    }

    /// Each opening of the gate results in a recording from the event plus the offset to at least the event plus the
    /// minimum.
    fn openings_missing(
        &self,
        gate: &SignalGateProcessor,
        files: &[&Recorded],
        gop: f64,
        outcome: &Outcome,
        missing: &mut Vec<String>,
    ) {
        let sink = &self.sink;
        let offset = gate.signal_offset_ms as f64 / 1000.0;
        let longest = gate.maximum_activation_time.as_secs_f64() - offset + gop + SLACK;
        let openings = self.openings(files, longest);
        let started = outcome.heard.recordings.get(sink).copied().unwrap_or_default();
        if (openings.len() as u64) > started {
            let made = openings.len();
            missing.push(format!("'{sink}' made {made} recordings and reported {started}"));
        }
        // A lost camera ended recordings early.
        let whole = outcome.stats.camera_sessions <= 1;
        let mut before = outcome.stats.first_picture_90k.map(seconds);
        for opening in &openings {
            let length = opening.end - opening.begin;
            if length > longest {
                missing.push(format!(
                    "'{sink}' recorded {length:.1} s in one piece, expected at most {longest:.1} s"
                ));
            }
            // Media before the first picture or in the previous recording is not available.
            let back = match before {
                Some(before) if opening.begin <= before + gop + SLACK => offset.max(0.0),
                _ => offset,
            };
            before = Some(opening.end);
            let shortest = gate.minimum_activation_time.as_secs_f64() - back - gop - SLACK;
            if whole && length < shortest && !outcome.was_at_the_end(opening.end) {
                missing.push(format!(
                    "'{sink}' recorded {length:.1} s after an event, expected at least {shortest:.1} s"
                ));
            }
        }
    }

    /// Joins files that follow each other without a gap, up to the longest opening of the gate.
    fn openings(&self, files: &[&Recorded], longest: f64) -> Vec<Opening> {
        let mut openings: Vec<Opening> = Vec::new();
        for file in files {
            let continued = openings.last_mut().filter(|last| {
                let gap = file.begin - last.end;
                self.segments && gap > 0.0 && gap < SLACK && file.end() - last.begin <= longest
            });
            match continued {
                Some(last) => last.end = file.end(),
                None => openings.push(Opening {
                    begin: file.begin,
                    end: file.end(),
                }),
            }
        }
        openings
    }

    /// A continuous recording must be as long as the received media.
    fn gaps(&self, files: &[&Recorded], gop: f64, outcome: &Outcome, missing: &mut Vec<String>) {
        let stats = &outcome.stats;
        let incomplete = stats.clips > stats.newest_clips.len() as u64;
        let (Some(first), Some(last)) = (stats.first_picture_90k, stats.last_picture_90k) else {
            return;
        };
        if incomplete || stats.camera_sessions > 1 {
            return;
        }
        let received = seconds(last) - seconds(first);
        // Between two files is the length of a picture.
        let recorded: f64 = files.iter().map(|file| file.seconds).sum();
        let between = SLACK * files.len() as f64;
        if recorded + between + gop < received {
            let sink = &self.sink;
            missing.push(format!("'{sink}' recorded {recorded:.1} of {received:.1} s"));
        }
    }
}

/// The media of one opening of a gate.
struct Opening {
    begin: f64,
    end: f64,
}

impl Outcome {
    fn longest_gop(&self) -> f64 {
        let gops = self.recordings.iter().map(|recorded| match recorded.contents {
            Contents::Read { longest_gop, .. } => longest_gop,
            Contents::Removed | Contents::Unreadable(_) => 0.0,
        });
        gops.fold(0.0, f64::max)
    }

    fn was_at_the_end(&self, at: f64) -> bool {
        let last = self.stats.last_picture_90k;
        last.is_some_and(|last| at >= seconds(last) - AT_THE_END)
    }
}

fn seconds(time_90k: u64) -> f64 {
    time_90k as f64 / SECOND
}

fn answered(stats: &InstanceStats, node: &str) -> u64 {
    stats.extensions.get(node).map_or(0, |node| node.answered)
}

fn feeds<'a>(
    graph: &'a Graph,
    node: &GraphNode,
    flow: Flow,
) -> impl Iterator<Item = (&'a Edge, &'a GraphNode)> {
    let edges = graph.inputs(node.id).filter(move |edge| edge.flow == flow);
    edges.filter_map(|edge| Some((edge, graph.node(edge.from)?)))
}

fn recording(graph: &Graph, node: &GraphNode, segments: bool) -> Option<Recording> {
    let (edge, from) = feeds(graph, node, Flow::Media).next()?;
    let (gate, before) = match &from.kind {
        Node::SignalGate(gate) => (Some(*gate), feeds(graph, from, Flow::Media).next()),
        _ => (None, None),
    };
    let audio = |edge: &Edge| edge.selects("audio/AAC");
    Some(Recording {
        sink: node.name.clone(),
        gate,
        segments,
        audio: audio(edge) && before.is_none_or(|(before, _)| audio(before)),
    })
}

#[cfg(test)]
mod tests;
