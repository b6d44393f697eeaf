//! JSON Schemas (draft 2020-12) of the documents, for editors.
//!
//! They are made from types beside the tests of this crate, checked in, and held against every published document.
//! They check less than [`Topology::validate`](crate::Topology::validate): names of members with their usual case, types,
//! allowed values, and the members that every generation requires.

/// Of topologies of all generations.
pub const TOPOLOGY_SCHEMA: &str = include_str!("../schema/topology.schema.json");

/// Of instances of all generations.
pub const INSTANCE_SCHEMA: &str = include_str!("../schema/instance.schema.json");

/// Of operations files.
pub const OPERATIONS_SCHEMA: &str = include_str!("../schema/operations.schema.json");
