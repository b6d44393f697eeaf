//! Inference events, analytics messages and event envelopes of Live Video Analytics and Video Analyzer.
//!
//! What an extension says about a frame (classification, motion, entity, text, event, other) and what a running
//! graph says to the world (established, recorded, failed) have fixed names, members and times. This crate will
//! own those types and their JSON, so that every other part of the house speaks them and none spells them again.
//!
//! # What it is not
//!
//! It does no I/O: it sends nothing and stores nothing. It does not decide when an event happens either; that is
//! the business of `lva-zones` and `lva-graph-runtime`. The messages of the gRPC wire belong to
//! `lva-extension-protocol`, which maps them to the types here.
//!
//! # Planned shape
//!
//! One set of types, two written styles (LVA's, with empty members and `valueCase`; Video Analyzer's, without),
//! chosen by an explicit value and never guessed from the environment. Reading is lenient and keeps unknown members.
//! Times are 90 kHz ticks since 1970 and RFC 3339 texts, with exact conversions between them.
//!
//! **Invariant: a published sample that is read and written again is the same JSON value.**
//!
//! # Missing
//!
//! Everything so far. There is no code here yet; the crate holds its place in the workspace.
#![forbid(unsafe_code)]
