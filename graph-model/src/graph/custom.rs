//! Custom nodes.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::processor::Sampling;
use crate::document::{member, scalar_string};

/// A processor of a custom type. It gets frames with the results from upstream, adds its own results, and passes on all
/// frames.
#[derive(Clone, PartialEq)]
pub struct CustomProcessor {
    pub(crate) type_name: String,
    pub(crate) sampling: Sampling,
    pub(crate) settings: Value,
    /// Pointers to the strings in the settings that hold the value of a `SecretString` parameter.
    pub(crate) secrets: BTreeSet<String>,
}

impl CustomProcessor {
    /// A processor that gets every frame, for tests of custom nodes; [`resolve`](crate::resolve) makes those of graphs.
    /// `settings` is an object.
    pub fn new(type_name: impl Into<String>, settings: Value) -> Self {
        Self {
            type_name: type_name.into(),
            sampling: Sampling::default(),
            settings,
            secrets: BTreeSet::new(),
        }
    }

    /// Its type, spelled as in [`CustomNodeTypes`](crate::CustomNodeTypes).
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// Which frames it gets.
    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// Its own members, an object: all but `@type`, `name`, `inputs` and `samplingOptions`. Parameters are expanded in every
    /// string, and the result is always a string, for an `Int` parameter too.
    ///
    /// **Contains the values of `SecretString` parameters.** `Debug` does not show them.
    pub fn settings(&self) -> &Value {
        &self.settings
    }

    /// One of its own members, by its name without case. Null counts as absent.
    pub fn setting(&self, name: &str) -> Option<&Value> {
        member(self.settings.as_object()?, name).map(|(_, value)| value)
    }

    /// A member that is a string, a number or a boolean, as a string.
    pub fn text(&self, name: &str) -> Option<String> {
        scalar_string(self.setting(name)?)
    }

    /// The settings without their secrets.
    fn shown(&self) -> Value {
        let mut shown = self.settings.clone();
        for at in &self.secrets {
            if let Some(text) = shown.pointer_mut(at) {
                *text = "***".into();
            }
        }
        shown
    }
}

impl fmt::Debug for CustomProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomProcessor")
            .field("type_name", &self.type_name)
            .field("sampling", &self.sampling)
            .field("settings", &format_args!("{}", self.shown()))
            .finish()
    }
}
