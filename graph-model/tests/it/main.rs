//! Whole documents, whole lives of instances. One binary, so that there is one link.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod corpus;
mod custom;
mod deployment;
mod diagnostics;
mod documents;
mod exercise;
mod forms;
mod hostile;
mod methods;
mod mutate;
mod mutations;
mod operations;
mod promises;
mod published;
mod schema;
mod secrecy;
mod spatial_analysis;
mod state_table;
mod support;
mod topologies;
