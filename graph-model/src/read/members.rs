//! The members of one JSON object, looked up without case. Unknown members are reported.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::diagnostic::{DiagnosticCode, Findings};
use crate::document::{json_type, member, scalar_string, step};
use crate::json::nearest;

/// An object that is being read.
#[derive(Debug)]
pub(crate) struct Members<'v> {
    map: &'v Map<String, Value>,
    pub(crate) at: String,
    /// What it is, for messages: `processor 'gate'`.
    pub(crate) what: String,
    asked: Vec<&'static str>,
    /// Unknown members are accepted.
    takes_all: bool,
}

impl<'v> Members<'v> {
    pub(crate) fn new(map: &'v Map<String, Value>, at: String, what: String) -> Self {
        Self {
            map,
            at,
            what,
            asked: Vec::new(),
            takes_all: false,
        }
    }

    /// A member and its pointer; null counts as absent.
    pub(crate) fn get(&mut self, name: &'static str) -> Option<(&'v Value, String)> {
        self.asked.push(name);
        member(self.map, name).map(|(key, value)| (value, step(&self.at, key)))
    }

    /// The members that were not looked up. They are no longer reported.
    pub(crate) fn rest(&mut self) -> Vec<(&'v String, &'v Value)> {
        self.takes_all = true;
        let asked = |key: &str| self.asked.iter().any(|name| name.eq_ignore_ascii_case(key));
        self.map.iter().filter(|(key, _)| !asked(key)).collect()
    }

    /// Allows a member that is dealt with elsewhere.
    pub(crate) fn allow(&mut self, name: &'static str) {
        self.asked.push(name);
    }

    /// A member that must be an object.
    pub(crate) fn object(&mut self, name: &'static str, findings: &mut Findings) -> Option<Members<'v>> {
        let (value, at) = self.get(name)?;
        match value {
            Value::Object(map) => Some(Members::new(map, at, format!("'{name}' of {}", self.what))),
            other => {
                self.wrong_type(name, other, &at, "an object", findings);
                None
            }
        }
    }

    /// A member that must be an array; absent counts as empty.
    pub(crate) fn list(&mut self, name: &'static str, findings: &mut Findings) -> Vec<(&'v Value, String)> {
        match self.get(name) {
            None => Vec::new(),
            Some((Value::Array(list), at)) => {
                let items = list.iter().enumerate();
                items.map(|(i, value)| (value, format!("{at}/{i}"))).collect()
            }
            Some((other, at)) => {
                self.wrong_type(name, other, &at, "an array", findings);
                Vec::new()
            }
        }
    }

    /// An item of one of its arrays, which must be an object.
    pub(crate) fn item(
        &self,
        (value, at): (&'v Value, String),
        what: String,
        findings: &mut Findings,
    ) -> Option<Members<'v>> {
        match value {
            Value::Object(map) => Some(Members::new(map, at, what)),
            other => {
                findings.error(
                    DiagnosticCode::WrongType,
                    &at,
                    format!("{what} must be an object, but is {}", json_type(other)),
                );
                None
            }
        }
    }

    /// The member `name`, which must not be empty.
    pub(crate) fn required_name(&mut self, findings: &mut Findings) -> Option<String> {
        let name = self.get("name").and_then(|(value, _)| scalar_string(value));
        let name = name.filter(|name| !name.is_empty());
        if name.is_none() {
            self.missing("name", findings);
        }
        name
    }

    /// A member that must be a string; `what` begins the message otherwise. Numbers and booleans are as good.
    pub(crate) fn string(
        &mut self,
        name: &'static str,
        what: &str,
        findings: &mut Findings,
    ) -> Option<String> {
        let (value, at) = self.get(name)?;
        let text = scalar_string(value);
        if text.is_none() {
            let found = json_type(value);
            let message = format!("{what} must be a string, but this is {found}: put it in quotes");
            findings.error(DiagnosticCode::WrongType, &at, message);
        }
        text
    }

    fn wrong_type(&self, name: &str, found: &Value, at: &str, expected: &str, findings: &mut Findings) {
        findings.error(
            DiagnosticCode::WrongType,
            at,
            format!(
                "'{name}' of {} must be {expected}, but is {}",
                self.what,
                json_type(found)
            ),
        );
    }

    /// Reports that a member is missing.
    pub(crate) fn missing(&self, name: &str, findings: &mut Findings) {
        findings.error(
            DiagnosticCode::MemberMissing,
            &self.at,
            format!("{} needs '{name}': add it", self.what),
        );
    }

    /// Reports members that were not looked up, and those that differ in case only.
    pub(crate) fn finish(&self, findings: &mut Findings) {
        let mut spellings = BTreeMap::new();
        // By name: in which order a map gives its members depends on a feature of serde_json that any crate
        // of a program may turn on, and findings should not.
        let mut keys: Vec<&String> = self.map.keys().collect();
        keys.sort_unstable();
        for key in keys {
            if let Some(other) = spellings.insert(key.to_ascii_lowercase(), key) {
                findings.error(
                    DiagnosticCode::MemberDuplicate,
                    &step(&self.at, key),
                    format!("{} has both '{other}' and '{key}': remove one", self.what),
                );
            }
            if !self.takes_all && !self.asked.iter().any(|name| name.eq_ignore_ascii_case(key)) {
                let absent = self
                    .asked
                    .iter()
                    .copied()
                    .filter(|name| member(self.map, name).is_none());
                let meant =
                    nearest(key, absent).map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
                findings.warning(
                    DiagnosticCode::UnknownMember,
                    &step(&self.at, key),
                    format!("{} has no member '{key}': it is ignored{meant}", self.what),
                );
            }
        }
    }
}
