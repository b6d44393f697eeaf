//! Secrecy of an instance's values: it sticks to a value, whatever becomes of its topology.

use std::collections::BTreeSet;

use crate::graph::{Endpoint, EndpointCredentials, Graph};
use crate::instance::Instance;
use crate::parameter::ParameterType;
use crate::topology::Topology;

/// The parameters of an instance that its topology declares as secret.
pub(super) fn declared(instance: &Instance, topology: &Topology) -> BTreeSet<String> {
    let secret = secret_parameters(topology);
    let set = instance.parameters().into_iter().map(|parameter| parameter.name);
    set.filter(|name| secret.contains(name)).collect()
}

/// The secret values that a change would expose: it declares them as something else than `SecretString`, or sends them to
/// an endpoint that did not get them before.
pub(super) fn exposed(
    secrets: &BTreeSet<String>,
    instance: &Instance,
    topology: &Topology,
    (before, after): (Option<&Graph>, &Graph),
) -> BTreeSet<String> {
    let still_secret = secret_parameters(topology);
    let mut exposed = BTreeSet::new();
    for parameter in instance.parameters() {
        let Some(value) = parameter.value.filter(|_| secrets.contains(&parameter.name)) else {
            continue;
        };
        let value = value.expose();
        let receivers_before = before.map(|graph| receivers(graph, value)).unwrap_or_default();
        if !still_secret.contains(&parameter.name) || !receivers(after, value).is_subset(&receivers_before) {
            exposed.insert(parameter.name);
        }
    }
    exposed
}

fn secret_parameters(topology: &Topology) -> BTreeSet<String> {
    let declarations = topology.parameters().into_iter();
    let secret = declarations.filter(|declared| declared.parameter_type == ParameterType::SecretString);
    secret.map(|declared| declared.name).collect()
}

/// Scheme, host and port of the endpoints that a value goes to.
fn receivers(graph: &Graph, value: &str) -> BTreeSet<String> {
    let nodes = graph.nodes().iter();
    let endpoints = nodes.filter_map(|node| node.kind.endpoint());
    let receiving = endpoints.filter(|endpoint| gets(endpoint, value));
    receiving
        .map(|Endpoint { url, .. }| format!("{}://{}", url.scheme(), url.authority().to_ascii_lowercase()))
        .collect()
}

fn gets(endpoint: &Endpoint, value: &str) -> bool {
    if value.is_empty() {
        return false;
    }
    endpoint.url.as_str().contains(value)
        || match &endpoint.credentials {
            None => false,
            Some(EndpointCredentials::UsernamePassword(both)) => {
                both.username().contains(value) || both.password().contains(value)
            }
            Some(EndpointCredentials::HttpHeader { name, value: sent }) => {
                name.as_str().contains(value) || sent.expose().contains(value)
            }
            Some(EndpointCredentials::SymmetricKey(key)) => key.expose().contains(value),
        }
}
