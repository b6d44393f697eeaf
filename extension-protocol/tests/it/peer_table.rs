//! The README's table of real peers is made of the tests' own lines.

use std::path::Path;

const BEGIN: &str = "<!-- peers -->\n";
const END: &str = "<!-- /peers -->";

/// The rows in the doc comments of tests, each directly above its test.
fn rows(source: &str) -> Vec<String> {
    let lines: Vec<&str> = source.lines().collect();
    lines
        .windows(2)
        .filter(|pair| pair[1].starts_with("#[tokio::test"))
        .map(|pair| {
            pair[0]
                .strip_prefix("/// |")
                .unwrap_or_else(|| panic!("a test without a row: {pair:?}"))
        })
        .map(|row| format!("|{row}"))
        .collect()
}

#[test]
fn peers_of_the_readme_are_those_of_the_tests() {
    let mut table = String::from("| peer | behaviour | what we do |\n|---|---|---|\n");
    for source in [
        include_str!("quirks_of_clients.rs"),
        include_str!("quirks_of_servers.rs"),
    ] {
        for row in rows(source) {
            assert_eq!(row.matches('|').count(), 4, "{row}");
            table += &row;
            table.push('\n');
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (present, after) = rest.split_once(END).unwrap();
    if std::env::var_os("LVA_WRITE_README").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert!(present == table, "run this test with LVA_WRITE_README=1");
    }
}
