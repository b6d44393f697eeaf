//! What programs print and log, so that no foreign text acts on a terminal.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::IsTerminal;

use lva_media_types::clean_text;
use tracing_subscriber::EnvFilter;

/// Logs what passes the filter to standard error, in colours only on a terminal and unless `NO_COLOR` is set.
pub fn log(filter: &str) {
    let no_color = std::env::var_os("NO_COLOR");
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(has_colours(std::io::stderr().is_terminal(), no_color.as_deref()))
        .with_env_filter(EnvFilter::new(filter))
        .init();
}

/// As <https://no-color.org> has it: an empty variable does not count.
fn has_colours(is_terminal: bool, no_color: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty)
}

/// JSON whose strings move no cursor: what JSON need not escape and terminals act on is escaped too.
pub fn printable(json: &str) -> Cow<'_, str> {
    if json.is_ascii() {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        match clean_text(letter.encode_utf8(&mut [0; 4]), 1).chars().next() {
            Some(shown) if shown == letter => out.push(letter),
            _ => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn printed_json_moves_no_cursor_and_says_the_same() {
        let foreign = "grün \u{9b}31m \u{202e}\u{1b}[2J\n";
        let line = json!({ "tag": foreign }).to_string();
        let shown = printable(&line);
        assert!(
            shown.contains("grün") && !shown.contains(['\u{9b}', '\u{202e}', '\u{1b}', '\n']),
            "{shown}"
        );
        let read: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read["tag"], foreign);
    }

    #[test]
    fn colours_are_for_terminals_whose_user_does_not_forbid_them() {
        assert!(has_colours(true, None) && has_colours(true, Some(OsStr::new(""))));
        assert!(!has_colours(true, Some(OsStr::new("1"))) && !has_colours(false, None));
    }
}
