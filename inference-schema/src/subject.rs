//! Whom an event is about, and whose account it belongs to.

use crate::event_type::Generation;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Where in a graph a node stands; the word in subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeRole {
    /// Brings media or messages in.
    Source,
    /// Looks at media.
    Processor,
    /// Takes media or messages out.
    Sink,
}

impl NodeRole {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Source, Self::Processor, Self::Sink];

    /// The word in a subject.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Processor => "processors",
            Self::Sink => "sinks",
        }
    }
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

    /// Whose form of subject.
    pub fn generation(&self) -> Generation {
        match self.owner {
            Owner::GraphInstance(_) => Generation::Lva,
            Owner::LivePipeline { .. } => Generation::VideoAnalyzer,
        }
    }

    /// Name of the instance or pipeline.
    pub fn instance_name(&self) -> &str {
        match &self.owner {
            Owner::GraphInstance(name) | Owner::LivePipeline { pipeline: name, .. } => name,
        }
    }

    /// Role and name of the node, when the subject is one.
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
            Some((role, name)) => write!(f, "/{}/{name}", role.as_str()),
            None => Ok(()),
        }
    }
}

/// A text that is no subject.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "no subject {text:?}: expected /graphInstances/NAME or /edgeModules/MODULE/livePipelines/NAME, then nothing or /sources, /processors or /sinks and a node's name"
)]
pub struct SubjectError {
    /// The text, cut to 128 characters.
    pub text: String,
}

impl FromStr for Subject {
    type Err = SubjectError;

    /// Reads both forms; the fixed words in any case.
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
                let role = NodeRole::ALL
                    .into_iter()
                    .find(|r| is(role, r.as_str()))
                    .ok_or_else(error)?;
                Ok(subject.node(role, *name))
            }
            _ => Err(error()),
        }
    }
}

/// The topic of events when there is no cloud account to name: the form of an ARM id, with an empty subscription and
/// `local` for group and account. Readers that take ids apart keep working, and nobody's account is claimed.
pub fn default_topic(generation: Generation) -> String {
    topic(
        generation,
        "00000000-0000-0000-0000-000000000000",
        "local",
        "local",
    )
}

/// The topic of events: the ARM id of the account.
pub fn topic(generation: Generation, subscription: &str, resource_group: &str, account: &str) -> String {
    let provider = match generation {
        Generation::Lva => "microsoft.media/mediaservices",
        Generation::VideoAnalyzer => "Microsoft.Media/videoAnalyzers",
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
        assert_eq!(node.generation(), Generation::VideoAnalyzer);
        assert_eq!(
            (node.instance_name(), node.node_name()),
            ("p", Some((NodeRole::Sink, "s")))
        );
    }

    #[test]
    fn what_is_no_subject_is_refused() {
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
    fn topics_name_the_account_of_their_generation() {
        assert_eq!(
            default_topic(Generation::Lva),
            "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local/providers/microsoft.media/mediaservices/local"
        );
        assert!(
            topic(Generation::VideoAnalyzer, "s", "g", "a").ends_with("/Microsoft.Media/videoAnalyzers/a")
        );
    }
}
