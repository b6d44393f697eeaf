//! Documents in other forms than the contract's, whose meaning is plain: what people keep around them, and members under
//! other names.
//!
//! A document is read in the contract's form from here on. What was read otherwise is reported by a finding, and findings
//! point into the document as it was written.

mod envelope;
mod members;
mod resource;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diagnostic::{Diagnostic, DiagnosticCode, DocumentKind, Findings};
use crate::document::{DocumentError, step};

pub(crate) use self::envelope::unwrapped;

/// Which document is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Topology,
    Instance,
}

impl Wanted {
    /// With its article.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Topology => "a topology",
            Self::Instance => "an instance",
        }
    }
}

/// How a document was written that is held in the contract's form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    /// Where it stands in what was read.
    base: String,
    /// By pointer, members that have another name there; `None` for a level that is not there.
    renamed: BTreeMap<String, Option<String>>,
    /// What to report: pointer as written, and message.
    notes: Vec<(String, String)>,
    /// What has no value, in the same form.
    errors: Vec<(String, String)>,
}

/// It is a document of another kind.
fn other_document(wanted: Wanted, found: String, remedy: &'static str) -> DocumentError {
    DocumentError::OtherDocument {
        wanted: wanted.what(),
        found,
        remedy,
    }
}

/// Reads a document in whatever form its meaning is plain.
pub(crate) fn read(value: Value, wanted: Wanted) -> Result<(Value, Form), DocumentError> {
    let mut form = Form::default();
    let mut value = envelope::unwrap(value, wanted, &mut form)?;
    members::rename(&mut value, &mut form);
    if wanted == Wanted::Instance {
        members::list_parameters(&mut value, &mut form);
    }
    Ok((value, form))
}

impl Form {
    /// The place in the document as it was written.
    pub(crate) fn written(&self, pointer: &str) -> String {
        let (mut here, mut written) = (String::new(), self.base.clone());
        for token in pointer.split('/').skip(1) {
            here.push('/');
            here.push_str(token);
            match self.renamed.get(&here) {
                None => {
                    written.push('/');
                    written.push_str(token);
                }
                Some(Some(name)) => written = step(&written, name),
                Some(None) => {}
            }
        }
        written
    }

    fn is_plain(&self) -> bool {
        self.base.is_empty() && self.renamed.is_empty()
    }

    fn note(&mut self, pointer: String, message: impl Into<String>) {
        self.notes.push((pointer, message.into()));
    }

    fn error(&mut self, pointer: String, message: String) {
        self.errors.push((pointer, message));
    }

    /// Adds a finding for each note.
    pub(crate) fn report(&self, document: DocumentKind, findings: &mut Findings) {
        findings.in_document(document);
        for (pointer, message) in &self.notes {
            findings.info(DiagnosticCode::OtherForm, pointer, message.as_str());
        }
        for (pointer, message) in &self.errors {
            findings.error(DiagnosticCode::ExpressionWithoutValue, pointer, message.as_str());
        }
    }

    /// Makes the findings about a document point to what was written.
    pub(crate) fn relocate(&self, document: DocumentKind, findings: &mut [Diagnostic]) {
        if self.is_plain() {
            return;
        }
        let placed = [DiagnosticCode::OtherForm, DiagnosticCode::ExpressionWithoutValue];
        let own = findings
            .iter_mut()
            .filter(|found| found.document == document && !placed.contains(&found.code));
        for found in own {
            found.pointer = self.written(&found.pointer);
        }
    }
}
