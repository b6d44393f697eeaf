//! Whole documents, whole lives of instances. One binary, so that there is one link.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod diagnostics;
mod documents;
mod hostile;
mod methods;
mod operations;
mod published;
mod support;
mod topologies;
