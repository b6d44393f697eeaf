//! Sinks.

use std::time::Duration;

use super::members::Members;
use super::{Presence, Reader, ValueError};
use crate::diagnostic::DiagnosticCode;
use crate::generation::{Family, Generation};
use crate::graph::{AssetSink, FileSink, HubMessageSink, LocalCache, Node, VideoSink};
use crate::kind::NodeKind;
use crate::template::{Pattern, PatternPiece, SystemVariable};

const DAY: Duration = Duration::from_secs(86_400);
const USUAL_SEGMENT: Duration = Duration::from_secs(30);

impl Reader<'_> {
    /// Reads a sink of a kind.
    pub(crate) fn sink(&mut self, kind: NodeKind, node: &mut Members<'_>) -> Option<Node> {
        match kind {
            NodeKind::MessageSink => self.message_sink(node),
            NodeKind::AssetSink => self.asset_sink(node),
            NodeKind::FileSink => self.file_sink(node),
            NodeKind::VideoSink => self.video_sink(node),
            // Not a sink.
            _ => None,
        }
    }

    fn message_sink(&mut self, node: &mut Members<'_>) -> Option<Node> {
        let presence = Presence::InGeneration(self.generation != Generation::Lva1);
        let hub_output_name = self.display_string(node, "hubOutputName", presence);
        Some(Node::MessageSink(HubMessageSink { hub_output_name }))
    }

    fn asset_sink(&mut self, node: &mut Members<'_>) -> Option<Node> {
        let presence = Presence::InGeneration(self.generation == Generation::Lva2);
        let named = node.get("assetNamePattern").is_some();
        let name = self.pattern(node, "assetNamePattern", presence, |pattern| {
            check_asset_name(pattern)
        });
        let segment = self.segment_length(node);
        let cache = self.local_cache(node, presence);
        let name = match name {
            None if named => None,
            name => Some(name.unwrap_or_else(|| {
                let mut pattern = Pattern::default();
                pattern.push_variable(SystemVariable::TopologyName);
                pattern.push_text("-");
                pattern.push_variable(SystemVariable::InstanceName);
                pattern
            })),
        };
        Some(Node::AssetSink(AssetSink {
            asset_name: name?,
            segment_length: segment?,
            cache,
        }))
    }

    fn video_sink(&mut self, node: &mut Members<'_>) -> Option<Node> {
        let name = self.pattern(node, "videoName", Presence::Required, |pattern| {
            if pattern.has_date() {
                let expected = "a name without date variables: all clips go to one video";
                return Err(ValueError::with(
                    DiagnosticCode::SystemVariableNotAllowed,
                    expected,
                ));
            }
            check_asset_name(pattern)
        });
        let (mut title, mut description, mut retention) = (None, None, None);
        let mut segment = Some(USUAL_SEGMENT);
        if let Some(mut members) = node.object("videoCreationProperties", self.findings) {
            let members = &mut members;
            title = self.display_string(members, "title", Presence::Optional);
            description = self.display_string(members, "description", Presence::Optional);
            for (name, text, most) in [("title", &title, 256), ("description", &description, 2048)] {
                let keeps = text.as_ref().is_none_or(|text| text.chars().count() <= most);
                self.limit(members, name, keeps, &format!("at most {most} characters"));
            }
            segment = self.segment_length(members);
            self.since(
                members,
                "retentionPeriod",
                self.generation == Generation::VideoAnalyzer1_1,
            );
            retention = self.duration(members, "retentionPeriod");
            let whole_days = retention.is_none_or(|r| r >= DAY && r.as_millis() % DAY.as_millis() == 0);
            self.limit(members, "retentionPeriod", whole_days, "a multiple of one day");
            members.finish(self.findings);
        }
        let mut preview_image = false;
        self.since(
            node,
            "videoPublishingOptions",
            self.generation == Generation::VideoAnalyzer1_1,
        );
        if let Some(mut members) = node.object("videoPublishingOptions", self.findings) {
            preview_image = self
                .boolean(&mut members, "enableVideoPreviewImage")
                .unwrap_or(false);
            members.finish(self.findings);
        }
        let needs_cache = self.generation.family() == Family::VideoAnalyzer;
        let cache = self.local_cache(node, Presence::InGeneration(needs_cache));
        Some(Node::VideoSink(VideoSink {
            video_name: name?,
            title,
            description,
            segment_length: segment?,
            retention,
            preview_image,
            cache,
        }))
    }

    /// `None` when it is there and cannot be used.
    fn segment_length(&mut self, members: &mut Members<'_>) -> Option<Duration> {
        if members.get("segmentLength").is_none() {
            return Some(USUAL_SEGMENT);
        }
        let length = self.duration(members, "segmentLength")?;
        let keeps = (30..=300).contains(&length.as_secs()) && length.as_millis() % 30_000 == 0;
        let rule = "a multiple of 30 seconds, from 30 seconds to 5 minutes,";
        self.limit(members, "segmentLength", keeps, rule);
        if length.is_zero()
            && let Some((_, at)) = members.get("segmentLength")
        {
            let message = format!("'segmentLength' of {} is 0: make it longer", members.what);
            self.findings.error(DiagnosticCode::OutOfRange, &at, message);
            return None;
        }
        Some(length)
    }

    fn local_cache(&mut self, node: &mut Members<'_>, presence: Presence) -> LocalCache {
        LocalCache {
            path: self.display_string(node, "localMediaCachePath", presence),
            maximum_bytes: self.mebibytes(node, "localMediaCacheMaximumSizeMiB", presence),
        }
    }

    fn file_sink(&mut self, node: &mut Members<'_>) -> Option<Node> {
        if node.get("filePathPattern").is_some() {
            return self.file_sink_by_path(node);
        }
        let directory = self.pattern(node, "baseDirectoryPath", Presence::Required, check_directory);
        let file_name = self.pattern(node, "fileNamePattern", Presence::Required, check_file_name);
        if let Some(file_name) = &file_name {
            self.check_varies(node, "fileNamePattern", file_name);
        }
        let presence = Presence::InGeneration(self.generation != Generation::Lva1);
        let maximum_bytes = self.mebibytes(node, "maximumSizeMiB", presence);
        self.since(node, "fileNamePattern", self.generation != Generation::Lva1);
        Some(Node::FileSink(FileSink {
            directory: directory?,
            file_name: file_name?,
            maximum_bytes,
        }))
    }

    /// The form of LVA 1.0: directory and name in one.
    fn file_sink_by_path(&mut self, node: &mut Members<'_>) -> Option<Node> {
        self.since(node, "filePathPattern", self.generation == Generation::Lva1);
        let maximum_bytes = self.mebibytes(node, "maximumSizeMiB", Presence::Optional);
        for name in ["baseDirectoryPath", "fileNamePattern"] {
            if let Some((_, at)) = node.get(name) {
                let message = format!("'{name}' has no effect next to 'filePathPattern': remove one of them");
                self.findings.warning(DiagnosticCode::MemberIgnored, &at, message);
            }
        }
        let path = self.pattern(node, "filePathPattern", Presence::Required, |pattern| {
            let (directory, name) = split_path(pattern);
            check_directory(&directory)?;
            check_file_name(&name)
        })?;
        let (directory, file_name) = split_path(&path);
        self.check_varies(node, "filePathPattern", &file_name);
        Some(Node::FileSink(FileSink {
            directory,
            file_name,
            maximum_bytes,
        }))
    }

    /// Files with the same name overwrite each other.
    fn check_varies(&mut self, node: &mut Members<'_>, name: &'static str, pattern: &Pattern) {
        if pattern.variables().next().is_none()
            && let Some((_, at)) = node.get(name)
        {
            let message = format!(
                "'{name}' of {} has no system variable, so each file would overwrite the one before: add \
                 ${{{}}}",
                node.what,
                SystemVariable::DateTime.name_in(self.generation.family())
            );
            self.findings
                .warning(DiagnosticCode::SystemVariableMissing, &at, message);
        }
    }
}

