use std::time::Duration;

use lva_hub::OutboxOptions;

use super::{ConfigError, range};

/// Checks the bounds of an outbox; the keys are for errors.
pub(super) fn check([mib_key, days_key]: [&'static str; 2], mib: u64, days: u64) -> Result<(), ConfigError> {
    range(mib_key, mib, 1, 1_000_000)?;
    range(days_key, days, 1, 3_650)
}

/// An outbox of so many MiB, whose events wait for so many days.
pub(super) fn options(mib: u64, days: u64) -> OutboxOptions {
    OutboxOptions::default()
        .with_max_bytes(mib << 20)
        .with_max_age(Duration::from_secs(days * 86_400))
}
