//! The page as browsers get it: without comments, indentation and spaces between signs.
//!
//! Names and line breaks stay, so that an error in the browser's console can be found in the source. This reads the page of this
//! crate, not any script: a division after a closing bracket or a name is told from a regular expression by the sign before it.

/// A script without comments and needless spaces.
pub(super) fn script(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    // Braces that are open inside `${…}`, for every template around.
    let mut templates: Vec<usize> = Vec::new();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("/*") => {
                rest = rest.split_once("*/").map_or("", |(_, after)| after);
                continue;
            }
            '/' if rest.starts_with("//") => {
                rest = rest.trim_start_matches(|c| c != '\n');
                continue;
            }
            '/' if begins_expression(&out) => expression(rest),
            '"' | '\'' => 1 + quoted(&rest[1..], first),
            '`' => template(rest, &mut templates),
            '}' if templates.last() == Some(&0) => {
                templates.pop();
                template(rest, &mut templates)
            }
            '{' | '}' => {
                if let Some(open) = templates.last_mut() {
                    *open = if first == '{' { *open + 1 } else { *open - 1 };
                }
                1
            }
            _ if first.is_whitespace() => {
                let after = rest.trim_start();
                let space = &rest[..rest.len() - after.len()];
                let is_needed = |a: char, b: char| is_word(a) && is_word(b) || a == b && "+-".contains(a);
                gap(&mut out, space, after, is_needed);
                rest = after;
                continue;
            }
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        out.push_str(token);
        rest = after;
    }
    out
}

/// A style sheet without comments and needless spaces. It has no strings.
pub(super) fn style(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("/*") {
            rest = rest.split_once("*/").map_or("", |(_, after)| after);
            continue;
        }
        let after = rest.trim_start();
        if first.is_whitespace() {
            let space = &rest[..rest.len() - after.len()];
            gap(&mut out, space, after, |a, b| !"{};:,".contains(a) && !"{}".contains(b));
            rest = after;
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// A document without indentation.
pub(super) fn document(source: &str) -> String {
    source.lines().flat_map(|line| [line.trim_start(), "\n"]).collect()
}

/// Writes what must stay of white space.
fn gap(out: &mut String, space: &str, after: &str, is_needed: impl Fn(char, char) -> bool) {
    let Some(before) = out.chars().next_back() else { return };
    if space.contains('\n') {
        if before != '\n' {
            out.push('\n');
        }
    } else if after.starts_with(|next| is_needed(before, next)) {
        out.push(' ');
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "_$#".contains(c)
}

/// Whether a slash after this begins a regular expression.
fn begins_expression(before: &str) -> bool {
    before.is_empty() || before.ends_with(|c: char| "(,=:[!&|?{};\n".contains(c))
}

/// Length of a regular expression with its slashes.
fn expression(text: &str) -> usize {
    let (mut is_escaped, mut is_in_class) = (false, false);
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '[' => is_in_class = true,
            ']' => is_in_class = false,
            '/' if !is_in_class => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length up to and with the end of a string that has begun.
fn quoted(text: &str, end: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if c == end => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Length of a template's text from its backquote, or from the brace that ends `${…}`, up to and with the next of them.
fn template(text: &str, templates: &mut Vec<usize>) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '`' => return at + 1,
            '{' if text[..at].ends_with('$') => {
                templates.push(0);
                return at + 1;
            }
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::{document, script, style};

    #[test]
    fn comments_and_spaces_of_a_script_go() {
        let source = "/** What. */\nconst a = 1; // one\n\n\tif (a) return { a, b: [c] };\n\t\t// Why.\n\treturn typeof a;\n";
        assert_eq!(script(source), "const a=1;\nif(a)return{a,b:[c]};\nreturn typeof a;\n");
    }

    #[test]
    fn what_would_mean_something_else_stays() {
        for stays in ["a in b", "a + +b", "a - -b", "\"a  // b\"", "'it\\'s  /* b'", "/[/ ]  \"/", "`  a ${b}  \\`  `"] {
            let kept = script(stays);
            let expected = stays.replace("a + +b", "a+ +b").replace("a - -b", "a- -b");
            assert_eq!(kept, expected);
        }
        assert_eq!(script("a / b / c"), "a/b/c");
        assert_eq!(script("x = /a  b/.test(c)"), "x=/a  b/.test(c)");
    }

    #[test]
    fn code_in_templates_is_code_again() {
        let source = "`a  ${ {b : c}  .b }  ${ d ? `  ${ e } /* */` : \"} `\" }  f` ; g = h";
        assert_eq!(script(source), "`a  ${{b:c}.b}  ${d?`  ${e} /* */`:\"} `\"}  f`;g=h");
    }

    #[test]
    fn a_style_sheet_keeps_the_spaces_that_select() {
        let source = "/* all */\na > b, c :hover {color: red; margin: 0 1px}\n@media (x: 1) {\n\td {top: calc(1px + 2px)}\n}\n";
        assert_eq!(
            style(source),
            "a > b,c :hover{color:red;margin:0 1px}\n@media (x:1){\nd{top:calc(1px + 2px)}\n}\n"
        );
    }

    #[test]
    fn a_document_loses_its_indentation() {
        assert_eq!(document("<p>\n\t<b>a  b</b>\n"), "<p>\n<b>a  b</b>\n");
    }
}
