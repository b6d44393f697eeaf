//! Names of classes from the file's metadata, and from files beside it.

use std::path::Path;

use crate::onnx::ModelGraph;

/// Bytes of a file of names that are read.
const MAX_BYTES: u64 = 1 << 20;
/// Names that are taken.
const MAX_NAMES: usize = u16::MAX as usize;

/// Names in the model's order, and where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) names: Vec<String>,
    /// As the end of "80 classes …".
    pub(super) from: String,
}

impl Names {
    /// `names` of the metadata: a Python dictionary or list as text, or JSON.
    pub(super) fn in_metadata(graph: &ModelGraph) -> Option<Self> {
        let text = graph.metadata("names").or_else(|| graph.metadata("classes"))?;
        let mut names = literal(text);
        // Some write the words alone.
        if names.is_empty() && !text.contains(['{', '[', '\'', '"', ':']) {
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            names = words.take(MAX_NAMES).map(str::to_owned).collect();
        }
        (!names.is_empty()).then(|| Self {
            names,
            from: "named in the file".to_owned(),
        })
    }

    /// A file with one name a line beside the model: its own `.names`, `labels.txt`, `classes.txt`, `coco.names`.
    pub(super) fn beside(model: &Path) -> Option<Self> {
        let own = model.with_extension("names");
        let others = ["labels.txt", "classes.txt", "coco.names"].map(|name| model.with_file_name(name));
        for file in [own].into_iter().chain(others) {
            let Some(text) = read(&file) else { continue };
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let names: Vec<_> = lines.take(MAX_NAMES).map(str::to_owned).collect();
            if !names.is_empty() {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                return Some(Self {
                    names,
                    from: format!("named in {name}"),
                });
            }
        }
        None
    }
}

/// A small text file; `None` if it is none.
pub(super) fn read(file: &Path) -> Option<String> {
    let about = std::fs::metadata(file).ok()?;
    if !about.is_file() || about.len() > MAX_BYTES {
        return None;
    }
    std::fs::read_to_string(file).ok()
}

/// The quoted values of `{0: 'person', 1: "car"}`, `['person', 'car']` or `{"0": "person"}`, in the order of their
/// numbers.
fn literal(text: &str) -> Vec<String> {
    let mut numbered = Vec::new();
    let mut key: Option<usize> = None;
    let mut rest = text.trim();
    while let Some(start) = rest.find(|c: char| c == '\'' || c == '"' || c.is_ascii_digit()) {
        let (_, from) = rest.split_at(start);
        let (word, after) = match from.chars().next() {
            Some(quote @ ('\'' | '"')) => quoted(from, quote),
            _ => {
                let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
                let (number, after) = from.split_at(end);
                (number.to_owned(), after)
            }
        };
        let after = after.trim_start();
        if let Some(value) = after.strip_prefix(':') {
            key = word.parse().ok();
            rest = value;
        } else {
            let number = key.take().unwrap_or(numbered.len());
            if numbered.len() == MAX_NAMES || number >= MAX_NAMES {
                return Vec::new();
            }
            numbered.push((number, word));
            rest = after;
        }
    }
    numbered.sort_by_key(|(number, _)| *number);
    // Numbers without a gap, or nothing.
    let whole = numbered.iter().enumerate().all(|(i, (number, _))| i == *number);
    if whole {
        numbered.into_iter().map(|(_, name)| name).collect()
    } else {
        Vec::new()
    }
}

/// A quoted text with its escapes taken out, and what follows it.
fn quoted(text: &str, quote: char) -> (String, &str) {
    let mut word = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => {
                word.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            c if c == quote => return (word, text.get(at + 1..).unwrap_or_default()),
            c => word.push(c),
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn python_and_json() {
        assert_eq!(
            literal("{0: 'person', 1: \"driver's cab\", 2: 'a\\'b'}"),
            ["person", "driver's cab", "a'b"]
        );
        assert_eq!(literal("{1: 'b', 0: 'a'}"), ["a", "b"]);
        assert_eq!(literal("['person', 'car']"), ["person", "car"]);
        assert_eq!(literal("{\"0\": \"person\", \"1\": \"2\"}"), ["person", "2"]);
        assert_eq!(literal("{0: 'a', 2: 'c'}"), [""; 0], "a gap");
        assert_eq!(literal("nothing"), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,60}") {
            literal(&text);
        }
    }
}
