//! The findings about a file, for people at a command line and for programs.

use std::fmt::Write as _;

use lva_media_types::clean_text;
use serde_json::{Value, json};

use crate::check::resolve;
use crate::custom::CustomNodeTypes;
use crate::diagnostic::{Diagnostic, DocumentKind, Severity, Strictness};
use crate::document::DocumentError;
use crate::generation::Generation;
use crate::instance::Instance;
use crate::topology::{NodeCounts, Topology};

/// The findings about a file with a topology, whether it could be read or not.
#[derive(Debug, Clone, PartialEq)]
pub struct FileReport {
    /// The file, as it was named.
    pub file: String,
    /// The topology, where there is one.
    pub topology: Option<Topology>,
    /// Everything found, errors first.
    pub findings: Vec<FileFinding>,
}

/// One thing found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFinding {
    /// How much it matters.
    pub severity: Severity,
    /// A [`DiagnosticCode`](crate::DiagnosticCode), or the name of what kept the file from being read.
    pub code: String,
    /// JSON pointer; empty for the whole.
    pub pointer: String,
    /// Line and column, from 1, of a syntax error.
    pub line_column: Option<(usize, usize)>,
    /// Whether it is in the instance, and not in the topology.
    pub is_in_instance: bool,
    /// Cause and remedy in a sentence.
    pub message: String,
}

impl FileFinding {
    fn of(finding: Diagnostic) -> Self {
        Self {
            severity: finding.severity,
            code: finding.code.as_str().to_owned(),
            pointer: finding.pointer,
            line_column: None,
            is_in_instance: finding.document == DocumentKind::Instance,
            message: finding.message,
        }
    }

    /// A document that cannot be read.
    fn unreadable(error: &DocumentError, is_in_instance: bool) -> Self {
        Self {
            severity: Severity::Error,
            code: error.code().to_owned(),
            pointer: String::new(),
            line_column: error.line_column(),
            is_in_instance,
            message: error.to_string(),
        }
    }
}

impl FileReport {
    /// Looks at a file with a topology, and at an instance of it where one is given.
    pub fn of(
        file: impl Into<String>,
        bytes: &[u8],
        instance: Option<&Result<Instance, DocumentError>>,
        strictness: Strictness,
    ) -> Self {
        Self::with_custom_types(file, bytes, instance, strictness, CustomNodeTypes::default())
    }

    /// The same, with nodes of these types beside those of the contract.
    pub fn with_custom_types(
        file: impl Into<String>,
        bytes: &[u8],
        instance: Option<&Result<Instance, DocumentError>>,
        strictness: Strictness,
        custom_types: CustomNodeTypes,
    ) -> Self {
        let mut report = Self {
            file: file.into(),
            topology: None,
            findings: Vec::new(),
        };
        let topology = match Topology::from_slice(bytes) {
            Ok(topology) => topology.with_custom_types(custom_types),
            Err(error) => {
                report.findings.push(FileFinding::unreadable(&error, false));
                return report;
            }
        };
        let found = match instance {
            None => topology.validate(strictness),
            Some(Ok(instance)) => match resolve(&topology, instance, strictness) {
                Ok(resolved) => resolved.findings,
                Err(error) => error.findings,
            },
            Some(Err(error)) => {
                report.findings.push(FileFinding::unreadable(error, true));
                topology.validate(strictness)
            }
        };
        report.findings.extend(found.into_iter().map(FileFinding::of));
        report.topology = Some(topology);
        report
    }

    /// Adds what a runtime finds in the graph of the topology.
    pub fn add(&mut self, found: impl IntoIterator<Item = Diagnostic>) {
        self.findings.extend(found.into_iter().map(FileFinding::of));
        self.findings
            .sort_by_key(|found| std::cmp::Reverse(found.severity));
    }

    /// Of a file that cannot be opened.
    pub fn unreadable(file: impl Into<String>, error: &std::io::Error) -> Self {
        let found = FileFinding {
            severity: Severity::Error,
            code: "Unreadable".to_owned(),
            pointer: String::new(),
            line_column: None,
            is_in_instance: false,
            message: format!("the file cannot be read: {error}"),
        };
        Self {
            file: file.into(),
            topology: None,
            findings: vec![found],
        }
    }

    /// Whether it has no errors.
    pub fn is_ok(&self) -> bool {
        self.findings
            .iter()
            .all(|found| found.severity != Severity::Error)
    }

    /// As compilers write: `FILE: ok`, or a line for each error; with a line for each warning and for each form that was
    /// understood, and for each hint where they are asked for.
    pub fn to_text(&self, hints: bool) -> String {
        let mut text = String::new();
        if self.is_ok() {
            let _ = writeln!(text, "{}: ok", self.file);
        }
        for found in &self.findings {
            if found.severity == Severity::Hint && !hints {
                continue;
            }
            let FileFinding {
                severity,
                code,
                message,
                ..
            } = found;
            text.push_str(&self.file);
            if found.is_in_instance {
                text.push_str(" (instance)");
            }
            if let Some((line, column)) = found.line_column {
                let _ = write!(text, ":{line}:{column}");
            }
            let _ = write!(text, ": {severity} {code}");
            if !found.pointer.is_empty() {
                let _ = write!(text, " at {}", clean_text(&found.pointer, 500));
            }
            let _ = writeln!(text, ": {message}");
        }
        text
    }

