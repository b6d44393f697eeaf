//! The same topology in a later generation: the edits that the published upgrade notes ask people to make by hand.

mod edit;
mod lva_2;
mod video_analyzer;

use std::fmt;

use serde_json::Value;

use self::edit::Draft;
use crate::diagnostic::{Diagnostic, Strictness, summary};
use crate::document::set;
use crate::generation::{Family, Generation};
use crate::instance::Instance;
use crate::redact;
use crate::topology::Topology;

/// A topology in another generation, and what became of it on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// The topology. It has no errors, whatever the notes say.
    pub topology: Topology,
    /// What a person should know, in the order in which it was met. Changes of spelling alone are not noted.
    pub notes: Vec<ConversionNote>,
}

/// Something that a conversion did which is more than spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversionNote {
    /// Of which kind it is.
    pub kind: NoteKind,
    /// The node that it is about, by its name as written.
    pub node: Option<String>,
    /// What happened, with what to do about it where there is something.
    pub message: String,
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoteKind {
    /// Said in another way, with the same meaning.
    Changed,
    /// A value that the later generation demands was put in.
    Added,
    /// Could not be carried over.
    Lost,
}

impl fmt::Display for ConversionNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            NoteKind::Changed => "changed",
            NoteKind::Added => "added",
            NoteKind::Lost => "lost",
        };
        match &self.node {
            Some(node) => write!(f, "{kind} at '{node}': {}", self.message),
            None => write!(f, "{kind}: {}", self.message),
        }
    }
}

/// Why a topology was not converted. The caller's to mend; a retry does not help.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// Conversion goes to later generations only.
    #[error(
        "a topology of {from} cannot be written as one of {to}: conversion goes to later generations only"
    )]
    Backwards {
        /// The topology's own generation.
        from: Generation,
        /// The one that was asked for.
        to: Generation,
    },
    /// The topology has errors: mend them first.
    #[error("the topology has errors, mend them first: {}", summary(findings))]
    Invalid {
        /// All findings, errors first.
        findings: Vec<Diagnostic>,
    },
    /// What came out has errors: what the topology does cannot be said in the later generation.
    #[error("what the topology does cannot be said in {to}: {}", summary(findings))]
    NotExpressible {
        /// The generation that was asked for.
        to: Generation,
        /// What would be wrong with it, errors first.
        findings: Vec<Diagnostic>,
    },
}

impl Topology {
    /// The same topology in its own or a later generation.
    ///
    /// | from → to | done |
    /// |---|---|
    /// | LVA 1.0 → 2.0 | `FrameRateFilterProcessor` → `samplingOptions` of the extensions behind it; `ImageFormatEncoded` → the type of its encoding; `filePathPattern` → folder and name; members that became required are put in with their defaults |
    /// | LVA 2.0 → Video Analyzer 1.0 | types, parameter types and system variables renamed; asset sinks → video sinks (one video instead of one asset a recording); the vision extension gets an `operation` whose text a new parameter gives; gate times below 10 s raised |
    /// | Video Analyzer 1.0 → 1.1 | the version |
    ///
    /// Unknown members stay. Nodes of a program's own types are carried over as they are, but for their inputs and
    /// `samplingOptions` where a frame rate filter before them goes. Whatever is more than spelling stands in [`Converted::notes`].
    ///
    /// # Errors
    ///
    /// [`ConvertError`] for an earlier generation, a topology with errors, and one that cannot be said in the later
    /// generation.
    pub fn convert(&self, to: Generation) -> Result<Converted, ConvertError> {
        let from = self.generation();
        if to < from {
            return Err(ConvertError::Backwards { from, to });
        }
        let findings = self.validate(Strictness::Open);
        if findings.iter().any(Diagnostic::is_error) {
            return Err(ConvertError::Invalid { findings });
        }
        let mut draft = Draft::new(self);
        if from == Generation::Lva1 && to > Generation::Lva1 {
            lva_2::convert(&mut draft);
        }
        if from.family() == Family::Lva && to.family() == Family::VideoAnalyzer {
            video_analyzer::convert(&mut draft);
        }
        let (value, notes) = draft.finish(to);
        let not_expressible = |findings| ConvertError::NotExpressible { to, findings };
        // It has a name and no mark of the cloud service, so it can be read.
        let topology = Topology::from_value(value).map_err(|_| not_expressible(Vec::new()))?;
        let topology = topology.with_custom_types(self.custom_types().clone());
        let findings = topology.validate(Strictness::Open);
        if findings.iter().any(Diagnostic::is_error) {
            return Err(not_expressible(findings));
        }
        Ok(Converted { topology, notes })
    }
}

impl Instance {
    /// The same instance for methods of another generation: another `@apiVersion`, without what only a module writes
    /// (`systemData`, `state`). Parameters that a conversion of its topology has added still need values.
    pub fn convert(&self, to: Generation) -> Self {
        let mut value = redact::as_written(self.to_value());
        if let Value::Object(map) = &mut value {
            set(map, "@apiVersion", to.api_version().into());
        }
        // Neither name nor shape has changed.
        Self::from_value(value).unwrap_or_else(|_| self.clone())
    }
}
