//! How a registry judges, and how much it holds.

use crate::custom::CustomNodeTypes;
use crate::diagnostic::Strictness;
use crate::method::Fault;

/// How a registry judges, and how much it holds.
///
/// | | default | compatible |
/// |---|---|---|
/// | topologies | 1,000 | 50 |
/// | instances | 10,000 | 1,000 |
/// | device adapters | 10,000 | 1,000 |
///
/// More of them cost memory only: a few kilobytes each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegistryOptions {
    pub(super) strictness: Strictness,
    pub(super) page_size: Option<usize>,
    pub(super) custom_types: CustomNodeTypes,
}

impl RegistryOptions {
    /// Sets whether quotas and placement rules of the retired product are errors. Open by default.
    ///
    /// In compatible strictness, deactivating an instance that is still activating is a conflict, as it was;
    /// in open strictness it stops the instance.
    pub fn with_strictness(mut self, strictness: Strictness) -> Self {
        self.strictness = strictness;
        self
    }

    /// Sets how many entries a list has before it goes on in a next page, at least 1. By default lists are
    /// whole: the contract's own console program reads the first page only.
    pub fn with_page_size(mut self, entries: usize) -> Self {
        self.page_size = Some(entries.max(1));
        self
    }

    /// Sets which types of nodes the program brings along, beside those of the contract. None by default.
    pub fn with_custom_types(mut self, custom_types: CustomNodeTypes) -> Self {
        self.custom_types = custom_types;
        self
    }

    pub(super) fn limits(&self) -> Limits {
        match self.strictness {
            Strictness::Compatible => Limits {
                topologies: 50,
                instances: 1_000,
                adapters: 1_000,
            },
            Strictness::Open => Limits {
                topologies: 1_000,
                instances: 10_000,
                adapters: 10_000,
            },
        }
    }
}

/// How many of each a registry holds at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) topologies: usize,
    pub(super) instances: usize,
    pub(super) adapters: usize,
}

/// Whether one more fits.
pub(super) fn check_capacity(what: &'static str, held: usize, limit: usize) -> Result<(), Fault> {
    if held >= limit {
        return Err(Fault::TooMany { what, limit });
    }
    Ok(())
}
