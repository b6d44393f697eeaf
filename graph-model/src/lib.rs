//! Media graph documents of Live Video Analytics and Video Analyzer: parse, resolve, validate.
//!
//! A media graph is described on paper before it runs: a topology names its nodes and parameters, an instance
//! gives the parameters values, an operations file says which methods to call in which order, and a deployment
//! manifest says which containers carry it all. This crate will own every one of those documents, in the
//! dialects of LVA 1.0, LVA 2.0 and Video Analyzer edge 1.0 / 1.1, and the direct methods that carry them.
//!
//! # What it is not
//!
//! It runs nothing. It opens no socket, reads no clock and starts no task: what a method *would* do is returned
//! as a value, and `lva-graph-runtime` does it.
//!
//! # Planned shape
//!
//! Documents as written (`Topology`, `Instance`) are read leniently and keep what they do not know. Resolution
//! makes from them one typed `Graph`, in which a mistake can no longer be written down. Validation returns every
//! finding at once as a `Diagnostic`: severity, stable code, JSON pointer, remedy.
//!
//! **Invariant: whatever leaves this crate as a `Graph` can be run; whatever cannot be run has a diagnostic.**
//!
//! # Missing
//!
//! Everything so far. There is no code here yet; the crate holds its place in the workspace.
#![forbid(unsafe_code)]
