//! Options of a registry.

use crate::custom::CustomNodeTypes;
use crate::diagnostic::Strictness;
use crate::method::Fault;

/// Strictness, page size, custom node types, and by strictness the most objects that a registry stores:
///
/// | | default | compatible |
/// |---|---|---|
/// | topologies | 1,000 | 50 |
/// | instances | 10,000 | 1,000 |
/// | device adapters | 10,000 | 1,000 |
///
/// Each object takes a few kilobytes of memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegistryOptions {
    pub(super) strictness: Strictness,
    pub(super) page: PageLimits,
    pub(super) custom_types: CustomNodeTypes,
}

impl RegistryOptions {
    /// Whether quotas and placement rules of the retired product are errors. Default: open, they are hints.
    ///
    /// To deactivate an instance that is still activating is a conflict in compatible strictness, as in that product; in open
    /// strictness it stops the instance.
    #[must_use]
    pub fn with_strictness(mut self, strictness: Strictness) -> Self {
        self.strictness = strictness;
        self
    }

    /// The most entries in one page of a list, at least 1. Default: no limit, since the contract's console program reads only the
    /// first page.
    #[must_use]
    pub fn with_page_size(mut self, entries: usize) -> Self {
        self.page.entries = Some(entries.max(1));
        self
    }

    /// The most bytes of the entries in one page of a list, as compact JSON. A larger object, in a list or as the answer of a
    /// Set, is shortened to its name, dates, topology and state, with an `@note`. Default: no limit. Hubs carry answers of up to
    /// 128 KiB.
    #[must_use]
    pub fn with_page_bytes(mut self, bytes: usize) -> Self {
        self.page.bytes = Some(bytes);
        self
    }

    /// The custom node types that topologies may use. Default: none.
    #[must_use]
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

/// How much one page of a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PageLimits {
    pub(super) entries: Option<usize>,
    pub(super) bytes: Option<usize>,
}

/// The most objects of each kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) topologies: usize,
    pub(super) instances: usize,
    pub(super) adapters: usize,
}

/// Checks that one more object fits.
pub(super) fn check_capacity(what: &'static str, held: usize, limit: usize) -> Result<(), Fault> {
    if held >= limit {
        return Err(Fault::TooMany { what, limit });
    }
    Ok(())
}
