//! Subjects of events, and the topics that they are published to.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::event_type::ProductFamily;

/// Role of a node in a graph, as subjects name it. Parses in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[derive(strum::Display, strum::EnumString, strum::IntoStaticStr)]
#[strum(ascii_case_insensitive)]
pub enum NodeRole {
    /// Brings media or messages in.
    #[strum(serialize = "sources")]
    Source,
    /// Processes media.
    #[strum(serialize = "processors")]
    Processor,
    /// Takes media or messages out.
    #[strum(serialize = "sinks")]
    Sink,
}

/// The `subject` of an event: an instance, or a node of it.
///
/// ```
/// use lva_inference_schema::{NodeRole, Subject};
///
/// let instance = Subject::graph_instance("Sample-Graph-1");
/// assert_eq!(instance.to_string(), "/graphInstances/Sample-Graph-1");
/// let node = instance.node(NodeRole::Source, "rtspSource");
/// assert_eq!(node.to_string(), "/graphInstances/Sample-Graph-1/sources/rtspSource");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    owner: Owner,
    node: Option<(NodeRole, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Owner {
    GraphInstance(String),
    LivePipeline { module: String, pipeline: String },
}

impl Subject {
    /// A graph instance of Live Video Analytics: `/graphInstances/NAME`.
    pub fn graph_instance(name: impl Into<String>) -> Self {
        Self {
            owner: Owner::GraphInstance(name.into()),
            node: None,
        }
    }

    /// A live pipeline of Video Analyzer: `/edgeModules/MODULE/livePipelines/NAME`.
    pub fn live_pipeline(module: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            owner: Owner::LivePipeline {
                module: module.into(),
                pipeline: name.into(),
            },
            node: None,
        }
    }

    /// A node of the same instance.
    pub fn node(&self, role: NodeRole, name: impl Into<String>) -> Self {
        Self {
            owner: self.owner.clone(),
            node: Some((role, name.into())),
        }
    }

    /// The product family whose form it has.
    pub fn family(&self) -> ProductFamily {
        match self.owner {
            Owner::GraphInstance(_) => ProductFamily::Lva,
            Owner::LivePipeline { .. } => ProductFamily::VideoAnalyzer,
        }
    }

    /// Name of the instance or pipeline.
    pub fn instance_name(&self) -> &str {
        match &self.owner {
            Owner::GraphInstance(name) | Owner::LivePipeline { pipeline: name, .. } => name,
        }
    }

    /// Role and name of the node, if the subject is one.
    pub fn node_name(&self) -> Option<(NodeRole, &str)> {
        self.node.as_ref().map(|(role, name)| (*role, name.as_str()))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Owner::GraphInstance(name) => write!(f, "/graphInstances/{name}")?,
            Owner::LivePipeline { module, pipeline } => {
                write!(f, "/edgeModules/{module}/livePipelines/{pipeline}")?;
            }
        }
        match &self.node {
            Some((role, name)) => write!(f, "/{role}/{name}"),
            None => Ok(()),
        }
    }
}

/// A string that is not a subject.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} is not a subject; expected /graphInstances/NAME or /edgeModules/MODULE/livePipelines/NAME, then nothing, or /sources, /processors or /sinks and a node's name"
)]
pub struct SubjectError {
    /// The string, cut to 128 characters.
    pub text: String,
}

impl FromStr for Subject {
    type Err = SubjectError;

    /// Accepts both forms, the fixed parts in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || SubjectError {
            text: text.chars().take(128).collect(),
        };
        let parts: Vec<&str> = text.strip_prefix('/').ok_or_else(error)?.splitn(8, '/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(error());
        }
        let is = |part: &str, word: &str| part.eq_ignore_ascii_case(word);
        let (subject, rest) = match parts.as_slice() {
            [graphs, name, rest @ ..] if is(graphs, "graphInstances") => (Self::graph_instance(*name), rest),
            [modules, module, pipelines, name, rest @ ..]
                if is(modules, "edgeModules") && is(pipelines, "livePipelines") =>
            {
                (Self::live_pipeline(*module, *name), rest)
            }
            _ => return Err(error()),
        };
        match rest {
            [] => Ok(subject),
            [role, name] => {
                let role = role.parse().map_err(|_| error())?;
                Ok(subject.node(role, *name))
            }
            _ => Err(error()),
        }
    }
}

/// The topic of events without a cloud account: the form of an ARM id, with an empty subscription and `local` for group and
/// account. Readers that parse ids keep working, and the id of an existing account is never used.
pub fn default_topic(family: ProductFamily) -> String {
    topic(family, "00000000-0000-0000-0000-000000000000", "local", "local")
}

/// The topic of events: the ARM id of the account.
pub fn topic(family: ProductFamily, subscription: &str, resource_group: &str, account: &str) -> String {
    let provider = match family {
        ProductFamily::Lva => "microsoft.media/mediaservices",
        ProductFamily::VideoAnalyzer => "Microsoft.Media/videoAnalyzers",
    };
    format!("/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/{provider}/{account}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_subjects_survive() {
        for text in [
            "/graphInstances/Sample-Graph-1",
            "/graphInstances/Sample-Graph-1/sources/rtspSource",
            "/graphInstances/Sample-Graph-1/processors/rtcvExtension",
            "/graphInstances/Sample-Graph-1/sinks/assetSink",
            "/edgeModules/avaedge/livePipelines/Sample-Pipeline-1/processors/md",
            "/edgeModules/avaedge/livePipelines/Sample-Pipeline-1",
        ] {
            let subject: Subject = text.parse().unwrap();
            assert_eq!(subject.to_string(), text);
        }
        let node: Subject = "/edgeModules/m/livePipelines/p/sinks/s".parse().unwrap();
        assert_eq!(node.family(), ProductFamily::VideoAnalyzer);
        assert_eq!(
            (node.instance_name(), node.node_name()),
            ("p", Some((NodeRole::Sink, "s")))
        );
    }

    #[test]
    fn other_strings_are_rejected() {
        for text in [
            "",
            "/",
            "graphInstances/x",
            "/graphInstances",
            "/graphInstances/",
            "/graphInstances/x/sinks",
            "/graphInstances/x/roots/y",
            "/graphInstances/x/sinks/y/z",
            "/edgeModules/m",
            "/edgeModules/m/livePipelines",
        ] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }

    #[test]
    fn topics_name_the_account_of_their_family() {
        assert_eq!(
            default_topic(ProductFamily::Lva),
            "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local/providers/microsoft.media/mediaservices/local"
        );
        assert!(
            topic(ProductFamily::VideoAnalyzer, "s", "g", "a").ends_with("/Microsoft.Media/videoAnalyzers/a")
        );
    }
}
