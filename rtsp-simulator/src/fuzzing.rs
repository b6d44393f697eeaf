//! Entry point of the fuzz target in `rtsp-simulator/fuzz`, compiled for it and for tests only.

/// Requests from a client, and the HTTP heads and Base64 of a tunnel.
pub fn requests(data: &[u8]) {
    crate::tunnel::fuzz(data);
    crate::session::fuzz(data);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_request_is_handled(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            super::requests(&data);
        }
    }
}
