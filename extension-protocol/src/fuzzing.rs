//! Entry points of the fuzz targets in `fuzz/`; ordinary tests run them on seeded noise.

#![cfg_attr(
    not(fuzzing),
    allow(dead_code, unreachable_pub, reason = "for the fuzz targets")
)]

use std::path::PathBuf;
use std::sync::OnceLock;

/// Operations on the slot allocator.
pub fn slots(data: &[u8]) {
    crate::slots::fuzzing::run(data);
}

/// Calls of a client's user and messages of a server.
pub fn client(data: &[u8]) {
    crate::client::fuzz(data);
}

/// Messages of a client.
pub fn server(data: &[u8]) {
    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| crate::server::fuzzing_directory().ok());
    if let Some(directory) = directory {
        crate::server::fuzz(data, directory);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    /// Noise of every length, the same in each run. `LVA_FUZZ_SECONDS` sets a duration.
    fn noise(name: &str, run: fn(&[u8])) {
        let seconds = std::env::var("LVA_FUZZ_SECONDS")
            .ok()
            .and_then(|text| text.parse().ok());
        let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as usize
        };
        let mut runs = 0_u64;
        while runs < 500 || until.is_some_and(|until| Instant::now() < until) {
            let data: Vec<u8> = (0..random() % 300).map(|_| random() as u8).collect();
            run(&data);
            runs += 1;
        }
        eprintln!("{name}: {runs} runs");
    }

    #[test]
    fn no_operations_break_the_slot_allocator() {
        noise("slots", super::slots);
    }

    #[test]
    fn no_server_breaks_the_client() {
        noise("client", super::client);
    }

    #[test]
    fn no_client_breaks_the_server() {
        noise("server", super::server);
    }
}
