//! What the console prints, as the original did, without secrets.

use std::io::{self, Write};

use lva_media_types::clean_text;
use serde_json::{Map, Value};

/// Letters of a message that are printed.
const MAX_MESSAGE: usize = 10_000;

/// Printed in place of a secret.
const HIDDEN: &str = "(hidden)";

/// Prints operations, requests and responses.
#[derive(Debug)]
pub struct Transcript<W> {
    out: W,
    colours: bool,
}

impl<W: Write> Transcript<W> {
    /// A transcript that is printed to `out`, with failed responses in red where `colours` is true.
    pub fn new(out: W, colours: bool) -> Self {
        Self { out, colours }
    }

    pub(super) fn operation(&mut self, name: &str) -> io::Result<()> {
        self.line(&"-".repeat(74))?;
        writeln!(self.out, "Executing operation {name}")
    }

    pub(super) fn message(&mut self, message: &str) -> io::Result<()> {
        writeln!(self.out, "{}", clean_text(message, MAX_MESSAGE))?;
        self.out.flush()
    }

    pub(super) fn request(&mut self, name: &str, payload: &Value) -> io::Result<()> {
        self.line(&format!(
            "{}  Request: {name}  {}",
            "-".repeat(23),
            "-".repeat(50)
        ))?;
        writeln!(self.out, "{}", printable(&without_secrets(payload)))?;
        self.out.flush()
    }

    pub(super) fn response(&mut self, name: &str, status: i64, payload: &Value) -> io::Result<()> {
        let dashes = "-".repeat(15);
        let text = format!("{dashes}  Response: {name} - Status: {status}  {dashes}");
        match self.colours && status >= 400 {
            true => self.line(&format!("\u{1b}[31m{text}\u{1b}[0m"))?,
            false => self.line(&text)?,
        }
        writeln!(self.out, "{}", printable(payload))?;
        self.out.flush()
    }

    /// Separators have an empty line before and after.
    fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n{text}\n")
    }
}

/// JSON for a terminal: characters that would control it are escaped, as JSON has it. Strings mean the same.
fn printable(value: &Value) -> String {
    let mut text = String::new();
    for letter in format!("{value:#}").chars() {
        let is_mark =
            matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match letter != '\n' && letter.is_control() || is_mark {
            true => text.push_str(&format!("\\u{:04x}", u32::from(letter))),
            false => text.push(letter),
        }
    }
    text
}

/// A payload as it may be shown: without passwords and keys, and without values of parameters that are called so.
fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().map(without_secrets).collect(),
        Value::Object(members) => {
            let secret = |name: &str| text_of(members, name).is_some_and(is_secret);
            let (parameter, declared) = (secret("name"), is_secret_type(members));
            let shown = members.iter().map(|(name, value)| {
                let is = |other: &str| name.eq_ignore_ascii_case(other);
                let hidden = (is_secret(name) || is("headerValue"))
                    || (parameter && is("value"))
                    || ((parameter || declared) && is("default"));
                let value = match value {
                    // References to parameters are not secret.
                    Value::String(text) if hidden && !text.trim_start().starts_with("${") => HIDDEN.into(),
                    other => without_secrets(other),
                };
                (name.clone(), value)
            });
            Value::Object(shown.collect())
        }
        other => other.clone(),
    }
}

fn text_of<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let mut members = members.iter();
    let (_, value) = members.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    value.as_str()
}

fn is_secret_type(members: &Map<String, Value>) -> bool {
    text_of(members, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("SecretString"))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "secret", "token", "key"]
        .iter()
        .any(|word| name.ends_with(word))
        // Where a list goes on, not a secret.
        && name != "@continuationtoken"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printed(print: impl FnOnce(&mut Transcript<Vec<u8>>) -> io::Result<()>, colours: bool) -> String {
        let mut console = Transcript::new(Vec::new(), colours);
        print(&mut console).unwrap();
        String::from_utf8(console.out).unwrap()
    }

    #[test]
    fn foreign_text_does_not_control_the_terminal_and_means_the_same() {
        let payload = json!({"name": "a\u{9b}31m\u{202e}b\u{1b}[2J ä"});
        let text = printed(|c| c.response("Get", 200, &payload), false);
        assert!(
            !text.contains(['\u{9b}', '\u{202e}', '\u{1b}']) && text.contains('ä'),
            "{text:?}"
        );
        let json = text.split_once('{').map(|(_, rest)| format!("{{{rest}")).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), payload);
        let message = printed(|c| c.message("go\u{9b}2J"), false);
        assert!(!message.contains('\u{9b}'), "{message:?}");
    }

    #[test]
    fn separators_are_those_of_the_original() {
        let request = printed(
            |c| c.request("GraphTopologyList", &json!({"@apiVersion": "1.0"})),
            false,
        );
        assert_eq!(
            request,
            "\n-----------------------  Request: GraphTopologyList  --------------------------------------------------\n\n\
             {\n  \"@apiVersion\": \"1.0\"\n}\n"
        );
        let response = printed(|c| c.response("GraphTopologyList", 200, &json!({})), true);
        assert_eq!(
            response,
            "\n---------------  Response: GraphTopologyList - Status: 200  ---------------\n\n{}\n"
        );
        let operation = printed(|c| c.operation("WaitForInput"), false);
        assert_eq!(
            operation,
            format!("\n{}\n\nExecuting operation WaitForInput\n", "-".repeat(74))
        );
        assert!(printed(|c| c.response("X", 404, &json!(null)), true).contains("\u{1b}[31m"));
    }

    #[test]
    fn passwords_are_not_printed_and_references_are() {
        let shown = without_secrets(&json!({
            "name": "Sample-Graph-1",
            "properties": {"parameters": [
                {"name": "rtspUserName", "value": "testuser"},
                {"name": "rtspPassword", "value": "geheim-17"},
                {"name": "pin", "type": "SecretString", "default": "geheim-17"},
            ]},
            "credentials": {"username": "u", "password": "geheim-17"},
            "other": {"Password": "${rtspPassword}", "headerValue": "geheim-17"},
            "@continuationToken": "page-2",
        }));
        let text = shown.to_string();
        assert!(!text.contains("geheim-17"), "{text}");
        assert!(
            text.contains("testuser") && text.contains("${rtspPassword}") && text.contains("page-2"),
            "{text}"
        );
    }
}
