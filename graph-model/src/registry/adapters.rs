//! Device adapters, by name. They have no state.

use std::time::SystemTime;

use serde_json::Value;

use super::dates::Dates;
use super::options::check_capacity;
use super::{Registry, fitting, page};
use crate::adapter::DeviceAdapter;
use crate::diagnostic::Diagnostic;
use crate::generation::Generation;
use crate::method::{Fault, ListOptions, Response};
use crate::redact;

#[derive(Debug, Clone)]
pub(super) struct StoredAdapter {
    pub(super) adapter: DeviceAdapter,
    pub(super) dates: Dates,
}

impl StoredAdapter {
    /// Without its key.
    fn shown(&self) -> Value {
        let mut value = redact::adapter(self.adapter.to_value());
        self.dates.put_into(&mut value);
        value
    }
}

impl Registry {
    pub(super) fn list_adapters(&self, options: &ListOptions) -> Result<Response, Fault> {
        let all = self
            .adapters
            .iter()
            .map(|(name, stored)| (name.as_str(), stored.shown()));
        page(all, options, self.options.page)
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
        let (status, dates) = match old {
            Some(old) if old.adapter == adapter => (200, old.dates.clone()),
            Some(old) => (200, old.dates.changed(now)),
            None => {
                let limit = self.options.limits().adapters;
                check_capacity("device adapters", self.adapters.len(), limit)?;
                (201, Dates::new(now))
            }
        };
        let stored = StoredAdapter { adapter, dates };
        let payload = fitting(stored.shown(), self.options.page);
        self.adapters.insert(stored.adapter.name().to_owned(), stored);
        Ok(Response {
            findings,
            ..Response::with(status, payload)
        })
    }
}
