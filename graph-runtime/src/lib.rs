//! Runs media graphs: cameras in, AI extensions asked, events and clips out.
//!
//! `lva-graph-model` says what a graph is. This crate will make it happen: one supervised tree of tasks for each active
//! instance, with nodes for cameras, pacing, extensions, gates and sinks, bounded queues between them, and a counted
//! reason for everything that is dropped.
//!
//! # What it is not
//!
//! It does not carry methods: no hub, no MQTT, no HTTP. A caller hands in a method's name and JSON and gets a
//! status and JSON back. It parses no documents by itself and holds no detector.
//!
//! # Planned shape
//!
//! `Module::invoke(method, json) -> (status, json)` carries methods out. Integrators plug in their own outputs
//! (`MessageSink`) and nodes (`NodeFactory`). Analysis prefers the newest frame, recording prefers completeness. Each
//! stream is received once and decoded at most once for each instance, and not at all when no node needs pixels.
//!
//! **Invariant: nothing is dropped without a count and a reason, and no camera can block another.**
//!
//! # Missing
//!
//! Everything so far. There is no code here yet; the crate holds its place in the workspace.
#![forbid(unsafe_code)]
