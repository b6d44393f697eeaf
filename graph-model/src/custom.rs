//! Types of nodes that a program brings along, beside those of the contract.

use std::fmt;
use std::sync::Arc;

use crate::generation::Family;

/// Longest name of a custom type, in characters.
const MAX_TYPE: usize = 256;

/// The types of nodes that a program brings along: full names, as `@type` has them (`#Contoso.QueueLengthProcessor`).
///
/// Nodes of these types are processors. They stand wherever an extension may stand: they take frames with what was found in
/// them so far, find something themselves, and pass their frames on. `samplingOptions` works as with an extension; all other
/// members are the node's own.
///
/// Names are compared without case, and with or without the `#` in front, as those of the contract are. Cheap to clone.
///
/// ```
/// use lva_graph_model::{CustomNodeTypeError, CustomNodeTypes};
///
/// let types = CustomNodeTypes::new(["#Contoso.QueueLengthProcessor"])?;
/// assert!(types.find("#contoso.queuelengthprocessor").is_some());
/// assert!(CustomNodeTypes::new(["#Microsoft.VideoAnalyzer.FileSink"]).is_err());
/// # Ok::<(), CustomNodeTypeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct CustomNodeTypes(Arc<[String]>);

/// Why a name cannot be a custom node type. Retrying does not help: fix the name in the program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CustomNodeTypeError {
    /// No name that could stand in `@type`.
    #[error(
        "{name:?} is not a node type: write '#', a vendor name, a dot and the type, such as #Contoso.QueueLength"
    )]
    NotAType {
        /// What was given, at most 80 characters of it.
        name: String,
    },
    /// It begins as the types of the contract do, which are the contract's alone.
    #[error("the type '{name}' is among those of {family}: choose another prefix, such as #Contoso.")]
    OfTheContract {
        /// What was given.
        name: String,
        /// Whose types begin so.
        family: Family,
    },
    /// Given twice.
    #[error("the type '{name}' is given twice: remove one, or rename it")]
    Duplicate {
        /// What was given the second time.
        name: String,
    },
}

impl CustomNodeTypes {
    /// Takes the names.
    ///
    /// # Errors
    ///
    /// [`CustomNodeTypeError`] for an invalid type name, a name with a prefix of the contract, or a duplicate.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, CustomNodeTypeError> {
        let mut types: Vec<String> = Vec::new();
        for name in names {
            let name = checked(name.into())?;
            if types.iter().any(|other| same(other, &name)) {
                return Err(CustomNodeTypeError::Duplicate { name });
            }
            types.push(name);
        }
        Ok(Self(types.into()))
    }

    /// The registered type that a value of `@type` means, in the spelling passed to [`new`](Self::new).
    pub fn find(&self, text: &str) -> Option<&str> {
        let found = self.0.iter().find(|known| same(known, text));
        found.map(String::as_str)
    }

    /// All of them, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn bare(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('#').unwrap_or(text)
}

fn same(one: &str, other: &str) -> bool {
    bare(one).eq_ignore_ascii_case(bare(other))
}

fn checked(name: String) -> Result<String, CustomNodeTypeError> {
    let name = name.trim();
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let dotted = bare(name).split('.').all(|part| !part.is_empty()) && bare(name).contains('.');
    if !dotted || !bare(name).chars().all(fits) || name.chars().count() > MAX_TYPE {
        let name = name.chars().take(80).collect();
        return Err(CustomNodeTypeError::NotAType { name });
    }
    let name = name.to_owned();
    match Family::split_type(&name) {
        Some((family, _)) => Err(CustomNodeTypeError::OfTheContract { name, family }),
        None => Ok(name),
    }
}

/// The last part of a type's name, for pictures.
pub(crate) fn short_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

impl fmt::Debug for CustomNodeTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_found_in_any_case_and_without_its_sign() {
        let types = CustomNodeTypes::new(["#Contoso.Vision.QueueLength", "Fabrikam.Dark-2"]).unwrap();
        for text in [
            "#Contoso.Vision.QueueLength",
            " contoso.vision.queuelength ",
            "#CONTOSO.VISION.QUEUELENGTH",
        ] {
            assert_eq!(types.find(text), Some("#Contoso.Vision.QueueLength"), "{text}");
        }
        assert_eq!(types.find("#fabrikam.dark-2"), Some("Fabrikam.Dark-2"));
        assert_eq!(types.find("#Contoso.Vision"), None);
        assert_eq!(short_name("#Contoso.Vision.QueueLength"), "QueueLength");
        assert!(CustomNodeTypes::default().is_empty() && CustomNodeTypes::default().find("").is_none());
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for name in [
            "",
            "#",
            "Queue",
            "#Contoso.",
            "#.Queue",
            "#A..B",
            "#A.B C",
            "#A.B/C",
        ] {
            let error = CustomNodeTypes::new([name]).unwrap_err();
            assert!(
                matches!(error, CustomNodeTypeError::NotAType { .. }),
                "{name}: {error}"
            );
        }
        let long = format!("#A.{}", "b".repeat(MAX_TYPE));
        let error = CustomNodeTypes::new([long]).unwrap_err().to_string();
        assert!(error.len() < 300, "{error}");
    }

    #[test]
    fn the_contracts_types_and_whatever_begins_as_they_do_are_refused() {
        for name in [
            "#Microsoft.VideoAnalyzer.FileSink",
            "microsoft.media.mediagraphGrpcExtension",
            "#Microsoft.VideoAnalyzer.QueueLength",
        ] {
            let error = CustomNodeTypes::new([name]).unwrap_err();
            assert!(
                matches!(error, CustomNodeTypeError::OfTheContract { .. }),
                "{name}: {error}"
            );
        }
    }

    #[test]
    fn a_type_that_is_there_twice_is_refused_whatever_its_case() {
        let error = CustomNodeTypes::new(["#Contoso.Queue", "contoso.QUEUE"]).unwrap_err();
        let name = "contoso.QUEUE".to_owned();
        assert_eq!(error, CustomNodeTypeError::Duplicate { name });
    }
}
