//! Random numbers from the operating system.

/// 64 random bits. Should the system have none to give, clock and process number stand in: jitter then still
/// differs between processes, and nothing here protects more than a test's session.
pub(crate) fn random_u64() -> u64 {
    getrandom::u64().unwrap_or_else(|_| {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        (now.as_nanos() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(std::process::id())
    })
}