fn invalid_pattern(expected: impl Into<String>) -> ValueError {
    ValueError::with(DiagnosticCode::PropertyValueInvalidPattern, expected)
}

/// Characters that asset names cannot have, and their length. Variables count for what they become.
fn check_asset_name(pattern: &Pattern) -> Result<(), ValueError> {
    let mut length = 0;
    for piece in pattern.pieces() {
        match piece {
            PatternPiece::Variable(variable) => length += if variable.is_date() { 20 } else { 1 },
            PatternPiece::Text(text) => {
                length += text.chars().count();
                if let Some(c) = text
                    .chars()
                    .find(|c| "<>%&:\\/?*+.'".contains(*c) || c.is_control())
                {
                    let expected = format!("a name without {c:?}; none of <>%&:\\/?*+.' can be in it");
                    return Err(invalid_pattern(expected));
                }
            }
        }
    }
    if length > 260 {
        let expected = "a name of at most 260 characters";
        return Err(invalid_pattern(expected));
    }
    Ok(())
}

/// A directory that does not lead out of where it is.
fn check_directory(pattern: &Pattern) -> Result<(), ValueError> {
    let whole: String = pattern.pieces().iter().fold(String::new(), |whole, piece| {
        whole
            + match piece {
                PatternPiece::Text(text) => text.as_str(),
                PatternPiece::Variable(_) => "variable",
            }
    });
    match whole.split('/').any(|name| name == "..") || whole.contains('\0') {
        true => Err(invalid_pattern(
            "a directory without '..': write the one that is meant, as seen from the recordings or from '/'",
        )),
        false => Ok(()),
    }
}

