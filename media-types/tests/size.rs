//! The crate stays small: every type here is a word that all crates must know.

use std::fs;
use std::path::Path;

const MOST_TYPES: usize = 15;

#[test]
fn at_most_fifteen_public_types() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut types = Vec::new();
    for entry in fs::read_dir(sources).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        types.extend(
            text.lines()
                .filter_map(|line| {
                    let rest = line.strip_prefix("pub ")?;
                    let mut words = rest.split_whitespace();
                    let kind = words.next()?;
                    ["struct", "enum", "trait", "type", "union"]
                        .contains(&kind)
                        .then(|| words.next().map(str::to_owned))?
                })
                .collect::<Vec<_>>(),
        );
    }
    assert!(
        types.iter().any(|name| name.starts_with("MediaTime")),
        "{types:?}"
    );
    assert!(types.len() <= MOST_TYPES, "{} types: {types:?}", types.len());
}
