//! Device adapters: stored under their names, without a state.

use std::time::SystemTime;

use serde_json::Value;

use super::{Registry, page, system_data};
use crate::adapter::DeviceAdapter;
use crate::diagnostic::Diagnostic;
use crate::generation::Generation;
use crate::method::{Fault, Response};
use crate::redact;
use crate::template::iso_utc;

#[derive(Debug, Clone)]
pub(super) struct StoredAdapter {
    pub(super) adapter: DeviceAdapter,
    pub(super) created_at: String,
    pub(super) modified_at: String,
}

impl StoredAdapter {
    /// Without its key.
    fn shown(&self) -> Value {
        let mut value = redact::adapter(self.adapter.to_value());
        if let Value::Object(map) = &mut value {
            redact::set(
                map,
                "systemData",
                system_data(&self.created_at, &self.modified_at),
            );
        }
        value
    }
}

impl Registry {
    pub(super) fn list_adapters(&self, token: Option<String>) -> Result<Response, Fault> {
        let all = self
            .adapters
            .iter()
            .map(|(name, stored)| (name.as_str(), stored.shown()));
        page(all, token, self.options.page_size)
    }

    pub(super) fn adapter_of(&self, name: &str) -> Result<Response, Fault> {
        let stored = self.adapters.get(name).ok_or(Fault::NotFound {
            what: "device adapter",
        })?;
        Ok(Response::with(200, stored.shown()))
    }

    pub(super) fn delete_adapter(&mut self, name: &str) -> Response {
        let existed = self.adapters.remove(name).is_some();
        Response::empty(if existed { 200 } else { 204 })
    }

    pub(super) fn set_adapter(
        &mut self,
        adapter: &DeviceAdapter,
        generation: Generation,
        now: SystemTime,
    ) -> Result<Response, Fault> {
        let mut document = redact::as_stored(adapter.to_value(), generation);
        let old = self.adapters.get(adapter.name());
        if let Some(old) = old {
            document = redact::keep_key(&document, old.adapter.to_value());
        }
        let adapter = DeviceAdapter::from_value(document).map_err(Fault::document)?;
        let findings = adapter.validate(self.options.strictness);
        if findings.iter().any(Diagnostic::is_error) {
            return Err(Fault::InvalidAdapter { findings });
        }
        let now = iso_utc(now);
        let (status, created_at, modified_at) = match old {
            Some(old) if old.adapter == adapter => (200, old.created_at.clone(), old.modified_at.clone()),
            Some(old) => (200, old.created_at.clone(), now),
            None => {
                let (_, limit) = self.options.limits();
                if self.adapters.len() >= limit {
                    return Err(Fault::TooMany {
                        what: "device adapters",
                        limit,
                    });
                }
                (201, now.clone(), now)
            }
        };
        let stored = StoredAdapter {
            adapter,
            created_at,
            modified_at,
        };
        let payload = stored.shown();
        self.adapters.insert(stored.adapter.name().to_owned(), stored);
        Ok(Response {
            findings,
            ..Response::with(status, payload)
        })
    }
}