fn check_file_name(pattern: &Pattern) -> Result<(), ValueError> {
    let mut texts = pattern.pieces().iter().filter_map(|piece| match piece {
        PatternPiece::Text(text) => Some(text.as_str()),
        PatternPiece::Variable(_) => None,
    });
    if texts.clone().any(|text| text.contains(['/', '\0'])) {
        let expected = "a file's name, without '/': write the directory in 'baseDirectoryPath'";
        return Err(invalid_pattern(expected));
    }
    if pattern.pieces().is_empty()
        || (pattern.variables().count() == 0 && texts.all(|t| t == "." || t == ".."))
    {
        let expected = "a path that ends in a file's name";
        return Err(invalid_pattern(expected));
    }
    Ok(())
}

/// Directory and name, split at the last slash; the current directory without one.
fn split_path(path: &Pattern) -> (Pattern, Pattern) {
    let (mut directory, mut name) = (Pattern::default(), Pattern::default());
    let slash = path
        .pieces()
        .iter()
        .rposition(|piece| matches!(piece, PatternPiece::Text(text) if text.contains('/')));
    for (i, piece) in path.pieces().iter().enumerate() {
        let in_directory = slash.is_some_and(|slash| i < slash);
        match piece {
            PatternPiece::Text(text) if slash == Some(i) => {
                let (before, after) = text.rsplit_once('/').unwrap_or(("", text));
                directory.push_text(before);
                // The root directory is a slash.
                if directory.is_empty() {
                    directory.push_text("/");
                }
                name.push_text(after);
            }
            PatternPiece::Text(text) if in_directory => directory.push_text(text),
            PatternPiece::Text(text) => name.push_text(text),
            PatternPiece::Variable(variable) if in_directory => directory.push_variable(*variable),
            PatternPiece::Variable(variable) => name.push_variable(*variable),
        }
    }
    if directory.is_empty() {
        directory.push_text(".");
    }
    if path.is_secret() {
        directory.set_secret();
        name.set_secret();
    }
    (directory, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_at_its_last_slash() {
        let split = |pieces: &[&str]| {
            let mut pattern = Pattern::default();
            for piece in pieces {
                match SystemVariable::from_name(piece) {
                    Some(variable) => pattern.push_variable(variable),
                    None => pattern.push_text(piece),
                }
            }
            let (directory, name) = split_path(&pattern);
            (directory.to_string(), name.to_string())
        };
        assert_eq!(split(&["/var/media/a-", "System.DateTime"]).0, "/var/media");
        assert_eq!(
            split(&["/var/media/a-", "System.DateTime"]).1,
            "a-${System.DateTime}"
        );
        assert_eq!(split(&["/a"]), ("/".into(), "a".into()));
        assert_eq!(split(&["a"]), (".".into(), "a".into()));
        let inner = split(&["/x/", "System.GraphInstanceName", "/y"]);
        assert_eq!(inner, ("/x/${System.GraphInstanceName}".into(), "y".into()));
    }
}
