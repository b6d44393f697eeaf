//! Nodes of types that a program brings along.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::processor::Sampling;
use crate::document::{member, scalar_string};

/// A processor of a type that is none of the contract's: it takes frames with what was found in them so far, finds something
/// itself, and passes on all frames, whichever it was shown.
#[derive(Clone, PartialEq)]
pub struct CustomProcessor {
    pub(crate) type_name: String,
    pub(crate) sampling: Sampling,
    pub(crate) settings: Value,
    /// Pointers to the strings in the settings that hold the value of a `SecretString` parameter.
    pub(crate) secrets: BTreeSet<String>,
}

impl CustomProcessor {
    /// Its type, in the spelling of [`CustomNodeTypes`](crate::CustomNodeTypes) whatever the document's is.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// Which frames it is shown.
    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// Its own members, an object: all but `@type`, `name`, `inputs` and `samplingOptions`. As written, with parameters interpolated
    /// in wherever there is a string. A string that was only a parameter stays a string, even if the parameter is an `Int`.
    ///
    /// **Holds secrets**, where parameters of type `SecretString` went into it; `Debug` does not show them.
    pub fn settings(&self) -> &Value {
        &self.settings
    }

    /// A member of its own by its name without case; null counts as absent.
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
