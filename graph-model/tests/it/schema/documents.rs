//! Whole documents.
#![allow(dead_code, reason = "these types are read by the derive alone")]

use std::borrow::Cow;

use lva_graph_model::methods::Method;
use lva_graph_model::{Family, Generation};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::nodes::{Processor, Sink, Source};
use super::parts::{ParameterDeclaration, Scalar, SystemData};

/// A media graph topology (pipeline topology) of Live Video Analytics 1.0 and 2.0 or Video Analyzer edge 1.0 and 1.1.
///
/// For editors: names of members are shown as documents usually write them, though they are read without case.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct Topology {
    #[schemars(rename = "@apiVersion")]
    api_version: Option<ApiVersion>,
    /// Letters, digits and dashes.
    name: String,
    system_data: Option<SystemData>,
    properties: TopologyProperties,
}

#[derive(JsonSchema)]
pub(super) struct TopologyProperties {
    description: Option<String>,
    parameters: Option<Vec<ParameterDeclaration>>,
    sources: Option<Vec<Source>>,
    processors: Option<Vec<Processor>>,
    sinks: Option<Vec<Sink>>,
}

/// A graph instance (live pipeline): a topology with values for its parameters.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct Instance {
    #[schemars(rename = "@apiVersion")]
    api_version: Option<ApiVersion>,
    /// Letters, digits and dashes.
    name: String,
    system_data: Option<SystemData>,
    properties: InstanceProperties,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct InstanceProperties {
    /// The name of the topology.
    topology_name: String,
    description: Option<String>,
    parameters: Option<Vec<ParameterValue>>,
    /// Written by the module.
    state: Option<String>,
}

#[derive(JsonSchema)]
pub(super) struct ParameterValue {
    name: String,
    /// Left out by the module for what is secret.
    value: Option<Scalar>,
}

/// An operations file: which methods to call, in which order.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct Operations {
    /// Goes into every payload but those of topologies.
    api_version: ApiVersion,
    operations: Vec<OperationStep>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct OperationStep {
    op_name: OpName,
    op_params: Option<OpParams>,
}

/// What the operation is about: the payload of a method, `message`, or the place of a topology.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(super) struct OpParams {
    /// Of WaitForInput: what to print.
    message: Option<String>,
    /// Of GraphTopologySet: where the topology lies.
    topology_file: Option<String>,
    /// Of GraphTopologySet: looked at first.
    topology_url: Option<String>,
    /// Of pipelineTopologySet: where the topology lies.
    pipeline_topology_file: Option<String>,
    /// Of pipelineTopologySet: looked at first.
    pipeline_topology_url: Option<String>,
    /// Of most methods: the topology or instance.
    name: Option<String>,
}

pub(super) struct ApiVersion;

impl JsonSchema for ApiVersion {
    fn schema_name() -> Cow<'static, str> {
        "ApiVersion".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut versions: Vec<&str> = Generation::ALL.iter().map(|g| g.api_version()).collect();
        versions.sort_unstable();
        versions.dedup();
        json_schema!({"type": "string", "enum": versions})
    }
}

pub(super) struct OpName;

impl JsonSchema for OpName {
    fn schema_name() -> Cow<'static, str> {
        "OpName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut names = vec!["WaitForInput"];
        for family in [Family::Lva, Family::VideoAnalyzer] {
            let methods = Method::ALL.iter().filter(|method| method.is_in(family));
            names.extend(methods.map(|method| method.name(family)));
        }
        json_schema!({"type": "string", "enum": names})
    }
}