    /// One object: `file`, `generation` (`lva-1.0`, `lva-2.0`, `ava-1.0`, `ava-1.1`, or null), `ok`, `errors` and
    /// `warnings` (hints and infos among them) with `code`, `pointer` and `message`, `nodes` and `parameters` as counts.
    pub fn to_json(&self) -> Value {
        let list = |is_error: bool| -> Vec<Value> {
            let found = self.findings.iter();
            found
                .filter(|found| (found.severity == Severity::Error) == is_error)
                .map(|found| {
                    let message = if found.is_in_instance {
                        format!("instance: {}", found.message)
                    } else {
                        found.message.clone()
                    };
                    json!({"code": found.code, "pointer": found.pointer, "message": message})
                })
                .collect()
        };
        let topology = self.topology.as_ref();
        let NodeCounts {
            sources,
            processors,
            sinks,
        } = topology.map(Topology::node_counts).unwrap_or_default();
        json!({
            "file": self.file,
            "generation": topology.map(|topology| topology.generation().tag()),
            "ok": self.is_ok(),
            "errors": list(true),
            "warnings": list(false),
            "nodes": {"sources": sources, "processors": processors, "sinks": sinks},
            "parameters": topology.map_or(0, |topology| topology.parameters().len()),
        })
    }
}

impl Generation {
    /// A short name for machines: `lva-1.0`, `lva-2.0`, `ava-1.0`, `ava-1.1`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Lva1 => "lva-1.0",
            Self::Lva2 => "lva-2.0",
            Self::VideoAnalyzer1 => "ava-1.0",
            Self::VideoAnalyzer1_1 => "ava-1.1",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r##"{"@apiVersion": "2.0", "name": "t", "properties": {
        "parameters": [{"name": "url", "type": "String"}],
        "sources": [{"@type": "#Microsoft.Media.MediaGraphRtspSource", "name": "camera", "endpoint": {
            "@type": "#Microsoft.Media.MediaGraphUnsecuredEndpoint", "url": "${url}"}}],
        "sinks": [{"@type": "#Microsoft.Media.MediaGraphAssetSink", "name": "asset", "inputs": [{"nodeName": "camera"}],
            "assetNamePattern": "a", "localMediaCachePath": "/c", "localMediaCacheMaximumSizeMiB": "20", "color": "red"}]}}"##;

    fn report(text: &str, instance: Option<&Result<Instance, DocumentError>>) -> FileReport {
        FileReport::of("a.json", text.as_bytes(), instance, Strictness::Open)
    }

    #[test]
    fn a_file_is_ok_with_its_warnings_or_a_line_for_each_error() {
        let fine = report(MINIMAL, None);
        assert_eq!(
            fine.to_text(true),
            "a.json: ok\na.json: warning UnknownMember at /properties/sinks/0/color: sink 'asset' has no member 'color': \
             it is ignored\n"
        );
        let broken = report(
            &MINIMAL.replace("\"nodeName\": \"camera\"", "\"nodeName\": \"cam\""),
            None,
        );
        assert!(!broken.is_ok());
        let text = broken.to_text(false);
        assert!(
            text.starts_with(
                "a.json: error NodeNotFound at /properties/sinks/0/inputs/0/nodeName: sink 'asset'"
            ),
            "{text}"
        );
        assert!(!text.contains(": ok"));
    }

    #[test]
    fn names_of_a_document_forge_no_lines() {
        let forged = r#""sinks": [{"ok\nb.json: ok\u001b[31m": 1, "#;
        let document = MINIMAL.replacen("\"sinks\": [{", forged, 1);
        assert_ne!(document, MINIMAL);
        let text = report(&document, None).to_text(true);
        assert!(text.contains("b.json: ok"), "{text}");
        assert!(text.lines().all(|line| line.starts_with("a.json")), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_file_that_is_none_says_where() {
        let text = report("{\n \"a\": }", None).to_text(false);
        assert_eq!(
            text,
            "a.json:2:7: error NotJson: not JSON: expected value at line 2 column 7: fix the syntax there\n"
        );
        let cloud = report("{\"name\": \"c\", \"kind\": \"live\"}", None);
        assert_eq!(cloud.to_json()["errors"][0]["code"], "CloudTopology");
        let gone = FileReport::unreadable("b.json", &std::io::ErrorKind::NotFound.into());
        assert_eq!(
            gone.to_json(),
            json!({
                "file": "b.json", "generation": null, "ok": false,
                "errors": [{"code": "Unreadable", "pointer": "", "message": "the file cannot be read: entity not found"}],
                "warnings": [], "nodes": {"sources": 0, "processors": 0, "sinks": 0}, "parameters": 0,
            })
        );
    }

    #[test]
    fn an_instance_is_looked_at_with_its_topology() {
        let fine = Ok(Instance::new("i", "t", [("url", "rtsp://cam/1")]));
        let with_value = report(MINIMAL, Some(&fine));
        assert!(with_value.is_ok());
        assert_eq!(
            with_value.to_json()["nodes"],
            json!({"sources": 1, "processors": 0, "sinks": 1})
        );
        let without = report(MINIMAL, Some(&Ok(Instance::new("i", "t", []))));
        let text = without.to_text(false);
        assert!(
            text.starts_with("a.json (instance): error ParameterMissing at /properties/parameters: "),
            "{text}"
        );
        let message = without.to_json()["errors"][0]["message"].clone();
        assert!(
            message
                .as_str()
                .unwrap_or_default()
                .starts_with("instance: parameter 'url'")
        );
        let unreadable = report(MINIMAL, Some(&Instance::from_json("[]")));
        assert_eq!(unreadable.to_json()["errors"][0]["code"], "WrongShape");
        assert_eq!(unreadable.to_json()["generation"], "lva-2.0");
    }
}
