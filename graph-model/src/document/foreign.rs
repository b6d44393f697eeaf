//! What a document is that is not JSON: another format, another encoding, or characters that JSON does not have.

use super::DocumentError;

/// Encodings other than UTF-8, by their first bytes: PowerShell writes UTF-16.
pub(crate) fn encoding(bytes: &[u8]) -> Option<DocumentError> {
    let is_utf16 = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        // Without a mark: JSON begins with an ASCII character.
        [first, 0, ..] | [0, first, ..] => first.is_ascii_graphic(),
        _ => false,
    };
    is_utf16.then_some(DocumentError::OtherFormat {
        found: "text in UTF-16",
        remedy: "save it as UTF-8, in PowerShell with 'Out-File -Encoding utf8'",
    })
}

/// Formats that people have in files by mistake, by their first words.
pub(crate) fn format(text: &str) -> Option<DocumentError> {
    let text = text.trim_start();
    let begins = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    let first_line = text.lines().next().unwrap_or_default();
    let is_member_of_yaml = || {
        let name = first_line
            .split_once(':')
            .filter(|(_, rest)| rest.is_empty() || rest.starts_with(' '));
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '$' | '_' | '-' | '.');
        name.is_some_and(|(name, _)| !name.is_empty() && name.chars().all(fits))
    };
    let (found, remedy) = if text.is_empty() {
        ("an empty file", "download or save it again")
    } else if begins(&["<"]) {
        (
            "a page in HTML or XML",
            "download the file itself, on GitHub by 'Raw'",
        )
    } else if begins(&["version https://git-lfs"]) {
        (
            "a pointer of Git LFS",
            "fetch the file itself with 'git lfs pull'",
        )
    } else if begins(&["param ", "resource ", "targetScope", "@description(", "metadata "]) {
        (
            "a Bicep file",
            "compile it with 'az bicep build', and give the JSON",
        )
    } else if begins(&["{'", "[{'"]) {
        ("an object as Python prints it", "write it with json.dumps()")
    } else if begins(&["---", "- "]) || is_member_of_yaml() {
        ("YAML", "convert it to JSON")
    } else {
        return None;
    };
    Some(DocumentError::OtherFormat { found, remedy })
}

/// What word processors, translated pages and other dialects leave outside of strings, up to the line where parsing failed.
pub(crate) fn character(text: &str, last_line: usize) -> Option<DocumentError> {
    let (mut in_text, mut escaped) = (false, false);
    for (line, content) in text.lines().enumerate().take(last_line) {
        for (column, (at, c)) in content.char_indices().enumerate() {
            let (line, column) = (line + 1, column + 1);
            match c {
                _ if escaped => escaped = false,
                '\\' if in_text => escaped = true,
                '"' => in_text = !in_text,
                _ if in_text => {}
                '“' | '”' | '„' | '‟' | '‘' | '’' | '‚' | '‛' => {
                    return Some(DocumentError::TypographicQuote {
                        line,
                        column,
                        found: c,
                    });
                }
                _ => {
                    if let Some((found, remedy)) = not_in_json(c, content.get(at..).unwrap_or_default()) {
                        return Some(DocumentError::NotInJson {
                            line,
                            column,
                            found,
                            remedy,
                        });
                    }
                }
            }
        }
    }
    None
}

/// A character outside of strings, with the rest of its line.
fn not_in_json(c: char, rest: &str) -> Option<(&'static str, &'static str)> {
    Some(match c {
        '#' => ("a comment", "JSON has none: remove it"),
        '/' if rest.starts_with("//") || rest.starts_with("/*") => ("a comment", "JSON has none: remove it"),
        '\'' => ("a single quote", "write a straight double quote (\")"),
        '：' | '，' | '｛' | '｝' | '［' | '］' | '＂' => (
            "a full-width character",
            "write the ASCII one; translated pages have others",
        ),
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{3000}' => {
            ("a space that is not ASCII", "write an ordinary space")
        }
        '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{feff}' => {
            ("an invisible character", "remove it")
        }
        '…' => ("an ellipsis", "fill in what was left out"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::json_from_slice;
    use super::*;

    #[test]
    fn another_format_is_named_with_what_to_do() {
        for (text, found) in [
            ("\n<!DOCTYPE html><html></html>", "HTML"),
            (
                "version https://git-lfs.github.com/spec/v1\noid sha256:0",
                "Git LFS",
            ),
            (
                "param name string\nresource graph 'Microsoft.Media/x' = {}",
                "Bicep",
            ),
            ("---\nname: x", "YAML"),
            ("@apiVersion: '1.0'\nname: x", "YAML"),
            ("properties:\n  sources: []", "YAML"),
        ] {
            let error = json_from_slice(text.as_bytes()).unwrap_err();
            assert!(matches!(error, DocumentError::OtherFormat { .. }), "{error}");
            assert!(
                error.to_string().contains(found) && error.code() == "NotJson",
                "{error}"
            );
        }
        for text in ["{", "x", "{name: 1}", "\"a\": 1"] {
            let error = json_from_slice(text.as_bytes()).unwrap_err();
            assert!(matches!(error, DocumentError::NotJson { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn a_typographic_quote_is_named_where_it_stands_outside_of_a_text() {
        let found = json_from_slice("{\n  “name”: 1}".as_bytes()).unwrap_err();
        assert!(
            matches!(
                found,
                DocumentError::TypographicQuote {
                    line: 2,
                    column: 3,
                    found: '“'
                }
            ),
            "{found}"
        );
        assert!(json_from_slice("{\"a\": \"“quoted”\"}".as_bytes()).is_ok());
        let other = json_from_slice("{\"a\": \"“x”\", }".as_bytes()).unwrap_err();
        assert!(matches!(other, DocumentError::NotJson { .. }), "{other}");
    }

    #[test]
    fn what_json_does_not_have_is_named_where_it_stands() {
        for (text, found, place) in [
            ("{\n  // the camera\n  \"a\": 1}", "a comment", (2, 3)),
            ("/* x */ {}", "a comment", (1, 1)),
            ("{\"a\": 1, # x\n}", "a comment", (1, 10)),
            ("{\"a\"：1}", "a full-width character", (1, 5)),
            ("{\"a\":\u{a0}1}", "a space that is not ASCII", (1, 6)),
            ("{\"a\": 'x'}", "a single quote", (1, 7)),
            ("{\u{200b}\"a\": 1}", "an invisible character", (1, 2)),
            ("{\"a\": [1, …]}", "an ellipsis", (1, 11)),
        ] {
            let error = json_from_slice(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(found), "{text}: {error}");
            assert_eq!(
                (error.code(), error.line_column()),
                ("NotJson", Some(place)),
                "{text}"
            );
        }
        assert!(json_from_slice("{\"a\": \"# // ：'…\"}".as_bytes()).is_ok());
    }

    #[test]
    fn utf_16_is_named() {
        let words = |bytes: &[u8]| json_from_slice(bytes).unwrap_err().to_string();
        let little: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [
            &little,
            &big,
            &[&[0xff, 0xfe], &little[..]].concat(),
            &[&[0xfe, 0xff], &big[..]].concat(),
        ] {
            assert!(words(bytes).contains("UTF-16"), "{bytes:?}");
        }
        assert!(words(b"").contains("an empty file"));
        assert!(words(b"{'name': 'x'}").contains("json.dumps()"));
    }
}
