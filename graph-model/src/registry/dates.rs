//! The times at which an object was created and last modified.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::document::set;
use crate::template::iso_utc;

const CREATED_AT: &str = "createdAt";
const MODIFIED_AT: &str = "lastModifiedAt";

/// Strings, so that a restored registry returns them unchanged.
#[derive(Debug, Clone)]
pub(super) struct Dates {
    created_at: String,
    modified_at: String,
}

impl Dates {
    /// The dates of a new object.
    pub(super) fn new(now: SystemTime) -> Self {
        let now = iso_utc(now);
        Self {
            created_at: now.clone(),
            modified_at: now,
        }
    }

    /// The dates of an object that changes now.
    pub(super) fn changed(&self, now: SystemTime) -> Self {
        Self {
            created_at: self.created_at.clone(),
            modified_at: iso_utc(now),
        }
    }

    /// Reads what [`merge_into`](Self::merge_into) wrote.
    pub(super) fn read<E>(text: impl Fn(&str) -> Result<String, E>) -> Result<Self, E> {
        Ok(Self {
            created_at: text(CREATED_AT)?,
            modified_at: text(MODIFIED_AT)?,
        })
    }

    /// Adds the dates to an object, as last members.
    pub(super) fn merge_into(&self, mut object: Value) -> Value {
        if let Value::Object(map) = &mut object {
            map.insert(CREATED_AT.to_owned(), self.created_at.as_str().into());
            map.insert(MODIFIED_AT.to_owned(), self.modified_at.as_str().into());
        }
        object
    }

    /// Sets a document's `systemData`.
    pub(super) fn put_into(&self, document: &mut Value) {
        if let Value::Object(map) = document {
            set(map, "systemData", self.merge_into(json!({})));
        }
    }
}
